//! An engine's pod without Kubernetes: its mounted files as the kubelet lays them out, and the built binary between them. Everything that it writes is
//! looked through for the Secrets' values.
// Each test uses a part of it.
#![allow(dead_code)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use godwit::handshake::{self, NONCE_HEADER, PROOF_HEADER, Token};
use serde_json::Value;

/// The mounted files; they go with it.
pub struct Pod {
    folder: tempfile::TempDir,
    /// Values that may stand nowhere.
    hidden: Vec<String>,
    runs: AtomicU32,
}

/// The token of every plan here.
const TOKEN: &str = "0123456789abcdef";

/// One file of a mounted volume, replaced as the kubelet does: a new folder, and the link `..data` turned to it in one step.
fn mount(folder: &Path, files: &[(&str, &str)]) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let version = format!("..2026_11_24_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
    fs::create_dir_all(folder.join(&version)).unwrap();
    for (name, text) in files {
        fs::write(folder.join(&version).join(name), text).unwrap();
        let _ = symlink(format!("..data/{name}"), folder.join(name));
    }
    let new = folder.join("..data_tmp");
    symlink(&version, &new).unwrap();
    fs::rename(&new, folder.join("..data")).unwrap();
}

impl Pod {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), hidden: Vec::new(), runs: AtomicU32::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Mounts or changes the plan, with the token that [`Engine::get`] asks with.
    pub fn plan(&self, text: &str) {
        let mut document: Value = serde_json::from_str(text).unwrap();
        document["token"] = TOKEN.into();
        mount(&self.path("plan"), &[("plan.json", &document.to_string())]);
    }

    /// Mounts or changes a Secret. A password is looked for in everything that is written.
    pub fn secret(&mut self, name: &str, keys: &[(&str, &str)]) {
        mount(&self.path("secrets").join(name), keys);
        let passwords = keys.iter().filter(|(key, _)| *key == "password");
        self.hidden.extend(passwords.map(|(_, value)| (*value).to_owned()));
    }

    /// Starts the engine and waits until it answers.
    pub fn start(&self) -> Engine {
        let log = self.path(&format!("log-{}", self.runs.fetch_add(1, Ordering::SeqCst)));
        let file = File::create(&log).unwrap();
        let termination = self.path("termination-log");
        let _ = fs::remove_file(&termination);
        let child = Command::new(env!("CARGO_BIN_EXE_godwit"))
            .args(["engine", "--listen", "127.0.0.1:0"])
            .arg("--plan")
            .arg(self.path("plan/plan.json"))
            .arg("--secrets")
            .arg(self.path("secrets"))
            .arg("--termination-log")
            .arg(&termination)
            .env_remove("GODWIT_LOG")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut engine = Engine { child, log, termination, address: String::new(), hidden: self.hidden.clone() };
        let deadline = Instant::now() + Duration::from_secs(30);
        while engine.address.is_empty() {
            assert!(Instant::now() < deadline && engine.ended().is_none(), "it does not answer:\n{}", engine.log());
            std::thread::sleep(Duration::from_millis(20));
            engine.address =
                engine.lines().iter().find_map(|line| Some(line.get("address")?.as_str()?.to_owned())).unwrap_or_default();
        }
        engine
    }
}

/// A running engine; killed when it goes out of scope.
pub struct Engine {
    child: Child,
    log: PathBuf,
    termination: PathBuf,
    address: String,
    hidden: Vec<String>,
}

impl Engine {
    fn guarded(&self, text: String) -> String {
        assert!(self.hidden.iter().all(|hidden| !text.contains(hidden)), "a password was written:\n{text}");
        text
    }

    /// What was logged.
    pub fn log(&self) -> String {
        self.guarded(fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// The log's lines. Each is JSON.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.log();
        // The last one may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Asks it for a path as the operator does: the status code and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let (token, nonce) = (Token::new(TOKEN).unwrap(), handshake::random().unwrap());
        let headers = format!("{NONCE_HEADER}: {nonce}\r\n{PROOF_HEADER}: {}\r\n", token.question(&nonce));
        let (code, head, body) = self.ask(path, &headers);
        if path == "/status" {
            let proof = head.lines().find_map(|line| line.strip_prefix(&format!("{PROOF_HEADER}: "))).unwrap_or_default();
            assert!(token.accepts_answer(&nonce, body.as_bytes(), proof), "{head}");
        }
        (code, body)
    }

    /// Asks it for a path as anybody may: the status code and the body.
    pub fn get_as_a_stranger(&self, path: &str) -> (u16, String) {
        let (code, _, body) = self.ask(path, "");
        (code, body)
    }

    fn ask(&self, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer = self.guarded(answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (answer[9..12].parse().unwrap(), head.to_owned(), body.to_owned())
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").1).unwrap()
    }

    /// Waits for a report that is as wanted.
    pub fn until(&mut self, what: &str, within: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + within;
        loop {
            if let Some(code) = self.ended() {
                panic!("it ended with {code:?} before {what}:\n{}", self.log());
            }
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "not within {within:?}: {what}; the report is {status:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn until_phase(&mut self, phase: &str, within: Duration) -> Value {
        self.until(phase, within, |status| status["phase"] == phase)
    }

    /// The most memory that it has held so far.
    pub fn peak_mebibytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Its exit code, if it has ended. None inside: by a signal.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|status| status.code())
    }

    /// The last report, as the kubelet keeps it; None before it is written.
    pub fn last_report(&self) -> Option<Value> {
        let text = self.guarded(fs::read_to_string(&self.termination).ok()?);
        assert!(text.len() <= 4096, "{} bytes", text.len());
        Some(serde_json::from_str(&text).unwrap())
    }

    /// SIGTERM: it ends with 0 within ten seconds. The last report.
    pub fn terminate(mut self) -> Value {
        let told = Instant::now();
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        loop {
            if let Some(code) = self.ended() {
                assert_eq!(code, Some(0), "{}", self.log());
                self.lines();
                return self.last_report().unwrap();
            }
            assert!(told.elapsed() < Duration::from_secs(10), "it runs on:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `status` of a condition in a report.
pub fn condition<'a>(report: &'a Value, kind: &str) -> &'a str {
    let conditions = report["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}
