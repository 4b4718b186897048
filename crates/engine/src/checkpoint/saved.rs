//! What a task has recorded: its position, its tables, its chunks.

use godwit_model::definition::TableDefinition;
use godwit_model::names::TableName;
use godwit_model::position::Position;
use godwit_model::row::Row;

use super::schema_change::SchemaChange;
use super::stage::{Stage, TableStage};

/// Everything that a new task records before it writes anything, so that every later start can go on from it.
#[derive(Debug, Clone, Copy)]
pub struct NewTask<'a> {
    /// `manifest::resume_fingerprint`, and what else must stay as it is for the task's life.
    pub fingerprint: &'a [(String, String)],
    /// Tells the source from another server.
    pub source_identity: &'a str,
    /// What the tables to come hold at least, and from where the log has to be read for XA transactions that were prepared before. None: no
    /// log is followed.
    pub start: Option<(&'a Position, &'a Position)>,
    /// The definitions that the plan was made from.
    pub definitions: &'a [&'a TableDefinition],
    /// The tables that the task writes, by the names under which the destination tells them apart.
    pub destinations: &'a [TableName],
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
    /// A definition statement that is meant to be carried out at the destination; it may have been.
    pub change: Option<SchemaChange>,
}
