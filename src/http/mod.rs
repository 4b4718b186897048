//! `--listen`: `/status` (the report as JSON), `/metrics` (OpenMetrics), `/healthz` (200 while the engine lives, 503 once it gave up), `/livez` (200 as
//! long as the process answers: an engine that gave up and waits to be looked at needs no restart).
//!
//! Every answer is made from [`Progress`] when it is asked for; a slow reader holds up nobody (`crate::serve`). Nothing is kept. In a pod the report is for
//! the operator alone, who proves to be it ([`Access`]); others are told the phase.

mod metrics;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{MigrationTaskStatus, Phase, StatusReport};
use crate::engine::progress::Progress;
use crate::handshake::{NONCE_HEADER, PROOF_HEADER, Token};
use crate::listen;
use crate::serve::{Limits, serve};

/// Who is told the whole report. Clones share it.
#[derive(Debug, Clone)]
pub struct Access(Arc<RwLock<Who>>);

#[derive(Debug)]
enum Who {
    /// Whoever may reach the address, which its owner chose.
    Everybody,
    /// Who proves to know the token; None: nobody yet.
    Operator(Option<Token>),
}

impl Access {
    /// Whoever reaches the address.
    pub fn everybody() -> Self {
        Self(Arc::new(RwLock::new(Who::Everybody)))
    }

    /// The operator that knows this token.
    pub fn operator(token: &str) -> Self {
        Self(Arc::new(RwLock::new(Who::Operator(Token::new(token)))))
    }

    /// Another token from now on.
    pub fn set_token(&self, token: &str) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Who::Operator(Token::new(token));
    }

    /// What the asker is: None, a stranger; Some(None), somebody who needs no proof; else the nonce and the token to prove with.
    fn admits(&self, headers: &HeaderMap) -> Option<Option<(String, Token)>> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Who::Everybody => Some(None),
            Who::Operator(token) => {
                let (nonce, proof) = (text(NONCE_HEADER), text(PROOF_HEADER));
                let token = token.as_ref().filter(|token| token.accepts_question(nonce, proof))?;
                Some(Some((nonce.to_owned(), token.clone())))
            }
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on `address` (`HOST:PORT`). `[::]` stands for every address, also where IPv6 is switched off.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: &str, progress: Progress, access: Access) -> std::io::Result<Self> {
        let listener = listen::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(serve(listener, router(progress, access), Limits::default(), stopped));
        Ok(Self { address, stop, task })
    }

    /// Where it listens: the port that the system chose, where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what was asked, then ends.
    pub async fn stop(self) {
        self.stop.cancel();
        // A client that reads slowly does not keep the process alive.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), self.task).await;
    }
}

fn router(progress: Progress, access: Access) -> Router {
    Router::new()
        .route("/status", get(status).with_state((progress.clone(), access)))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/livez", get(livez))
        .with_state(progress)
}

async fn status(State((progress, access)): State<(Progress, Access)>, headers: HeaderMap) -> Response {
    let Some(proof) = access.admits(&headers) else {
        let status = MigrationTaskStatus { phase: Some(progress.snapshot().phase()), ..MigrationTaskStatus::default() };
        return Json(StatusReport::from(status)).into_response();
    };
    let Ok(body) = serde_json::to_vec(&progress.report()) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let json = (header::CONTENT_TYPE, "application/json".to_owned());
    match proof {
        None => ([json], body).into_response(),
        Some((nonce, token)) => {
            let proof = token.answer(&nonce, &body);
            ([json, (HeaderName::from_static(PROOF_HEADER), proof)], body).into_response()
        }
    }
}

async fn metrics(State(progress): State<Progress>) -> Response {
    match metrics::encode(progress) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthz(State(progress): State<Progress>) -> (StatusCode, &'static str) {
    match progress.snapshot().phase() {
        Phase::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed\n"),
        _ => (StatusCode::OK, "ok\n"),
    }
}

async fn livez() -> &'static str {
    "ok\n"
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn get(server: &Server, path: &str) -> (u16, String) {
        let (code, _, body) = get_with(server, path, "").await;
        (code, body)
    }

    /// Status code, head and body.
    async fn get_with(server: &Server, path: &str, headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer[9..12].parse().unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (code, head.to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn answers_and_ends() {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        let server = Server::start("127.0.0.1:0", progress.clone(), Access::everybody()).await.unwrap();
        let (code, body) = get(&server, "/status").await;
        let report: StatusReport = serde_json::from_str(&body).unwrap();
        assert_eq!((code, report.api_version.as_str(), report.status.phase), (200, "godwit.dev/v1alpha1", Some(Phase::Pending)));
        assert_eq!(get(&server, "/healthz").await.0, 200);
        let (code, body) = get(&server, "/metrics").await;
        assert_eq!((code, body.ends_with("# EOF\n")), (200, true));
        progress.set_failed("disk full".into());
        assert_eq!(get(&server, "/healthz").await, (503, "failed\n".into()));
        assert_eq!(get(&server, "/livez").await, (200, "ok\n".into()));
        assert_eq!(get(&server, "/elsewhere").await.0, 404);
        let address = server.address();
        server.stop().await;
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn only_who_knows_the_token_is_told_more_than_the_phase() {
        let progress = Progress::new("source-db:3306".into(), "b:3306".into());
        progress.set_failed("disk full".into());
        let access = Access::operator("token");
        let server = Server::start("127.0.0.1:0", progress, access.clone()).await.unwrap();
        let token = Token::new("token").unwrap();
        let ask = async |proof: String| {
            get_with(&server, "/status", &format!("{NONCE_HEADER}: 17\r\n{PROOF_HEADER}: {proof}\r\n")).await
        };
        for (_, _, body) in [get_with(&server, "/status", "").await, ask(token.question("18")).await, ask("token".into()).await] {
            let report: StatusReport = serde_json::from_str(&body).unwrap();
            assert_eq!(report.status.phase, Some(Phase::Failed));
            assert!(!body.contains("disk full") && !body.contains("source-db"), "{body}");
        }
        let (_, head, body) = ask(token.question("17")).await;
        assert!(body.contains("disk full"), "{body}");
        let proof = head.lines().find_map(|line| line.strip_prefix(&format!("{PROOF_HEADER}: "))).unwrap();
        assert!(token.accepts_answer("17", body.as_bytes(), proof));
        // A plan that has got another token.
        access.set_token("other");
        assert!(!ask(token.question("17")).await.2.contains("disk full"));
        assert!(ask(Token::new("other").unwrap().question("17")).await.2.contains("disk full"));
        // Without any, nobody.
        access.set_token("");
        assert!(!ask(token.question("17")).await.2.contains("disk full"));
    }
}
