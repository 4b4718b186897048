//! Tables that cannot be cut into chunks: each from one snapshot.

use super::Run;
use crate::copy;
use godwit_api::Phase;
use godwit_model::error::Result;

/// As long as the task copies rows.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.copies()
}

/// Copies those that are open, before the log is followed.
pub(super) async fn run(run: &Run<'_>) -> Result<()> {
    let progress = run.attempt.progress;
    progress.set_phase(Phase::Copying);
    // How fast snapshots of small tables are taken says nothing of the others.
    progress.foresee(run.open(true).next().is_none());
    for tables in run.attempt.by_level(run.open(false), |(table, _)| table) {
        copy::snapshot::run(&run.context, tables, run.server_id, &run.cancel).await?;
    }
    progress.foresee(true);
    Ok(())
}
