//! Tables with a key, chunk by chunk, while the log is followed; the indexes of each when its rows are there.

use std::sync::Arc;

use super::Run;
use super::indexes::finish_table;
use crate::copy;
use godwit_model::error::Result;

/// As long as the task copies rows.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.copies()
}

/// Copies what is open.
pub(super) async fn run(run: &Run<'_>) -> Result<()> {
    let dispatcher = run.context.dispatcher.clone();
    let copied: copy::Copied = {
        let (maker, context) = (run.maker.clone(), run.context.clone());
        Arc::new(move |table| Box::pin(finish_table(maker.clone(), context.clone(), table)))
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
    Ok(())
}
