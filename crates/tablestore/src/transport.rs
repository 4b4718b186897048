//! One HTTP exchange over a pooled connection, within limits of time and size.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::error::{AnswerError, ErrorKind, bounded};

/// Connections to one endpoint, with what bounds them.
pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    attempt_timeout: Duration,
    answer_bytes: usize,
}

/// An answer before anything of it is believed.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no transport.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(#[from] rustls::Error);

impl Transport {
    pub(crate) fn new(limits: &Limits, roots: Option<RootCertStore>) -> Result<Self, TlsError> {
        let roots = roots.unwrap_or_else(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
        let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect_timeout));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.idle_timeout)
            .pool_max_idle_per_host(limits.connections)
            .build(connector);
        Ok(Self { client, attempt_timeout: limits.attempt_timeout, answer_bytes: limits.answer_bytes })
    }

    /// Sends one request and reads its answer to the end.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, ErrorKind> {
        match tokio::time::timeout(self.attempt_timeout, self.read(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ErrorKind::Timeout(self.attempt_timeout)),
        }
    }

    async fn read(&self, request: Request<Full<Bytes>>) -> Result<Answer, ErrorKind> {
        let answer = self.client.request(request).await.map_err(|error| {
            let told = told(&error);
            if error.is_connect() { ErrorKind::Connect(told) } else { ErrorKind::Lost(told) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.answer_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ErrorKind::Answer(AnswerError::TooLarge(self.answer_bytes))
            } else {
                ErrorKind::Lost(told(&*error))
            }
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

/// Bounds of connections and exchanges.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests under way at a time; so many connections are kept for the next ones. What is beyond waits for its turn.
    pub connections: usize,
    /// The time for the TCP connection.
    pub connect_timeout: Duration,
    /// The time for one attempt, from its first byte to the answer's last.
    pub attempt_timeout: Duration,
    /// The time after which a connection that nobody uses is closed. The service closes its own after 60 s.
    pub idle_timeout: Duration,
    /// The largest body of an answer that is read, in bytes.
    pub answer_bytes: usize,
}

impl Default for Limits {
    /// 64 connections, 10 s to connect, 30 s for an attempt, 30 s idle, 16 MiB for an answer: rows of 4 MB with what names and checksums add.
    fn default() -> Self {
        Self {
            connections: 64,
            connect_timeout: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            answer_bytes: 16 * 1024 * 1024,
        }
    }
}

/// What an error and its causes say, outermost first. It speaks of addresses and of TLS, never of what was sent.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    bounded(&told, 512)
}
