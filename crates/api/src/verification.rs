//! What the comparison of both sides found. Differences are kept without an upper bound at the destination; here stand counts and samples.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Time;
use super::schema;
use super::status::Position;

/// State of the verification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VerificationStatus {
    /// What the verification is doing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "VerificationState")]
    pub state: Option<VerificationState>,
    /// Whether both sides are equal in everything that was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub equal: Option<bool>,
    /// Position of the source at which the rows were found as stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Position")]
    pub source_position: Option<Position>,
    /// Tables to compare.
    pub tables_total: u64,
    /// Tables that are compared.
    pub tables_done: u64,
    /// Rows that were compared.
    pub rows_compared: u64,
    /// Rows per second at present.
    pub rows_per_second: u64,
    /// Rows that only the source has.
    pub missing: u64,
    /// Rows that only the destination has.
    pub extra: u64,
    /// Rows that both have with other values.
    pub different: u64,
    /// Rows that were repaired.
    pub repaired: u64,
    /// Tables with differences first (bounded).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableVerification>,
    /// Differing definitions (bounded).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema: Vec<SchemaDifference>,
    /// State of the continuous comparison of changed keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "IncrementalVerificationStatus")]
    pub incremental: Option<IncrementalVerificationStatus>,
    /// When the comparison started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub started_at: Option<Time>,
    /// When the comparison ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub finished_at: Option<Time>,
}

/// What a verification is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VerificationState {
    /// Not begun.
    Waiting,
    /// Rows are being compared.
    Comparing,
    /// Everything is compared, changed keys are compared as they come.
    Following,
    /// Ended.
    Finished,
    /// Ended by maxHours before everything was compared.
    TimedOut,
    /// The comparison itself failed.
    Failed,
}

/// State of the continuous comparison of changed keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IncrementalVerificationStatus {
    /// Keys that were compared.
    pub keys_compared: u64,
    /// Keys that wait to be compared, or to be looked at again.
    pub keys_waiting: u64,
    /// Keys that differ and stay so.
    pub different: u64,
    /// Seconds by which the comparison is behind.
    pub latency_seconds: u64,
}

/// What was found in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TableVerification {
    /// The table on the source as database.table.
    pub source: String,
    /// The table at the destination as database.table.
    pub destination: String,
    /// Rows that were compared.
    pub rows: u64,
    /// Rows that only the source has.
    pub missing: u64,
    /// Rows that only the destination has.
    pub extra: u64,
    /// Rows that both have with other values.
    pub different: u64,
    /// Rows that were repaired.
    #[serde(skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// Why the table could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub error: Option<String>,
    /// Examples of differences (bounded).
    pub samples: Vec<Difference>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One value that differs, or a row that one side lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Difference {
    /// The row's key as text, for example id=17.
    pub key: String,
    /// The column; left out where one side lacks the whole row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub column: Option<String>,
    /// The source's value as SQL writes it, NULL included; left out where the source lacks the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub source: Option<String>,
    /// The destination's value as SQL writes it, NULL included; left out where the destination lacks the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub destination: Option<String>,
}

/// A definition that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaDifference {
    /// The object with its kind, for example table shop.orders.
    pub object: String,
    /// What differs.
    pub what: String,
    /// As the source has it; left out where it lacks the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub source: Option<String>,
    /// As the destination has it; left out where it lacks the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub destination: Option<String>,
}
