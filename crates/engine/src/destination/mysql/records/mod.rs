//! The engine's own records in a database of the destination, and the fence.
//!
//! One set of tables in one database (`godwit`) serves all tasks:
//!
//! * `task` – one row a task: epoch, stage, what may not change between runs, where the log was joined;
//! * `lane` – one row an apply lane or copy writer: its epoch and, for lanes, the position up to which it has
//!   applied everything. It is updated in the same transaction as the data (law 1), and only where the epoch
//!   still is the engine's own (law 2);
//! * `table_state` – one row a table: its definition, what has been created and copied;
//! * `chunk` – the copied key ranges of tables that are not finished;
//! * `destination_table` – which task writes which table ([`ownership`]).
//!
//! **Fence.** Every data transaction begins with [`Fence::statement`], which locks the writer's row and fails
//! unless the epoch matches. A new engine raises the epoch in all rows of the task in one transaction
//! ([`Records::claim`]); the row locks make it wait for transactions in flight, so what it reads afterwards is final.

mod begin;
mod change;
mod fence;
pub(crate) mod ownership;
mod read;
mod tables;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use mysql_async::Conn;

use crate::checkpoint::{Claim, NewTask, Saved, SavedChunk, Stage, TableStage};
use crate::connection::{Connector, Role};
use crate::destination::Records;
use crate::schema::edit::quote_string;
use crate::sql::Queries;
use godwit_model::definition::TableDefinition;
use godwit_model::error::Result;
use godwit_model::names::TableName;
use godwit_model::position::Position;

pub(super) use fence::{Fence, fenced_error};

/// Layout of the record tables; raised when they change.
const LAYOUT: u32 = 1;

/// Access to one task's records.
#[derive(Debug, Clone)]
pub struct Record {
    connector: Connector,
    idle: Arc<Mutex<Vec<Conn>>>,
    database: String,
    task: String,
}

impl Record {
    /// `task` is `namespace/name`.
    pub fn new(connector: Connector, database: &str, task: &str) -> Self {
        Self { connector, idle: Arc::default(), database: database.to_owned(), task: task.to_owned() }
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

    async fn exists(&self, conn: &mut Conn) -> Result<bool> {
        let found: Option<u8> = conn
            .exec_first(
                "SELECT 1 FROM information_schema.tables WHERE table_schema=? AND table_name='task'",
                (self.database.as_str(),),
            )
            .await?;
        Ok(found.is_some())
    }
}

impl Records for Record {
    fn task(&self) -> &str {
        &self.task
    }

    fn place(&self) -> &str {
        &self.database
    }

    fn prepare(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.make_tables())
    }

    fn create<'a>(&'a self, task: NewTask<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.enter(task))
    }

    fn load(&self) -> BoxFuture<'_, Result<Option<Saved>>> {
        Box::pin(self.read())
    }

    fn claim(&self, writers: u32) -> BoxFuture<'_, Result<Claim>> {
        Box::pin(self.raise_epoch(writers))
    }

    fn check(&self, claim: Claim) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.look_at_epoch(claim))
    }

    fn set_stage(&self, claim: Claim, stage: Stage) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.change_stage(claim, stage))
    }

    fn set_table_stage<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        stage: TableStage,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change_table_stage(claim, definition, stage))
    }

    fn copied_chunks<'a>(&'a self, definition: &'a TableDefinition) -> BoxFuture<'a, Result<Vec<SavedChunk>>> {
        Box::pin(self.read_chunks(definition))
    }

    fn finish_copy<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        rows: u64,
        bytes: u64,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change_to_copied(claim, definition, rows, bytes))
    }

    fn applied(&self) -> BoxFuture<'_, Result<Vec<Position>>> {
        Box::pin(self.read_applied())
    }

    fn rename_source(&self, before: &str, now: &str) -> String {
        let (old, new, task) = (quote_string(before), quote_string(now), quote_string(&self.task));
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
}
