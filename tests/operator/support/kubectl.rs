//! kubectl, as a person uses it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// kubectl with a kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    pub binary: PathBuf,
    pub kubeconfig: PathBuf,
    /// What it remembers of the API server; several tests must not share it.
    pub cache: PathBuf,
}

/// What it said.
#[derive(Debug, Clone)]
pub struct Said {
    pub success: bool,
    pub out: String,
    pub err: String,
}

impl Kubectl {
    /// Runs it with `input` on standard input, away from the threads of the tests.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = Command::new(&self.binary);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(&self.cache).args(arguments);
        let input = input.to_owned();
        let waited = tokio::task::spawn_blocking(move || {
            let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = piped.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let output = waited.await.unwrap();
        Said {
            success: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "").await
    }

    /// Standard output of what has to succeed.
    pub async fn out(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert!(said.success, "kubectl {}: {}", arguments.join(" "), said.err);
        said.out
    }

    /// Waits until the CRDs are served.
    pub async fn established(&self) {
        // `kubectl wait` gives up on one that has no condition at all yet.
        let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=20s"];
        let mut said = self.run(&wait).await;
        for _ in 0..50 {
            if said.success {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            said = self.run(&wait).await;
        }
        assert!(said.success, "{}", said.err);
    }

    /// Applies a manifest that has to be accepted.
    pub async fn apply(&self, manifest: &str) {
        let said = self.run_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], manifest).await;
        assert!(said.success, "{}\n{manifest}", said.err);
    }
}
