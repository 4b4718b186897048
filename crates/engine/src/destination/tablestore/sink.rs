//! Chunks: rows in batches, then the record of the chunk.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::failure;
use super::records::TablestoreRecords;
use super::send::{Sender, Work, patiently};
use super::target::Target;
use crate::checkpoint::Claim;
use crate::destination::{ChunkSink, Done, Existing};
use crate::plan::TablePlan;
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;
use godwit_tablestore::limits::BATCH_WRITE_ROWS;
use godwit_tablestore::{Condition, Existence, Range, Row as StoredRow, RowChange, RowOperation};

pub(super) struct Sink {
    sender: Sender,
    records: Arc<TablestoreRecords>,
    targets: Arc<Vec<Arc<Target>>>,
    claim: Claim,
}

impl Sink {
    pub(super) fn new(sender: Sender, records: Arc<TablestoreRecords>, targets: Arc<Vec<Arc<Target>>>, claim: Claim) -> Self {
        Self { sender, records, targets, claim }
    }

    fn target(&self, table: &TablePlan) -> Result<Arc<Target>> {
        let target = self.targets.get(table.id as usize).cloned();
        target.ok_or_else(|| Error::definite(format!("{} has no target; this is a bug", table.source)))
    }

    async fn write_rows(&self, table: &TablePlan, rows: &[Row], existing: Existing) -> Result<()> {
        let target = self.target(table)?;
        let mode = self.sender.instance.row_write_mode;
        let work = interleaved(rows).map(|row| {
            let key = row.project(&table.key);
            let mut change = RowChange::new(target.key_of(&key)?, target.write(row, mode)?);
            if existing == Existing::Kept {
                change.condition = Condition { existence: Existence::ExpectNotExist, column: None };
            }
            Ok(Work { change, key: Some(key) })
        });
        let kept = self.sender.send(&target, work).await?;
        if kept > 0 {
            tracing::debug!(table = %table.source, kept, "rows that stood there stay");
        }
        Ok(())
    }

    async fn remove_rows(&self, table: &TablePlan) -> Result<()> {
        let target = self.target(table)?;
        let mut range = Range::whole(&target.key_columns());
        range.limit = Some(BATCH_WRITE_ROWS as u32);
        loop {
            let page = patiently(|| self.sender.instance.client().get_range(target.name(), &range)).await.map_err(failure)?;
            let delete = |row: StoredRow| Ok(Work { change: RowChange::new(row.key, RowOperation::Delete), key: None });
            self.sender.send(&target, page.rows.into_iter().map(delete)).await?;
            match page.next {
                Some(next) => range.from = next,
                None => return Ok(()),
            }
        }
    }
}

/// Rows of a chunk are neighbours by key, and neighbours lie in one partition: those of a batch are taken from all over the chunk.
fn interleaved(rows: &[Row]) -> impl Iterator<Item = &Row> {
    let stride = rows.len().div_ceil(BATCH_WRITE_ROWS).max(1);
    (0..stride).flat_map(move |first| rows.iter().skip(first).step_by(stride))
}

impl ChunkSink for Sink {
    fn write<'a>(
        &'a mut self,
        table: &'a Arc<TablePlan>,
        rows: &'a Arc<Vec<Row>>,
        existing: Existing,
        done: Option<Done<'a>>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.write_rows(table, rows, existing).await?;
            match done {
                Some(done) => self.records.done(self.claim, &table.definition, done).await,
                None => Ok(()),
            }
        })
    }

    fn is_empty<'a>(&'a mut self, table: &'a TablePlan) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let target = self.target(table)?;
            let mut range = Range::whole(&target.key_columns());
            range.limit = Some(1);
            loop {
                let page = patiently(|| self.sender.instance.client().get_range(target.name(), &range)).await.map_err(failure)?;
                match page.next {
                    _ if !page.rows.is_empty() => return Ok(false),
                    Some(next) => range.from = next,
                    None => return Ok(true),
                }
            }
        })
    }

    fn empty<'a>(&'a mut self, table: &'a Arc<TablePlan>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.remove_rows(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_model::row::RowBuilder;

    #[test]
    fn every_row_of_a_chunk_comes_once_and_neighbours_apart() {
        let row = |number: usize| {
            let mut builder = RowBuilder::default();
            builder.push(Some(number.to_string().as_bytes()));
            builder.finish()
        };
        for count in [0, 1, 199, 200, 201, 1000] {
            let rows: Vec<Row> = (0..count).map(row).collect();
            let mut taken: Vec<&Row> = interleaved(&rows).collect();
            if count == 1000 {
                assert_eq!(taken[..2], [&rows[0], &rows[5]]);
            }
            taken.sort_by_key(|row| row.as_bytes().to_vec());
            let mut all: Vec<&Row> = rows.iter().collect();
            all.sort_by_key(|row| row.as_bytes().to_vec());
            assert_eq!(taken, all);
        }
    }
}
