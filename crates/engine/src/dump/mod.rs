//! The dump of a source's binary log: a connection of our own, from the TCP connection to whole events.
//!
//! The driver's stream would hold a large event several times over (as a packet, as an event, in its receive buffer),
//! decompress whole transactions on the side and cut places to 32 bits. Here an event is received into memory of its own
//! size and goes on from there. Options and errors are the driver's, so that this connection comes about, or does not,
//! as every other does.

mod encryption;
mod event;
pub mod gate;
mod login;
mod packet;
pub mod sids;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use mysql_async::consts::Command;
use mysql_async::{Error as DriverError, Opts, Result as DriverResult};
use mysql_common::packets::ComRegisterSlave;
use mysql_common::packets::binlog_request::BinlogRequest;
use mysql_common::proto::MySerialize;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub use event::LogEvent;
pub use login::{Plain, PublicKey};

use event::EventReader;
use login::{Socket, login, receive, server_error, unexpected};
use packet::{EOF, ERR, OK, Packets};

use crate::sql::program::EncodedProgram;
use crate::sql::{Answer, Failure, Statement};
use godwit_model::error::{Context, Error, Result};
use godwit_model::plain;

/// Without anything for this long the connection is dead, whatever TCP thinks. Heartbeats come more often.
const SILENCE: Duration = Duration::from_secs(30);

/// An EOF packet is shorter than this; anything longer with the same first byte is something else.
const EOF_PACKET: usize = 9;

/// To say goodbye may take this long.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What errors stand behind.
const READING: &str = "reading the source's binary log";

/// A connection that sends, or is going to send, the log.
pub struct Dump {
    packets: Packets<Box<dyn Socket>>,
    events: EventReader,
    /// The server reads commands: it does not send events.
    idle: bool,
}

impl Dump {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Those of the driver's `Conn::new` with the same options.
    pub async fn connect(opts: Opts, plain: Plain) -> DriverResult<Self> {
        let packets = login(Packets::new(dial(&opts).await?, SILENCE), &opts, &plain).await?;
        Ok(Self { packets, events: EventReader::default(), idle: true })
    }

    /// Larger events are an error, before they are received.
    #[must_use]
    pub fn with_largest_event(mut self, largest: usize) -> Self {
        self.packets.largest_event = largest;
        self
    }

    /// Runs a statement that has no result set.
    ///
    /// # Errors
    /// The server's, or a lost connection.
    pub async fn execute(&mut self, statement: impl Statement) -> Answer<()> {
        let mut command = vec![Command::COM_QUERY as u8];
        command.extend_from_slice(statement.bytes());
        self.command(&command).await
    }

    /// Makes a program. This connection is made without CLIENT_MULTI_STATEMENTS, so that the server takes one statement and refuses more.
    ///
    /// # Errors
    /// The server's, or a lost connection.
    pub async fn define(&mut self, program: &EncodedProgram) -> Answer<()> {
        let mut command = vec![Command::COM_QUERY as u8];
        command.extend_from_slice(program.bytes());
        self.command(&command).await
    }

    /// Sends a command that is answered by OK.
    async fn command(&mut self, command: &[u8]) -> Answer<()> {
        self.packets.restart();
        self.packets.send(command).await.map_err(DriverError::from)?;
        let answer = receive(&mut self.packets).await?;
        if answer.first() == Some(&OK) { Ok(()) } else { Err(unexpected(&answer).into()) }
    }

    /// Registers as a replica and asks for the log; [`Dump::next`] gives its events.
    ///
    /// # Errors
    /// The server's, or a lost connection. What it finds wrong with the request itself it says instead of an event.
    pub async fn request(&mut self, server_id: u32, request: &BinlogRequest<'_>) -> Answer<()> {
        let mut command = Vec::new();
        ComRegisterSlave::new(server_id).serialize(&mut command);
        self.command(&command).await?;
        command.clear();
        request.as_cmd().serialize(&mut command);
        self.packets.restart();
        self.packets.send(&command).await.map_err(DriverError::from)?;
        self.idle = false;
        Ok(())
    }

    /// The next event; None at the log's end, where the request was not to wait for more.
    ///
    /// # Errors
    /// A lost or silent connection, a damaged event, or what the server says (purged log: definite).
    pub async fn next(&mut self) -> Result<Option<LogEvent>> {
        let mut packet = self.packets.receive().await.map_err(packet::explain).context(READING)?;
        match packet.first() {
            Some(&OK) => {
                bytes::Buf::advance(&mut packet, 1);
                self.events.read(packet).context(READING).map(Some)
            }
            Some(&EOF) if packet.len() < EOF_PACKET => {
                self.idle = true;
                Ok(None)
            }
            Some(&ERR) => Err(explain(server_error(&packet))),
            _ => Err(explain(unexpected(&packet))),
        }
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        let goodbye = async {
            if self.idle {
                self.packets.restart();
                self.packets.send(&[Command::COM_QUIT as u8]).await?;
            }
            self.packets.into_socket().shutdown().await
        };
        // A server that has gone already is no news.
        let _ = tokio::time::timeout(CLOSE_WITHIN, goodbye).await;
    }
}

async fn dial(opts: &Opts) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect((opts.ip_or_hostname(), opts.tcp_port())).await?;
    socket.set_nodelay(opts.tcp_nodelay())?;
    if let Some(time) = opts.tcp_keepalive() {
        SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
    }
    Ok(socket)
}

fn explain(error: DriverError) -> Error {
    match &error {
        // ER_MASTER_FATAL_ERROR_READING_BINLOG: purged, unknown file, GTID not found.
        DriverError::Server(server) if server.code == 1236 => Error::definite(format!(
            "the source cannot send the binary log from where the task stands: {}; if it was purged, the data must be copied \
             again with a longer retention (binlog_expire_logs_seconds)",
            plain::said(&server.message)
        )),
        _ => Error::from(Failure::from(error)).context(READING),
    }
}
