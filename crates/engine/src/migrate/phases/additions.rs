//! Indexes and foreign keys of tables that are copied, while the log goes on being applied.

use std::sync::Arc;

use crate::checkpoint::TableStage;
use crate::create::Creator;
use crate::plan::TablePlan;
use crate::progress::TableState;
use crate::replicate::dispatch::Dispatcher;
use godwit_model::error::Result;

/// Does something while changes of the tables wait; where no log is followed, there are none.
pub(super) async fn while_changes_wait<T>(dispatcher: Option<&Dispatcher>, tables: Vec<u32>, work: impl Future<Output = T>) -> T {
    let Some(dispatcher) = dispatcher else { return work.await };
    let gate = dispatcher.gate_tables(tables).await;
    gate.wait_reached().await;
    let done = work.await;
    gate.open();
    done
}

/// Indexes of a copied table; then there is nothing left to do for it but to follow.
pub(super) async fn finish_table(creator: Creator, dispatcher: Option<Arc<Dispatcher>>, table: Arc<TablePlan>) -> Result<()> {
    creator.progress.table_state(table.id, TableState::Indexing);
    let quietly = || while_changes_wait(dispatcher.as_deref(), vec![table.id], creator.indexes(&table));
    let made = if table.secondary_unique {
        // A unique index is built over the rows of one moment.
        quietly().await
    } else {
        match creator.indexes(&table).await {
            // Another attempt might be outrun as well.
            Err(error) if error.is_alter_outrun() && dispatcher.is_some() => {
                tracing::info!(table = %table.destination, %error, "the indexes are added while its changes wait");
                quietly().await
            }
            made => made,
        }
    };
    made?;
    creator.record.set_table_stage(&creator.claim, &table.definition, TableStage::Done).await?;
    creator.progress.table_state(table.id, TableState::Done);
    Ok(())
}
