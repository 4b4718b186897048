//! Stored programs: routines before the views that may call them, triggers and events when all rows and keys are there.

use super::Run;
use super::indexes::while_changes_wait;
use crate::create::programs::Programs;
use godwit_model::error::Result;

/// In every run, so that what was refused is tried again; where all stand, that is one look at the destination. None: there are none.
pub(super) fn may_enter<'a>(run: &'a Run<'_>) -> Option<&'a Programs> {
    let plan = &run.attempt.plan;
    run.programs.as_ref().filter(|_| plan.schema && !plan.programs.is_empty())
}

/// Functions and procedures.
pub(super) async fn routines(run: &Run<'_>, programs: &Programs) -> Result<()> {
    run.attempt.records.check(run.claim).await?;
    let mut work = programs.begin().await?;
    work.routines().await?;
    work.end().await;
    Ok(())
}

/// Triggers and events. A trigger waits for open transactions on its table, and ours wait for it: none is open meanwhile.
pub(super) async fn triggers_and_events(run: &Run<'_>, programs: &Programs) -> Result<()> {
    run.attempt.records.check(run.claim).await?;
    programs.tell_held();
    let mut work = programs.begin().await?;
    for table in programs.with_triggers() {
        match work.has_triggers(table) {
            true => work.triggers(table).await?,
            false => while_changes_wait(run.context.dispatcher.as_deref(), vec![table], work.triggers(table)).await?,
        }
    }
    work.events().await?;
    work.end().await;
    Ok(())
}

/// At the end of a task that follows no log: what was refused may have become possible.
pub(super) async fn again(run: &Run<'_>, programs: &Programs) -> Result<()> {
    routines(run, programs).await?;
    triggers_and_events(run, programs).await
}
