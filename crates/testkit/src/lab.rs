//! Real servers, of `e2e/lab` or given.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

/// Of the lab's root accounts.
pub const PASSWORD: &str = "godwit-root";

/// A server. One of the lab is stopped, and its data deleted, when it goes out of scope.
pub struct Server {
    /// `mysql97`, `mysql80`, `mysql57` or `mariadb114`; empty for one that was given.
    pub kind: String,
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    /// Its name in the lab; None: somebody else's.
    name: Option<String>,
}

fn script(arguments: &[&str]) -> Output {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../e2e/lab/server.sh");
    // The durable profile's own sizes are for benchmarks.
    let sizes = [("GODWIT_LAB_BUFFER_POOL", "256M"), ("GODWIT_LAB_REDO_MB", "256")];
    Command::new(path).args(arguments).envs(sizes).output().unwrap()
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Server {
    /// With fast settings, which survive a SIGKILL but not a power cut; `options` are mysqld's.
    pub fn start(kind: &str, options: &[&str]) -> Self {
        Self::start_with(kind, &[], options)
    }

    /// `settings`: further arguments of `server.sh start`, such as `--bind ADDRESS`.
    pub fn start_with(kind: &str, settings: &[&str], options: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("test-{}-{number}-{kind}", std::process::id());
        let owner = std::process::id().to_string();
        let mut arguments = vec!["start", kind, &name, "--owner", &owner];
        arguments.extend(settings);
        arguments.push("--");
        arguments.extend(options);
        let output = script(&arguments);
        done(&output);
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let port = u16::try_from(line["port"].as_u64().unwrap()).unwrap();
        let bound = settings.iter().position(|setting| *setting == "--bind").and_then(|place| settings.get(place + 1));
        let host = bound.map_or("127.0.0.1", |host| host).to_owned();
        Self { kind: kind.into(), host, port, user: "root".into(), password: PASSWORD.into(), name: Some(name) }
    }

    /// One that runs already, by `mysql://user:password@host:port`.
    pub fn given(url: &str) -> Self {
        let opts = Opts::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let (user, password) = (text(opts.user()), text(opts.pass()));
        Self { kind: String::new(), host: opts.ip_or_hostname().into(), port: opts.tcp_port(), user, password, name: None }
    }

    fn lab_name(&self) -> &str {
        self.name.as_deref().expect("only the lab's servers are killed and started")
    }

    /// SIGKILL.
    pub fn kill(&self) {
        done(&script(&["kill", self.lab_name()]));
    }

    /// Starts it again: same port, same data, these options.
    pub fn restart(&self, options: &[&str]) {
        let mut arguments = vec!["restart", self.lab_name(), "--"];
        arguments.extend(options);
        done(&script(&arguments));
    }

    /// By the kind of a lab's server.
    pub fn is_maria(&self) -> bool {
        self.kind.starts_with("mariadb")
    }

    /// Version as far as cases depend on it, by the kind of a lab's server: 57, 80, 97.
    pub fn mysql(&self) -> Option<u32> {
        self.kind.strip_prefix("mysql").map(|version| version.parse().unwrap())
    }

    pub fn url(&self) -> String {
        format!("mysql://{}:{}@{}:{}", self.user, self.password, self.host, self.port)
    }

    /// A session as the server gives it to anybody.
    pub async fn plain(&self) -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host.clone())
            .tcp_port(self.port)
            .user(Some(self.user.clone()))
            .pass(Some(self.password.clone()))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(1 << 30));
        Conn::new(options).await.unwrap()
    }

    /// A session in UTC, in utf8mb4, that takes everything.
    pub async fn connect(&self) -> Conn {
        let mut conn = self.plain().await;
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
