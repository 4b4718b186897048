//! A server that answers as Alibaba Cloud Tablestore does, for tests: on a port of this machine, with tables in memory, and with faults on demand.
//!
//! It verifies what the service verifies (signatures V2 and V4, MD5, dates, limits, keys) and signs its answers. It shares no code with the client
//! in `crates/tablestore`: where the two agree, they agree because the official SDKs agree with both (tests/tablestore). What no SDK can show,
//! such as which code the service has for a mistake, is taken from its documentation; docs/tablestore.md lists it.
//!
//! It has one instance and one access key. It does not number columns by itself, has no transactions, no search indexes, no streams and no
//! timeseries, and answers `OTSParameterInvalid` to requests for them.
#![forbid(unsafe_code)]
#![deny(unreachable_pub)]

mod control;
mod faults;
mod filter;
mod http;
mod operations;
mod plain;
mod refusal;
mod settings;
mod sign;
mod state;
mod store;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

pub use crate::faults::{Fault, FaultKind};
pub use crate::refusal::Refusal;
pub use crate::settings::Settings;
pub use crate::sign::Version;
pub use crate::state::Recorded;

/// A running server. It ends when this goes out of scope, with all its connections and tables.
pub struct Server {
    address: SocketAddr,
    shared: Arc<state::Shared>,
    accepting: AbortHandle,
}

impl Server {
    /// Starts a server at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn start(listen: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(state::Shared::new(settings));
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint, as clients take it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests are met by these faults, in place of those before.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.faults().set(faults);
    }

    /// One more fault, after those before.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.faults().add(fault);
    }

    /// From now on requests have to bring this security token.
    pub fn set_security_token(&self, token: Option<String>) {
        *self.shared.security_token() = token;
    }

    /// The last requests that were signed rightly, oldest first.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.recorded()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How often operations were answered: by their names, and by "name code" for those that were refused.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.counts()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<state::Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(serve(stream, shared.clone()));
                }
                // Out of descriptors, say: the next try comes when some are free.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("reset by a fault")
    }
}

impl std::error::Error for Reset {}

async fn serve(stream: TcpStream, shared: Arc<state::Shared>) {
    // A second handle of the socket, by which a fault makes closing it a reset.
    let Ok((stream, socket)) = with_handle(stream) else { return };
    let service = service_fn(|request| {
        let (shared, socket) = (shared.clone(), &socket);
        async move {
            match http::answer(&shared, request).await {
                http::Outcome::Answer(response) => Ok(response),
                http::Outcome::Reset => {
                    // Without it the connection is closed, which clients take for the same.
                    let _ = socket.set_linger(Some(Duration::ZERO));
                    Err(Reset)
                }
            }
        }
    });
    // Its errors are those of clients that went away, and resets.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

fn with_handle(stream: TcpStream) -> io::Result<(TcpStream, socket2::Socket)> {
    let stream = stream.into_std()?;
    stream.set_nodelay(true)?;
    let socket = socket2::Socket::from(stream.try_clone()?);
    Ok((TcpStream::from_std(stream)?, socket))
}
