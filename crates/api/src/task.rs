//! `MigrationTask`: what is moved, from where, to where, and how.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Destination, Source};
use super::objects::{DatabaseSelection, DdlOperation, DmlOperation};
use super::options::{
    Accounts, Alerts, Cutover, Diagnostics, FloatPrecision, Heartbeat, OnlineDdl, PrecheckOptions, Retry, Throttle, Verification,
};
use super::patterns;
use super::status::MigrationTaskStatus;

/// What a migration task shall do.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::duplicated_attributes, reason = "kube wants the same keys in every printcolumn")]
#[kube(
    group = "godwit.dev",
    version = "v1alpha1",
    kind = "MigrationTask",
    plural = "migrationtasks",
    singular = "migrationtask",
    shortname = "mt",
    category = "godwit",
    namespaced,
    status = "MigrationTaskStatus",
    derive = "PartialEq",
    doc = "MigrationTask moves MySQL-family databases to another server while the application stays online.",
    selectable = ".spec.cluster.name",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "What the task is doing"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the task does what its spec asks"
    ),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "Share of the full copy that is done"
    ),
    printcolumn(
        name = "Latency",
        type_ = "integer",
        json_path = ".status.latencySeconds",
        description = "Seconds between a commit on the source and its visibility at the destination"
    ),
    printcolumn(
        name = "Cluster",
        type_ = "string",
        json_path = ".spec.cluster.name",
        description = "The DedicatedCluster the task runs in"
    ),
    printcolumn(
        name = "Units",
        type_ = "integer",
        json_path = ".spec.cluster.units",
        description = "Data transmission units the task asks for"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Source",
        type_ = "string",
        json_path = ".status.source",
        description = "Where the data comes from",
        priority = 1
    ),
    printcolumn(
        name = "Destination",
        type_ = "string",
        json_path = ".status.destination",
        description = "Where the data goes",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        description = "One sentence for a person",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(oldSelf.desiredState) || oldSelf.desiredState != 'Stopped' || self.desiredState == 'Stopped'",
        "message": "spec.desiredState: Stopped is final, the task is fenced at the destination; create a new task instead",
        "fieldPath": ".desiredState"
    },
    {
        "rule": "!has(self.destination.tablestore) || (has(self.objects) && size(self.objects) == 1)",
        "message": "spec.objects: a Tablestore destination takes exactly one source database per task; list that one database",
        "fieldPath": ".objects"
    },
    {
        "rule": "!has(self.destination.tablestore) || !has(self.accounts) || !self.accounts.migrate",
        "message": "spec.accounts.migrate: a Tablestore destination has no database accounts; set it to false",
        "fieldPath": ".accounts.migrate"
    },
    {
        "rule": "!has(self.accounts) || !self.accounts.migrate || !has(self.migrationTypes) || 'Schema' in self.migrationTypes",
        "message": "spec.accounts.migrate: accounts are migrated with the schema; add Schema to spec.migrationTypes",
        "fieldPath": ".accounts.migrate"
    },
    {
        "rule": "!has(self.verification) || !self.verification.incremental || !has(self.migrationTypes) || 'Incremental' in self.migrationTypes",
        "message": "spec.verification.incremental: nothing is followed without Incremental; add it to spec.migrationTypes",
        "fieldPath": ".verification.incremental"
    },
    {
        "rule": "!has(self.cutover) || !self.cutover.requested || !has(self.migrationTypes) || 'Incremental' in self.migrationTypes",
        "message": "spec.cutover.requested: a cut-over needs the binary log to be followed; add Incremental to spec.migrationTypes",
        "fieldPath": ".cutover.requested"
    }
]))]
pub struct MigrationTaskSpec {
    /// Running: the task works. Paused: it stands still and can go on. Stopped: it has ended for good; a marker at the destination keeps it
    /// from ever writing again, so this cannot be taken back.
    #[serde(default)]
    pub desired_state: DesiredState,
    /// What happens at the destination when this resource is deleted. Release: the engine is stopped, nothing else; a new resource of the same name
    /// goes on where this one stood. Fence: the task is marked as stopped first, so that it can never write again. User data is never touched.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Which parts are done. Schema: create the objects at the destination. Full: copy the rows. Incremental: follow the binary log.
    /// Without Incremental the task ends by itself.
    #[serde(default = "all_migration_types")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub migration_types: Vec<MigrationType>,
    /// Where the task runs and how much capacity it asks for.
    #[serde(default)]
    pub cluster: ClusterReference,
    /// A tag for the environment, for example Production; it becomes a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 63), pattern(patterns::LABEL_VALUE))]
    pub environment: Option<String>,
    /// A tag for the resource group; it becomes a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 63), pattern(patterns::LABEL_VALUE))]
    pub resource_group: Option<String>,
    /// Where the data comes from.
    pub source: Source,
    /// Where the data goes: exactly one of mysql and tablestore.
    pub destination: Destination,
    /// What is migrated. Left out or empty: every database that is not the system's. Where several entries match, an exact name wins over a
    /// pattern, and among patterns the first one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["database"]))]
    pub objects: Vec<DatabaseSelection>,
    /// Databases that are left out whatever objects says: names, or patterns with * and ?.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 256)))]
    pub exclude_databases: Vec<String>,
    /// Row operations that are applied from the binary log. Left out: all; empty: none. Databases and tables may say otherwise for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DmlOperation>", length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub dml: Option<Vec<DmlOperation>>,
    /// Definition statements that are applied from the binary log. Left out: all; empty: none. Databases and tables may say otherwise for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DdlOperation>", length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub ddl: Option<Vec<DdlOperation>>,
    /// What happens when a table of the same name stands at the destination. PrecheckAndReportErrors: the precheck fails.
    /// IgnoreErrorsAndProceed: rows that exist stay as they are in the full copy and are overwritten by later changes; where the definitions
    /// differ, the columns that match are migrated.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// Upper and lower case of database and table names at the destination. Default: as the destination's lower_case_table_names has it
    /// (lower for 1 and 2, as the source for 0). AsSource, Lower, Upper: just that.
    #[serde(default)]
    pub name_case: NameCase,
    /// Views, procedures and functions. Invoker: SQL SECURITY DEFINER becomes INVOKER, so the definer's account is not needed at the
    /// destination. Keep: definer and security stay as they are.
    #[serde(default)]
    pub definer: DefinerMode,
    /// Triggers never fire for rows that the task writes. Automatic: created with a guard that only the task's sessions trip, the plain body is put
    /// back at the end. Manual: held back, listed in status, created by the cut-over.
    #[serde(default)]
    pub triggers: TriggerMode,
    /// Migration of users, roles and privileges.
    #[serde(default)]
    pub accounts: Accounts,
    /// Rounds FLOAT and DOUBLE values as ROUND(column, precision) does. Left out: every value arrives bit for bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FloatPrecision")]
    pub float_precision: Option<FloatPrecision>,
    /// How online schema change tools on the source are dealt with.
    #[serde(default)]
    pub online_ddl: OnlineDdl,
    /// The checks before the task starts.
    #[serde(default)]
    pub precheck: PrecheckOptions,
    /// Limits on the load that the task causes. They can be changed while it runs.
    #[serde(default)]
    pub throttle: Throttle,
    /// How long failures are retried.
    #[serde(default)]
    pub retry: Retry,
    /// A heartbeat row on the source, so that latency is exact on an idle server. Off: nothing is ever written to the source.
    #[serde(default)]
    pub heartbeat: Heartbeat,
    /// What messages may say.
    #[serde(default)]
    pub diagnostics: Diagnostics,
    /// Comparison of both sides.
    #[serde(default)]
    pub verification: Verification,
    /// What is reported, beyond metrics, as Kubernetes events and through a webhook.
    #[serde(default)]
    pub alerts: Alerts,
    /// The switch of the application to the destination.
    #[serde(default)]
    pub cutover: Cutover,
}

impl MigrationTaskSpec {
    /// A spec with everything left out that may be left out.
    pub fn new(source: Source, destination: Destination) -> Self {
        Self {
            desired_state: DesiredState::default(),
            deletion_policy: DeletionPolicy::default(),
            migration_types: all_migration_types(),
            cluster: ClusterReference::default(),
            environment: None,
            resource_group: None,
            source,
            destination,
            objects: Vec::new(),
            exclude_databases: Vec::new(),
            dml: None,
            ddl: None,
            conflict_policy: ConflictPolicy::default(),
            name_case: NameCase::default(),
            definer: DefinerMode::default(),
            triggers: TriggerMode::default(),
            accounts: Accounts::default(),
            float_precision: None,
            online_ddl: OnlineDdl::default(),
            precheck: PrecheckOptions::default(),
            throttle: Throttle::default(),
            retry: Retry::default(),
            heartbeat: Heartbeat::default(),
            diagnostics: Diagnostics::default(),
            verification: Verification::default(),
            alerts: Alerts::default(),
            cutover: Cutover::default(),
        }
    }

    /// Whether `migrationTypes` holds `wanted`.
    pub fn migrates(&self, wanted: MigrationType) -> bool {
        self.migration_types.contains(&wanted)
    }
}

fn all_migration_types() -> Vec<MigrationType> {
    vec![MigrationType::Schema, MigrationType::Full, MigrationType::Incremental]
}

/// What the task shall be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DesiredState {
    /// The task works.
    #[default]
    Running,
    /// The task stands still and can go on.
    Paused,
    /// The task has ended for good and is fenced at the destination.
    Stopped,
}

/// What happens at the destination when the resource is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The engine is stopped. The records stay: a resource of the same name and namespace goes on.
    #[default]
    Release,
    /// The task is fenced for good before the resource goes.
    Fence,
}

/// A part of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum MigrationType {
    /// Creates the objects at the destination.
    Schema,
    /// Copies the rows that stand on the source.
    Full,
    /// Follows the binary log.
    Incremental,
}

/// What happens when a table of the same name stands at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// The precheck fails.
    #[default]
    PrecheckAndReportErrors,
    /// Existing rows win over the full copy and yield to later changes.
    IgnoreErrorsAndProceed,
}

/// Upper and lower case of database and table names at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NameCase {
    /// As the destination's `lower_case_table_names` has it.
    #[default]
    Default,
    /// As the source writes it.
    AsSource,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
}

/// What becomes of `DEFINER` and `SQL SECURITY` of views, procedures and functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DefinerMode {
    /// `SQL SECURITY INVOKER`; the definer's account is not needed at the destination.
    #[default]
    Invoker,
    /// Both stay as they are.
    Keep,
}

/// When triggers are created at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TriggerMode {
    /// With the schema, guarded against the task's own sessions; the plain body is put back at the end.
    #[default]
    Automatic,
    /// Held back, listed in status, created by the cut-over.
    Manual,
}

/// Where a task runs and how much capacity it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ClusterReference {
    /// Name of the DedicatedCluster. Left out: the shared default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 63), pattern(patterns::DNS_LABEL))]
    pub name: Option<String>,
    /// Data transmission units (DU): a fixed share of CPU and memory each. The task waits as Queued until that many are free.
    #[schemars(range(min = 1, max = 1000))]
    pub units: u32,
    /// Among waiting tasks the higher priority starts first, then the older task.
    #[schemars(range(min = -1000000, max = 1000000))]
    pub priority: i32,
}

impl Default for ClusterReference {
    fn default() -> Self {
        Self { name: None, units: 1, priority: 0 }
    }
}
