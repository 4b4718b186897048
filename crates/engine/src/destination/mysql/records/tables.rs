//! What the record says of one table: its stage, its rows, its chunks.

use mysql_async::{Row as SqlRow, Value, params};

use super::Record;
use super::read::{column, to_json};
use crate::checkpoint::{Claim, SavedChunk, TableStage};
use crate::destination::Done;
use crate::sql;
use crate::sql::{Queries, Sql};
use godwit_model::definition::TableDefinition;
use godwit_model::error::Result;
use godwit_model::position::Position;
use godwit_model::row::Row;

impl Record {
    /// Records what has become of a table.
    pub(super) async fn change_table_stage(&self, claim: Claim, definition: &TableDefinition, stage: TableStage) -> Result<()> {
        let statement =
            sql!("UPDATE {} SET stage=? WHERE task=? AND source_database=? AND source_table=?", self.table("table_state"));
        self.change(claim, statement, self.table_values(vec![stage.number().into()], definition)).await
    }

    fn table_values(&self, mut first: Vec<Value>, definition: &TableDefinition) -> Vec<Value> {
        first.extend([self.task.clone().into(), definition.database.clone().into(), definition.table.clone().into()]);
        first
    }

    /// Records that a table is copied and forgets its chunks.
    pub(super) async fn change_to_copied(&self, claim: Claim, definition: &TableDefinition, rows: u64, bytes: u64) -> Result<()> {
        let statement = sql!(
            "UPDATE {} SET stage=?, copied_rows=?, copied_bytes=? WHERE task=? AND source_database=? AND source_table=?",
            self.table("table_state")
        );
        let values = self.table_values(vec![TableStage::Copied.number().into(), rows.into(), bytes.into()], definition);
        self.change(claim, statement, values).await?;
        let statement = sql!("DELETE FROM {} WHERE task=? AND source_database=? AND source_table=?", self.table("chunk"));
        self.change(claim, statement, self.table_values(vec![], definition)).await
    }

    /// The statement that records what is done with the rows of its transaction.
    pub(in crate::destination::mysql) fn done(&self, definition: &TableDefinition, done: Done<'_>) -> Result<Sql> {
        match done {
            Done::Chunk(chunk) => Ok(self.chunk_statement(definition, chunk)),
            Done::Snapshot { rows, bytes, valid_from } => self.snapshot_done_statement(definition, rows, bytes, valid_from),
        }
    }

    /// The statement that marks a table copied from a snapshot; runs in the transaction of its last rows.
    fn snapshot_done_statement(
        &self,
        definition: &TableDefinition,
        rows: u64,
        bytes: u64,
        valid_from: Option<&Position>,
    ) -> Result<Sql> {
        let mut sql = sql!(
            "UPDATE {} SET stage={}, copied_rows={}, copied_bytes={}",
            self.table("table_state"),
            TableStage::Copied.number(),
            rows,
            bytes
        );
        if let Some(position) = valid_from {
            sql.push(",valid_from=");
            sql.push_string(&to_json(position)?);
        }
        sql.push(" WHERE task=_utf8mb4");
        sql.push_string(self.task.as_bytes());
        sql.push(" AND source_database=_utf8mb4");
        sql.push_string(definition.database.as_bytes());
        sql.push(" AND source_table=_utf8mb4");
        sql.push_string(definition.table.as_bytes());
        Ok(sql)
    }

    /// The statement that records a copied chunk; runs in the transaction of its rows.
    fn chunk_statement(&self, definition: &TableDefinition, chunk: &SavedChunk) -> Sql {
        let mut sql = sql!(
            "INSERT INTO {} (task, source_database, source_table, number, low, high, copied_rows, copied_bytes) VALUES (_utf8mb4",
            self.table("chunk")
        );
        sql.push_string(self.task.as_bytes());
        sql.push(",_utf8mb4");
        sql.push_string(definition.database.as_bytes());
        sql.push(",_utf8mb4");
        sql.push_string(definition.table.as_bytes());
        sql.add(&sql!(",{}", chunk.number));
        for bound in [&chunk.low, &chunk.high] {
            sql.push(",");
            match bound {
                Some(row) => sql.push_string(row.as_bytes()),
                None => sql.push("NULL"),
            }
        }
        sql.add(&sql!(",{},{})", chunk.rows, chunk.bytes));
        sql
    }

    /// The copied chunks of a table, in the order of their numbers.
    pub(super) async fn read_chunks(&self, definition: &TableDefinition) -> Result<Vec<SavedChunk>> {
        let mut conn = self.conn().await?;
        let rows: Vec<SqlRow> = conn
            .exec(
                sql!(
                    "SELECT number, low, high, copied_rows, copied_bytes FROM {} \
                     WHERE task=:task AND source_database=:database AND source_table=:table ORDER BY number",
                    self.table("chunk")
                ),
                params! { "task" => &self.task, "database" => &definition.database, "table" => &definition.table },
            )
            .await?;
        self.release(conn);
        rows.into_iter()
            .map(|mut row| {
                Ok(SavedChunk {
                    number: column(&mut row, 0)?,
                    low: column::<Option<Vec<u8>>>(&mut row, 1)?.map(Row::from_encoded),
                    high: column::<Option<Vec<u8>>>(&mut row, 2)?.map(Row::from_encoded),
                    rows: column(&mut row, 3)?,
                    bytes: column(&mut row, 4)?,
                })
            })
            .collect()
    }
}
