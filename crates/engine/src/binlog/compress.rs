//! MariaDB's two zlib formats: whole events (`log_bin_compress`) and single columns (`COMPRESSED`).

use std::io::Read;

use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::bounds;
use super::cursor::{big_endian, malformed};
use godwit_model::error::Result;

/// A compressed event's tail: a byte `0x80 | algorithm << 4 | n`, the plain length in n bytes, big endian,
/// and a zlib stream. (`binlog_buf_uncompress`.) `largest`: what the engine may spend on an event.
pub(super) fn maria_event(bytes: &[u8], largest: usize) -> Result<Vec<u8>> {
    let (head, rest) = bytes.split_first().ok_or_else(|| malformed("compressed event without data"))?;
    let width = usize::from(head & 0x07);
    let algorithm = (head & 0x70) >> 4;
    if head & 0x80 == 0 || algorithm != 0 || !(1..=4).contains(&width) {
        return Err(malformed(format!("compressed event with head {head:#04x}; only zlib is known")));
    }
    let (length, data) = rest.split_at_checked(width).ok_or_else(|| malformed("compressed event without its length"))?;
    let length = big_endian(length) as usize;
    bounds::event(length, largest)?;
    inflate(ZlibDecoder::new(data), data.len(), length)
}

/// A compressed column's value: nothing for an empty one; else a byte, 0 for plain data or
/// `0x80 | raw << 3 | n`, the plain length in n bytes, big endian, and a stream, raw deflate or zlib. `largest`: what the engine
/// may spend on it.
pub(super) fn maria_column(bytes: &[u8], largest: usize) -> Result<Option<Vec<u8>>> {
    let Some((head, rest)) = bytes.split_first() else { return Ok(None) };
    if *head == 0 {
        return Ok(Some(rest.to_vec()));
    }
    let width = usize::from(head & 0x07);
    if head >> 4 != 8 || !(1..=4).contains(&width) {
        return Err(malformed(format!("compressed value with head {head:#04x}; only zlib is known")));
    }
    let (length, data) = rest.split_at_checked(width).ok_or_else(|| malformed("compressed value without its length"))?;
    let length = big_endian(length) as usize;
    bounds::event(length, largest)?;
    let plain = match head & 0x08 {
        0 => inflate(ZlibDecoder::new(data), data.len(), length),
        _ => inflate(DeflateDecoder::new(data), data.len(), length),
    };
    plain.map(Some)
}

/// `compressed`: bytes of the stream.
fn inflate(stream: impl Read, compressed: usize, length: usize) -> Result<Vec<u8>> {
    bounds::deflated(compressed, length)?;
    // Memory that was asked for and is not written does not count.
    let mut plain = Vec::with_capacity(length + 1);
    // One byte more than promised shows a stream that is too long.
    stream.take(length as u64 + 1).read_to_end(&mut plain).map_err(|error| malformed(format!("compressed data: {error}")))?;
    if plain.len() != length {
        return Err(malformed(format!("compressed data of {} bytes says it has {length}", plain.len())));
    }
    Ok(plain)
}
