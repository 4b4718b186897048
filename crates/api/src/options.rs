//! How a task behaves: throttling, retries, verification, alerts, cut-over and the smaller choices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DEFAULT_RECORDS_DATABASE, patterns};

/// Migration of users, roles and privileges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Accounts {
    /// Whether accounts are migrated. System accounts and those that exist at the destination are skipped and listed in status.
    pub migrate: bool,
    /// Only these accounts: user, or user@host, with * and ? as in names. Left out: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 320)))]
    pub include: Vec<String>,
    /// All accounts but these: user, or user@host, with * and ? as in names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 320)))]
    pub exclude: Vec<String>,
}

/// Rounds FLOAT and DOUBLE values as ROUND(column, precision) does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FloatPrecision {
    /// Decimals of FLOAT columns.
    #[schemars(range(min = 0, max = 38))]
    pub float: u16,
    /// Decimals of DOUBLE columns.
    #[schemars(range(min = 0, max = 308))]
    pub double: u16,
}

impl Default for FloatPrecision {
    fn default() -> Self {
        Self { float: 38, double: 308 }
    }
}

/// How online schema change tools on the source are dealt with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct OnlineDdl {
    /// Copy: the tools' tables are migrated like others. GhOst, Dms, PtOsc: the tables of gh-ost, Alibaba Cloud DMS or pt-online-schema-change are left
    /// out, and the original change is applied when the tool swaps its tables.
    pub mode: OnlineDdlMode,
    /// Regular expression of shadow tables; its first group is the table's name. Left out: the tool's own, for GhOst `^_(.+)_(?:gho|new)$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub shadow_tables: Option<String>,
    /// Regular expression of tables that the tool throws away; its first group is the table's name. Left out: the tool's own, for GhOst
    /// `^_(.+)_(?:ghc|del|old)$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub trash_tables: Option<String>,
}

/// What is done with the tables of an online schema change tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OnlineDdlMode {
    /// They are migrated like other tables.
    #[default]
    Copy,
    /// gh-ost: left out; the original change is applied at its cut-over.
    GhOst,
    /// Alibaba Cloud DMS: likewise.
    Dms,
    /// pt-online-schema-change: likewise.
    PtOsc,
}

/// The checks before the task starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PrecheckOptions {
    /// Names of items whose warnings are ignored, for example SourceRetention. Failures cannot be ignored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 100),
        inner(length(min = 1, max = 64), pattern(patterns::ITEM_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub ignore: Vec<String>,
    /// Also reports what may trouble the application later: index lengths, routines that will not compile, reserved words, removed features. It
    /// never blocks.
    pub assessment: bool,
    /// Runs every CREATE at the destination beforehand, in empty databases named godwit_trial_… that are dropped at once. What the destination refuses
    /// is known before anything is written. The account needs CREATE, DROP and so on there; the item Trial says which.
    pub trial: bool,
}

impl Default for PrecheckOptions {
    fn default() -> Self {
        Self { ignore: Vec::new(), assessment: true, trial: true }
    }
}

/// Limits on the load that the task causes. They can be changed while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Throttle {
    /// Limits of the full copy.
    pub full: FullThrottle,
    /// Limits of the application of the binary log.
    pub incremental: IncrementalThrottle,
}

/// Limits of the full copy; 0 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FullThrottle {
    /// Queries per second on the source; 0: no limit.
    #[schemars(range(max = 1000000000))]
    pub source_queries_per_second: u64,
    /// Rows per second; 0: no limit.
    #[schemars(range(max = 1000000000))]
    pub rows_per_second: u64,
    /// Megabytes (1,000,000 bytes) per second; 0: no limit.
    #[schemars(range(max = 1000000))]
    pub megabytes_per_second: u64,
}

/// Limits of the application of the binary log; 0 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct IncrementalThrottle {
    /// Changed rows per second; 0: no limit.
    #[schemars(range(max = 1000000000))]
    pub rows_per_second: u64,
    /// Megabytes (1,000,000 bytes) per second; 0: no limit.
    #[schemars(range(max = 1000000))]
    pub megabytes_per_second: u64,
}

/// How long failures are retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.otherMinutes < self.connectionMinutes",
    "message": "spec.retry.otherMinutes: must be smaller than connectionMinutes; lower it, or raise connectionMinutes",
    "fieldPath": ".otherMinutes"
}]))]
pub struct Retry {
    /// Minutes for which a lost connection is retried, from where the task stood; at least 30 advised.
    #[schemars(range(min = 10, max = 1440))]
    pub connection_minutes: u32,
    /// Minutes for which other errors are retried; always smaller than connectionMinutes.
    #[schemars(range(min = 1, max = 1440))]
    pub other_minutes: u32,
    /// Days for which a failed task is started again now and then, unless it was stopped; 0: never.
    #[schemars(range(max = 30))]
    pub failed_task_days: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { connection_minutes: 720, other_minutes: 10, failed_task_days: 7 }
    }
}

/// A heartbeat row on the source, so that latency is exact on an idle server. Off: nothing is ever written to the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Heartbeat {
    /// Whether the row is written. The source account then needs write rights in database.
    pub enabled: bool,
    /// Database on the source that holds the table godwit_heartbeat; both are created when absent. Patterns in objects leave this
    /// database out; the table is never migrated.
    #[schemars(length(min = 1, max = 64), pattern(patterns::PLAIN_NAME))]
    pub database: String,
    /// Seconds between two heartbeats.
    #[schemars(range(min = 1, max = 60))]
    pub interval_seconds: u32,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { enabled: false, database: DEFAULT_RECORDS_DATABASE.to_owned(), interval_seconds: 1 }
    }
}

/// What messages may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Diagnostics {
    /// Whether status, events and logs may quote values of rows: keys, and what a server says of a value that it does not take. Without it they name
    /// table, column and reason only.
    pub row_values: bool,
}

/// Comparison of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!self.repair || has(self.full) || self.incremental",
    "message": "spec.verification.repair: only rows that are compared can be repaired; set full or incremental",
    "fieldPath": ".repair"
}]))]
pub struct Verification {
    /// Compares the definitions of all objects.
    pub schema: bool,
    /// Compares the rows when the full copy has finished. Left out: not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FullVerification")]
    pub full: Option<FullVerification>,
    /// Reads changed keys again and compares them, continuously.
    pub incremental: bool,
    /// Writes the source's row where the destination's differs.
    pub repair: bool,
    /// Only these tables, as database.table with * and ?, by their source names. Left out: all that are migrated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10000), inner(length(min = 1, max = 512)))]
    pub tables: Vec<String>,
}

/// Comparison of the rows once the full copy has finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FullVerification {
    /// Rows: row for row, through checksums. RowCount: only the number of rows of each table.
    pub mode: VerificationMode,
    /// Share of the rows that is compared, in percent.
    #[schemars(range(min = 10, max = 100))]
    pub sample_percent: u32,
    /// Which side is right. Both: every difference counts. Source: rows that only the destination has do not count. Destination: rows that only the
    /// source has do not count.
    pub reference: ReferenceSide,
    /// Rows read per second on each side; 0: no limit.
    #[schemars(range(max = 1000000000))]
    pub rows_per_second: u64,
    /// Megabytes (1,000,000 bytes) read per second on each side; 0: no limit.
    #[schemars(range(max = 1000000))]
    pub megabytes_per_second: u64,
    /// Hours after which the comparison ends, finished or not; 0: no limit.
    #[schemars(range(max = 8760))]
    pub max_hours: u32,
}

impl Default for FullVerification {
    fn default() -> Self {
        Self {
            mode: VerificationMode::default(),
            sample_percent: 100,
            reference: ReferenceSide::default(),
            rows_per_second: 0,
            megabytes_per_second: 0,
            max_hours: 0,
        }
    }
}

/// What is compared of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VerificationMode {
    /// Row for row, through checksums.
    #[default]
    Rows,
    /// Only the number of rows of each table.
    RowCount,
}

/// The side that is right when both differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReferenceSide {
    /// Every difference counts.
    #[default]
    Both,
    /// Rows that only the destination has do not count.
    Source,
    /// Rows that only the source has do not count.
    Destination,
}

/// What is reported, beyond metrics, as Kubernetes events and through a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Alerts {
    /// Reports a failed task, and its recovery.
    pub failure: bool,
    /// Reports a latency above this many seconds; 0: never.
    #[schemars(range(max = 604800))]
    pub latency_seconds: u64,
    /// How long the latency must have been above the limit.
    #[schemars(range(max = 86400))]
    pub for_seconds: u64,
    /// Reports a verification that found at least this many differing rows; 0: never.
    #[schemars(range(max = 1000000000))]
    pub differences: u64,
    /// Where reports are posted as JSON, beside the events. Left out: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WebhookReference")]
    pub webhook: Option<WebhookReference>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { failure: true, latency_seconds: 30, for_seconds: 60, differences: 1, webhook: None }
    }
}

/// A Secret that holds the address of a webhook, which often carries a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), pattern(patterns::DNS_SUBDOMAIN))]
    pub secret_name: String,
    /// Key of the Secret.
    #[serde(default = "url_key")]
    #[schemars(length(min = 1, max = 253), pattern(patterns::SECRET_KEY))]
    pub key: String,
}

fn url_key() -> String {
    "url".to_owned()
}

/// The switch of the application to the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Cutover {
    /// Starts the cut-over as soon as the task is not delayed.
    pub requested: bool,
    /// Latency from which on the task counts as not delayed.
    #[schemars(range(max = 3600))]
    pub max_latency_seconds: u64,
    /// How the source is kept from further writes. ReadOnly: read_only and, where it exists, super_read_only. LockTables: the selected tables are locked
    /// until the switch is done. None: the application has stopped writing by itself.
    pub fence_source: FenceSource,
    /// Compares both sides before the switch, within timeoutSeconds.
    pub verify: bool,
    /// Starts a task in the opposite direction, so that going back stays possible. The source account then needs write rights.
    pub reverse: bool,
    /// Seconds that the source may stay fenced before the cut-over is called off and the source is opened again.
    #[schemars(range(min = 1, max = 86400))]
    pub timeout_seconds: u64,
}

impl Default for Cutover {
    fn default() -> Self {
        Self {
            requested: false,
            max_latency_seconds: 5,
            fence_source: FenceSource::default(),
            verify: true,
            reverse: false,
            timeout_seconds: 60,
        }
    }
}

/// How the source is kept from further writes during a cut-over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FenceSource {
    /// `read_only` and, where it exists, `super_read_only`.
    #[default]
    ReadOnly,
    /// The selected tables are locked until the switch is done.
    LockTables,
    /// The application has stopped writing by itself.
    None,
}
