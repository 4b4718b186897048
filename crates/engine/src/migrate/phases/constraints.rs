//! What needs all tables: foreign keys and views.

use std::sync::atomic::Ordering;

use super::Run;
use super::indexes::while_changes_wait;
use crate::checkpoint::Stage;
use crate::migrate::end::Maker;
use godwit_model::error::Result;

/// Until it was through once.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.saved.stage < Stage::Following
}

/// Adds them.
pub(super) async fn run(run: &Run<'_>) -> Result<()> {
    if let Maker::MySql(creator) = &run.maker {
        for table in creator.with_foreign_keys() {
            // The server locks the relations too, one after the other and some of them where no deadlock is seen:
            // beside transactions that have rows of both, it would wait until its time is up, again and again.
            let relations = run.attempt.plan.relations(table);
            while_changes_wait(run.context.dispatcher.as_deref(), relations, creator.foreign_keys(table)).await?;
        }
        creator.views().await?;
    }
    run.attempt.records.set_stage(run.claim, Stage::Following).await?;
    run.defines.store(true, Ordering::Release);
    Ok(())
}
