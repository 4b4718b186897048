//! Databases and tables at the destination.

use super::Run;
use crate::checkpoint::{Stage, TableStage};
use crate::connection::Role;
use crate::migrate::attempt::lower_case_table_names;
use crate::plan::mapping::NameRules;
use crate::precheck;
use crate::progress::TableState;
use godwit_api::{ConflictPolicy, Phase};
use godwit_model::error::Result;

/// Until it was through once.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.saved.stage < Stage::SchemaMade
}

/// Creates what is missing.
pub(super) async fn run(run: &mut Run<'_>) -> Result<()> {
    run.attempt.progress.set_phase(Phase::MigratingSchema);
    run.creator.databases_and_tables(&mut run.stages).await?;
    run.attempt.records.set_stage(run.claim, Stage::SchemaMade).await
}

/// Tables that the task did not make are looked at again: someone may have altered them since the precheck.
pub(super) async fn check(run: &Run<'_>) -> Result<()> {
    let attempt = run.attempt;
    if attempt.plan.schema && attempt.task.spec().conflict_policy == ConflictPolicy::PrecheckAndReportErrors {
        return Ok(());
    }
    let mut conn = attempt.destination.connect(Role::Metadata).await?;
    let names =
        NameRules { source: 0, destination: lower_case_table_names(&mut conn).await?, policy: attempt.task.spec().name_case };
    precheck::read_destination::still_fit(&mut conn, &attempt.destination_info, &attempt.plan, names).await?;
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
