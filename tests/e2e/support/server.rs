//! One server: of the lab, or one that is there already.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

pub const PASSWORD: &str = "godwit-root";

/// Stopped, and its data deleted, when it goes out of scope, if it is the lab's.
pub struct Server {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    /// Its name in the lab; None: somebody else's.
    name: Option<String>,
}

fn script(arguments: &[&str]) -> Output {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/lab/server.sh");
    // The durable profile's own sizes are for benchmarks.
    let sizes = [("GODWIT_LAB_BUFFER_POOL", "256M"), ("GODWIT_LAB_REDO_MB", "256")];
    Command::new(path).args(arguments).envs(sizes).output().unwrap()
}

impl Server {
    /// With fast settings, which survive a SIGKILL but not a power cut.
    pub fn start(kind: &str, options: &[&str]) -> Self {
        Self::start_with(kind, &[], options)
    }

    pub fn start_with(kind: &str, settings: &[&str], options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("e2e-{}-{}-{kind}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let owner = std::process::id().to_string();
        let mut arguments = vec!["start", kind, &name, "--owner", &owner];
        arguments.extend(settings);
        arguments.push("--");
        arguments.extend(options);
        let output = script(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let port = line["port"].as_u64().unwrap() as u16;
        Self { host: "127.0.0.1".into(), port, user: "root".into(), password: PASSWORD.into(), name: Some(name) }
    }

    /// One that runs already, by `mysql://user:password@host:port`.
    pub fn given(url: &str) -> Self {
        let opts = mysql_async::Opts::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let (user, password) = (text(opts.user()), text(opts.pass()));
        Self { host: opts.ip_or_hostname().into(), port: opts.tcp_port(), user, password, name: None }
    }

    fn lab_name(&self) -> &str {
        self.name.as_deref().expect("only the lab's servers are killed and started")
    }

    /// SIGKILL.
    pub fn kill(&self) {
        let output = script(&["kill", self.lab_name()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts it again: same port, same data.
    pub fn restart(&self, options: &[&str]) {
        let mut arguments = vec!["restart", self.lab_name(), "--"];
        arguments.extend(options);
        let output = script(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn url(&self) -> String {
        format!("mysql://{}:{}@{}:{}", self.user, self.password, self.host, self.port)
    }

    pub async fn connect(&self) -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.user.clone()))
            .pass(Some(self.password.clone()))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(1 << 30));
        let mut conn = Conn::new(options).await.unwrap();
        conn.query_drop("SET NAMES utf8mb4").await.unwrap();
        conn.query_drop("SET SESSION time_zone='+00:00', sql_mode=''").await.unwrap();
        conn
    }

    /// Statements in order.
    pub async fn run(&self, statements: &[&str]) {
        let mut conn = self.connect().await;
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        conn.disconnect().await.unwrap();
    }

    /// The first column of what a query returns, as text.
    pub async fn list(&self, query: &str) -> Vec<String> {
        let mut conn = self.connect().await;
        let list = conn.query(query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        conn.disconnect().await.unwrap();
        list
    }

    /// Databases other than the server's own.
    pub async fn databases(&self) -> Vec<String> {
        self.list(
            "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata \
             WHERE schema_name NOT IN ('mysql','sys','information_schema','performance_schema','test') ORDER BY 1",
        )
        .await
    }
}

impl Server {
    /// Every table with its number of rows, and every database.
    pub async fn contents(&self) -> Vec<String> {
        let tables = self
            .list(
                "SELECT CAST(CONCAT('`', table_schema, '`.`', table_name, '`') AS CHAR) FROM information_schema.tables \
                 WHERE table_type='BASE TABLE' AND table_schema NOT IN ('mysql','sys','information_schema','performance_schema') ORDER BY 1",
            )
            .await;
        let mut contents = self.databases().await;
        for table in tables {
            contents.extend(self.list(&format!("SELECT CONCAT('{table} ', COUNT(*)) FROM {table}")).await);
        }
        contents
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            script(&["stop", name, "--now"]);
        }
    }
}
