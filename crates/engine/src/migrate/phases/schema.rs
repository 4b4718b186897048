//! Databases and tables at the destination.

use super::Run;
use crate::checkpoint::{Stage, TableStage};
use crate::connection::Role;
use crate::migrate::attempt::lower_case_table_names;
use crate::migrate::end::{End, Maker};
use crate::plan::mapping::NameRules;
use crate::precheck;
use crate::progress::TableState;
use godwit_api::{ConflictPolicy, Phase};
use godwit_model::error::{Error, Result};

/// Until it was through once.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.saved.stage < Stage::SchemaMade
}

/// Creates what is missing.
pub(super) async fn run(run: &mut Run<'_>) -> Result<()> {
    run.attempt.progress.set_phase(Phase::MigratingSchema);
    run.maker.tables(&mut run.stages).await?;
    run.attempt.records.set_stage(run.claim, Stage::SchemaMade).await
}

/// Tables that the task did not make are looked at again: someone may have altered them since the precheck.
pub(super) async fn check(run: &Run<'_>) -> Result<()> {
    let attempt = run.attempt;
    let (connector, info) = match (&attempt.end, &run.maker) {
        (End::MySql { connector, info, .. }, _) => (connector, info),
        (End::Tablestore { .. }, Maker::Tablestore(tables)) => return tables.check().await,
        (End::Tablestore { .. }, Maker::MySql(_)) => return Err(Error::definite("two kinds of destination; this is a bug")),
    };
    if attempt.plan.schema && attempt.task.spec().conflict_policy == ConflictPolicy::PrecheckAndReportErrors {
        return Ok(());
    }
    let mut conn = connector.connect(Role::Metadata).await?;
    let names =
        NameRules { source: 0, destination: lower_case_table_names(&mut conn).await?, policy: attempt.task.spec().name_case };
    precheck::read_destination::still_fit(&mut conn, info, &attempt.plan, names).await?;
    let _ = conn.disconnect().await;
    Ok(())
}

/// Tables that an earlier run copied count as done.
pub(super) fn resumed(run: &Run<'_>) {
    let progress = run.attempt.progress;
    for (table, saved) in run.attempt.plan.tables.iter().zip(&run.saved.tables) {
        if saved.stage >= TableStage::Copied {
            progress.table_resumed(table.id, saved.rows, saved.bytes);
            progress.table_state(table.id, TableState::Done);
        }
    }
}
