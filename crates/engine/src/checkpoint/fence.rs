//! Who holds the task, and the fence that refuses all others.

use mysql_async::{Params, Value};

use super::Record;
use super::saved::to_json;
use super::stage::Stage;
use crate::sql;
use crate::sql::{Queries, Sql};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::position::Position;

/// Ids of copy writers begin here.
pub(super) const WRITER_BASE: u32 = 1000;

/// Proof of holding a task: the epoch that this engine raised.
#[derive(Debug, Clone)]
pub struct Claim {
    lane_table: TableName,
    task: String,
    pub epoch: u64,
}

/// One writer's right to write.
#[derive(Debug, Clone)]
pub struct Fence {
    claim: Claim,
    row: u32,
}

impl Claim {
    /// The fence of an apply lane.
    pub fn lane(&self, lane: u32) -> Fence {
        Fence { claim: self.clone(), row: lane }
    }

    /// The fence of a copy writer.
    pub fn writer(&self, writer: u32) -> Fence {
        Fence { claim: self.clone(), row: WRITER_BASE + writer }
    }
}

impl Fence {
    /// The first statements inside a data transaction: lock the writer's row, record the position if there is one,
    /// fail with error 1242 (subquery returns more than one row) when the epoch is another engine's.
    pub fn statement(&self, mark: Option<(&Position, Option<&Position>)>) -> Result<Sql> {
        let mut sql = sql!("UPDATE {} SET sequence=sequence+1", self.claim.lane_table);
        if let Some((position, replay_from)) = mark {
            sql.push(",position=");
            sql.push_string(&to_json(position)?);
            sql.push(",replay_from=");
            match replay_from {
                Some(position) => sql.push_string(&to_json(position)?),
                None => sql.push("NULL"),
            }
        }
        sql.push(" WHERE task=_utf8mb4");
        sql.push_string(self.claim.task.as_bytes());
        sql.add(&sql!(" AND lane={} AND epoch={}", self.row, self.claim.epoch));
        sql.push(";SELECT IF(ROW_COUNT()=1,0,(SELECT 1 UNION SELECT 2))");
        Ok(sql)
    }
}

/// Turns the fence's error into the one that says what it means.
pub fn fenced_error(error: crate::sql::Failure) -> Error {
    match &error {
        crate::sql::Failure::Server(server) if server.code == 1242 => Error::fenced(
            "another engine has taken this task over (its epoch at the destination is newer); this one stops without writing",
        ),
        _ => error.of_rows(),
    }
}

impl Record {
    /// Raises the epoch: from here on no other engine can write for this task.
    pub async fn claim(&self, writers: u32) -> Result<Claim> {
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
        Ok(Claim { lane_table: self.table("lane"), task: self.task.clone(), epoch })
    }

    /// Fails when another engine has claimed the task.
    pub async fn check(&self, claim: &Claim) -> Result<()> {
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
    pub(super) async fn change(&self, claim: &Claim, statement: Sql, values: Vec<Value>) -> Result<()> {
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
    pub async fn set_stage(&self, claim: &Claim, stage: Stage) -> Result<()> {
        let statement = sql!("UPDATE {} SET stage=? WHERE task=?", self.table("task"));
        self.change(claim, statement, vec![stage.name().into(), self.task.clone().into()]).await
    }
}
