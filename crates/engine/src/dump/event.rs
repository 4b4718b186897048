//! Events as they come out of packets.

use bytes::{Buf, Bytes};

use crate::binlog::{HEADER_LENGTH, RawEvent, checksum_algorithm, code};
use godwit_model::error::{Error, Result};

/// Length of a CRC32 behind an event.
const CRC32: usize = 4;

/// An event with its own bytes.
#[derive(Debug, Clone)]
pub struct LogEvent {
    head: RawEvent<'static>,
    body: Bytes,
}

impl LogEvent {
    /// The form in which events are decoded.
    pub fn raw(&self) -> RawEvent<'_> {
        RawEvent { body: &self.body, ..self.head }
    }

    /// The last bytes of the body, with the memory of a large event.
    pub fn into_tail(mut self, length: usize) -> Vec<u8> {
        self.body.advance(self.body.len().saturating_sub(length));
        self.body.into()
    }
}

/// Cuts events out of payloads, and checks them. Knows from the last FORMAT_DESCRIPTION whether checksums are there.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    checksums: bool,
}

impl EventReader {
    /// `bytes`: the payload behind its first byte.
    ///
    /// # Errors
    /// Damaged on the way or in the file: worth another try over another connection.
    pub(super) fn read(&mut self, bytes: Bytes) -> Result<LogEvent> {
        let head = RawEvent::head(&bytes).filter(|head| head.event_size as usize == bytes.len()).ok_or_else(|| {
            Error::connection(format!("a packet of {} bytes came in the binary log and is no event of that size", bytes.len()))
        })?;
        let mut body = bytes;
        body.advance(HEADER_LENGTH);
        let trailer = if head.event_type == code::FORMAT_DESCRIPTION { self.format(&body)? } else { self.trailer() };
        let body_length = body.len().checked_sub(trailer).ok_or_else(|| {
            Error::connection(format!("an event of {} bytes in the binary log has no room for its checksum", head.event_size))
        })?;
        let stored = body.last_chunk::<CRC32>().copied();
        body.truncate(body_length);
        let event = LogEvent { head, body };
        if let Some(stored) = stored.filter(|_| self.checksums) {
            event.raw().verify_checksum(stored)?;
        }
        Ok(event)
    }

    fn trailer(&self) -> usize {
        if self.checksums { CRC32 } else { 0 }
    }

    /// What stands behind a FORMAT_DESCRIPTION: nothing, or the algorithm's byte and room for a checksum, which is there
    /// even where the file has none.
    fn format(&mut self, body: &[u8]) -> Result<usize> {
        let algorithm = checksum_algorithm(body);
        self.checksums = match algorithm {
            None | Some(0) => false,
            Some(1) => true,
            Some(other) => {
                return Err(Error::definite(format!(
                    "the source's binary log has checksums of type {other}; only CRC32 (1) and none (0) are known"
                )));
            }
        };
        Ok(if algorithm.is_some() { 1 + CRC32 } else { 0 })
    }
}
