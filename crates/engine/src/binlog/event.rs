//! The envelope of an event, and its types as the server numbers them (`Log_event_type`).

use godwit_model::error::{Error, Result};

/// Length of the common header.
pub const HEADER_LENGTH: usize = 19;

/// The event was made up for this connection and is in no file.
pub const FLAG_ARTIFICIAL: u16 = 0x20;
/// A reader that does not know the event may skip it.
pub const FLAG_IGNORABLE: u16 = 0x80;

pub(crate) mod code {
    pub(crate) const QUERY: u8 = 2;
    pub(crate) const STOP: u8 = 3;
    pub(crate) const ROTATE: u8 = 4;
    pub(crate) const INTVAR: u8 = 5;
    pub(crate) const APPEND_BLOCK: u8 = 9;
    pub(crate) const DELETE_FILE: u8 = 11;
    pub(crate) const RAND: u8 = 13;
    pub(crate) const USER_VAR: u8 = 14;
    pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
    pub(crate) const XID: u8 = 16;
    pub(crate) const BEGIN_LOAD_QUERY: u8 = 17;
    pub(crate) const EXECUTE_LOAD_QUERY: u8 = 18;
    pub(crate) const TABLE_MAP: u8 = 19;
    pub(crate) const WRITE_ROWS_V1: u8 = 23;
    pub(crate) const UPDATE_ROWS_V1: u8 = 24;
    pub(crate) const DELETE_ROWS_V1: u8 = 25;
    pub(crate) const INCIDENT: u8 = 26;
    pub(crate) const HEARTBEAT: u8 = 27;
    pub(crate) const IGNORABLE: u8 = 28;
    pub(crate) const ROWS_QUERY: u8 = 29;
    pub(crate) const WRITE_ROWS: u8 = 30;
    pub(crate) const UPDATE_ROWS: u8 = 31;
    pub(crate) const DELETE_ROWS: u8 = 32;
    pub(crate) const GTID: u8 = 33;
    pub(crate) const ANONYMOUS_GTID: u8 = 34;
    pub(crate) const PREVIOUS_GTIDS: u8 = 35;
    pub(crate) const TRANSACTION_CONTEXT: u8 = 36;
    pub(crate) const VIEW_CHANGE: u8 = 37;
    pub(crate) const XA_PREPARE: u8 = 38;
    pub(crate) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
    pub(crate) const HEARTBEAT_V2: u8 = 41;
    pub(crate) const GTID_TAGGED: u8 = 42;
    pub(crate) const MARIA_ANNOTATE_ROWS: u8 = 160;
    pub(crate) const MARIA_BINLOG_CHECKPOINT: u8 = 161;
    pub(crate) const MARIA_GTID: u8 = 162;
    pub(crate) const MARIA_GTID_LIST: u8 = 163;
    pub(crate) const MARIA_START_ENCRYPTION: u8 = 164;
    pub(crate) const MARIA_QUERY_COMPRESSED: u8 = 165;
    pub(crate) const MARIA_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub(crate) const MARIA_UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    pub(crate) const MARIA_DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    pub(crate) const MARIA_WRITE_ROWS_COMPRESSED: u8 = 169;
    pub(crate) const MARIA_UPDATE_ROWS_COMPRESSED: u8 = 170;
    pub(crate) const MARIA_DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// An event as it came: the common header's fields, and the body without the checksum (and, of a
/// FORMAT_DESCRIPTION event, without the byte that names the checksum algorithm).
#[derive(Debug, Clone, Copy)]
pub struct RawEvent<'a> {
    /// Seconds since 1970 when the statement started.
    pub timestamp: u32,
    pub event_type: u8,
    pub server_id: u32,
    /// With header and checksum.
    pub event_size: u32,
    /// Low 32 bits of the place after the event; 0 where the server does not know it.
    pub log_pos: u32,
    pub flags: u16,
    pub body: &'a [u8],
}

impl<'a> RawEvent<'a> {
    /// The common header's fields, without the body. None where the header is not whole.
    pub fn head(bytes: &[u8]) -> Option<RawEvent<'static>> {
        let (number, _) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let [t0, t1, t2, t3, event_type, i0, i1, i2, i3, s0, s1, s2, s3, p0, p1, p2, p3, f0, f1] = *number;
        Some(RawEvent {
            timestamp: u32::from_le_bytes([t0, t1, t2, t3]),
            event_type,
            server_id: u32::from_le_bytes([i0, i1, i2, i3]),
            event_size: u32::from_le_bytes([s0, s1, s2, s3]),
            log_pos: u32::from_le_bytes([p0, p1, p2, p3]),
            flags: u16::from_le_bytes([f0, f1]),
            body: &[],
        })
    }

    /// Made up for this connection, in no file: takes no room there.
    pub fn is_artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0 || matches!(self.event_type, code::HEARTBEAT | code::HEARTBEAT_V2)
    }

    /// First event of a file, which is sent at every start, wherever reading begins.
    pub fn is_head(&self) -> bool {
        self.event_type == code::FORMAT_DESCRIPTION
    }

    /// Says what the file is, or which: it belongs to no place.
    pub fn describes_file(&self) -> bool {
        self.is_head() || self.event_type == code::ROTATE
    }

    /// CRC32 of header and `body`.
    fn checksum_of(&self, body: &[u8], flags: u16) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.timestamp.to_le_bytes());
        hasher.update(&[self.event_type]);
        hasher.update(&self.server_id.to_le_bytes());
        hasher.update(&self.event_size.to_le_bytes());
        hasher.update(&self.log_pos.to_le_bytes());
        hasher.update(&flags.to_le_bytes());
        hasher.update(body);
        if self.event_type == code::FORMAT_DESCRIPTION {
            // The algorithm's byte (1: CRC32), which the body comes without.
            hasher.update(&[1]);
        }
        hasher.finalize()
    }

    /// Compares with the checksum that came behind the event (little endian, as in the log). Events out of a
    /// compressed transaction have none.
    pub fn verify_checksum(&self, stored: [u8; 4]) -> Result<()> {
        // The flag "this log is in use" (0x1) is set and cleared without a new checksum.
        let in_use = if self.event_type == code::FORMAT_DESCRIPTION { 0x1 } else { 0 };
        let stored = u32::from_le_bytes(stored);
        if self.checksum_of(self.body, self.flags & !in_use) == stored || self.checksum_of(self.body, self.flags) == stored {
            return Ok(());
        }
        Err(Error::connection(format!(
            "binary log event of type {} that ends at {} arrived damaged: its CRC32 checksum does not match; \
             if this repeats at the same place, the log file on the source is damaged (check it with mysqlbinlog --verify-binlog-checksum)",
            self.event_type, self.log_pos
        )))
    }

    /// The body without a checksum that was left on it. Servers put one on the ROTATE they make up before the first
    /// FORMAT_DESCRIPTION says that there are checksums.
    pub(super) fn body_without_stray_checksum(&self) -> &'a [u8] {
        match self.body.split_last_chunk::<4>() {
            Some((body, stored)) if self.checksum_of(body, self.flags) == u32::from_le_bytes(*stored) => body,
            _ => self.body,
        }
    }
}
