//! One hollow engine: a listener at the pod's own address that answers `/status` by the script.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use godwit::api::condition::Time;
use godwit::api::engine::STATUS_PORT;
use godwit::api::{EngineMode, EnginePlan, StatusReport};
use godwit::handshake::{NONCE_HEADER, PROOF_HEADER, Token};
use k8s_openapi::jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::records::Records;
use super::script::{self, Course, Script};

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    task: String,
    plan: Mutex<Arc<EnginePlan>>,
    script: Mutex<Script>,
    records: Records,
    started: Instant,
    /// Since when it works in the mode of its plan.
    mode_since: Mutex<Instant>,
    since: Time,
    before: Duration,
    fenced: bool,
    stop: CancellationToken,
}

impl Engine {
    /// Starts to listen. The engine ends when [`Engine::end`] is called.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(address: Ipv4Addr, plan: EnginePlan, script: Script, records: Records) -> std::io::Result<Arc<Self>> {
        let task = format!("{}/{}", plan.task.namespace, plan.task.name);
        let mode = plan.mode;
        let engine = Arc::new(Self {
            before: records.get(&task).worked,
            fenced: records.get(&task).fenced,
            plan: Mutex::new(Arc::new(plan)),
            mode_since: Mutex::new(Instant::now()),
            script: Mutex::new(script),
            records,
            started: Instant::now(),
            since: now(),
            stop: CancellationToken::new(),
            task,
        });
        engine.remember(|record| match mode {
            EngineMode::Precheck => record.prechecks += 1,
            EngineMode::Run => record.runs += 1,
            EngineMode::Stop => {}
        });
        if !script.is_deaf(mode) {
            let listener = TcpListener::bind(SocketAddr::from((address, STATUS_PORT))).await?;
            tokio::spawn(accept(listener, engine.clone()));
        }
        engine.note_generation();
        Ok(engine)
    }

    /// What it says at this moment.
    pub fn report(&self) -> StatusReport {
        let up = self.mode_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        let recorded = self.records.get(&self.task).runs > 0;
        let course = Course { up, worked: self.before + self.started.elapsed(), fenced: self.fenced, recorded };
        let plan = self.plan();
        let status = script::report(self.script(), &plan, course, &self.since, &now());
        StatusReport { task: Some(plan.task.clone()), ..StatusReport::from(status) }
    }

    /// Whether it will end by itself, successfully.
    pub fn is_done(&self) -> bool {
        script::is_done(&self.report().status, self.mode())
    }

    /// Works by a new plan from now on, if a real engine would.
    pub fn replace_plan(&self, plan: EnginePlan) {
        if self.plan().fences(&plan) {
            self.remember(|record| record.fenced_live = true);
            *self.mode_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        } else if !self.plan().needs_new_pod(&plan).is_empty() {
            return;
        }
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        self.note_generation();
    }

    /// Behaves differently from now on.
    pub fn replace_script(&self, script: Script) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
    }

    pub fn plan(&self) -> Arc<EnginePlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn mode(&self) -> EngineMode {
        self.plan().mode
    }

    pub fn script(&self) -> Script {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every connection and keeps what was done.
    pub fn end(&self) {
        if self.stop.is_cancelled() {
            return;
        }
        self.stop.cancel();
        match self.mode() {
            EngineMode::Precheck => {}
            EngineMode::Run => self.remember(|record| record.worked = self.before + self.started.elapsed()),
            EngineMode::Stop if self.is_done() => self.remember(|record| record.fenced = record.runs > 0),
            EngineMode::Stop => {}
        }
    }

    fn remember(&self, change: impl FnOnce(&mut super::records::Record)) {
        self.records.change(&self.task, change);
    }

    fn note_generation(&self) {
        let generation = self.plan().generation;
        if self.mode() == EngineMode::Run {
            self.remember(|record| {
                if record.generations.last() != Some(&generation) {
                    record.generations.push(generation);
                }
            });
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Whole seconds, as in every status.
fn now() -> Time {
    Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap())
}

async fn accept(listener: TcpListener, engine: Arc<Engine>) {
    let stop = engine.stop.clone();
    let accepting = async {
        while let Ok((stream, _)) = listener.accept().await {
            let (engine, stop) = (engine.clone(), engine.stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = answer(stream, &engine) => {}
                }
            });
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
    }
}

/// The header by which the operator knows that its own engine answers. Who asks is not looked at: the tests ask as well.
fn prove(token: &str, head: &str, body: &str) -> String {
    let nonce = head.lines().find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case(NONCE_HEADER)));
    match (Token::new(token), nonce) {
        (Some(token), Some((_, nonce))) => format!("{PROOF_HEADER}: {}\r\n", token.answer(nonce.trim(), body.as_bytes())),
        _ => String::new(),
    }
}

/// Answers requests of one connection until the client goes away.
async fn answer(mut stream: TcpStream, engine: &Engine) -> std::io::Result<()> {
    let mut seen = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            if stream.read_buf(&mut seen).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&seen[..end]).into_owned();
        seen.drain(..end + 4);
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let mut proof = String::new();
        let (code, body) = match (path, engine.script()) {
            (_, Script::Hangs) => std::future::pending().await,
            ("/status", Script::Garbage) => ("200 OK", "{\"apiVersion\": 7".to_owned()),
            ("/status", _) => {
                let body = serde_json::to_string(&engine.report()).unwrap_or_default();
                proof = prove(&engine.plan().token, &head, &body);
                ("200 OK", body)
            }
            ("/healthz" | "/livez", _) => ("200 OK", "ok\n".to_owned()),
            _ => ("404 Not Found", String::new()),
        };
        let kind = if path == "/status" { "application/json" } else { "text/plain" };
        let text = format!("HTTP/1.1 {code}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{proof}\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).await?;
        if head.to_ascii_lowercase().contains("connection: close") {
            return Ok(());
        }
    }
}
