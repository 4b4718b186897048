//! A manifest, and the built binary that runs it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PASSWORD;
use super::Server;

/// A task between two servers. Its folder goes with it.
pub struct Migration {
    folder: tempfile::TempDir,
    /// Each run has a report and a log of its own.
    runs: AtomicU32,
    pub document: Value,
    pub secrets: Vec<(&'static str, Value)>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// None: killed by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// Everything that was said, in one line, so that a sentence can be looked for.
    pub fn text(&self) -> String {
        format!("{} {}", self.out, self.err).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub fn says(&self, sentence: &str) -> &Self {
        let text = self.text();
        assert!(text.contains(sentence), "'{sentence}' is not in:\n{}\n{}", self.out, self.err);
        self
    }
}

impl Migration {
    /// Schema, full and incremental, of the whole database `shop`.
    pub fn new(source: &Server, destination: &Server) -> Self {
        let end = |server: &Server, secret: &str| json!({"host": server.host, "port": server.port, "credentials": {"secretName": secret}});
        let document = json!({
            "apiVersion": "godwit.dev/v1alpha1",
            "kind": "MigrationTask",
            "metadata": {"name": "shop"},
            "spec": {
                "migrationTypes": ["Schema", "Full", "Incremental"],
                "source": {"mysql": end(source, "source")},
                "destination": {"mysql": end(destination, "destination")},
                "objects": [{"database": "shop"}]
            }
        });
        let login = |server: &Server| json!({"username": server.user, "password": server.password});
        Self {
            folder: tempfile::tempdir().unwrap(),
            runs: AtomicU32::new(0),
            document,
            secrets: vec![("source", login(source)), ("destination", login(destination))],
        }
    }

    /// Sets a field by its JSON pointer below `spec`.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        self.set(pointer, value);
        self
    }

    pub fn set(&mut self, pointer: &str, value: Value) {
        let mut place = &mut self.document["spec"];
        for step in pointer.trim_start_matches('/').split('/') {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
        }
        *place = value;
    }

    /// Warnings of the precheck that are accepted.
    pub fn ignoring(self, names: &[&str]) -> Self {
        self.with("/precheck/ignore", json!(names))
    }

    /// Writes the manifest as it is now. JSON is YAML.
    pub fn manifest(&self) -> PathBuf {
        let mut text = self.document.to_string();
        for (name, data) in &self.secrets {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
            text.push_str(&format!("\n---\n{secret}"));
        }
        let path = self.folder.path().join("task.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_godwit"));
        command.env_remove("GODWIT_LOG").env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        command.arg(arguments[0]).arg("-f").arg(self.manifest()).args(&arguments[1..]);
        command
    }

    /// Runs a command to its end.
    pub async fn godwit(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        assert!(!ended.text().contains(PASSWORD), "a password was printed: {ended:?}");
        ended
    }

    pub async fn run(&self) -> Ended {
        self.godwit(&["run"]).await
    }

    pub async fn run_until_caught_up(&self) -> Ended {
        self.godwit(&["run", "--until-caught-up"]).await
    }

    /// Catches up; both sides are equal then, by our own comparison of `shop` and by `godwit verify`. The number of rows.
    pub async fn arrives(&self, source: &Server, destination: &Server) -> u64 {
        self.run_until_caught_up().await.expect(0);
        let rows = super::assert_equal(source, destination, "shop").await;
        self.verify().await;
        rows
    }

    /// `godwit verify` finds nothing.
    #[track_caller]
    pub fn verify(&self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let ended = self.godwit(&["verify"]).await;
            assert_eq!(ended.code, Some(0), "{caller}: verify says\n{}\n{}", ended.out, ended.err);
        }
    }

    /// Starts `godwit run` in the background.
    pub fn start(&self, more: &[&str]) -> Running {
        let number = self.runs.fetch_add(1, Ordering::SeqCst);
        let status = self.folder.path().join(format!("status-{number}.json"));
        let mut arguments = vec!["run", "--log-level", "info"];
        arguments.extend(more);
        let mut command = self.command(&arguments);
        let log = self.folder.path().join(format!("log-{number}"));
        let file = std::fs::File::create(&log).unwrap();
        command.arg("--status-file").arg(&status).stdout(file.try_clone().unwrap()).stderr(file);
        Running { child: command.spawn().unwrap(), status, log, started: Instant::now() }
    }
}

/// A `godwit run` in the background; killed when it goes out of scope.
pub struct Running {
    child: Child,
    status: PathBuf,
    log: PathBuf,
    pub started: Instant,
}

impl Running {
    /// The report; Null before there is one.
    pub fn report(&self) -> Value {
        let text = std::fs::read_to_string(&self.status).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub fn phase(&self) -> String {
        self.report()["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// The end of what was printed and logged.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let start = text.char_indices().rev().nth(6000).map_or(0, |(place, _)| place);
        text[start..].to_owned()
    }

    /// The most memory that it has held so far.
    pub fn peak_mebibytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Its exit code, if it has ended. None inside: by a signal.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// Waits for a report that is as wanted; the run must go on meanwhile.
    pub async fn until(&mut self, what: &str, within: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + within;
        loop {
            let report = self.report();
            if wanted(&report) {
                return report;
            }
            if let Some(code) = self.ended() {
                panic!("godwit ended with {code:?} before {what}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "not within {within:?}: {what}; the report is {report:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_phase(&mut self, phase: &str, within: Duration) -> Value {
        self.until(phase, within, |report| report["phase"] == phase).await
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal, by its name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// SIGTERM; the run must end with 0 and say that it stands still.
    pub async fn terminate(mut self) {
        self.signal("TERM");
        let code = self.wait(Duration::from_secs(30)).await;
        assert_eq!(code, Some(0), "{}", self.log());
    }

    /// Waits for its end; its exit code.
    pub async fn wait(&mut self, within: Duration) -> Option<i32> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(
                Instant::now() < deadline,
                "godwit runs on after {within:?}; the report is {:#}\n{}",
                self.report(),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
