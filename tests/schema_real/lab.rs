//! A server of e2e/lab with throw-away data.

use std::path::{Path, PathBuf};
use std::process::Command;

use mysql_async::{Conn, OptsBuilder};

/// Stops and loses its data when dropped.
pub struct Server {
    name: String,
    run: tempfile::TempDir,
    opts: OptsBuilder,
}

fn lab(run: &Path) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("e2e/lab/server.sh");
    let mut command = Command::new(script);
    command.env("GODWIT_LAB_RUN", run);
    command
}

impl Server {
    /// `mysql97`, `mysql80`, `mysql57` or `mariadb114`.
    pub fn start(kind: &str) -> Self {
        let run = tempfile::Builder::new().prefix("gw").tempdir().unwrap();
        let output = lab(run.path()).args(["start", kind, kind, "--owner", &std::process::id().to_string()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |field: &str| Some(line[field].as_str().unwrap().to_owned());
        let port = u16::try_from(line["port"].as_u64().unwrap()).unwrap();
        let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).user(text("user")).pass(text("password"));
        Self { name: kind.into(), run, opts: opts.prefer_socket(false) }
    }

    /// A new session.
    pub async fn conn(&self) -> Conn {
        Conn::new(self.opts.clone()).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = lab(self.run.path()).args(["stop", &self.name, "--now"]).output();
    }
}
