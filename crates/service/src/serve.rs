//! HTTP that strangers may talk to, the same for engine and operator: whoever opens connections and says little, slowly or without end
//! costs a bounded amount of memory and keeps nobody else from being answered.
//!
//! Under overload: connections beyond the limits, in all and of one address, are closed at once. A request must arrive, and each
//! connection end, within a time. Nothing is kept over a restart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a server bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections at once of one address: others are answered while somebody holds all of these.
    pub of_one_address: usize,
    /// Within which a request's head must have arrived; also how long a connection may be idle between two requests.
    pub request: Duration,
    /// After which a connection ends, whatever is being said on it.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 64, of_one_address: 16, request: Duration::from_secs(5), connection: Duration::from_secs(60) }
    }
}

/// Bytes of a request's head at most: the requests that are meant have a few hundred.
const HEAD_BYTES: usize = 16 << 10;

/// After an accept that failed (no file descriptors left); the same error would come again at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers until it is told to stop; then what was asked is answered, and nothing new.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let guests = Arc::new(Guests { limits, inside: Mutex::default() });
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Who is not let in is hung up on.
                if let Some(place) = guests.let_in(peer.ip().to_canonical()) {
                    connections.spawn(talk(stream, router.clone(), place, stop.clone()));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn talk(stream: TcpStream, router: Router, place: Place, stop: CancellationToken) {
    let limits = place.guests.limits;
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.request).max_buf_size(HEAD_BYTES);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let conversation = async {
        tokio::pin!(connection);
        tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    // How a stranger's connection ends is nothing to log by default.
    match tokio::time::timeout(limits.connection, conversation).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection failed"),
        Err(_) => tracing::debug!("a connection took too long"),
    }
}

/// Who is being talked to.
struct Guests {
    limits: Limits,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Guests {
    fn let_in(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = inside.by_address.get(&address).copied().unwrap_or(0);
        if inside.total >= self.limits.connections || of_address >= self.limits.of_one_address {
            return None;
        }
        inside.total += 1;
        inside.by_address.insert(address, of_address + 1);
        Some(Place { guests: Arc::clone(self), address })
    }
}

/// A connection's place; free again when it is dropped.
struct Place {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.guests.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.total -= 1;
        if let Some(count) = inside.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inside.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    struct Running {
        address: SocketAddr,
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start(limits: Limits) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(|| async { "ok" }));
        let task = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Running { address, stop, task }
    }

    /// From this address of the loopback network.
    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    }

    async fn ask(stream: &mut TcpStream) -> String {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        read(stream).await
    }

    async fn read(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    fn impatient() -> Limits {
        Limits { request: Duration::from_millis(200), connection: Duration::from_millis(600), ..Limits::default() }
    }

    #[tokio::test]
    async fn one_who_holds_all_his_connections_keeps_nobody_else_out() {
        let limits = Limits { connections: 8, of_one_address: 4, ..Limits::default() };
        let running = start(limits).await;
        let mut held = Vec::new();
        for _ in 0..100 {
            let mut stream = connect("127.0.0.2", running.address).await;
            let _ = stream.write_all(b"GET / HT").await;
            held.push(stream);
        }
        assert!(ask(&mut connect("127.0.0.3", running.address).await).await.starts_with("HTTP/1.1 200"));
        // Beyond four of them the connection was closed.
        assert_eq!(ask(&mut connect("127.0.0.2", running.address).await).await, "");
        drop(held);
        let again = async {
            while ask(&mut connect("127.0.0.2", running.address).await).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_or_half_a_request_is_hung_up_on() {
        let running = start(impatient()).await;
        let mut silent = connect("127.0.0.1", running.address).await;
        assert_eq!(read(&mut silent).await, "");
        let mut half = connect("127.0.0.1", running.address).await;
        half.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        assert!(!read(&mut half).await.contains("200"));
    }

    #[tokio::test]
    async fn a_body_without_end_and_a_head_without_end_are_cut_off() {
        let running = start(impatient()).await;
        let mut endless = connect("127.0.0.1", running.address).await;
        endless.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n").await.unwrap();
        let sent = async {
            let mut sent = 0_usize;
            while endless.write_all(&[b'x'; 4096]).await.is_ok() {
                sent += 4096;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            sent
        };
        assert!(tokio::time::timeout(Duration::from_secs(10), sent).await.unwrap() > 0);
        let mut long = connect("127.0.0.1", running.address).await;
        long.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        let _ = long.write_all(&vec![b'x'; 4 * HEAD_BYTES]).await;
        assert!(!read(&mut long).await.contains("200"));
    }

    #[tokio::test]
    async fn a_stop_waits_for_nobody_longer_than_a_connection_may_last() {
        let running = start(impatient()).await;
        let mut silent = connect("127.0.0.1", running.address).await;
        assert!(ask(&mut connect("127.0.0.1", running.address).await).await.ends_with("ok"));
        running.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), running.task).await.unwrap().unwrap();
        assert_eq!(read(&mut silent).await, "");
    }
}
