//! Stands between an operator and the API server and does what networks and API servers do: refuses, stalls, cuts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::world::World;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Refused with this code.
    Refuse(u16),
    /// Refused as too many, to be tried again after so many seconds.
    Slower(u64),
    /// Never answered.
    Hang,
    /// A watch that starts and says at once that its resource version is too old.
    Expire,
}

type Matches = Box<dyn Fn(&Method, &str) -> bool + Send + Sync>;

struct Fault {
    matches: Matches,
    act: Act,
    left: AtomicUsize,
    done: AtomicUsize,
}

struct Inner {
    client: Client,
    faults: Mutex<Vec<Arc<Fault>>>,
    /// Ends every open watch when cancelled.
    cut: Mutex<CancellationToken>,
    watches: AtomicUsize,
}

/// A running proxy, with the rights of the operator.
pub struct Proxy {
    pub server: String,
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

/// A fault that was set, to ask how often it struck.
pub struct Struck(Arc<Fault>);

impl Struck {
    pub fn times(&self) -> usize {
        self.0.done.load(Ordering::SeqCst)
    }
}

impl Proxy {
    pub async fn start(world: &World) -> Self {
        let inner = Arc::new(Inner {
            client: world.operator_client().await,
            faults: Mutex::default(),
            cut: Mutex::default(),
            watches: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { server, inner, task }
    }

    /// The next `times` requests for which `matches` holds (by method and path with query) fare so.
    pub fn fault(&self, times: usize, act: Act, matches: impl Fn(&Method, &str) -> bool + Send + Sync + 'static) -> Struck {
        let fault = Arc::new(Fault { matches: Box::new(matches), act, left: times.into(), done: 0.into() });
        self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault.clone());
        Struck(fault)
    }

    /// No faults any more.
    pub fn heal(&self) {
        self.inner.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Cuts every open watch; how many there were.
    pub fn cut_watches(&self) -> usize {
        let mut cut = self.inner.cut.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cut).cancel();
        self.inner.watches.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn is_watch(path: &str) -> bool {
    path.contains("watch=true") || path.contains("watch=1")
}

impl Inner {
    fn act(&self, method: &Method, uri: &Uri) -> Option<Act> {
        let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = faults.iter().find(|fault| fault.left.load(Ordering::SeqCst) > 0 && (fault.matches)(method, &path))?;
        fault.left.fetch_sub(1, Ordering::SeqCst);
        fault.done.fetch_add(1, Ordering::SeqCst);
        Some(fault.act)
    }
}

async fn forward(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    match inner.act(request.method(), request.uri()) {
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::Refuse(code)) => refusal(code, &[]),
        Some(Act::Slower(seconds)) => refusal(429, &[(header::RETRY_AFTER.as_str(), seconds.to_string())]),
        Some(Act::Expire) => {
            let event = json!({"type": "ERROR", "object": status(410)});
            ([(header::CONTENT_TYPE, "application/json")], format!("{event}\n")).into_response()
        }
        None => pass(&inner, request).await,
    }
}

fn status(code: u16) -> serde_json::Value {
    let reason = match code {
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "a fault of the test", "reason": reason, "code": code
    })
}

fn refusal(code: u16, headers: &[(&str, String)]) -> Response {
    let mut response = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(Body::from(status(code).to_string())).unwrap()
}

async fn pass(inner: &Inner, request: Request) -> Response {
    let watch = is_watch(&request.uri().to_string());
    let (mut parts, body) = request.into_parts();
    // Those of this connection, not of the next.
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING] {
        parts.headers.remove(name);
    }
    let bytes = axum::body::to_bytes(body, 16 << 20).await.unwrap_or_default();
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(bytes.to_vec()));
    let Ok(answer) = inner.client.send(request).await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (mut parts, body) = answer.into_parts();
    for name in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    if !watch {
        return Response::from_parts(parts, Body::new(body));
    }
    inner.watches.fetch_add(1, Ordering::SeqCst);
    let cut = inner.cut.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let events = body.into_data_stream().map(|part| part.map_err(std::io::Error::other));
    // One that is cut ends in the middle; one that the API server ends, ends.
    let ended = cut.clone();
    let end = stream::once(async move { ended.is_cancelled().then(|| Err(std::io::Error::other("cut"))) });
    let events = events.take_until(cut.cancelled_owned()).chain(end.filter_map(std::future::ready));
    Response::from_parts(parts, Body::from_stream(events))
}
