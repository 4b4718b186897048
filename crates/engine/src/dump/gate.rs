//! A login of our own in front of the driver's connections, where nothing is encrypted.
//!
//! The driver asks any server for its public key and sends the password encrypted with it, and it answers a request for another plugin
//! whatever that is. So at addresses where somebody can stand between, it does not log in: it is connected to a socket of this process,
//! knows no password, and is told what the server said once [`login()`](super::login()) has logged in by its rules. From then on bytes are passed on
//! in both directions.
//!
//! The socket has no file (Linux, "abstract"): a pod's file system may be read-only. Only this process is let in.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;

use mysql_async::consts::CapabilityFlags;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Result};
use mysql_common::io::ParseBuf;
use mysql_common::packets::HandshakeResponse;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::login::{Client, Plain, Socket, authenticate, read_greeting, receive};
use super::packet::Packets;
use super::{SILENCE, dial};

/// Bytes that are passed on at once.
const PIECE: usize = 64 << 10;

/// The driver's connection, logged in by us.
///
/// # Errors
/// As `Conn::new`; an `Error::Other` where the login would give the password away.
pub async fn connect(opts: Opts, plain: Plain) -> Result<Conn> {
    let name = format!("\0godwit-{}-{:016x}", std::process::id(), RandomState::new().build_hasher().finish());
    let listener = UnixListener::bind(&name)?;
    let inner = OptsBuilder::from_opts(opts.clone()).socket(Some(name)).pass(None::<String>).ssl_opts(None);
    let (refused, outcome) = oneshot::channel();
    tokio::spawn(async move {
        match admit(listener, &opts, &plain).await {
            Ok((driver, server)) => {
                // Nobody waits for it where the driver was quicker. If it has gone meanwhile, its socket is closed, which ends us too.
                drop(refused);
                pass_on(driver, server).await;
            }
            Err(error) => drop(refused.send(error)),
        }
    });
    let conn = Conn::new(inner).await;
    match conn {
        Ok(conn) => Ok(conn),
        // The driver only sees that it was left.
        Err(error) => Err(outcome.await.unwrap_or(error)),
    }
}

/// Lets the driver in, logs in for it, and tells it so.
async fn admit(listener: UnixListener, opts: &Opts, plain: &Plain) -> Result<(UnixStream, Box<dyn Socket>)> {
    let driver = loop {
        let (stream, _) = listener.accept().await?;
        if stream.peer_cred()?.pid() == i32::try_from(std::process::id()).ok() {
            break stream;
        }
    };
    let server = Packets::new(dial(opts).await?, SILENCE);
    let mut server = server.wrap(|socket: TcpStream| async { Ok::<_, Error>(Box::new(socket) as Box<dyn Socket>) }).await?;
    let mut driver = Packets::new(driver, SILENCE);
    let greeting = receive(&mut server).await?;
    let parsed = read_greeting(&greeting)?;
    driver.send(&plainly(&greeting)).await?;
    let response = driver.receive().await?;
    let response = ParseBuf(&response).parse::<HandshakeResponse<'_>>(())?;
    let client = Client {
        capabilities: response.capabilities(),
        mariadb: response.mariadb_ext_capabilities(),
        largest_packet: opts.max_allowed_packet().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(1 << 30),
    };
    let taken = authenticate(&mut server, &parsed, opts, plain, client).await?;
    driver.send(&taken).await?;
    Ok((driver.into_idle_socket()?, server.into_idle_socket()?))
}

/// The greeting of a server that neither encrypts nor compresses.
fn plainly(greeting: &[u8]) -> Vec<u8> {
    let hidden = (CapabilityFlags::CLIENT_SSL | CapabilityFlags::CLIENT_COMPRESS).bits();
    let mut greeting = greeting.to_vec();
    // Behind the version's zero byte: id, scramble, filler; then the lower half of the capabilities.
    let place = greeting.iter().skip(1).position(|byte| *byte == 0).map_or(0, |end| end + 2 + 13);
    for (byte, mask) in greeting.iter_mut().skip(place).take(2).zip(hidden.to_le_bytes()) {
        *byte &= !mask;
    }
    greeting
}

/// Until either side ends.
async fn pass_on(mut driver: UnixStream, mut server: Box<dyn Socket>) {
    let ended: io::Result<_> = tokio::io::copy_bidirectional_with_sizes(&mut driver, &mut server, PIECE, PIECE).await;
    // Both ends see it by themselves.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection that is not encrypted ended");
    }
}
