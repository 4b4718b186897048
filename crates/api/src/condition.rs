//! The condition types that stand under `status.conditions`, and the standard [`Condition`] itself.
//!
//! `Ready`, `Reconciling` and `Stalled` follow kstatus (`sigs.k8s.io/cli-utils`), so that Argo CD and Flux show health without tricks.

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The task does what its spec asks: in sync, completed, paused.
pub const READY: &str = "Ready";
/// Work is going on towards what the spec asks.
pub const RECONCILING: &str = "Reconciling";
/// Nothing goes on until a person acts: precheck failed, or a definite error.
pub const STALLED: &str = "Stalled";
/// The precheck's success rate is 100 %.
pub const PRECHECK_PASSED: &str = "PrecheckPassed";
/// Every object of the selection stands at the destination.
pub const SCHEMA_MIGRATED: &str = "SchemaMigrated";
/// Every row that the full copy owed is at the destination.
pub const FULL_COPY_COMPLETE: &str = "FullCopyComplete";
/// The end of the source's binary log has been applied.
pub const IN_SYNC: &str = "InSync";
/// The verification that was asked for found both sides equal.
pub const VERIFIED: &str = "Verified";
/// The task has ended for good: finished, stopped or cut over.
pub const COMPLETE: &str = "Complete";

/// Only where a connection is not encrypted because the server offers no TLS, and may be listened to: it is False then.
pub const ENCRYPTED: &str = "Encrypted";

/// All condition types that every `MigrationTask` has, in the order of status.
pub const ALL: [&str; 9] =
    [READY, RECONCILING, STALLED, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE, IN_SYNC, VERIFIED, COMPLETE];
