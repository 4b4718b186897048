//! Secondary indexes: of a table as soon as its chunks are copied, and here of all that is left.

use std::sync::Arc;

use super::Run;
use crate::checkpoint::{Stage, TableStage};
use crate::copy::CopyContext;
use crate::migrate::end::Maker;
use crate::plan::TablePlan;
use crate::progress::TableState;
use crate::replicate::dispatch::Dispatcher;
use godwit_model::error::{Error, Result};

/// Until it was through once.
pub(super) fn may_enter(run: &Run<'_>) -> bool {
    run.saved.stage < Stage::Following
}

/// Tables from snapshots, tables whose indexes an earlier run did not get to, and all tables of a task that copies no rows.
pub(super) async fn run(run: &Run<'_>) -> Result<()> {
    let (attempt, plan) = (run.attempt, &run.attempt.plan);
    let current = attempt.records.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
    let lacks = |stage| match stage {
        TableStage::Copied => true,
        TableStage::Created => plan.schema && !plan.full,
        _ => false,
    };
    for (table, _) in plan.tables.iter().zip(attempt.stages(&current)).filter(|(_, stage)| lacks(*stage)) {
        finish_table(run.maker.clone(), run.context.clone(), Arc::clone(table)).await?;
    }
    Ok(())
}

/// Does something while changes of the tables wait; where no log is followed, there are none.
pub(super) async fn while_changes_wait<T>(dispatcher: Option<&Dispatcher>, tables: Vec<u32>, work: impl Future<Output = T>) -> T {
    let Some(dispatcher) = dispatcher else { return work.await };
    let gate = dispatcher.gate_tables(tables).await;
    gate.wait_reached().await;
    let done = work.await;
    gate.open();
    done
}

/// Indexes of a table whose rows are there; then there is nothing left to do for it but to follow.
pub(super) async fn finish_table(maker: Maker, context: CopyContext, table: Arc<TablePlan>) -> Result<()> {
    let dispatcher = &context.dispatcher;
    context.progress.table_state(table.id, TableState::Indexing);
    let quietly = || while_changes_wait(dispatcher.as_deref(), vec![table.id], maker.indexes(&table));
    let made = if table.secondary_unique {
        // A unique index is built over the rows of one moment.
        quietly().await
    } else {
        match maker.indexes(&table).await {
            // Another attempt might be outrun as well.
            Err(error) if error.is_alter_outrun() && dispatcher.is_some() => {
                tracing::info!(table = %table.destination, %error, "the indexes are added while its changes wait");
                quietly().await
            }
            made => made,
        }
    };
    made?;
    context.records.set_table_stage(context.claim, &table.definition, TableStage::Done).await?;
    context.progress.table_state(table.id, TableState::Done);
    Ok(())
}
