//! PlainBuffer: how Tablestore writes rows inside its messages.
//!
//! ```text
//! buffer  = 75 00 00 00, row*
//! row     = 01 cell*  [02 cell*]  [08]  09 crc        key, attributes, delete marker, checksum
//! cell    = 03  04 len name  [05 len value]  [06 operation]  [07 timestamp]  0a crc
//! value   = type, then 8 bytes (integer, double), 1 byte (boolean), len and bytes (string, binary), or nothing (the ends of a range)
//! ```
//!
//! Numbers are little-endian, `len` has four bytes, a timestamp eight. A cell's checksum covers its name, its value, its timestamp and its
//! operation, in that order and without tags and the length before the value; a row's covers the checksums of its cells and one byte for the
//! delete marker. Source: the codecs of the official SDKs (Python 6.4.8, Java 5.17.10), which the golden vectors of the tests were made with.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::{Malformed, key, row, rows};
pub use encode::{change, point, primary_key, variant};

const HEADER: u32 = 0x75;

const TAG_ROW_KEY: u8 = 1;
const TAG_ROW_DATA: u8 = 2;
const TAG_CELL: u8 = 3;
const TAG_CELL_NAME: u8 = 4;
const TAG_CELL_VALUE: u8 = 5;
const TAG_CELL_OPERATION: u8 = 6;
const TAG_CELL_TIMESTAMP: u8 = 7;
const TAG_DELETE_MARKER: u8 = 8;
const TAG_ROW_CHECKSUM: u8 = 9;
const TAG_CELL_CHECKSUM: u8 = 10;

const DELETE_ALL_VERSIONS: u8 = 1;
const DELETE_ONE_VERSION: u8 = 3;

const TYPE_INTEGER: u8 = 0;
const TYPE_DOUBLE: u8 = 1;
const TYPE_BOOLEAN: u8 = 2;
const TYPE_STRING: u8 = 3;
const TYPE_BINARY: u8 = 7;
const TYPE_MIN: u8 = 9;
const TYPE_MAX: u8 = 10;
