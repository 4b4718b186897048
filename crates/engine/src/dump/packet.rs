//! Packets of the client/server protocol: a length of three bytes, a number, a payload.
//!
//! A payload of 16 MiB or more comes in several packets, all but the last of the greatest length. Only events of the
//! log are that large. Their own header says how large they are, so they are received straight into memory of that
//! size; everything else is cut out of a read buffer.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::binlog::{HEADER_LENGTH, LARGEST_EVENT, RawEvent, check_event_size};
use godwit_model::error::Error;

/// The greatest length of a packet; one of this length is continued by the next.
pub(super) const FULL_PACKET: usize = 0xff_ffff;

const PACKET_HEADER: usize = 4;

/// First byte of a packet with an event, of an OK packet.
pub(super) const OK: u8 = 0x00;
/// First byte of an error.
pub(super) const ERR: u8 = 0xff;
/// First byte of the packet that ends a dump, and of a request for another authentication plugin.
pub(super) const EOF: u8 = 0xfe;

/// Read buffer. Larger packets have their own memory, which goes with them.
const BUFFER: usize = 128 << 10;

/// With less room than this at its end the read buffer begins anew.
const LITTLE_ROOM: usize = 16 << 10;

/// Packets of one connection.
pub(super) struct Packets<S> {
    socket: S,
    buffer: BytesMut,
    /// Number of the next packet, in both directions.
    sequence: u8,
    /// How long the other side may be silent, or take nothing.
    patience: Duration,
    /// What the engine may spend on one event.
    pub largest_event: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Packets<S> {
    pub(super) fn new(socket: S, patience: Duration) -> Self {
        Self { socket, buffer: BytesMut::with_capacity(BUFFER), sequence: 0, patience, largest_event: LARGEST_EVENT }
    }

    /// Goes on over what `wrap` makes of the socket.
    pub(super) async fn wrap<T, F, E>(self, wrap: impl FnOnce(S) -> F) -> Result<Packets<T>, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<io::Error>,
    {
        // Bytes that somebody put in before encryption begins must not pass for the server's.
        if !self.buffer.is_empty() {
            return Err(invalid("the server sent more than its turn before encryption".to_owned()).into());
        }
        let socket = wrap(self.socket).await?;
        Ok(Packets {
            socket,
            buffer: self.buffer,
            sequence: self.sequence,
            patience: self.patience,
            largest_event: self.largest_event,
        })
    }

    /// The socket.
    pub(super) fn into_socket(self) -> S {
        self.socket
    }

    /// The socket, when it is nobody's turn: what came early would be lost.
    ///
    /// # Errors
    /// The other side sent more than its turn.
    pub(super) fn into_idle_socket(self) -> io::Result<S> {
        if self.buffer.is_empty() { Ok(self.socket) } else { Err(invalid("more than its turn was sent at the login".to_owned())) }
    }

    /// A command begins: packets are numbered from 0.
    pub(super) fn restart(&mut self) {
        self.sequence = 0;
    }

    /// Sends a payload.
    pub(super) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(payload.len() + PACKET_HEADER);
        let mut rest = payload;
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(FULL_PACKET));
            framed.extend_from_slice(&(piece.len() as u32).to_le_bytes()[..3]);
            framed.push(self.sequence);
            framed.extend_from_slice(piece);
            self.sequence = self.sequence.wrapping_add(1);
            rest = behind;
            if piece.len() < FULL_PACKET {
                break;
            }
        }
        let sent = async {
            self.socket.write_all(&framed).await?;
            self.socket.flush().await
        };
        tokio::time::timeout(self.patience, sent).await.map_err(|_| silent(self.patience))?
    }

    /// The next payload. Not to be called again after it was given up before it returned.
    ///
    /// # Errors
    /// A broken connection, one that is silent for longer than the patience, or packets that contradict each other.
    pub(super) async fn receive(&mut self) -> io::Result<Bytes> {
        self.fill(PACKET_HEADER).await?;
        let length = self.header()?;
        if length > BUFFER {
            return self.receive_event(length).await;
        }
        self.fill(length).await?;
        Ok(self.buffer.split_to(length).freeze())
    }

    /// Takes a packet's header off the buffer, which holds it; gives the packet's length.
    fn header(&mut self) -> io::Result<usize> {
        let header = self.buffer.get_u32_le();
        let (length, number) = ((header & 0xff_ffff) as usize, (header >> 24) as u8);
        if number != self.sequence {
            return Err(invalid(format!("packet {number} came where packet {} was due", self.sequence)));
        }
        self.sequence = self.sequence.wrapping_add(1);
        Ok(length)
    }

    /// An event too large for the buffer, behind the header of its first packet, which has `length` bytes.
    async fn receive_event(&mut self, length: usize) -> io::Result<Bytes> {
        self.fill(1 + HEADER_LENGTH).await?;
        let event = match self.buffer.split_first() {
            Some((&OK, event)) => RawEvent::head(event),
            _ => None,
        };
        let event = event.ok_or_else(|| invalid(format!("a packet of {length} bytes holds no event")))?;
        let whole = event.event_size as usize + 1;
        // What no server can mean came damaged; what is too large for us is the same over every connection.
        check_event_size(event.event_size as usize, LARGEST_EVENT).map_err(|error| invalid(error.to_string()))?;
        let contradiction = |received: usize| {
            Err(invalid(format!("an event says that it has {} bytes, but {received} came or were announced", event.event_size)))
        };
        if length > whole || (length < FULL_PACKET && length < whole) {
            return contradiction(length - 1);
        }
        check_event_size(event.event_size as usize, self.largest_event).map_err(io::Error::other)?;
        let mut payload = BytesMut::with_capacity(whole);
        let mut length = length;
        loop {
            self.move_into(&mut payload, length).await?;
            if length < FULL_PACKET {
                break;
            }
            self.fill(PACKET_HEADER).await?;
            length = self.header()?;
            if payload.len() + length > whole {
                return contradiction(payload.len() + length - 1);
            }
        }
        if payload.len() < whole {
            return contradiction(payload.len() - 1);
        }
        Ok(payload.freeze())
    }

    /// Appends the next `length` bytes to `target`, which has room for them.
    async fn move_into(&mut self, target: &mut BytesMut, length: usize) -> io::Result<()> {
        let here = length.min(self.buffer.len());
        target.extend_from_slice(&self.buffer.split_to(here));
        let mut missing = length - here;
        while missing > 0 {
            missing -= read(&mut self.socket, target.limit(missing), self.patience).await?;
        }
        Ok(())
    }

    /// Reads until the buffer holds `wanted` bytes, which fit into it.
    async fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.buffer.len() < wanted {
            let held = self.buffer.len();
            let room = self.buffer.capacity() - held;
            // Events that are still held by somebody keep their part of the old buffer.
            if room < LITTLE_ROOM.max(wanted - held) && !self.buffer.try_reclaim(BUFFER - held) {
                let mut fresh = BytesMut::with_capacity(BUFFER.max(wanted) + LITTLE_ROOM);
                fresh.extend_from_slice(&self.buffer);
                self.buffer = fresh;
            }
            let room = self.buffer.capacity() - held;
            read(&mut self.socket, (&mut self.buffer).limit(room), self.patience).await?;
        }
        Ok(())
    }
}

/// Reads what there is, at most what `target` takes.
async fn read(socket: &mut (impl AsyncRead + Unpin), mut target: impl BufMut, patience: Duration) -> io::Result<usize> {
    match tokio::time::timeout(patience, socket.read_buf(&mut target)).await {
        Err(_) => Err(silent(patience)),
        Ok(Ok(0)) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
        Ok(read) => read,
    }
}

fn silent(patience: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the server sent nothing for {} s", patience.as_secs()))
}

/// A broken or contradictory connection is worth another one; an event that there is no memory for is not.
pub(super) fn explain(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::connection(error.to_string()),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
