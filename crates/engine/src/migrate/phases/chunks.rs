//! Tables with a key, chunk by chunk, while the log is followed; the indexes of each when its rows are there.

use std::sync::Arc;

use super::Run;
use super::additions::finish_table;
use crate::checkpoint::TableStage;
use crate::copy;
use godwit_model::error::{Error, Result};

/// While rows are copied.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.copies()
}

/// Copies what is open.
pub(super) async fn run(run: &Run<'_>) -> Result<()> {
    let dispatcher = run.context.dispatcher.clone();
    let copied: copy::Copied = {
        let (creator, dispatcher) = (run.creator.clone(), dispatcher.clone());
        Arc::new(move |table| Box::pin(finish_table(creator.clone(), dispatcher.clone(), table)))
    };
    let open = run.open(true).map(|(table, _)| table);
    for tables in run.attempt.by_level(open, |table| table) {
        if let Some(dispatcher) = &dispatcher {
            for table in &tables {
                dispatcher.begin(table.id).await;
            }
        }
        copy::run(run.context.clone(), tables, run.cancel.clone(), Arc::clone(&copied)).await?;
    }
    // Tables from snapshots, and tables whose indexes an earlier run did not get to.
    let current = run.attempt.record.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
    for (table, stage) in run.attempt.plan.tables.iter().zip(run.attempt.stages(&current)) {
        if stage == TableStage::Copied {
            copied(Arc::clone(table)).await?;
        }
    }
    Ok(())
}
