//! The tables of the records, and the first entry of a task.

use super::read::to_json;
use super::{LAYOUT, Record, ownership};
use crate::checkpoint::{LANES, NewTask, Stage, TableStage};
use crate::sql;
use crate::sql::{Name, Queries};
use godwit_model::error::{Context, Error, Result};

/// A new task is recorded again so often when another one that starts at the same moment is in its way.
const CREATE_TRIES: u32 = 5;

impl Record {
    /// Makes the record tables where they are missing.
    pub(super) async fn make_tables(&self) -> Result<()> {
        let mut conn = self.conn().await?;
        conn.query_drop(sql!("CREATE DATABASE IF NOT EXISTS {} CHARACTER SET utf8mb4", Name(&self.database)))
            .await
            .context("creating the record database")?;
        let options = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
        let statements = [
            sql!(
                "CREATE TABLE IF NOT EXISTS {} (task VARCHAR(255) NOT NULL PRIMARY KEY, layout INT UNSIGNED NOT NULL, \
                 epoch BIGINT UNSIGNED NOT NULL, stage VARCHAR(32) NOT NULL, fingerprint LONGTEXT NOT NULL, \
                 source_uuid VARCHAR(64) NOT NULL, start LONGTEXT NULL, created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP) {}",
                self.table("task"),
                options
            ),
            sql!(
                "CREATE TABLE IF NOT EXISTS {} (task VARCHAR(255) NOT NULL, lane INT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, \
                 sequence BIGINT UNSIGNED NOT NULL DEFAULT 0, position LONGTEXT NULL, replay_from LONGTEXT NULL, PRIMARY KEY (task, lane)) {}",
                self.table("lane"),
                options
            ),
            sql!(
                "CREATE TABLE IF NOT EXISTS {} (task VARCHAR(255) NOT NULL, source_database VARCHAR(64) NOT NULL, source_table VARCHAR(64) NOT NULL, \
                 stage INT UNSIGNED NOT NULL, copied_rows BIGINT UNSIGNED NOT NULL DEFAULT 0, copied_bytes BIGINT UNSIGNED NOT NULL DEFAULT 0, \
                 valid_from LONGTEXT NULL, definition LONGTEXT NOT NULL, PRIMARY KEY (task, source_database, source_table)) {}",
                self.table("table_state"),
                options
            ),
            sql!(
                "CREATE TABLE IF NOT EXISTS {} (task VARCHAR(255) NOT NULL, source_database VARCHAR(64) NOT NULL, source_table VARCHAR(64) NOT NULL, \
                 number BIGINT UNSIGNED NOT NULL, low LONGBLOB NULL, high LONGBLOB NULL, copied_rows BIGINT UNSIGNED NOT NULL, \
                 copied_bytes BIGINT UNSIGNED NOT NULL, PRIMARY KEY (task, source_database, source_table, number)) {}",
                self.table("chunk"),
                options
            ),
            sql!("CREATE TABLE IF NOT EXISTS {} ({}) {}", self.table(ownership::TABLE), ownership::COLUMNS, options),
        ];
        for statement in statements {
            conn.query_drop(statement).await.context("creating the record tables")?;
        }
        self.release(conn);
        Ok(())
    }

    /// Records a new task in one transaction.
    ///
    /// # Errors
    /// A definite one when another task writes one of its tables.
    pub(super) async fn enter(&self, task: NewTask<'_>) -> Result<()> {
        for _ in 1..CREATE_TRIES {
            match self.try_enter(task).await {
                // Two tasks that enter their tables at the same moment; nothing of this one was committed.
                Err(error) if error.is_lock_conflict() => {}
                result => return result,
            }
        }
        self.try_enter(task).await
    }

    async fn try_enter(&self, task: NewTask<'_>) -> Result<()> {
        let NewTask { fingerprint, source_identity, start, definitions, destinations } = task;
        let mut conn = self.conn().await?;
        conn.query_drop("START TRANSACTION").await?;
        let start_json = start.map(|(position, _)| to_json(position)).transpose()?;
        let replay_json = start.map(|(_, replay_from)| to_json(replay_from)).transpose()?;
        conn.exec_drop(
            sql!(
                "INSERT INTO {} (task, layout, epoch, stage, fingerprint, source_uuid, start) VALUES (?,?,0,?,?,?,?)",
                self.table("task")
            ),
            (&self.task, LAYOUT, Stage::Starting.name(), to_json(&fingerprint)?, source_identity, &start_json),
        )
        .await
        .map_err(|error| recorded_meanwhile(error.into()))?;
        let (owners, tasks) = (self.table(ownership::TABLE), self.table("task"));
        ownership::take(&mut conn, ownership::Tables { owners: &owners, tasks: &tasks }, &self.task, destinations).await?;
        for lane in 0..LANES {
            conn.exec_drop(
                sql!("INSERT INTO {} (task, lane, epoch, position, replay_from) VALUES (?,?,0,?,?)", self.table("lane")),
                (&self.task, lane, &start_json, &replay_json),
            )
            .await?;
        }
        for definition in definitions {
            conn.exec_drop(
                sql!(
                    "INSERT INTO {} (task, source_database, source_table, stage, definition) VALUES (?,?,?,?,?)",
                    self.table("table_state")
                ),
                (&self.task, &definition.database, &definition.table, TableStage::Planned.number(), to_json(definition)?),
            )
            .await
            .context("recording a table's definition")?;
        }
        conn.query_drop("COMMIT").await?;
        self.release(conn);
        Ok(())
    }
}

/// What it means that the task could not be recorded. An engine that was killed may leave a transaction that is committed after the next one has
/// looked: the record is there when that one wants to make it, and is to be read.
fn recorded_meanwhile(error: Error) -> Error {
    if error.is_duplicate() {
        return Error::transient("another engine has just recorded this task, which is taken up from its record");
    }
    error.context("recording the task")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_recorded_meanwhile_is_taken_up() {
        let of = |code: u16| {
            let said = mysql_async::ServerError { code, message: "Duplicate entry".into(), state: "23000".into() };
            recorded_meanwhile(crate::sql::Failure::Server(said).into())
        };
        assert!(of(1062).is_retryable() && !of(1064).is_retryable());
    }
}
