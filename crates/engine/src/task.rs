//! A task to run: its manifest, and what it is run with.

use std::borrow::Cow;
use std::path::PathBuf;

use super::connection::Connector;
use super::destination::mysql::Record;
use super::live::Live;
use super::sizing::Sizing;
use godwit_api::MigrationTaskSpec;
use godwit_api::manifest::{HostLimits, Manifest, mounted_secrets, resolve_endpoint};
use godwit_model::error::{Error, Result};

/// What to do.
#[derive(Debug, Clone)]
pub struct Task {
    pub manifest: Manifest,
    /// Ends once everything that was committed on the source when the copy had finished is applied.
    pub until_caught_up: bool,
    /// Database at the destination that holds the engine's own records.
    pub record_database: String,
    /// Where Secrets are mounted. They are read again for every attempt and win over those of the manifest.
    pub secrets_folder: Option<PathBuf>,
    /// Of the Secrets that are mounted, those that are not for every host.
    pub secret_hosts: HostLimits,
    /// A precheck has passed before this process was started: a destination that cannot be reached is waited for.
    pub prechecked: bool,
    /// What can be changed while the task runs.
    pub live: Live,
    /// How much is done at once.
    pub sizing: Sizing,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    CaughtUp,
    Stopped,
    PrecheckPassed,
    PrecheckFailed,
}

impl Task {
    /// A task as its manifest says.
    pub fn new(manifest: Manifest) -> Self {
        let spec = &manifest.task.spec;
        Self {
            until_caught_up: false,
            record_database: spec.destination.records_database.clone(),
            secrets_folder: None,
            secret_hosts: HostLimits::default(),
            prechecked: false,
            live: Live::new(&spec.throttle, &spec.retry),
            sizing: Sizing::default(),
            manifest,
        }
    }

    /// The task's specification.
    pub fn spec(&self) -> &MigrationTaskSpec {
        &self.manifest.task.spec
    }

    /// `namespace/name`, the task's name in its record.
    pub fn name(&self) -> String {
        let metadata = &self.manifest.task.metadata;
        format!("{}/{}", metadata.namespace.as_deref().unwrap_or("default"), metadata.name.as_deref().unwrap_or("task"))
    }

    /// Its records at the destination.
    pub(super) fn record(&self, destination: &Connector) -> Record {
        Record::new(destination.clone(), &self.record_database, &self.name())
    }

    /// Connectors to both ends.
    ///
    /// # Errors
    /// When the destination is not of the MySQL family, or a Secret lacks what a connection needs.
    pub fn connectors(&self) -> Result<(Connector, Connector)> {
        let definite = |error: godwit_api::manifest::ManifestError| Error::definite(error.to_string());
        let secrets = match &self.secrets_folder {
            Some(folder) => Cow::Owned(mounted_secrets(folder).map_err(Error::definite)?.with_limits(&self.secret_hosts)),
            None => Cow::Borrowed(&self.manifest.secrets),
        };
        let source = resolve_endpoint(&self.spec().source.mysql, &secrets, "spec.source.mysql").map_err(definite)?;
        let Some(mysql) = &self.spec().destination.mysql else {
            return Err(Error::definite("spec.destination.tablestore: this version writes to MySQL-family servers only"));
        };
        let destination = resolve_endpoint(&mysql.endpoint(), &secrets, "spec.destination.mysql").map_err(definite)?;
        let source = Connector::new(&source, "source").with_largest_event(self.sizing.largest_event);
        Ok((source, Connector::new(&destination, "destination")))
    }
}
