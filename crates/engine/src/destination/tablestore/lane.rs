//! Windows of changes: rows in batches, then the mark.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::records::TablestoreRecords;
use super::send::{Sender, Work};
use super::target::Target;
use crate::change::NetChanges;
use crate::change::cascade::Applied;
use crate::checkpoint::Claim;
use crate::destination::{LaneWriter, Mark, Step};
use godwit_model::error::{Error, Result};
use godwit_tablestore::{RowChange, RowOperation};

pub(super) struct Lane {
    sender: Sender,
    records: Arc<TablestoreRecords>,
    targets: Arc<Vec<Arc<Target>>>,
    claim: Claim,
    number: u32,
    open: bool,
}

impl Lane {
    pub(super) fn new(
        sender: Sender,
        records: Arc<TablestoreRecords>,
        targets: Arc<Vec<Arc<Target>>>,
        claim: Claim,
        number: u32,
    ) -> Self {
        Self { sender, records, targets, claim, number, open: false }
    }

    /// One change a key: what the row is in the end. A key that went and came back is just written.
    async fn send(&self, target: &Target, changes: NetChanges) -> Result<()> {
        if !changes.in_order.is_empty() {
            return Err(Error::definite(format!("{}: a change of a table without a key; this is a bug", target.name())));
        }
        let mode = self.sender.instance.row_write_mode;
        let work = changes.into_last_states().map(|(key, row)| {
            let operation = row.map_or(Ok(RowOperation::Delete), |row| target.write(&row, mode))?;
            Ok(Work { change: RowChange::new(target.key_of(&key)?, operation), key: Some(key) })
        });
        self.sender.send(target, work).await.map(drop)
    }
}

impl LaneWriter for Lane {
    fn apply<'a>(&'a mut self, window: Vec<Step>, mark: Option<Mark<'a>>) -> BoxFuture<'a, Result<Vec<Arc<Applied>>>> {
        Box::pin(async move {
            self.open = true;
            for step in window {
                let Step::Changes(tables) = step else {
                    return Err(Error::definite("cascades are not carried out in Tablestore; this is a bug"));
                };
                for (id, changes) in tables {
                    let target = self.targets.get(id as usize).cloned();
                    let target = target.ok_or_else(|| Error::definite(format!("table {id} has no target; this is a bug")))?;
                    self.send(&target, changes).await?;
                }
            }
            if let Some(mark) = mark {
                self.records.mark(self.claim, self.number, mark).await?;
                self.open = false;
            }
            Ok(Vec::new())
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn is_open(&self) -> bool {
        self.open
    }
}
