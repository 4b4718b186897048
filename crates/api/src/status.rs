//! Status of a `MigrationTask`, which is the engine's report as well: the operator takes over what the engine says and adds what only Kubernetes
//! knows (generation, queue, conditions).
//!
//! Whoever writes it rounds: whole seconds, tenths of a percent. Lists hold at most [`super::STATUS_LIST_LIMIT`] entries. No secret and no
//! connection string with a password ever stands here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::{Condition, Time};
use super::progress::{FullStatus, IncrementalStatus, SchemaStatus};
use super::schema;
use super::verification::VerificationStatus;

/// What a migration task is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MigrationTaskStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,
    /// What the task is doing, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// What the task is doing, in one sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
    /// Share of the full copy that is done, for example 73.4%.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub progress: Option<String>,
    /// Seconds between a commit on the source and its visibility at the destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub latency_seconds: Option<u64>,
    /// The source as text: host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub source: Option<String>,
    /// The destination as text: host and port, or the Tablestore instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub destination: Option<String>,
    /// When the task first started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub started_at: Option<Time>,
    /// When the task ended for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub completed_at: Option<Time>,
    /// Position in the source's binary log up to which everything is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Position")]
    pub position: Option<Position>,
    /// Outcome of the precheck.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PrecheckStatus")]
    pub precheck: Option<PrecheckStatus>,
    /// Outcome of the schema migration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SchemaStatus")]
    pub schema: Option<SchemaStatus>,
    /// State of the full copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FullStatus")]
    pub full: Option<FullStatus>,
    /// State of the application of the binary log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "IncrementalStatus")]
    pub incremental: Option<IncrementalStatus>,
    /// State of the verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "VerificationStatus")]
    pub verification: Option<VerificationStatus>,
    /// Outcome of the migration of accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AccountsStatus")]
    pub accounts: Option<AccountsStatus>,
    /// State of the cut-over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CutoverStatus")]
    pub cutover: Option<CutoverStatus>,
    /// Place in the queue of the DedicatedCluster, while the task waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "QueueStatus")]
    pub queue: Option<QueueStatus>,
    /// The units that the task holds. It keeps them through restarts of its pod, and gives them back when it ends, pauses or fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AdmissionStatus")]
    pub admission: Option<AdmissionStatus>,
    /// The failure that is being retried.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RetryStatus")]
    pub retry: Option<RetryStatus>,
    /// The retry times that hold, where tasks share a server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EffectiveRetry")]
    pub effective_retry: Option<EffectiveRetry>,
    /// Ready, Reconciling, Stalled, PrecheckPassed, SchemaMigrated, FullCopyComplete, InSync, Verified, Complete.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What a task is doing, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Seen, nothing done yet.
    Pending,
    /// Waits for free units of its cluster.
    Queued,
    /// Checks both ends.
    Prechecking,
    /// A check failed; the task does not start.
    PrecheckFailed,
    /// Creates the objects at the destination.
    MigratingSchema,
    /// Copies rows (and follows the binary log meanwhile).
    Copying,
    /// Everything is copied; follows the binary log.
    Replicating,
    /// Hands over to the destination.
    CuttingOver,
    /// Finished, or cut over.
    Completed,
    /// Stands still as asked.
    Paused,
    /// Ended for good as asked, fenced at the destination.
    Stopped,
    /// Something failed that may pass; it is tried again.
    Retrying,
    /// Something failed that needs a person.
    Failed,
}

impl Phase {
    /// All phases, in the order of the work.
    pub const ALL: [Self; 13] = [
        Self::Pending,
        Self::Queued,
        Self::Prechecking,
        Self::PrecheckFailed,
        Self::MigratingSchema,
        Self::Copying,
        Self::Replicating,
        Self::CuttingOver,
        Self::Completed,
        Self::Paused,
        Self::Stopped,
        Self::Retrying,
        Self::Failed,
    ];

    /// Whether the task can never write again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped)
    }

    /// The name that stands in status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Prechecking => "Prechecking",
            Self::PrecheckFailed => "PrecheckFailed",
            Self::MigratingSchema => "MigratingSchema",
            Self::Copying => "Copying",
            Self::Replicating => "Replicating",
            Self::CuttingOver => "CuttingOver",
            Self::Completed => "Completed",
            Self::Paused => "Paused",
            Self::Stopped => "Stopped",
            Self::Retrying => "Retrying",
            Self::Failed => "Failed",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Position in a binary log: a GTID set where there is one, file and offset in any case that has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Position {
    /// MySQL: executed GTID set. MariaDB: position per domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub gtid_set: Option<String>,
    /// Name of the binary log file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub file: Option<String>,
    /// Byte offset in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub offset: Option<u64>,
}

/// Outcome of the precheck.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrecheckStatus {
    /// Share of the items that passed or are ignored, for example 96%. The task starts at 100%.
    pub success_rate: String,
    /// When the items were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub checked_at: Option<Time>,
    /// What was checked.
    pub items: Vec<PrecheckItem>,
    /// What may trouble the application later; it never blocks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assessment: Vec<PrecheckItem>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrecheckItem {
    /// Name of the check, as spec.precheck.ignore takes it.
    pub name: String,
    /// Passed, Warning (can be ignored) or Failed (cannot).
    pub verdict: Verdict,
    /// Whether spec.precheck.ignore names this warning.
    #[serde(default)]
    pub ignored: bool,
    /// What was found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// Why it matters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The exact statement or step that fixes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl PrecheckItem {
    /// Whether the task cannot start because of it.
    pub fn stands_in_the_way(&self) -> bool {
        match self.verdict {
            Verdict::Passed => false,
            Verdict::Warning => !self.ignored,
            Verdict::Failed => true,
        }
    }
}

/// Outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Nothing stands in the way.
    Passed,
    /// Can be ignored by name.
    Warning,
    /// Cannot be ignored.
    Failed,
}

/// Outcome of the migration of accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountsStatus {
    /// Accounts and roles that were created at the destination.
    pub migrated: u64,
    /// Number of accounts that were left out.
    pub skipped_total: u64,
    /// Accounts that were left out, and why (bounded).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedAccount>,
}

/// An account that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedAccount {
    /// The account as user@host.
    pub account: String,
    /// Why it was left out.
    pub reason: String,
}

/// State of the cut-over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CutoverStatus {
    /// What the cut-over is doing, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
    /// When the source was fenced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub fenced_at: Option<Time>,
    /// When the destination became live.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub live_at: Option<Time>,
    /// Milliseconds from the fence to the destination being live.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub milliseconds: Option<u64>,
    /// The source's last position, which is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Position")]
    pub final_position: Option<Position>,
    /// The destination's position at the switch, from where the opposite direction starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Position")]
    pub reverse_position: Option<Position>,
    /// Name of the task in the opposite direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub reverse_task: Option<String>,
}

/// Place in the queue of a DedicatedCluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueStatus {
    /// Place in the queue; 1 starts next.
    pub place: u64,
    /// Units that the task asks for.
    pub units: u64,
    /// Units that are free.
    pub free_units: u64,
}

/// The units that a task holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdmissionStatus {
    /// The DedicatedCluster; left out: the shared default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub cluster: Option<String>,
    /// Units that the task holds.
    pub units: u32,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub since: Option<Time>,
}

/// The failure that is being retried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryStatus {
    /// The failure.
    pub error: String,
    /// How often it was tried again.
    pub attempts: u64,
    /// When it first happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub since: Option<Time>,
    /// When it is tried again next; left out while a try is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub next_at: Option<Time>,
    /// Until when it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub until: Option<Time>,
}

/// The retry times that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EffectiveRetry {
    /// Minutes for which a lost connection is retried.
    pub connection_minutes: u32,
    /// Minutes for which other errors are retried.
    pub other_minutes: u32,
    /// The task whose setting rules, as namespace/name, where it is another's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub set_by: Option<String>,
}
