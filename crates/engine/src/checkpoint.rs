//! The engine's own records at the destination, and the fence.
//!
//! One set of tables in one database (`godwit`) serves all tasks:
//!
//! * `task` – one row a task: epoch, stage, what may not change between runs, where the log was joined;
//! * `lane` – one row an apply lane or copy writer: its epoch and, for lanes, the position up to which it has
//!   applied everything. It is updated in the same transaction as the data (law 1), and only where the epoch
//!   still is the engine's own (law 2);
//! * `table_state` – one row a table: its definition, what has been created and copied;
//! * `chunk` – the copied key ranges of tables that are not finished;
//! * `destination_table` – which task writes which table ([`super::ownership`]).
//!
//! **Fence.** Every data transaction begins with [`Fence::statement`], which locks the writer's row and fails
//! unless the epoch matches. A new engine raises the epoch in all rows of the task in one transaction
//! ([`Record::claim`]); the row locks make it wait for transactions in flight, so what it reads afterwards is final.

use std::sync::{Arc, Mutex, PoisonError};

use mysql_async::{Conn, Params, Row as SqlRow, Value, params};
use serde::{Deserialize, Serialize};

use crate::connection::{Connector, Role};
use crate::error::{Context, Error, Result};
use crate::ownership;
use crate::plan::TableName;
use crate::schema::definition::TableDefinition;
use crate::schema::edit::quote_string;
use crate::source::position::Position;
use crate::sql;
use crate::sql::{Name, Queries, Sql};
use crate::value::Row;

/// Layout of the record tables; raised when they change.
const LAYOUT: u32 = 1;

/// Number of apply lanes of a new task; recorded, because rows are spread over them by hash.
pub const LANES: u32 = 4;

/// A new task is recorded again so often when another one that starts at the same moment is in its way.
const CREATE_TRIES: u32 = 5;

/// Ids of copy writers begin here.
const WRITER_BASE: u32 = 1000;

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Recorded, nothing made at the destination yet.
    Starting,
    /// Every table exists.
    SchemaMade,
    /// Every row is copied and every index is there; only the log is followed.
    Following,
    /// The rows were compared, as the manifest asked.
    Verified,
    /// The task has reached its end.
    Completed,
    /// Stopped for good: no engine may write for it again.
    Stopped,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Starting => "Starting",
            Stage::SchemaMade => "SchemaMade",
            Stage::Following => "Following",
            Stage::Verified => "Verified",
            Stage::Completed => "Completed",
            Stage::Stopped => "Stopped",
        }
    }

    fn parse(name: &str) -> Result<Self> {
        [Stage::Starting, Stage::SchemaMade, Stage::Following, Stage::Verified, Stage::Completed, Stage::Stopped]
            .into_iter()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| {
                Error::definite(format!("the record holds an unknown stage {name:?}; it was written by a newer version"))
            })
    }
}

/// What has become of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableStage {
    /// Not created by this task yet.
    Planned,
    /// CREATE TABLE is about to run or has run; found existing after a crash, it is this task's own.
    Creating,
    /// Exists.
    Created,
    /// It was empty when its copy from a snapshot began: rows that stand there are this task's own.
    Copying,
    /// All rows are there, secondary indexes and foreign keys perhaps not.
    Copied,
    /// Nothing left to do but to follow.
    Done,
}

impl TableStage {
    /// In the order of their numbers.
    const ALL: [TableStage; 6] = [
        TableStage::Planned,
        TableStage::Creating,
        TableStage::Created,
        TableStage::Copied,
        TableStage::Done,
        TableStage::Copying,
    ];

    fn number(self) -> u32 {
        match self {
            Self::Planned => 0,
            Self::Creating => 1,
            Self::Created => 2,
            Self::Copied => 3,
            Self::Done => 4,
            Self::Copying => 5,
        }
    }

    fn parse(number: u32) -> Result<Self> {
        Self::ALL
            .get(number as usize)
            .copied()
            .ok_or_else(|| Error::definite(format!("the record holds an unknown table stage {number}")))
    }
}

/// A table's row in the record.
#[derive(Debug, Clone)]
pub struct SavedTable {
    pub definition: TableDefinition,
    pub stage: TableStage,
    pub rows: u64,
    pub bytes: u64,
    /// Changes in transactions that this position covers are in the rows already (tables copied from one snapshot).
    pub valid_from: Option<Position>,
}

/// A copied key range `(low, high]`; None is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedChunk {
    pub number: u64,
    pub low: Option<Row>,
    pub high: Option<Row>,
    pub rows: u64,
    pub bytes: u64,
}

/// What a task has recorded.
#[derive(Debug, Clone)]
pub struct Saved {
    pub epoch: u64,
    pub stage: Stage,
    /// `manifest::resume_fingerprint` as JSON.
    pub fingerprint: Vec<(String, String)>,
    /// `server_uuid` of the source when the log was joined; positions by file belong to it.
    pub source_uuid: String,
    pub start: Option<Position>,
    /// Per lane: what it has applied, and from where the log must be read for it.
    pub lanes: Vec<(Position, Option<Position>)>,
    pub tables: Vec<SavedTable>,
}

/// Access to one task's records.
#[derive(Debug, Clone)]
pub struct Record {
    connector: Connector,
    idle: Arc<Mutex<Vec<Conn>>>,
    database: String,
    task: String,
}

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

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::definite(format!("writing the record: {e}")))
}

/// A definition as it was recorded. Its words go into statements on the source: the destination is not believed either.
fn recorded(bytes: &[u8]) -> Result<TableDefinition> {
    let definition: TableDefinition = from_json(bytes)?;
    definition.check_words().context("reading the record")?;
    Ok(definition)
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| Error::definite(format!("reading the record: {e}")))
}

fn column<T: mysql_async::prelude::FromValue>(row: &mut SqlRow, place: usize) -> Result<T> {
    row.take_opt::<T, usize>(place)
        .ok_or_else(|| Error::definite(format!("the record lacks column {place}")))?
        .map_err(|e| Error::definite(format!("reading the record: {e}")))
}

impl Record {
    /// `task` is `namespace/name`.
    pub fn new(connector: Connector, database: &str, task: &str) -> Self {
        Self { connector, idle: Arc::default(), database: database.to_owned(), task: task.to_owned() }
    }

    /// Name of the record database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The task's name in the record.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// What tells the record that the source has another name (by hand: it is the same server, or all is lost).
    pub fn identity_statement(&self, before: &str, identity: &str) -> String {
        let (old, new, task) = (quote_string(before), quote_string(identity), quote_string(&self.task));
        let renamed = |column: &str| format!("{column}=REPLACE({column},{old},{new})");
        format!(
            "UPDATE {} SET source_uuid={new} WHERE task={task}; UPDATE {} SET {}, {} WHERE task={task}; UPDATE {} SET {} WHERE task={task} \
             (at the destination)",
            self.table("task").quoted(),
            self.table("lane").quoted(),
            renamed("position"),
            renamed("replay_from"),
            self.table("table_state").quoted(),
            renamed("valid_from"),
        )
    }

    fn table(&self, name: &str) -> TableName {
        TableName { database: self.database.clone(), table: name.to_owned() }
    }

    async fn conn(&self) -> Result<Conn> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(conn) => Ok(conn),
            None => self.connector.connect(Role::Metadata).await,
        }
    }

    /// Keeps a connection for the next use; one on which something failed is dropped instead.
    fn release(&self, conn: Conn) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
    }

    /// Makes the record tables where they are missing.
    pub async fn prepare(&self) -> Result<()> {
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

    async fn exists(&self, conn: &mut Conn) -> Result<bool> {
        let found: Option<u8> = conn
            .exec_first(
                "SELECT 1 FROM information_schema.tables WHERE table_schema=? AND table_name='task'",
                (self.database.as_str(),),
            )
            .await?;
        Ok(found.is_some())
    }

    /// What the task has recorded; None for a task that never got that far.
    pub async fn load(&self) -> Result<Option<Saved>> {
        let mut conn = self.conn().await?;
        if !self.exists(&mut conn).await? {
            return Ok(None);
        }
        let task = self.task.as_str();
        let row: Option<SqlRow> = conn
            .exec_first(
                sql!("SELECT layout, epoch, stage, fingerprint, source_uuid, start FROM {} WHERE task=?", self.table("task")),
                (task,),
            )
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        let layout: u32 = column(&mut row, 0)?;
        if layout != LAYOUT {
            return Err(Error::definite(format!(
                "the record in database {} was written by another version of godwit (layout {layout}, this one knows {LAYOUT})",
                self.database
            )));
        }
        let mut saved = Saved {
            epoch: column(&mut row, 1)?,
            stage: Stage::parse(&column::<String>(&mut row, 2)?)?,
            fingerprint: from_json(&column::<Vec<u8>>(&mut row, 3)?)?,
            source_uuid: column(&mut row, 4)?,
            start: column::<Option<Vec<u8>>>(&mut row, 5)?.map(|json| from_json(&json)).transpose()?,
            lanes: Vec::new(),
            tables: Vec::new(),
        };
        type Stored = Option<Vec<u8>>;
        let lanes: Vec<(Stored, Stored)> = conn
            .exec(
                sql!(
                    "SELECT position, replay_from FROM {} WHERE task=? AND lane<{} ORDER BY lane",
                    self.table("lane"),
                    WRITER_BASE
                ),
                (task,),
            )
            .await?;
        for (position, replay_from) in lanes {
            if let Some(position) = position {
                saved.lanes.push((from_json(&position)?, replay_from.map(|json| from_json(&json)).transpose()?));
            }
        }
        let tables: Vec<SqlRow> = conn
            .exec(
                sql!(
                    "SELECT definition, stage, copied_rows, copied_bytes, valid_from FROM {} WHERE task=? ORDER BY source_database, source_table",
                    self.table("table_state")
                ),
                (task,),
            )
            .await?;
        for mut row in tables {
            saved.tables.push(SavedTable {
                definition: recorded(&column::<Vec<u8>>(&mut row, 0)?)?,
                stage: TableStage::parse(column(&mut row, 1)?)?,
                rows: column(&mut row, 2)?,
                bytes: column(&mut row, 3)?,
                valid_from: column::<Option<Vec<u8>>>(&mut row, 4)?.map(|json| from_json(&json)).transpose()?,
            });
        }
        self.release(conn);
        Ok(Some(saved))
    }

    /// What each lane has applied; nothing before all rows are copied.
    pub async fn applied(&self) -> Result<Vec<Position>> {
        let mut conn = self.conn().await?;
        if !self.exists(&mut conn).await? {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, Option<Vec<u8>>)> = conn
            .exec(
                sql!(
                    "SELECT t.stage, l.position FROM {} t JOIN {} l ON l.task=t.task WHERE t.task=? AND l.lane<{}",
                    self.table("task"),
                    self.table("lane"),
                    WRITER_BASE
                ),
                (self.task.as_str(),),
            )
            .await?;
        self.release(conn);
        let mut positions = Vec::with_capacity(rows.len());
        for (stage, position) in rows {
            let Some(position) = position.filter(|_| Stage::parse(&stage).is_ok_and(|stage| stage >= Stage::Following)) else {
                return Ok(Vec::new());
            };
            positions.push(from_json(&position)?);
        }
        Ok(positions)
    }

    /// Records a new task: everything that a resume needs, in one transaction. `start`: what the tables to come hold
    /// at least, and from where the log has to be read for XA transactions that were prepared before. `destinations`: the
    /// tables that it writes, by the names under which the destination tells them apart.
    ///
    /// # Errors
    /// A definite one when another task writes one of them.
    pub async fn create(
        &self,
        fingerprint: &[(String, String)],
        source_uuid: &str,
        start: Option<(&Position, &Position)>,
        definitions: &[&TableDefinition],
        destinations: &[TableName],
    ) -> Result<()> {
        for _ in 1..CREATE_TRIES {
            match self.try_create(fingerprint, source_uuid, start, definitions, destinations).await {
                // Two tasks that enter their tables at the same moment; nothing of this one was committed.
                Err(error) if error.is_lock_conflict() => {}
                result => return result,
            }
        }
        self.try_create(fingerprint, source_uuid, start, definitions, destinations).await
    }

    async fn try_create(
        &self,
        fingerprint: &[(String, String)],
        source_uuid: &str,
        start: Option<(&Position, &Position)>,
        definitions: &[&TableDefinition],
        destinations: &[TableName],
    ) -> Result<()> {
        let mut conn = self.conn().await?;
        conn.query_drop("START TRANSACTION").await?;
        let start_json = start.map(|(position, _)| to_json(position)).transpose()?;
        let replay_json = start.map(|(_, replay_from)| to_json(replay_from)).transpose()?;
        conn.exec_drop(
            sql!(
                "INSERT INTO {} (task, layout, epoch, stage, fingerprint, source_uuid, start) VALUES (?,?,0,?,?,?,?)",
                self.table("task")
            ),
            (&self.task, LAYOUT, Stage::Starting.name(), to_json(&fingerprint)?, source_uuid, &start_json),
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
    async fn change(&self, claim: &Claim, statement: Sql, values: Vec<Value>) -> Result<()> {
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

    /// Records what has become of a table.
    pub async fn set_table_stage(&self, claim: &Claim, definition: &TableDefinition, stage: TableStage) -> Result<()> {
        let statement =
            sql!("UPDATE {} SET stage=? WHERE task=? AND source_database=? AND source_table=?", self.table("table_state"));
        self.change(claim, statement, self.table_values(vec![stage.number().into()], definition)).await
    }

    fn table_values(&self, mut first: Vec<Value>, definition: &TableDefinition) -> Vec<Value> {
        first.extend([self.task.clone().into(), definition.database.clone().into(), definition.table.clone().into()]);
        first
    }

    /// Records that a table is copied and forgets its chunks.
    pub async fn finish_copy(&self, claim: &Claim, definition: &TableDefinition, rows: u64, bytes: u64) -> Result<()> {
        let statement = sql!(
            "UPDATE {} SET stage=?, copied_rows=?, copied_bytes=? WHERE task=? AND source_database=? AND source_table=?",
            self.table("table_state")
        );
        let values = self.table_values(vec![TableStage::Copied.number().into(), rows.into(), bytes.into()], definition);
        self.change(claim, statement, values).await?;
        let statement = sql!("DELETE FROM {} WHERE task=? AND source_database=? AND source_table=?", self.table("chunk"));
        self.change(claim, statement, self.table_values(vec![], definition)).await
    }

    /// The statement that marks a table copied from a snapshot; runs in the transaction of its last rows.
    pub fn snapshot_done_statement(
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
    pub fn chunk_statement(&self, definition: &TableDefinition, chunk: &SavedChunk) -> Sql {
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
    pub async fn chunks(&self, definition: &TableDefinition) -> Result<Vec<SavedChunk>> {
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
