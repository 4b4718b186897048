//! `--listen`: `/status` (the report as JSON), `/metrics` (OpenMetrics), `/healthz` (200 while the engine lives, 503 once it gave up), `/livez` (200 as
//! long as the process answers: an engine that gave up and waits to be looked at needs no restart).
//!
//! Every answer is made from [`Progress`] when it is asked for; a slow reader holds up nobody. Nothing is kept.

mod metrics;

use std::net::SocketAddr;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{Phase, StatusReport};
use crate::engine::progress::Progress;
use crate::listen;
use crate::serve::{Limits, serve};

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
    pub async fn start(address: &str, progress: Progress) -> std::io::Result<Self> {
        let listener = listen::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(serve(listener, router(progress), Limits::default(), stopped));
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

fn router(progress: Progress) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/livez", get(livez))
        .with_state(progress)
}

async fn status(State(progress): State<Progress>) -> Json<StatusReport> {
    Json(progress.report())
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
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer[9..12].parse().unwrap();
        (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    #[tokio::test]
    async fn answers_and_ends() {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        let server = Server::start("127.0.0.1:0", progress.clone()).await.unwrap();
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
}
