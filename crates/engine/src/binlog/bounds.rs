//! What a server can write into its log at most. Lengths and counts from the wire are held against these before memory is
//! taken for them: whoever sends more is no server, or is one that wants the memory.
//!
//! A length that only cuts bytes which have arrived already needs no bound; one that decompression or a count of items turns into
//! memory does.

use super::cursor::malformed;
use godwit_model::error::{Error, Result};

/// The greatest `max_allowed_packet`, and with it the greatest value.
pub(super) const LARGEST_VALUE: usize = 1 << 30;

/// No event is larger: servers send none that is (`replica_max_allowed_packet`), plus what an event has around its rows.
pub const LARGEST_EVENT: usize = LARGEST_VALUE + (1 << 20);

/// Columns of a table (`MAX_FIELDS` of both families), those that hide behind functional indexes included.
pub(super) const MOST_COLUMNS: usize = 4096;

/// Labels of an ENUM; a SET has 64.
pub(super) const MOST_LABELS: usize = 65_535;
pub(super) const MOST_MEMBERS: usize = 64;

/// Bytes of a column's name: 64 letters of four.
pub(super) const LONGEST_NAME: usize = 256;

/// Bytes that describe the tables of one statement, in the log and in memory. The definition of a column has 16 MiB at most, and hardly
/// any table has more than some kilobytes.
pub(super) const MOST_MAP_BYTES: usize = 64 << 20;

/// Bytes of a log file's name (`FN_REFLEN`), and of a GTID's tag.
pub(super) const LONGEST_FILE: usize = 512;
pub(super) const LONGEST_TAG: usize = 32;

/// Tables that one statement changes. Servers know no such number; this is as many as are kept for reuse.
pub(super) const MOST_TABLES: usize = 4096;

/// Bytes of each half of an XA transaction's name (`MAXGTRIDSIZE`, `MAXBQUALSIZE`).
pub(super) const LONGEST_XA_NAME: usize = 64;

/// The greatest ratio of DEFLATE: two bits for 258 bytes.
const DEFLATE_RATIO: usize = 1032;

/// The greatest ratio of ZSTD: a block of 128 KiB that repeats one byte takes four.
const ZSTD_RATIO: u64 = 32_768;

/// Bytes that may come out whatever went in (headers, a short block).
const LEEWAY: usize = 256 << 10;

/// A count of things in memory.
pub(super) fn count(found: usize, most: usize, what: &str) -> Result<usize> {
    if found > most { Err(malformed(format!("{found} {what}, where a server allows {most}"))) } else { Ok(found) }
}

/// Whether `plain` bytes can come out of DEFLATE data.
pub(super) fn deflated(compressed: usize, plain: usize) -> Result<()> {
    if plain > LARGEST_VALUE || plain > compressed.saturating_mul(DEFLATE_RATIO).saturating_add(LEEWAY) {
        return Err(malformed(format!("{compressed} compressed bytes that say they are {plain}")));
    }
    Ok(())
}

/// Whether `plain` bytes can come out of ZSTD data.
pub(super) fn zstandard(compressed: usize, plain: u64) -> Result<()> {
    if plain > (compressed as u64).saturating_mul(ZSTD_RATIO).saturating_add(LEEWAY as u64) {
        return Err(malformed(format!("compressed transaction of {compressed} bytes that says it has {plain}")));
    }
    Ok(())
}

/// Whether there is memory for an event of the source, `limit` being what the engine may spend on one.
///
/// # Errors
/// Definite, with the remedy. A length that no server can mean is malformed.
pub fn event(bytes: usize, limit: usize) -> Result<()> {
    if bytes > LARGEST_EVENT {
        return Err(malformed(format!("an event that says it has {bytes} bytes, more than a server can send")));
    }
    if bytes > limit {
        return Err(Error::definite(format!(
            "the source's binary log holds an event of {bytes} bytes (about one row), and this engine's memory allows {limit}; give the \
             task more memory (spec.units, or a DedicatedCluster with larger units)"
        )));
    }
    Ok(())
}
