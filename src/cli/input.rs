//! From the manifest file to what the engine runs.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::api::MigrationTaskSpec;
use crate::engine::Task;
use crate::engine::progress::Progress;
use crate::manifest::{self, Manifest, ManifestError, Secrets, resolve_endpoint};

/// Larger files are no manifests.
const SIZE_LIMIT: u64 = 16 << 20;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct ManifestFile {
    /// The manifest: a MigrationTask, and the Secrets that it names; - reads standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
}

impl ManifestFile {
    /// Reads and checks the manifest.
    pub(super) fn load(&self) -> Result<Manifest, Failure> {
        let (name, text) = if self.file == Path::new("-") {
            ("standard input".to_owned(), read(std::io::stdin().lock()))
        } else {
            (self.file.display().to_string(), std::fs::File::open(&self.file).and_then(read))
        };
        let text = text.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
        Ok(manifest::load(&text, &name)?)
    }

    /// How the file is named in a command line that a person could type.
    pub(super) fn argument(&self) -> String {
        self.file.display().to_string()
    }
}

fn read(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(SIZE_LIMIT).read_to_string(&mut text)?;
    Ok(text)
}

/// The engine's task of a manifest.
pub(super) fn task(manifest: Manifest, until_caught_up: bool) -> Task {
    Task { until_caught_up, ..Task::new(manifest) }
}

/// Progress of a task, with the names of its two ends.
pub(super) fn progress(manifest: &Manifest) -> Result<Progress, ManifestError> {
    let (source, destination) = ends(&manifest.task.spec, &manifest.secrets)?;
    Ok(Progress::new(source, destination))
}

/// Both ends, as people name them.
pub(super) fn ends(spec: &MigrationTaskSpec, secrets: &Secrets) -> Result<(String, String), ManifestError> {
    let address = |endpoint: manifest::ResolvedEndpoint| format!("{}:{}", endpoint.host, endpoint.port);
    let source = address(resolve_endpoint(&spec.source.mysql, secrets, "spec.source.mysql")?);
    let destination = match (&spec.destination.mysql, &spec.destination.tablestore) {
        (Some(mysql), _) => address(resolve_endpoint(&mysql.endpoint(), secrets, "spec.destination.mysql")?),
        (None, Some(tablestore)) => tablestore.instance.clone(),
        (None, None) => String::new(),
    };
    Ok((source, destination))
}
