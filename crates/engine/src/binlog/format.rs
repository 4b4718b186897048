//! FORMAT_DESCRIPTION and ROTATE: how a log file is to be read, and which file comes next.

use super::bounds::{self, LONGEST_FILE};
use super::cursor::Cursor;
use super::event::RawEvent;
use super::event::code;
use godwit_model::error::{Error, Result};

/// Which family wrote the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    #[default]
    MySql,
    MariaDb,
}

/// First event of each file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatDescription {
    /// As the server prints it: `8.0.36`, `11.4.5-MariaDB-log`.
    pub server_version: String,
    pub flavour: Flavour,
    pub(super) post_header_lengths: Vec<u8>,
}

impl FormatDescription {
    pub(super) fn parse(body: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(body);
        let version = cursor.u16()?;
        if version != 4 {
            return Err(Error::definite(format!(
                "the binary log has format {version}; only format 4 (MySQL 5.0 and later) can be read"
            )));
        }
        let name = cursor.take(50)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let server_version = String::from_utf8_lossy(name).into_owned();
        cursor.u32()?;
        cursor.u8()?;
        let flavour = if server_version.to_ascii_lowercase().contains("mariadb") { Flavour::MariaDb } else { Flavour::MySql };
        // One byte for each type of events.
        let post_header_lengths = cursor.rest().iter().take(usize::from(u8::MAX)).copied().collect();
        Ok(Self { server_version, flavour, post_header_lengths })
    }

    /// Table ids have 4 bytes in logs of before MySQL 5.1.4.
    pub(super) fn table_id_length(&self) -> usize {
        match self.post_header_lengths.get(usize::from(code::TABLE_MAP) - 1) {
            Some(6) => 4,
            _ => 6,
        }
    }
}

/// Servers know of checksums from this version on (MariaDB's own numbers are all larger).
const FIRST_WITH_CHECKSUMS: [u16; 3] = [5, 6, 1];

/// The byte that names the checksum algorithm, in a FORMAT_DESCRIPTION's body as it comes: in front of the last four
/// bytes. None where the file's server did not know of checksums.
pub fn checksum_algorithm(body: &[u8]) -> Option<u8> {
    let name = body.get(2..52)?;
    let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let mut numbers = name.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u16>().unwrap_or(0));
    let version = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    let place = body.len().checked_sub(5).filter(|_| version >= FIRST_WITH_CHECKSUMS)?;
    body.get(place).copied()
}

/// The log goes on in another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    pub file: String,
    pub position: u64,
}

impl Rotate {
    pub(super) fn parse(event: &RawEvent<'_>) -> Result<Self> {
        let mut cursor = Cursor::new(event.body_without_stray_checksum());
        let position = cursor.u64()?;
        Ok(Self { position, file: file_name(cursor.rest())? })
    }
}

/// Every position holds it.
fn file_name(bytes: &[u8]) -> Result<String> {
    bounds::count(bytes.len(), LONGEST_FILE, "bytes in the name of a log file")?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Sent while the source has nothing to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub file: String,
    pub position: u64,
}

impl Heartbeat {
    /// Version 1: the file name is the body, the position is the header's.
    pub(super) fn parse(event: &RawEvent<'_>) -> Result<Self> {
        Ok(Self { file: file_name(event.body)?, position: u64::from(event.log_pos) })
    }

    /// Version 2: tagged fields, so that positions beyond 4 GiB fit.
    pub(super) fn parse_v2(body: &[u8]) -> Result<Self> {
        let mut heartbeat = Self { file: String::new(), position: 0 };
        let mut cursor = Cursor::new(body);
        while !cursor.is_empty() {
            let field = cursor.u8()?;
            if field == 0 {
                break;
            }
            let value = cursor.lenenc_bytes()?;
            match field {
                1 => heartbeat.file = file_name(value)?,
                2 => heartbeat.position = Cursor::new(value).lenenc()?,
                _ => {}
            }
        }
        Ok(heartbeat)
    }
}
