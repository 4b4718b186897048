//! Who holds the task, and the fence that refuses all others.

use mysql_async::{Params, Value};

use super::Record;
use super::read::to_json;
use crate::checkpoint::{Claim, Stage};
use crate::destination::Mark;
use crate::sql;
use crate::sql::{Queries, Sql};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;

/// Ids of copy writers begin here.
pub(super) const WRITER_BASE: u32 = 1000;

/// One writer's right to write: the epoch that its engine raised, in the row of its own.
#[derive(Debug, Clone)]
pub(crate) struct Fence {
    rows: TableName,
    task: String,
    row: u32,
    epoch: u64,
}

impl Fence {
    /// The first statements inside a data transaction: lock the writer's row, record the position if there is one,
    /// fail with error 1242 (subquery returns more than one row) when the epoch is another engine's.
    pub(crate) fn statement(&self, mark: Option<Mark<'_>>) -> Result<Sql> {
        let mut sql = sql!("UPDATE {} SET sequence=sequence+1", self.rows);
        if let Some(Mark { position, replay_from }) = mark {
            sql.push(",position=");
            sql.push_string(&to_json(position)?);
            sql.push(",replay_from=");
            match replay_from {
                Some(position) => sql.push_string(&to_json(position)?),
                None => sql.push("NULL"),
            }
        }
        sql.push(" WHERE task=_utf8mb4");
        sql.push_string(self.task.as_bytes());
        sql.add(&sql!(" AND lane={} AND epoch={}", self.row, self.epoch));
        sql.push(";SELECT IF(ROW_COUNT()=1,0,(SELECT 1 UNION SELECT 2))");
        Ok(sql)
    }
}

/// Turns the fence's error into the one that says what it means.
pub(crate) fn fenced_error(error: crate::sql::Failure) -> Error {
    match &error {
        crate::sql::Failure::Server(server) if server.code == 1242 => Error::fenced(
            "another engine has taken this task over (its epoch at the destination is newer); this one stops without writing",
        ),
        _ => error.of_rows(),
    }
}

impl Record {
    /// The fence of an apply lane.
    pub(in crate::destination::mysql) fn lane(&self, claim: Claim, lane: u32) -> Fence {
        Fence { rows: self.table("lane"), task: self.task.clone(), row: lane, epoch: claim.epoch }
    }

    /// The fence of a copy worker.
    pub(in crate::destination::mysql) fn worker(&self, claim: Claim, worker: u32) -> Fence {
        self.lane(claim, WRITER_BASE + worker)
    }

    /// The epoch is raised in the task's row and in those of all its writers, whose locks are waited for.
    pub(super) async fn raise_epoch(&self, writers: u32) -> Result<Claim> {
        let mut conn = self.conn().await?;
        conn.query_drop("START TRANSACTION").await?;
        let task = self.task.as_str();
        let epoch: Option<u64> =
            conn.exec_first(sql!("SELECT epoch FROM {} WHERE task=? FOR UPDATE", self.table("task")), (task,)).await?;
        let epoch = epoch.ok_or_else(|| Error::definite(format!("the record of task {task} is gone")))? + 1;
        conn.exec_drop(sql!("UPDATE {} SET epoch=? WHERE task=?", self.table("task")), (epoch, task)).await?;
        for writer in 0..writers {
            conn.exec_drop(
                sql!("INSERT IGNORE INTO {} (task, lane, epoch) VALUES (?,?,?)", self.table("lane")),
                (task, WRITER_BASE + writer, epoch),
            )
            .await?;
        }
        conn.exec_drop(sql!("UPDATE {} SET epoch=? WHERE task=?", self.table("lane")), (epoch, task))
            .await
            .context("taking the task over from an engine that still writes")?;
        conn.query_drop("COMMIT").await?;
        self.release(conn);
        Ok(Claim { epoch })
    }

    /// Fails when another engine has claimed the task.
    pub(super) async fn look_at_epoch(&self, claim: Claim) -> Result<()> {
        let mut conn = self.conn().await?;
        let epoch: Option<u64> =
            conn.exec_first(sql!("SELECT epoch FROM {} WHERE task=?", self.table("task")), (&self.task,)).await?;
        self.release(conn);
        if epoch == Some(claim.epoch) {
            Ok(())
        } else {
            Err(Error::fenced("another engine has taken this task over; this one stops without writing"))
        }
    }

    /// One statement on the record that holds only while the claim does.
    pub(super) async fn change(&self, claim: Claim, statement: Sql, values: Vec<Value>) -> Result<()> {
        let mut conn = self.conn().await?;
        conn.query_drop("START TRANSACTION").await?;
        let epoch: Option<u64> = conn
            .exec_first(sql!("SELECT epoch FROM {} WHERE task=? LOCK IN SHARE MODE", self.table("task")), (&self.task,))
            .await?;
        if epoch != Some(claim.epoch) {
            return Err(Error::fenced("another engine has taken this task over; this one stops without writing"));
        }
        conn.exec_drop(statement, Params::Positional(values)).await.context("writing the record")?;
        conn.query_drop("COMMIT").await?;
        self.release(conn);
        Ok(())
    }

    /// Records how far the task has come.
    pub(super) async fn change_stage(&self, claim: Claim, stage: Stage) -> Result<()> {
        let statement = sql!("UPDATE {} SET stage=? WHERE task=?", self.table("task"));
        self.change(claim, statement, vec![stage.name().into(), self.task.clone().into()]).await
    }
}
