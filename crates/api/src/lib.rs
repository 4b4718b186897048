//! The contract: the types of `MigrationTask` and `DedicatedCluster`, their status, and the documents that the engine
//! reports with. Nothing of the operator or of the engine is known here, so both can know this crate without knowing each other.
//!
//! One source of truth: the doc comments become `kubectl explain`, the defaults and limits become the CRDs
//! ([`crd`]), and [`manifest`] validates against those same generated schemas, wherever a manifest is read.
#![deny(unreachable_pub)]

pub mod change;
pub mod cluster;
pub mod condition;
pub mod conditions;
pub mod crd;
pub mod endpoint;
pub mod engine;
pub mod manifest;
pub mod objects;
pub mod options;
pub mod patterns;
pub mod progress;
pub mod report;
mod schema;
pub mod status;
pub mod tablestore;
pub mod task;
#[cfg(test)]
mod tests;
pub mod verification;

pub use cluster::{
    ClusterStatus, ClusterTask, ClusterTasks, ClusterUnits, DedicatedCluster, DedicatedClusterSpec, EngineSecurityContext,
    EngineTemplate, Placement, PriorityCeiling, RetrySharing, UnitResources,
};
pub use endpoint::{
    CaReference, ClientCertificate, Destination, Flavor, MysqlDestination, MysqlEndpoint, PublicKeyReference, SecretRef, Source,
    TableEngine, Tls, TlsMode,
};
pub use engine::{EngineMode, EnginePlan, EngineResources, TaskIdentity};
pub use objects::{ColumnSelection, DatabaseSelection, DdlOperation, DmlOperation, Etl, TableSelection};
pub use options::{
    Accounts, Alerts, Cutover, Diagnostics, FenceSource, FloatPrecision, FullThrottle, FullVerification, Heartbeat,
    IncrementalThrottle, OnlineDdl, OnlineDdlMode, PrecheckOptions, ReferenceSide, Retry, Throttle, Verification,
    VerificationMode, WebhookReference,
};
pub use progress::{FullStatus, IncrementalStatus, LastDdl, SchemaFailure, SchemaStatus, TableProgress, TableState};
pub use report::{PrecheckReport, StatusReport, VerifyReport};
pub use status::{
    AccountsStatus, AdmissionStatus, CutoverStatus, EffectiveRetry, MigrationTaskStatus, Phase, Position, PrecheckItem,
    PrecheckStatus, QueueStatus, RetryStatus, SkippedAccount, Verdict,
};
pub use tablestore::{BatchWriteMode, DirtyData, RowWriteMode, TablestoreDestination, TablestoreType};
pub use task::{
    ClusterReference, ConflictPolicy, DefinerMode, DeletionPolicy, DesiredState, MigrationTask, MigrationTaskSpec, MigrationType,
    NameCase, TriggerMode,
};
pub use verification::{
    Difference, IncrementalVerificationStatus, SchemaDifference, TableVerification, VerificationState, VerificationStatus,
};

/// The API group of all our resources.
pub const GROUP: &str = "godwit.dev";
/// The served version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of manifests, resources and every JSON document that Godwit prints.
pub const API_VERSION: &str = "godwit.dev/v1alpha1";
/// Annotation of a `MigrationTask`: any new value runs the precheck again.
pub const ANNOTATION_PRECHECK_AGAIN: &str = "godwit.dev/precheck-again";
/// Annotation of a `MigrationTask`: any new value restarts the engine, a parked one included.
pub const ANNOTATION_RESTART: &str = "godwit.dev/restart";
/// The database at the destination that holds the engine's own records, unless `spec.destination.recordsDatabase` says otherwise.
pub const DEFAULT_RECORDS_DATABASE: &str = "godwit";
/// Lists in status hold at most this many entries: a status is read by people and must stay far below etcd's limit of an object.
pub const STATUS_LIST_LIMIT: usize = 100;
