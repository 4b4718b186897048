//! One column of a row image: where its bytes end, and how they become canonical bytes.

use super::compress;
use super::cursor::{Cursor, big_endian, little_endian, malformed};
use super::jsonb::{self, JsonForm};
use super::numbers::{self, signed_text, unsigned_text};
use super::table_map::{MapColumn, column_type as t};
use super::temporal;
use crate::value::float_text;
use godwit_model::definition::{Column, Kind};
use godwit_model::error::{Error, Result};
use godwit_model::row::RowBuilder;

/// A document that is taken apart takes so many times its bytes.
const CHANGED_DOCUMENT: usize = 10;

/// How many bytes a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Fixed(usize),
    /// A little-endian length of so many bytes, then the value.
    Prefixed(usize),
}

/// What the bytes of a value mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Render {
    Signed,
    Unsigned,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Date,
    Time {
        fsp: u8,
    },
    OldTime,
    HiresTime {
        fsp: u8,
    },
    DateTime {
        fsp: u8,
    },
    OldDateTime,
    HiresDateTime {
        fsp: u8,
    },
    Timestamp {
        fsp: u8,
    },
    OldTimestamp,
    HiresTimestamp {
        fsp: u8,
    },
    Bytes,
    ZeroPadded {
        length: usize,
    },
    Json,
    /// MariaDB COMPRESSED.
    Compressed,
    Uuid {
        always_swapped: bool,
    },
    Inet4,
    Inet6,
}

/// Decodes the values of one column.
#[derive(Debug, Clone)]
pub(super) struct ColumnDecoder {
    width: Width,
    render: Render,
    /// Counts among the columns that may hold partial JSON.
    pub is_json: bool,
}

/// Memory reused between values.
#[derive(Debug)]
pub(super) struct Scratch {
    text: Vec<u8>,
    pub json: JsonForm,
    /// What the engine may spend on a value that is compressed.
    largest: usize,
}

impl Scratch {
    pub(super) fn new(json: JsonForm, largest: usize) -> Self {
        Self { text: Vec::new(), json, largest }
    }

    /// Whether a document can be taken apart, which takes [`CHANGED_DOCUMENT`] times its bytes.
    ///
    /// # Errors
    /// Definite when it cannot.
    pub(super) fn has_room_for_change(&self, document: &[u8]) -> Result<()> {
        let bytes = document.len();
        if bytes.saturating_mul(CHANGED_DOCUMENT) <= self.largest {
            return Ok(());
        }
        Err(Error::definite(format!(
            "a part of a JSON document of {bytes} bytes was changed, and to apply that takes {CHANGED_DOCUMENT} times as many; give the task \
             more memory (its units), or let sessions on the source log whole documents (binlog_row_value_options='')"
        )))
    }
}

impl ColumnDecoder {
    /// Fails, saying what the log has, when the definition cannot have produced the column of the log.
    pub(super) fn new(column: &Column, map: &MapColumn) -> std::result::Result<Self, String> {
        let mismatch = || describe(map);
        if let (Some(unsigned), Some(defined)) = (map.unsigned, is_unsigned(&column.kind))
            && unsigned != defined
        {
            return Err(format!("{} {}", describe(map), if unsigned { "UNSIGNED" } else { "signed" }));
        }
        if let Some(name) = &map.name
            && *name != column.name
        {
            return Err(format!("a column named `{name}`"));
        }
        let (width, render) = plan(&column.kind, &column.column_type, map).ok_or_else(mismatch)?;
        Ok(Self { width, render, is_json: map.column_type == t::JSON })
    }

    /// For a column of the log that the definition does not show: the one behind a part of a functional index,
    /// which MySQL 8.0 logs and later versions do not. Only walked over. None: how long its values are is not
    /// known for certain.
    pub(super) fn hidden(map: &MapColumn) -> Option<Self> {
        let meta = map.metadata;
        let length = usize::from(meta);
        let fraction = temporal::fraction_length(meta as u8);
        let width = match map.column_type {
            t::TINY | t::YEAR => Width::Fixed(1),
            t::SHORT => Width::Fixed(2),
            t::INT24 | t::DATE | t::NEWDATE => Width::Fixed(3),
            t::LONG | t::FLOAT => Width::Fixed(4),
            t::LONGLONG | t::DOUBLE => Width::Fixed(8),
            t::NEWDECIMAL => Width::Fixed(numbers::decimal_length((meta >> 8) as u8, meta as u8).ok()?),
            t::BIT => Width::Fixed(usize::from((meta >> 8) * 8 + (meta & 0xff)).div_ceil(8)),
            t::TIME2 => Width::Fixed(3 + fraction),
            t::DATETIME2 => Width::Fixed(5 + fraction),
            t::TIMESTAMP2 => Width::Fixed(4 + fraction),
            t::ENUM | t::SET => Width::Fixed(length),
            t::STRING | t::VARCHAR | t::VAR_STRING => prefix_for(meta),
            t::BLOB | t::GEOMETRY => prefix_of(meta)?,
            _ => return None,
        };
        Some(Self { width, render: Render::Bytes, is_json: false })
    }

    /// The value's bytes, without their length.
    #[inline]
    pub(super) fn take<'a>(&self, input: &mut Cursor<'a>) -> Result<&'a [u8]> {
        match self.width {
            Width::Fixed(length) => input.take(length),
            Width::Prefixed(prefix) => {
                let length = input.uint(prefix)?;
                input.take(length as usize)
            }
        }
    }

    /// Appends the value as canonical bytes.
    #[inline]
    pub(super) fn render(&self, bytes: &[u8], out: &mut RowBuilder, scratch: &mut Scratch) -> Result<()> {
        match self.render {
            Render::Signed => signed_text(numbers::sign_extended(little_endian(bytes), bytes.len()), |text| out.push(Some(text))),
            Render::Unsigned => unsigned_text(little_endian(bytes), |text| out.push(Some(text))),
            Render::Bytes => out.push(Some(bytes)),
            Render::DateTime { fsp } => out.push(Some(temporal::datetime2(bytes, fsp)?.as_bytes())),
            Render::Timestamp { fsp } => out.push(Some(temporal::timestamp2(bytes, fsp)?.as_bytes())),
            Render::Date => out.push(Some(temporal::date(bytes).as_bytes())),
            Render::Time { fsp } => out.push(Some(temporal::time2(bytes, fsp)?.as_bytes())),
            Render::Year => out.push(Some(temporal::year(bytes.first().copied().unwrap_or_default()).as_bytes())),
            Render::OldTime => out.push(Some(temporal::old_time(bytes).as_bytes())),
            Render::OldDateTime => out.push(Some(temporal::old_datetime(bytes).as_bytes())),
            Render::OldTimestamp => out.push(Some(temporal::old_timestamp(bytes).as_bytes())),
            Render::HiresTime { fsp } => out.push(Some(temporal::hires_time(bytes, fsp).as_bytes())),
            Render::HiresDateTime { fsp } => out.push(Some(temporal::hires_datetime(bytes, fsp).as_bytes())),
            Render::HiresTimestamp { fsp } => out.push(Some(temporal::hires_timestamp(bytes, fsp)?.as_bytes())),
            Render::Inet4 => return inet4(bytes, out),
            _ => {
                scratch.text.clear();
                self.render_text(bytes, scratch.json, scratch.largest, &mut scratch.text)?;
                out.push(Some(&scratch.text));
            }
        }
        Ok(())
    }

    fn render_text(&self, bytes: &[u8], json: JsonForm, largest: usize, text: &mut Vec<u8>) -> Result<()> {
        match self.render {
            Render::Float => {
                let bits = u32::try_from(little_endian(bytes)).map_err(|_| malformed("FLOAT"))?;
                float_text(text, f64::from(f32::from_bits(bits)));
            }
            Render::Double => float_text(text, f64::from_bits(little_endian(bytes))),
            Render::Decimal { precision, scale } => numbers::decimal_text(text, bytes, precision, scale)?,
            Render::ZeroPadded { length } => pad(text, bytes, length)?,
            Render::Json => jsonb::text(bytes, json, text)?,
            Render::Compressed => text.extend(compress::maria_column(bytes, largest)?.unwrap_or_default()),
            Render::Uuid { always_swapped } => {
                pad(text, bytes, 16)?;
                let record = std::mem::take(text);
                uuid_text(text, &record, always_swapped);
            }
            Render::Inet6 => {
                pad(text, bytes, 16)?;
                let address = std::mem::take(text);
                inet6_text(text, &address);
            }
            // The others are rendered without the scratch text.
            _ => return Err(malformed("value")),
        }
        Ok(())
    }
}

/// The log has a value without its trailing zero bytes.
fn pad(text: &mut Vec<u8>, bytes: &[u8], length: usize) -> Result<()> {
    if bytes.len() > length {
        return Err(malformed(format!("{} bytes in a column of {length}", bytes.len())));
    }
    text.extend_from_slice(bytes);
    text.resize(length, 0);
    Ok(())
}

fn inet4(bytes: &[u8], out: &mut RowBuilder) -> Result<()> {
    if bytes.len() > 4 {
        return Err(malformed(format!("{} bytes in an INET4 column", bytes.len())));
    }
    let mut address = [0u8; 4];
    address.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    out.push(Some(std::net::Ipv4Addr::from(address).to_string().as_bytes()));
    Ok(())
}

fn is_unsigned(kind: &Kind) -> Option<bool> {
    match kind {
        Kind::TinyInt { unsigned }
        | Kind::SmallInt { unsigned }
        | Kind::MediumInt { unsigned }
        | Kind::Int { unsigned }
        | Kind::BigInt { unsigned } => Some(*unsigned),
        _ => None,
    }
}

/// None: the log's type cannot belong to the definition's.
fn plan(kind: &Kind, column_type: &str, map: &MapColumn) -> Option<(Width, Render)> {
    let code = map.column_type;
    let meta = map.metadata;
    let integer = |unsigned: bool| if unsigned { Render::Unsigned } else { Render::Signed };
    let fsp_agrees = |fsp: u8| u16::from(fsp) == meta;
    Some(match (kind, code) {
        (Kind::TinyInt { unsigned }, t::TINY) => (Width::Fixed(1), integer(*unsigned)),
        (Kind::SmallInt { unsigned }, t::SHORT) => (Width::Fixed(2), integer(*unsigned)),
        (Kind::MediumInt { unsigned }, t::INT24) => (Width::Fixed(3), integer(*unsigned)),
        (Kind::Int { unsigned }, t::LONG) => (Width::Fixed(4), integer(*unsigned)),
        (Kind::BigInt { unsigned }, t::LONGLONG) => (Width::Fixed(8), integer(*unsigned)),
        (Kind::Decimal { precision, scale }, t::NEWDECIMAL) if meta == u16::from(*precision) << 8 | u16::from(*scale) => {
            let length = numbers::decimal_length(*precision, *scale).ok()?;
            (Width::Fixed(length), Render::Decimal { precision: *precision, scale: *scale })
        }
        (Kind::Float, t::FLOAT) if meta == 4 => (Width::Fixed(4), Render::Float),
        (Kind::Double, t::DOUBLE) if meta == 8 => (Width::Fixed(8), Render::Double),
        // Bits beyond whole bytes, and whole bytes.
        (Kind::Bit { bits }, t::BIT) if (meta >> 8) * 8 + (meta & 0xff) == u16::from(*bits) => {
            (Width::Fixed(usize::from(*bits).div_ceil(8)), Render::Bytes)
        }
        (Kind::Year, t::YEAR) => (Width::Fixed(1), Render::Year),
        (Kind::Date, t::DATE | t::NEWDATE) => (Width::Fixed(3), Render::Date),
        (Kind::Time { fsp }, t::TIME2) if fsp_agrees(*fsp) => {
            (Width::Fixed(3 + temporal::fraction_length(*fsp)), Render::Time { fsp: *fsp })
        }
        (Kind::Time { fsp: 0 }, t::TIME) => (Width::Fixed(3), Render::OldTime),
        (Kind::Time { fsp }, t::TIME) => (Width::Fixed(temporal::hires_time_length(*fsp)), Render::HiresTime { fsp: *fsp }),
        (Kind::DateTime { fsp }, t::DATETIME2) if fsp_agrees(*fsp) => {
            (Width::Fixed(5 + temporal::fraction_length(*fsp)), Render::DateTime { fsp: *fsp })
        }
        (Kind::DateTime { fsp: 0 }, t::DATETIME) => (Width::Fixed(8), Render::OldDateTime),
        (Kind::DateTime { fsp }, t::DATETIME) => {
            (Width::Fixed(temporal::hires_datetime_length(*fsp)), Render::HiresDateTime { fsp: *fsp })
        }
        (Kind::Timestamp { fsp }, t::TIMESTAMP2) if fsp_agrees(*fsp) => {
            (Width::Fixed(4 + temporal::fraction_length(*fsp)), Render::Timestamp { fsp: *fsp })
        }
        (Kind::Timestamp { fsp: 0 }, t::TIMESTAMP) => (Width::Fixed(4), Render::OldTimestamp),
        (Kind::Timestamp { fsp }, t::TIMESTAMP) => {
            (Width::Fixed(4 + temporal::hires_fraction_length(*fsp)), Render::HiresTimestamp { fsp: *fsp })
        }
        (Kind::Char, t::STRING) => (prefix_for(meta), Render::Bytes),
        (Kind::Binary { length }, t::STRING) if meta == *length => {
            (prefix_for(meta), Render::ZeroPadded { length: usize::from(*length) })
        }
        (Kind::Uuid, t::STRING) if meta == 16 => (prefix_for(meta), Render::Uuid { always_swapped: column_type.contains("old") }),
        (Kind::Inet6, t::STRING) if meta == 16 => (prefix_for(meta), Render::Inet6),
        (Kind::Inet4, t::STRING) if meta == 4 => (prefix_for(meta), Render::Inet4),
        (Kind::Varchar | Kind::VarBinary | Kind::Vector, t::VARCHAR | t::VAR_STRING) => (prefix_for(meta), Render::Bytes),
        (Kind::Varchar | Kind::VarBinary, t::MARIA_VARCHAR_COMPRESSED) => (prefix_for(meta), Render::Compressed),
        (Kind::Text | Kind::Blob, t::BLOB) => (prefix_of(meta)?, Render::Bytes),
        (Kind::Text | Kind::Blob, t::MARIA_BLOB_COMPRESSED) => (prefix_of(meta)?, Render::Compressed),
        (Kind::Vector, t::VECTOR) | (Kind::Geometry, t::GEOMETRY) => (prefix_of(meta)?, Render::Bytes),
        (Kind::Json, t::JSON) => (prefix_of(meta)?, Render::Json),
        (Kind::Enum { .. }, t::ENUM) if matches!(meta, 1 | 2) => (Width::Fixed(usize::from(meta)), Render::Unsigned),
        (Kind::Set { .. }, t::SET) if (1..=8).contains(&meta) => (Width::Fixed(usize::from(meta)), Render::Unsigned),
        _ => return None,
    })
}

/// Columns of up to 255 bytes have one byte of length.
fn prefix_for(longest: u16) -> Width {
    Width::Prefixed(if longest > 255 { 2 } else { 1 })
}

fn prefix_of(metadata: u16) -> Option<Width> {
    (1..=4).contains(&metadata).then(|| Width::Prefixed(usize::from(metadata)))
}

/// A column of the log, for messages.
fn describe(map: &MapColumn) -> String {
    let meta = map.metadata;
    match map.column_type {
        t::TINY => "TINYINT".to_owned(),
        t::SHORT => "SMALLINT".to_owned(),
        t::INT24 => "MEDIUMINT".to_owned(),
        t::LONG => "INT".to_owned(),
        t::LONGLONG => "BIGINT".to_owned(),
        t::FLOAT => "FLOAT".to_owned(),
        t::DOUBLE => "DOUBLE".to_owned(),
        t::NEWDECIMAL => format!("DECIMAL({},{})", meta >> 8, meta & 0xff),
        t::BIT => format!("BIT({})", (meta >> 8) * 8 + (meta & 0xff)),
        t::YEAR => "YEAR".to_owned(),
        t::DATE | t::NEWDATE => "DATE".to_owned(),
        t::TIME | t::TIME2 => format!("TIME({meta})"),
        t::DATETIME | t::DATETIME2 => format!("DATETIME({meta})"),
        t::TIMESTAMP | t::TIMESTAMP2 => format!("TIMESTAMP({meta})"),
        t::VARCHAR | t::VAR_STRING | t::MARIA_VARCHAR_COMPRESSED => format!("VARCHAR or VARBINARY of {meta} bytes"),
        t::STRING => format!("CHAR or BINARY of {meta} bytes"),
        t::ENUM => "ENUM".to_owned(),
        t::SET => "SET".to_owned(),
        t::BLOB | t::MARIA_BLOB_COMPRESSED => "TEXT or BLOB".to_owned(),
        t::JSON => "JSON".to_owned(),
        t::GEOMETRY => "GEOMETRY".to_owned(),
        t::VECTOR => "VECTOR".to_owned(),
        other => format!("type {other}"),
    }
}

/// MariaDB stores UUIDs of the time-based versions with their parts in reverse order, so that they sort by
/// time; since 10.11.5 the others lie as they are. (`UUID::record_to_memory`.)
fn uuid_text(out: &mut Vec<u8>, record: &[u8], always_swapped: bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    // Where each part of the text lies in a swapped record.
    const SWAPPED: [(usize, usize); 5] = [(12, 4), (10, 2), (8, 2), (6, 2), (0, 6)];
    const STRAIGHT: [(usize, usize); 5] = [(0, 4), (4, 2), (6, 2), (8, 2), (10, 6)];
    let byte = |i: usize| record.get(i).copied().unwrap_or_default();
    let swapped = always_swapped || byte(6) & byte(8).wrapping_neg() & 0x80 != 0;
    for (i, (start, length)) in if swapped { SWAPPED } else { STRAIGHT }.into_iter().enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        for place in start..start + length {
            out.push(HEX[usize::from(byte(place) >> 4)]);
            out.push(HEX[usize::from(byte(place) & 15)]);
        }
    }
}

/// As `INET6_NTOA` prints: the first of the longest runs of zero words is left out, and addresses that hold
/// an IPv4 address end in its dotted form.
fn inet6_text(out: &mut Vec<u8>, address: &[u8]) {
    use std::io::Write;
    let words: Vec<u16> = address.chunks_exact(2).map(|pair| big_endian(pair) as u16).collect();
    let (gap, gap_length) = longest_gap(&words);
    let mut i = 0;
    while i < words.len() {
        if i == gap && gap_length > 0 {
            if i == 0 {
                out.push(b':');
            }
            out.push(b':');
            i += gap_length;
            continue;
        }
        let holds_ipv4 = gap == 0 && (gap_length == 6 || gap_length == 5 && words.get(5) == Some(&0xffff));
        // Writing into a Vec cannot fail.
        if i == 6 && holds_ipv4 {
            if let [.., a, b, c, d] = address {
                let _ = write!(out, "{a}.{b}.{c}.{d}");
            }
            return;
        }
        let _ = write!(out, "{:x}", words.get(i).copied().unwrap_or_default());
        if i + 1 < words.len() {
            out.push(b':');
        }
        i += 1;
    }
}

fn longest_gap(words: &[u16]) -> (usize, usize) {
    let (mut best, mut best_length) = (0, 0);
    let mut i = 0;
    while i < words.len() {
        let length = words.get(i..).unwrap_or_default().iter().take_while(|word| **word == 0).count();
        if length > best_length {
            (best, best_length) = (i, length);
        }
        i += length.max(1);
    }
    (best, best_length)
}

/// Error of a column that the definition does not explain.
pub(super) fn mismatch(table: &str, column: &Column, found: &str) -> Error {
    Error::definite(format!(
        "the binary log does not agree with the known definition of {table}: column `{}` should be {}, the log has {found}",
        column.name, column.column_type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(record: [u8; 16]) -> String {
        let mut out = Vec::new();
        uuid_text(&mut out, &record, false);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn documents_that_are_taken_apart_find_room() {
        let scratch = Scratch::new(JsonForm::default(), 1000);
        assert!(scratch.has_room_for_change(&[0; 100]).is_ok());
        let error = scratch.has_room_for_change(&[0; 101]).unwrap_err();
        assert!(!error.is_retryable() && error.to_string().contains("binlog_row_value_options"), "{error}");
    }

    #[test]
    fn uuids_of_both_orders() {
        // Version 1 lies swapped, version 7 as it is.
        let swapped = [0xc8, 0x0a, 0xa9, 0x42, 0x95, 0x62, 0x9e, 0x33, 0x11, 0xe1, 0x71, 0xca, 0x3e, 0x11, 0xfa, 0x47];
        assert_eq!(uuid(swapped), "3e11fa47-71ca-11e1-9e33-c80aa9429562");
        let straight = [0x01, 0x8f, 0x00, 0x00, 0x00, 0x01, 0x70, 0x01, 0x80, 0x02, 1, 2, 3, 4, 5, 6];
        assert_eq!(uuid(straight), "018f0000-0001-7001-8002-010203040506");
    }

    #[test]
    fn inet6_forms() {
        let text = |address: &str| {
            let mut out = Vec::new();
            inet6_text(&mut out, &address.parse::<std::net::Ipv6Addr>().unwrap().octets());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text("::"), "::");
        assert_eq!(text("::1"), "::1");
        assert_eq!(text("2001:db8::ff00:42:8329"), "2001:db8::ff00:42:8329");
        assert_eq!(text("::ffff:192.168.0.1"), "::ffff:192.168.0.1");
        assert_eq!(text("::192.168.0.1"), "::192.168.0.1");
        assert_eq!(text("fe80::"), "fe80::");
    }
}
