//! Progress of the phases: schema, full copy, binary log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Time;
use super::schema;

/// Outcome of the schema migration: what stands at the destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaStatus {
    /// Databases.
    pub databases: u64,
    /// Tables.
    pub tables: u64,
    /// Views.
    pub views: u64,
    /// Triggers.
    pub triggers: u64,
    /// Stored procedures.
    pub procedures: u64,
    /// Functions.
    pub functions: u64,
    /// Events; they arrive disabled.
    pub events: u64,
    /// Number of objects that could not be created.
    pub failed_total: u64,
    /// Objects that could not be created (bounded).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<SchemaFailure>,
    /// Triggers that wait for the cut-over (bounded), with triggers: Manual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_triggers: Vec<String>,
}

/// An object that could not be created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaFailure {
    /// The object with its kind, for example view shop.totals.
    pub object: String,
    /// The statement that failed.
    pub statement: String,
    /// What the destination said.
    pub error: String,
}

/// State of the full copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FullStatus {
    /// Tables to copy.
    pub tables_total: u64,
    /// Tables that are copied.
    pub tables_done: u64,
    /// Rows to copy, by the source's own estimate.
    pub rows_total: u64,
    /// Rows that are at the destination.
    pub rows_copied: u64,
    /// Bytes of rows that are at the destination.
    pub bytes_copied: u64,
    /// Rows per second at present.
    pub rows_per_second: u64,
    /// Bytes per second at present.
    pub bytes_per_second: u64,
    /// Seconds that are left at the present rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub eta_seconds: Option<u64>,
    /// Tables (bounded): those being copied first, then those that wait, the largest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableProgress>,
}

/// Progress of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableProgress {
    /// The table on the source as database.table.
    pub source: String,
    /// The table at the destination as database.table.
    pub destination: String,
    /// Rows that are at the destination.
    #[serde(default)]
    pub rows: u64,
    /// Rows to copy, by the source's own estimate.
    #[serde(default)]
    pub rows_estimate: u64,
    /// Bytes of rows that are at the destination.
    #[serde(default)]
    pub bytes: u64,
    /// Rows per second at present.
    #[serde(default)]
    pub rows_per_second: u64,
    /// Seconds that are left at the present rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub eta_seconds: Option<u64>,
    /// What is being done with the table.
    pub state: TableState,
}

/// What is being done with a table in the full copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TableState {
    /// Not begun.
    Waiting,
    /// Rows are on their way.
    Copying,
    /// Rows are there; secondary indexes are being built.
    Indexing,
    /// Everything is there.
    Done,
    /// The table could not be copied.
    Failed,
}

/// State of the application of the binary log; counts since the task's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IncrementalStatus {
    /// Changed rows per second at present.
    pub rows_per_second: u64,
    /// Bytes of the binary log per second at present.
    pub bytes_per_second: u64,
    /// Transactions applied.
    pub transactions: u64,
    /// Rows inserted.
    pub inserts: u64,
    /// Rows updated.
    pub updates: u64,
    /// Rows deleted.
    pub deletes: u64,
    /// Definition statements applied.
    pub ddl: u64,
    /// Definition statements left out, because ddl excludes them or the destination takes none.
    pub ddl_skipped: u64,
    /// The newest definition statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LastDdl")]
    pub last_ddl: Option<LastDdl>,
    /// Rows left out because the destination refused them for good (Tablestore with dirtyData: Skip).
    pub dirty_rows: u64,
    /// Examples of such rows: table, key and the destination's answer (bounded).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dirty_samples: Vec<String>,
    /// Commit time, by the source's clock, of the newest transaction that is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_commit_at: Option<Time>,
}

/// A definition statement from the binary log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastDdl {
    /// The statement as the source wrote it, shortened when long.
    pub statement: String,
    /// Whether it was applied, and not left out.
    pub applied: bool,
    /// When the source committed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub at: Option<Time>,
}
