//! Alibaba Cloud Tablestore as a destination.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::SecretRef;
use super::patterns;

/// An Alibaba Cloud Tablestore instance. Rows only: definition statements are reported, not applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.buckets <= self.concurrency",
    "message": "spec.destination.tablestore.buckets: must not be larger than concurrency, or some buckets could never send; lower it, or raise concurrency",
    "fieldPath": ".buckets"
}]))]
pub struct TablestoreDestination {
    /// Address of the instance, for example `https://shop.cn-hangzhou.ots.aliyuncs.com`.
    #[schemars(length(min = 8, max = 512), pattern(patterns::HTTP_URL))]
    pub endpoint: String,
    /// Name of the instance.
    #[schemars(length(min = 1, max = 64), pattern(patterns::TABLESTORE_INSTANCE))]
    pub instance: String,
    /// Secret with the keys accessKeyId and accessKeySecret, and securityToken for temporary credentials.
    pub credentials: SecretRef,
    /// UpdateRow: only the named columns are changed. OverwriteRow: the whole row is replaced.
    #[serde(default)]
    pub row_write_mode: RowWriteMode,
    /// How rows are sent. BulkImport: one table per request, cheaper, recommended. BatchWriteRow: the plain batch.
    #[serde(default)]
    pub batch_write_mode: BatchWriteMode,
    /// What happens to a row that Tablestore refuses for good. Block: the task fails and names it. Skip: it is counted and listed.
    #[serde(default)]
    pub dirty_data: DirtyData,
    /// Rows that wait in memory to be sent.
    #[serde(default = "queue_size")]
    #[schemars(range(min = 1, max = 1048576))]
    pub queue_size: u32,
    /// Threads that encode rows and judge answers.
    #[serde(default = "threads")]
    #[schemars(range(min = 1, max = 256))]
    pub threads: u32,
    /// Requests in flight.
    #[serde(default = "concurrency")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: u32,
    /// Lanes of ordered writes, at most as many as concurrency. The rows of one key stay in one lane, so they always stay in order.
    #[serde(default = "buckets")]
    #[schemars(range(min = 1, max = 1024))]
    pub buckets: u32,
    /// Tables that the instance may hold: its own quota, 64 unless support has raised it.
    #[serde(default = "max_tables")]
    #[schemars(range(min = 1, max = 100000))]
    pub max_tables: u32,
}

fn queue_size() -> u32 {
    1024
}

fn threads() -> u32 {
    4
}

fn concurrency() -> u32 {
    10
}

fn buckets() -> u32 {
    3
}

fn max_tables() -> u32 {
    64
}

/// How a row is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RowWriteMode {
    /// Patches the named columns.
    #[default]
    UpdateRow,
    /// Replaces the whole row.
    OverwriteRow,
}

/// How rows are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BatchWriteMode {
    /// One table per request, answered row by row.
    #[default]
    BulkImport,
    /// The plain batch.
    BatchWriteRow,
}

/// What happens to a row that the destination refuses for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DirtyData {
    /// The task fails and names the row.
    #[default]
    Block,
    /// The row is left out, counted and listed.
    Skip,
}

/// Type of a Tablestore column. A primary-key column is STRING, INTEGER or BINARY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TablestoreType {
    /// UTF-8 text, at most 2 MB.
    String,
    /// Signed 64-bit integer.
    Integer,
    /// IEEE 754 double.
    Double,
    /// True or false.
    Boolean,
    /// Bytes, at most 2 MB.
    Binary,
}
