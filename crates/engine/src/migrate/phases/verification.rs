//! Both sides compared, where it was asked for.

use std::sync::Arc;

use super::Run;
use crate::checkpoint::Stage;
use crate::migrate::end::End;
use crate::verify::{self, Hooks, Mode, VerifyOptions};
use godwit_api::{STATUS_LIST_LIMIT, TableVerification, VerificationState, VerificationStatus};
use godwit_model::error::{Error, Result};

/// Where it was asked for, until it was through once.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    let asked = &run.attempt.task.spec().verification;
    (asked.full.is_some() || asked.schema) && run.saved.stage < Stage::Verified
}

/// Compares; what differs stands in status, and ends nothing.
pub(super) async fn run(run: &Run<'_>) -> Result<()> {
    compare(run).await?;
    run.attempt.records.set_stage(run.claim, Stage::Verified).await
}

/// Compares both sides as the manifest asks, while the log goes on being followed.
async fn compare(run: &Run<'_>) -> Result<()> {
    let attempt = run.attempt;
    let End::MySql { connector, .. } = &attempt.end else {
        return Err(Error::definite(
            "spec.verification: only servers of the MySQL family are compared by this version; remove it",
        ));
    };
    attempt.progress.message("comparing both sides");
    let asked = &attempt.task.spec().verification;
    let mut options = VerifyOptions::of(asked);
    if asked.full.is_none() {
        options.mode = Mode::Definitions;
    }
    let hooks = Hooks { records: Some(Arc::clone(&attempt.records)), ..Hooks::default() };
    let report = verify::verify(&attempt.plan, &attempt.source, connector, options, run.cancel.clone(), hooks).await?;
    let sum = |count: fn(&TableVerification) -> u64| report.tables.iter().map(count).sum::<u64>();
    let row_values = attempt.task.spec().diagnostics.row_values;
    let told = |table: &TableVerification| TableVerification {
        samples: if row_values { table.samples.clone() } else { Vec::new() },
        ..table.clone()
    };
    attempt.progress.set_verification(VerificationStatus {
        state: Some(VerificationState::Finished),
        equal: Some(report.equal),
        source_position: report.source_position.clone(),
        tables_total: report.tables.len() as u64,
        tables_done: report.tables.len() as u64,
        rows_compared: sum(|table| table.rows),
        missing: sum(|table| table.missing),
        extra: sum(|table| table.extra),
        different: sum(|table| table.different),
        repaired: sum(|table| table.repaired),
        tables: report.tables.iter().take(STATUS_LIST_LIMIT).map(told).collect(),
        schema: report.schema.iter().take(STATUS_LIST_LIMIT).cloned().collect(),
        ..VerificationStatus::default()
    });
    if !report.equal {
        tracing::warn!("the comparison found differences; godwit verify lists them");
    }
    Ok(())
}
