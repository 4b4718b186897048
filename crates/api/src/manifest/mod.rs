//! The manifest file: YAML documents with one `MigrationTask` and the `Secret`s that serve it, as on a cluster.
//!
//! [`load`] refuses everything that the API server refuses, in the same places: it checks the document against the very schemas of the CRDs
//! ([`schema_check`]) and then against the rules that stand there as CEL ([`rules`]). It reports every problem at once, each with the field's path
//! and the remedy. Secret values never appear in an error, nor in anybody's `Debug`.

mod documents;
mod error;
mod fingerprint;
mod hosts;
mod mounted;
mod patterns;
mod references;
mod resolve;
mod rules;
mod schema_check;
mod secrets;
#[cfg(test)]
mod tests;

pub use error::{FieldError, ManifestError};
pub use fingerprint::{resume_changes, resume_fingerprint};
pub use hosts::{HOSTS_ANNOTATION, HostLimits, refused_of_spec};
pub use mounted::mounted_secrets;
pub use references::secret_references;
pub use resolve::{
    ResolvedEndpoint, ResolvedTablestore, ResolvedTls, check_secrets, resolve_endpoint, resolve_tablestore, resolve_webhook,
};
pub use rules::validate;
pub use secrets::{SecretText, Secrets};

use crate::MigrationTask;

/// What a manifest file holds.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The one task.
    pub task: MigrationTask,
    /// The Secrets of the file.
    pub secrets: Secrets,
    /// Documents that mean nothing without Kubernetes and were left aside, as kind/name: DedicatedCluster, Namespace.
    pub ignored: Vec<String>,
}

/// Reads a manifest file for a run without Kubernetes: one valid task, and every Secret that it names.
pub fn load(text: &str, file_name: &str) -> Result<Manifest, ManifestError> {
    let manifest = parse(text, file_name)?;
    check_secrets(&manifest.task.spec, &manifest.secrets).map_err(|errors| ManifestError::in_file(file_name, errors))?;
    Ok(manifest)
}

/// Reads a manifest file without asking for the Secrets that the task names: on a cluster they come as mounted files.
pub fn parse(text: &str, file_name: &str) -> Result<Manifest, ManifestError> {
    documents::parse(text).map_err(|errors| ManifestError::in_file(file_name, errors))
}
