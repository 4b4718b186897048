//! What the record says of a definition statement on its way to the destination: meant, then done.

use mysql_async::{Conn, Params, Value};

use super::read::{from_json, to_json};
use super::{Record, ownership};
use crate::checkpoint::{Claim, SchemaChange, TableEffect, TableStage};
use crate::sql;
use crate::sql::Queries;
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;

/// ER_NO_SUCH_TABLE: a record that was made before there was this table.
const NO_SUCH_TABLE: u16 = 1146;

impl Record {
    pub(super) async fn read_change(&self, conn: &mut Conn) -> Result<Option<SchemaChange>> {
        let asked = conn.exec_first::<Vec<u8>>(
            sql!("SELECT statement FROM {} WHERE task=?", self.table("schema_change")),
            (self.task.as_str(),),
        );
        let stored = match asked.await {
            Ok(stored) => stored,
            Err(crate::sql::Failure::Server(error)) if error.code == NO_SUCH_TABLE => None,
            Err(error) => return Err(Error::from(error).context("reading the record")),
        };
        let Some(stored) = stored else { return Ok(None) };
        let change: SchemaChange = from_json(&stored)?;
        for effect in &change.effects {
            if let TableEffect::Stands { definition, .. } = effect {
                definition.check_words().context("reading the record")?;
            }
        }
        Ok(Some(change))
    }

    /// Records that a statement is about to be carried out.
    ///
    /// # Errors
    /// Fenced when another engine has claimed the task.
    pub(crate) async fn mean(&self, claim: Claim, change: &SchemaChange) -> Result<()> {
        let mut conn = self.conn().await?;
        conn.query_drop(sql!(
            "CREATE TABLE IF NOT EXISTS {} (task VARCHAR(255) NOT NULL PRIMARY KEY, statement LONGTEXT NOT NULL) \
             ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            self.table("schema_change")
        ))
        .await
        .context("creating the record tables")?;
        self.release(conn);
        let statement = sql!("INSERT INTO {} VALUES (?,?)", self.table("schema_change"));
        self.change(claim, statement, vec![self.task.clone().into(), to_json(change)?.into()]).await
    }

    /// Records that it was carried out: all lanes stand behind it, and the tables are what it made of them.
    ///
    /// # Errors
    /// Fenced when another engine has claimed the task; definite when another task writes one of the new tables.
    pub(crate) async fn conclude(&self, claim: Claim, change: &SchemaChange) -> Result<()> {
        let mut conn = self.conn().await?;
        conn.query_drop("START TRANSACTION").await?;
        let epoch: Option<u64> =
            conn.exec_first(sql!("SELECT epoch FROM {} WHERE task=? FOR UPDATE", self.table("task")), (&self.task,)).await?;
        if epoch != Some(claim.epoch) {
            return Err(Error::fenced("another engine has taken this task over; this one stops without writing"));
        }
        for effect in &change.effects {
            match effect {
                TableEffect::Stands { definition, destination } => self.stands(&mut conn, definition, destination).await?,
                TableEffect::Gone { source, destination } => self.gone(&mut conn, source, destination).await?,
            }
        }
        if let Some((name, value)) = &change.cascades {
            self.say(&mut conn, name, value).await?;
        }
        let replay = change.replay_from.as_ref().map(to_json).transpose()?;
        let values: Vec<Value> = vec![to_json(&change.end)?.into(), replay.into(), self.task.clone().into()];
        let lanes = sql!(
            "UPDATE {} SET position=?, replay_from=? WHERE task=? AND lane<{}",
            self.table("lane"),
            super::fence::WRITER_BASE
        );
        conn.exec_drop(lanes, Params::Positional(values)).await.context("writing the record")?;
        conn.exec_drop(sql!("DELETE FROM {} WHERE task=?", self.table("schema_change")), (&self.task,)).await?;
        conn.query_drop("COMMIT").await?;
        self.release(conn);
        Ok(())
    }

    /// Writes an entry of the task's fingerprint anew.
    async fn say(&self, conn: &mut Conn, name: &str, value: &str) -> Result<()> {
        let task = self.table("task");
        let stored: Option<Vec<u8>> =
            conn.exec_first(sql!("SELECT fingerprint FROM {} WHERE task=?", &task), (&self.task,)).await?;
        let mut entries: Vec<(String, String)> = from_json(&stored.unwrap_or_default())?;
        entries.retain(|(own, _)| own != name);
        entries.push((name.to_owned(), value.to_owned()));
        let values = (to_json(&entries)?, &self.task);
        Ok(conn.exec_drop(sql!("UPDATE {} SET fingerprint=? WHERE task=?", &task), values).await?)
    }

    async fn stands(&self, conn: &mut Conn, definition: &TableDefinition, destination: &TableName) -> Result<()> {
        let (owners, tasks) = (self.table(ownership::TABLE), self.table("task"));
        let tables = ownership::Tables { owners: &owners, tasks: &tasks };
        ownership::take(conn, tables, &self.task, std::slice::from_ref(destination)).await?;
        conn.exec_drop(
            sql!(
                "INSERT INTO {} (task, source_database, source_table, stage, definition) VALUES (?,?,?,?,?) \
                 ON DUPLICATE KEY UPDATE definition=VALUES(definition)",
                self.table("table_state")
            ),
            (&self.task, &definition.database, &definition.table, TableStage::Done.number(), to_json(definition)?),
        )
        .await
        .context("recording a table's definition")?;
        Ok(())
    }

    async fn gone(&self, conn: &mut Conn, source: &TableName, destination: &TableName) -> Result<()> {
        for table in ["table_state", "chunk"] {
            conn.exec_drop(
                sql!("DELETE FROM {} WHERE task=? AND source_database=? AND source_table=?", self.table(table)),
                (&self.task, &source.database, &source.table),
            )
            .await
            .context("writing the record")?;
        }
        conn.exec_drop(
            sql!("DELETE FROM {} WHERE task=? AND destination_database=? AND destination_table=?", self.table(ownership::TABLE)),
            (&self.task, &destination.database, &destination.table),
        )
        .await
        .context("writing the record")?;
        Ok(())
    }
}
