//! Starts the built binary. Whatever it prints is looked through for the manifest's passwords.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A manifest whose servers are not there: nothing listens on port 1.
pub const MANIFEST: &str = "\
apiVersion: godwit.dev/v1alpha1
kind: MigrationTask
metadata: { name: shop }
spec:
  migrationTypes: [Schema, Full]
  source: { mysql: { host: 127.0.0.1, port: 1, credentials: { secretName: source } } }
  destination: { mysql: { host: 127.0.0.1, port: 1, credentials: { secretName: destination } } }
---
apiVersion: v1
kind: Secret
metadata: { name: source }
stringData: { username: app, password: geheim-source }
---
apiVersion: v1
kind: Secret
metadata: { name: destination }
stringData: { username: app, password: geheim-destination }
";

/// Beginning of both passwords.
const SECRET: &str = "geheim";

/// A folder that goes with the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `task.yaml`.
    pub fn manifest(&self, text: &str) -> PathBuf {
        let path = self.path("task.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A process that has ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn new(output: Output) -> Self {
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!out.contains(SECRET) && !err.contains(SECRET), "a secret was printed:\n{out}\n{err}");
        Self { code: output.status.code().unwrap_or(-1), out, err }
    }
}

/// The binary, with an environment of the test's own.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_godwit"));
    command.env_remove("GODWIT_LOG").stdin(Stdio::null());
    command
}

pub fn godwit(arguments: &[&str]) -> Ended {
    Ended::new(command().args(arguments).output().unwrap())
}

pub fn with_manifest(name: &str, manifest: &Path, more: &[&str]) -> Ended {
    Ended::new(command().arg(name).arg("-f").arg(manifest).args(more).output().unwrap())
}
