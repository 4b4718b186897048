//! The control plane, from `e2e/cluster`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A control plane that is gone, with all its data, when dropped.
pub struct Cluster {
    name: String,
    pub kubeconfig: PathBuf,
    pub server: String,
    pub audit_log: PathBuf,
    pub kubectl: PathBuf,
    pub helm: PathBuf,
    pub version: String,
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/cluster/cluster.sh"))
}

impl Cluster {
    /// etcd, the API server and the controllers.
    pub fn start() -> Self {
        let name = format!("operator-{}", std::process::id());
        let output = script().args(["up", &name, "ctl"]).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "e2e/cluster could not start a cluster");
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        Self {
            name,
            kubeconfig: text("kubeconfig").into(),
            server: text("server"),
            audit_log: text("auditLog").into(),
            kubectl: text("kubectl").into(),
            helm: text("helm").into(),
            version: text("version"),
        }
    }

    /// `kill` or `restart` of one of its components.
    pub fn component(&self, verb: &str, component: &str) {
        let output = script().args([verb, &self.name, component]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = script().args(["down", &self.name]).output();
    }
}
