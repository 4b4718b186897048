//! The JSON documents that Godwit prints, each with `apiVersion` at its head. Fields are only ever added.

use serde::{Deserialize, Serialize};

use super::API_VERSION;
use super::engine::TaskIdentity;
use super::status::{MigrationTaskStatus, Position, PrecheckStatus};
use super::verification::{SchemaDifference, TableVerification};

/// What `--status-file` holds and `/status` answers: the object that stands under `status` of the resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Version of the document.
    pub api_version: String,
    /// Which task the engine works for, so that nobody takes one engine's report for another's. Left out by `godwit run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskIdentity>,
    /// The status.
    #[serde(flatten)]
    pub status: MigrationTaskStatus,
}

impl From<MigrationTaskStatus> for StatusReport {
    fn from(status: MigrationTaskStatus) -> Self {
        Self { api_version: API_VERSION.to_owned(), task: None, status }
    }
}

/// What `godwit precheck -o json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrecheckReport {
    /// Version of the document.
    pub api_version: String,
    /// The precheck.
    #[serde(flatten)]
    pub precheck: PrecheckStatus,
}

impl From<PrecheckStatus> for PrecheckReport {
    fn from(precheck: PrecheckStatus) -> Self {
        Self { api_version: API_VERSION.to_owned(), precheck }
    }
}

/// What `godwit verify -o json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyReport {
    /// Version of the document.
    pub api_version: String,
    /// Whether both sides are equal.
    pub equal: bool,
    /// Position of the source at which the rows were found as stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_position: Option<Position>,
    /// What was found, table by table.
    pub tables: Vec<TableVerification>,
    /// Differing definitions.
    pub schema: Vec<SchemaDifference>,
}

impl VerifyReport {
    /// A report of these findings; `equal` follows from them: no differing row, no differing definition, no table that could not be compared.
    pub fn new(source_position: Option<Position>, tables: Vec<TableVerification>, schema: Vec<SchemaDifference>) -> Self {
        let table_equal =
            |table: &TableVerification| table.missing == 0 && table.extra == 0 && table.different == 0 && table.error.is_none();
        let equal = schema.is_empty() && tables.iter().all(table_equal);
        Self { api_version: API_VERSION.to_owned(), equal, source_position, tables, schema }
    }
}
