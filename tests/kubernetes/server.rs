//! A MySQL server that pods reach.

use std::process::Command;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, project};
use crate::shop;
use crate::shop::session::Totals;

pub const PASSWORD: &str = "godwit-root";

/// Stopped, and its data deleted, when dropped.
pub struct Server {
    pub host: String,
    pub port: u16,
    name: String,
}

fn lab(arguments: &[&str]) -> std::process::Output {
    Command::new(project("e2e/lab/server.sh")).args(arguments).output().unwrap()
}

impl Server {
    pub fn start(cluster: &Cluster, role: &str) -> Self {
        let name = format!("kubernetes-{}-{role}", std::process::id());
        let owner = std::process::id().to_string();
        let output = lab(&["start", "mysql97", &name, "--bind", &cluster.host, "--owner", &owner]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        Self { host: cluster.host.clone(), port: line["port"].as_u64().unwrap() as u16, name }
    }

    pub fn url(&self) -> String {
        format!("mysql://root:{PASSWORD}@{}:{}", self.host, self.port)
    }

    async fn connect(&self) -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some("root"))
            .pass(Some(PASSWORD))
            .prefer_socket(false);
        Conn::new(options).await.unwrap()
    }

    pub async fn run(&self, statement: &str) {
        let mut conn = self.connect().await;
        conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        conn.disconnect().await.unwrap();
    }

    pub async fn number(&self, query: &str) -> u64 {
        let mut conn = self.connect().await;
        let number = conn.query_first(query).await.unwrap_or_else(|error| panic!("{query}: {error}")).unwrap();
        conn.disconnect().await.unwrap();
        number
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        lab(&["stop", &self.name, "--now"]);
    }
}

/// People who buy until they are stopped.
pub struct Writers {
    stop: CancellationToken,
    handle: JoinHandle<shop::Result<Totals>>,
}

impl Writers {
    pub fn start(server: &Server) -> Self {
        let stop = CancellationToken::new();
        let options = shop::write::Options { url: server.url(), sessions: 2, rate: 200, seed: 1, xa_percent: 0 };
        let handle = tokio::spawn(shop::write::write(options, stop.clone()));
        Self { stop, handle }
    }

    pub async fn stop(self) -> Totals {
        self.stop.cancel();
        self.handle.await.unwrap().unwrap()
    }
}
