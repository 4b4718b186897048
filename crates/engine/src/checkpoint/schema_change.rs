//! A definition statement of the log on its way to the destination, as data: what is recorded before it is carried out.

use serde::{Deserialize, Serialize};

use godwit_model::definition::TableDefinition;
use godwit_model::names::TableName;
use godwit_model::position::Position;

/// Everything that is needed to carry the statement out, or to see that it was carried out, without the source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchemaChange {
    /// The statement up to its first value, with its transaction and place in the log.
    pub shown: String,
    /// Behind the statement.
    pub end: Position,
    /// From where the log has to be read for XA transactions that are undecided there.
    pub replay_from: Option<Position>,
    /// What is done at the destination.
    pub step: SchemaStep,
    /// The tables of the destination that it concerns, each with the fingerprint of its definition before; None: it was not there.
    pub before: Vec<(TableName, Option<String>)>,
    /// What becomes of the task's tables.
    pub effects: Vec<TableEffect>,
    /// The entry of the task's fingerprint that says how cascades come to the destination, and its value from here on.
    pub cascades: Option<(String, String)>,
}

/// What is done at the destination, by its names there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SchemaStep {
    /// Nothing: the statement changed nothing at the source (`IF EXISTS`, `IF NOT EXISTS`).
    Nothing,
    /// CREATE TABLE, and what is added to the table afterwards.
    Create {
        statement: String,
        then: Vec<String>,
    },
    /// The source's own words with the destination's names, in the session that they ran in.
    Alter {
        statement: String,
        session: StatementSession,
    },
    Truncate(TableName),
    Drop(Vec<TableName>),
    Rename(Vec<(TableName, TableName)>),
}

/// What becomes of a table of the task, by the source's names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum TableEffect {
    /// It is there with this definition; `destination` is its name there.
    Stands { definition: TableDefinition, destination: TableName },
    /// It is there no more.
    Gone { source: TableName, destination: TableName },
}

/// The settings of a session that decide what a definition statement means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSession {
    /// Bits of `sql_mode` as the log has them.
    pub sql_mode: u64,
    /// Seconds since 1970 and microseconds: CURRENT_TIMESTAMP of the statement.
    pub timestamp: (u32, u32),
    pub time_zone: String,
    /// None: the log does not say.
    pub collation_connection: Option<String>,
    pub explicit_defaults_for_timestamp: Option<bool>,
    /// Collation that `CHARACTER SET utf8mb4` without one stands for.
    pub utf8mb4_collation: Option<String>,
    pub foreign_key_checks: bool,
    pub unique_checks: bool,
}
