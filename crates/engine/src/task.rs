//! A task to run: its manifest, and what it is run with.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use super::connection::{Connector, Link, Role};
use super::destination::mysql::Record;
use super::destination::tablestore::{Instance, ZOMBIE};
use super::live::Live;
use super::sizing::Sizing;
use godwit_api::MigrationTaskSpec;
use godwit_api::manifest::{HostLimits, Manifest, ManifestError, Secrets, mounted_secrets, resolve_endpoint, resolve_tablestore};
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

    /// Both ends, whatever kind the destination is of.
    ///
    /// # Errors
    /// When a Secret lacks what a connection needs.
    pub(super) fn ends(&self) -> Result<(Connector, Far)> {
        let Some(tablestore) = &self.spec().destination.tablestore else {
            return self.connectors().map(|(source, destination)| (source, Far::MySql(destination)));
        };
        let secrets = self.secrets()?;
        let resolved = resolve_tablestore(tablestore, &secrets, "spec.destination.tablestore").map_err(definite)?;
        Ok((self.source(&secrets)?, Far::Tablestore(Instance::new(&resolved, self.spec())?)))
    }

    fn secrets(&self) -> Result<Cow<'_, Secrets>> {
        Ok(match &self.secrets_folder {
            Some(folder) => Cow::Owned(mounted_secrets(folder).map_err(Error::definite)?.with_limits(&self.secret_hosts)),
            None => Cow::Borrowed(&self.manifest.secrets),
        })
    }

    fn source(&self, secrets: &Secrets) -> Result<Connector> {
        let source = resolve_endpoint(&self.spec().source.mysql, secrets, "spec.source.mysql").map_err(definite)?;
        Ok(Connector::new(&source, "source").with_largest_event(self.sizing.largest_event))
    }

    /// Connectors to both ends, where the destination is a server of the MySQL family.
    ///
    /// # Errors
    /// When the destination is not of the MySQL family, or a Secret lacks what a connection needs.
    pub fn connectors(&self) -> Result<(Connector, Connector)> {
        let Some(mysql) = &self.spec().destination.mysql else {
            return Err(Error::definite(
                "spec.destination.tablestore: this command knows servers of the MySQL family only, in this version",
            ));
        };
        let secrets = self.secrets()?;
        let destination = resolve_endpoint(&mysql.endpoint(), &secrets, "spec.destination.mysql").map_err(definite)?;
        Ok((self.source(&secrets)?, Connector::new(&destination, "destination")))
    }
}

/// Where the data goes.
#[derive(Debug, Clone)]
pub(super) enum Far {
    MySql(Connector),
    Tablestore(Instance),
}

impl Far {
    /// How its connection is kept from others' eyes, where that is watched.
    pub(super) fn link(&self) -> Option<Link> {
        match self {
            Self::MySql(connector) => Some(connector.link()),
            Self::Tablestore(_) => None,
        }
    }

    /// For how long an engine that lost its claim may still change rows.
    pub(super) fn zombie(&self) -> Duration {
        match self {
            Self::MySql(_) => Duration::ZERO,
            Self::Tablestore(_) => ZOMBIE,
        }
    }

    /// Whether it cannot be reached, or lets nobody in.
    pub(super) async fn is_closed(&self) -> bool {
        match self {
            Self::MySql(connector) => connector.connect(Role::Metadata).await.is_err(),
            Self::Tablestore(instance) => instance.client().list_tables().await.is_err(),
        }
    }
}

fn definite(error: ManifestError) -> Error {
    Error::definite(error.to_string())
}
