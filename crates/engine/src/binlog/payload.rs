//! TRANSACTION_PAYLOAD: a whole transaction in one event, compressed
//! (`binlog_transaction_compression`, MySQL 8.0.20).

use std::io::{BufReader, Read};

use super::bounds;
use super::cursor::{Cursor, malformed};
use super::event::{HEADER_LENGTH, RawEvent};
use godwit_model::error::{Error, Result};

/// Events are read in pieces of at most this, so that a wrong length cannot fill memory.
const PIECE: usize = 1 << 20;

/// A transaction's events, still compressed.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    pub uncompressed_size: u64,
    compression: u64,
    data: &'a [u8],
    /// What the engine may spend on an event.
    largest: usize,
}

impl<'a> Payload<'a> {
    pub(super) fn parse(body: &'a [u8], largest: usize) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        let (mut size, mut compression, mut uncompressed_size) = (None, None, None);
        loop {
            let field = cursor.lenenc()?;
            if field == 0 {
                break;
            }
            let mut value = Cursor::new(cursor.lenenc_bytes()?);
            match field {
                1 => size = Some(value.lenenc()?),
                2 => compression = Some(value.lenenc()?),
                3 => uncompressed_size = Some(value.lenenc()?),
                _ => {}
            }
        }
        let data = cursor.rest();
        if size.is_some_and(|size| size != data.len() as u64) {
            return Err(malformed(format!(
                "compressed transaction of {} bytes says it has {}",
                data.len(),
                size.unwrap_or_default()
            )));
        }
        let compression = compression.ok_or_else(|| malformed("compressed transaction without its compression type"))?;
        let uncompressed_size = match uncompressed_size {
            Some(size) => size,
            None if compression == NONE => data.len() as u64,
            None => return Err(malformed("compressed transaction without its size")),
        };
        bounds::zstandard(data.len(), uncompressed_size)?;
        Ok(Self { uncompressed_size, compression, data, largest })
    }

    /// The events, one at a time.
    pub fn events(&self) -> Result<PayloadEvents<'a>> {
        let source: Box<dyn Read + Send + 'a> = match self.compression {
            ZSTD => {
                let stream = zstd::stream::read::Decoder::with_buffer(self.data)
                    .map_err(|error| Error::definite(format!("compressed transaction: {error}")))?;
                Box::new(BufReader::with_capacity(128 << 10, stream))
            }
            NONE => Box::new(self.data),
            other => {
                return Err(Error::definite(format!(
                    "a transaction in the binary log is compressed with type {other}; only ZSTD (0) and NONE (255) are known"
                )));
            }
        };
        let (promised, largest) = (self.uncompressed_size, self.largest);
        Ok(PayloadEvents { source, buffer: Vec::new(), promised, largest, seen: 0, done: false })
    }
}

const ZSTD: u64 = 0;
const NONE: u64 = 255;

/// Holds one event in memory at a time.
pub struct PayloadEvents<'a> {
    source: Box<dyn Read + Send + 'a>,
    buffer: Vec<u8>,
    promised: u64,
    largest: usize,
    seen: u64,
    done: bool,
}

impl PayloadEvents<'_> {
    /// The next event; None after the last, which is only said when the sizes of the events add up to what
    /// the server promised. The events have no checksum and no position of their own.
    #[allow(clippy::should_implement_trait)] // borrows from self
    pub fn next(&mut self) -> Result<Option<RawEvent<'_>>> {
        if self.done {
            return Ok(None);
        }
        if self.seen == self.promised {
            self.finish()?;
            return Ok(None);
        }
        self.buffer.clear();
        self.fill(HEADER_LENGTH)?;
        let head = RawEvent::head(&self.buffer).ok_or_else(|| malformed("event without a header"))?;
        let body_length = (head.event_size as usize)
            .checked_sub(HEADER_LENGTH)
            .filter(|_| self.seen + u64::from(head.event_size) <= self.promised)
            .ok_or_else(|| malformed(format!("event of {} bytes in a compressed transaction", head.event_size)))?;
        bounds::event(head.event_size as usize, self.largest)?;
        self.buffer.clear();
        if self.buffer.capacity() > PIECE {
            // The last one was large, which is no reason to keep its memory.
            self.buffer = Vec::new();
        }
        // To grow by doubling would take three times the size of a large event for a moment. Memory counts once it is written.
        self.buffer.reserve_exact(body_length);
        self.fill(body_length)?;
        self.seen += u64::from(head.event_size);
        Ok(Some(RawEvent { body: &self.buffer, ..head }))
    }

    /// The last bytes of the last event's body, with its memory.
    pub fn take_tail(&mut self, length: usize) -> Vec<u8> {
        let mut body = std::mem::take(&mut self.buffer);
        body.drain(..body.len().saturating_sub(length));
        body
    }

    fn fill(&mut self, mut missing: usize) -> Result<()> {
        while missing > 0 {
            let start = self.buffer.len();
            let piece = missing.min(PIECE);
            self.buffer.resize(start + piece, 0);
            let target = self.buffer.get_mut(start..).unwrap_or_default();
            self.source.read_exact(target).map_err(|error| malformed(format!("compressed transaction: {error}")))?;
            missing -= piece;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.done = true;
        let mut one = [0u8];
        match self.source.read(&mut one) {
            Ok(0) => Ok(()),
            Ok(_) => Err(malformed(format!("compressed transaction is longer than the {} bytes it says", self.promised))),
            Err(error) => Err(malformed(format!("compressed transaction: {error}"))),
        }
    }
}
