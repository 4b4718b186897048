//! The operator as a process of its own.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::http;
use super::world::World;

/// How an operator is started.
#[derive(Debug, Clone)]
pub struct Options {
    pub name: String,
    /// Where the API server is; left out: the cluster's own address.
    pub server: Option<String>,
    pub arguments: Vec<String>,
    /// Wait until it is ready.
    pub wait: bool,
    /// Take part in the election of a leader; otherwise it works at once.
    pub elect: bool,
    /// Its own namespace and a token of its account; left out: those of the release that all cases share.
    pub account: Option<(String, String)>,
}

impl Options {
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), server: None, arguments: Vec::new(), wait: true, elect: false, account: None }
    }

    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    pub fn elected(mut self) -> Self {
        self.elect = true;
        self
    }

    pub fn through(mut self, server: &str) -> Self {
        self.server = Some(server.into());
        self
    }

    pub fn by(mut self, namespace: &str, token: &str) -> Self {
        self.account = Some((namespace.into(), token.into()));
        self
    }

    pub fn without_waiting(mut self) -> Self {
        self.wait = false;
        self
    }
}

/// A running operator; it is killed when dropped.
pub struct Operator {
    pub name: String,
    child: Child,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    pub address: String,
    pub log: PathBuf,
}

impl Operator {
    /// Starts one.
    pub async fn start(world: &World, options: Options) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let log = world.folder().join(format!("{}.log", options.name));
        let token = options.account.as_ref().map(|(_, token)| token.as_str());
        let kubeconfig = world.operator_kubeconfig(options.server.as_deref(), token).await;
        let namespace = options.account.as_ref().map_or("godwit-system", |(namespace, _)| namespace);
        let mut command = Command::new(env!("CARGO_BIN_EXE_godwit"));
        command
            .args(["operator", "--namespace", namespace, "--image", "godwit:test", "--log-format", "json"])
            .args(["--default-units", "200", "--identity", &options.name, "--listen", &address])
            .args(["--leader-elect", if options.elect { "true" } else { "false" }])
            .args(&options.arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("GODWIT_LOG", "info,godwit=debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().append(true).create(true).open(&log).unwrap());
        let operator = Self { name: options.name, child: command.spawn().unwrap(), address, log };
        if options.wait {
            operator.ready(true, Duration::from_secs(30)).await;
        }
        operator
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether `/readyz` says so now.
    pub async fn is_ready(&self) -> bool {
        http::get(&self.address, "/readyz").await.is_some_and(|(code, _)| code == 200)
    }

    /// Waits until it is ready, or is not.
    pub async fn ready(&self, wanted: bool, within: Duration) {
        let began = Instant::now();
        while self.is_ready().await != wanted {
            assert!(
                began.elapsed() < within,
                "{} is not {} within {within:?}\n{}",
                self.name,
                if wanted { "ready" } else { "unready" },
                self.tail()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < Duration::from_secs(15), "{} does not end after SIGTERM\n{}", self.name, self.tail());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether the process is there.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Everything it logged.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn tail(&self) -> String {
        let text = self.logged();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// A metric's samples with their labels, as `(line's head, value)`.
    pub async fn metric(&self, name: &str) -> Vec<(String, f64)> {
        let (_, text) = http::get(&self.address, "/metrics").await.unwrap();
        let samples = text.lines().filter(|line| line.starts_with(name));
        samples.filter_map(|line| line.rsplit_once(' ')).map(|(head, value)| (head.into(), value.parse().unwrap())).collect()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
