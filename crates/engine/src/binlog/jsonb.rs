//! MySQL's binary JSON (`json_binary.h`) as canonical documents: the text that MySQL 8 prints, with the types that text does not
//! tell (`value::json_types`).

use super::cursor::{Cursor, little_endian, malformed};
use super::numbers::{decimal_text, sign_extended, signed_text, unsigned_text};
use super::table_map::column_type as t;
use super::temporal::{JsonTemporal, json_temporal};
use crate::value::json_nodes::MAX_DEPTH;
use crate::value::json_types::{MARK, current_type, is_unsigned_by_text};
use godwit_model::error::Result;

/// Which types a source's copy can tell. The copy asks the source of today, so the log's documents are
/// read in the same way, whatever server wrote them into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonForm {
    /// Integers are what a parser makes of their digits.
    MySql57,
    /// All.
    #[default]
    MySql80,
}

impl JsonForm {
    /// Of a server's `@@version`.
    pub fn of_version(version: &str) -> Self {
        if version.starts_with("5.") { Self::MySql57 } else { Self::MySql80 }
    }
}

/// A value inside a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(&'a [u8]),
    Opaque { field_type: u8, data: &'a [u8] },
    Container(Container<'a>),
}

/// An object or array: a table of its members at the start of `data`, offsets from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Container<'a> {
    pub is_object: bool,
    large: bool,
    pub count: usize,
    data: &'a [u8],
}

/// Appends the canonical form of a document. No bytes at all are the JSON null, as the server reads them.
pub(super) fn text(document: &[u8], form: JsonForm, out: &mut Vec<u8>) -> Result<()> {
    if document.is_empty() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    // A valid document's parts do not overlap, so that reading it takes no more bytes than it has. This
    // stops documents whose offsets point back from growing without end.
    let mut printer = Printer { left: document.len(), form, typed: false };
    let start = out.len();
    printer.value(&parse(document)?, out, 0)?;
    if printer.typed {
        out.insert(start, MARK);
    }
    Ok(())
}

/// The value of a document with at least one byte.
pub(super) fn parse(document: &[u8]) -> Result<Value<'_>> {
    let (kind, data) = document.split_first().ok_or_else(|| malformed("JSON without a type"))?;
    value(*kind, data)
}

fn value(kind: u8, data: &[u8]) -> Result<Value<'_>> {
    let mut cursor = Cursor::new(data);
    Ok(match kind {
        0x00..=0x03 => Value::Container(container(kind, data)?),
        0x04 => literal(cursor.u8()?)?,
        0x05 => Value::Int(sign_extended(cursor.uint(2)?, 2)),
        0x06 => Value::Uint(cursor.uint(2)?),
        0x07 => Value::Int(sign_extended(cursor.uint(4)?, 4)),
        0x08 => Value::Uint(cursor.uint(4)?),
        0x09 => Value::Int(cursor.u64()? as i64),
        0x0a => Value::Uint(cursor.u64()?),
        0x0b => Value::Double(f64::from_bits(cursor.u64()?)),
        0x0c => {
            let length = variable_length(&mut cursor)?;
            Value::String(cursor.take(length)?)
        }
        0x0f => {
            let field_type = cursor.u8()?;
            let length = variable_length(&mut cursor)?;
            Value::Opaque { field_type, data: cursor.take(length)? }
        }
        other => return Err(malformed(format!("JSON value of type {other}"))),
    })
}

fn literal(byte: u8) -> Result<Value<'static>> {
    match byte {
        0 => Ok(Value::Null),
        1 => Ok(Value::Bool(true)),
        2 => Ok(Value::Bool(false)),
        other => Err(malformed(format!("JSON literal {other}"))),
    }
}

/// Seven bits a byte, lowest first, at most five bytes.
fn variable_length(cursor: &mut Cursor<'_>) -> Result<usize> {
    let mut length = 0usize;
    for place in 0..5 {
        let byte = cursor.u8()?;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(malformed("JSON length"))
}

fn container(kind: u8, data: &[u8]) -> Result<Container<'_>> {
    let (is_object, large) = (kind < 2, kind & 1 == 1);
    let mut cursor = Cursor::new(data);
    let width = if large { 4 } else { 2 };
    let count = cursor.uint(width)? as usize;
    let size = cursor.uint(width)? as usize;
    let data = data.get(..size).ok_or_else(|| malformed("JSON container longer than its document"))?;
    let container = Container { is_object, large, count, data };
    // The tables must fit, so that a count is never larger than the data.
    if container.values_start() + count * container.value_entry() > size {
        return Err(malformed("JSON container smaller than its tables"));
    }
    Ok(container)
}

impl<'a> Container<'a> {
    fn width(&self) -> usize {
        if self.large { 4 } else { 2 }
    }

    fn key_entry(&self) -> usize {
        self.width() + 2
    }

    fn value_entry(&self) -> usize {
        1 + self.width()
    }

    fn values_start(&self) -> usize {
        2 * self.width() + if self.is_object { self.count * self.key_entry() } else { 0 }
    }

    fn at(&self, offset: usize) -> Result<Cursor<'a>> {
        self.data.get(offset..).map(Cursor::new).ok_or_else(|| malformed("JSON offset outside its container"))
    }

    /// Key of member `i` of an object.
    pub(super) fn key(&self, i: usize) -> Result<&'a [u8]> {
        let mut entry = self.at(2 * self.width() + i * self.key_entry())?;
        let offset = entry.uint(self.width())? as usize;
        let length = usize::from(entry.u16()?);
        self.at(offset)?.take(length)
    }

    /// Value of member `i`.
    pub(super) fn value(&self, i: usize) -> Result<Value<'a>> {
        let mut entry = self.at(self.values_start() + i * self.value_entry())?;
        let kind = entry.u8()?;
        let inlined = matches!(kind, 0x04..=0x06) || self.large && matches!(kind, 0x07 | 0x08);
        if inlined {
            return value(kind, entry.take(self.width())?);
        }
        let offset = entry.uint(self.width())? as usize;
        value(kind, self.at(offset)?.rest())
    }

    /// Bytes of its own, without its members' keys and values.
    pub(super) fn table_size(&self) -> usize {
        self.values_start() + self.count * self.value_entry()
    }
}

struct Printer {
    /// Bytes of the document not yet read.
    left: usize,
    form: JsonForm,
    /// A value with a mark was printed.
    typed: bool,
}

impl Printer {
    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| malformed("JSON whose parts overlap"))?;
        Ok(())
    }

    fn value(&mut self, value: &Value<'_>, out: &mut Vec<u8>, depth: usize) -> Result<()> {
        match value {
            Value::Container(container) => return self.container(container, out, depth),
            Value::String(bytes) | Value::Opaque { data: bytes, .. } => self.spend(bytes.len())?,
            _ => {}
        }
        self.typed |= write_scalar(value, self.form, out)?;
        Ok(())
    }

    fn container(&mut self, container: &Container<'_>, out: &mut Vec<u8>, depth: usize) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err(malformed("JSON nested too deeply"));
        }
        self.spend(container.table_size())?;
        out.push(if container.is_object { b'{' } else { b'[' });
        for i in 0..container.count {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            if container.is_object {
                let key = container.key(i)?;
                self.spend(key.len())?;
                write_string(key, out);
                out.extend_from_slice(b": ");
            }
            self.value(&container.value(i)?, out, depth + 1)?;
        }
        out.push(if container.is_object { b'}' } else { b']' });
        Ok(())
    }
}

/// Appends anything but an object or array; whether it has a mark.
pub(super) fn write_scalar(value: &Value<'_>, form: JsonForm, out: &mut Vec<u8>) -> Result<bool> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => {
            let marked = form == JsonForm::MySql80 && u64::try_from(*number).is_ok_and(is_unsigned_by_text);
            if marked {
                out.extend_from_slice(&[MARK, b'I']);
            }
            signed_text(*number, |text| out.extend_from_slice(text));
            return Ok(marked);
        }
        Value::Uint(number) => {
            let marked = form == JsonForm::MySql80 && !is_unsigned_by_text(*number);
            if marked {
                out.extend_from_slice(&[MARK, b'U']);
            }
            unsigned_text(*number, |text| out.extend_from_slice(text));
            return Ok(marked);
        }
        Value::Double(number) => write_double(*number, out),
        Value::String(bytes) => write_string(bytes, out),
        Value::Opaque { field_type, data } => {
            write_opaque(*field_type, data, out)?;
            return Ok(true);
        }
        Value::Container(_) => return Err(malformed("JSON container in place of a scalar")),
    }
    Ok(false)
}

fn write_opaque(field_type: u8, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (letter, temporal) = match field_type {
        t::NEWDECIMAL => {
            let mut cursor = Cursor::new(data);
            let (precision, scale) = (cursor.u8()?, cursor.u8()?);
            out.extend_from_slice(&[MARK, b'D']);
            return decimal_text(out, cursor.rest(), precision, scale);
        }
        t::DATE | t::NEWDATE => (b'd', JsonTemporal::Date),
        t::TIME | t::TIME2 => (b't', JsonTemporal::Time),
        t::DATETIME | t::DATETIME2 => (b'm', JsonTemporal::DateTime),
        t::TIMESTAMP | t::TIMESTAMP2 => (b's', JsonTemporal::DateTime),
        other => {
            out.extend_from_slice(&[MARK, b'b']);
            out.extend_from_slice(b"\"base64:type");
            unsigned_text(u64::from(current_type(other)), |text| out.extend_from_slice(text));
            out.push(b':');
            base64(data, out);
            out.push(b'"');
            return Ok(());
        }
    };
    if data.len() != 8 {
        return Err(malformed("date or time inside JSON"));
    }
    out.extend_from_slice(&[MARK, letter, b'"']);
    out.extend_from_slice(json_temporal(little_endian(data) as i64, temporal).as_bytes());
    out.push(b'"');
    Ok(())
}

/// The server breaks lines after 76 characters, as MIME does.
fn base64(data: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (i, group) in data.chunks(3).enumerate() {
        if i > 0 && i % 19 == 0 {
            // MySQL 5.7 prints the line break itself, which is no JSON; a SELECT's text is mended the same way.
            out.extend_from_slice(b"\\n");
        }
        let bits = group.iter().chain([0, 0].iter()).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        for place in 0..4 {
            let used = place <= group.len();
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if used { digit } else { b'=' });
        }
    }
}

/// Appends a string in quotes, escaped as the server does.
pub(super) fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut plain = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let escape = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x00..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(bytes.get(plain..i).unwrap_or_default());
        out.extend_from_slice(&[b'\\', escape]);
        if escape == b'u' {
            out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        plain = i + 1;
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

/// The shortest digits that read back, without an exponent where the point is near (`my_gcvt`), and `.0`
/// where it would look like an integer.
fn write_double(number: f64, out: &mut Vec<u8>) {
    if number.is_sign_negative() {
        out.push(b'-');
    }
    let (digits, exponent) = shortest_digits(number.abs());
    // Place of the point among the digits.
    let point = exponent + 1;
    let length = digits.len() as i32;
    if point >= -14 && (point <= 15 || length > point) {
        if point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend((point..0).map(|_| b'0'));
            out.extend_from_slice(&digits);
        } else {
            let whole = digits.iter().copied().chain(std::iter::repeat(b'0')).take(point as usize);
            out.extend(whole);
            match digits.get(point as usize..) {
                Some([]) | None => out.extend_from_slice(b".0"),
                Some(fraction) => {
                    out.push(b'.');
                    out.extend_from_slice(fraction);
                }
            }
        }
        return;
    }
    let (first, others) = digits.split_first().map_or((b'0', &[][..]), |(first, others)| (*first, others));
    out.push(first);
    if !others.is_empty() {
        out.push(b'.');
        out.extend_from_slice(others);
    }
    out.push(b'e');
    signed_text(i64::from(exponent), |text| out.extend_from_slice(text));
}

/// Digits and decimal exponent of the first one. Of two shortest forms that are equally near, the server
/// (David Gay's `dtoa`) takes the one that ends in an even digit.
fn shortest_digits(number: f64) -> (Vec<u8>, i32) {
    let (digits, exponent) = scientific(&format!("{number:e}"));
    // More digits than any double has at a distance that matters: enough to tell a tie.
    let (exact, exact_exponent) = scientific(&format!("{number:.60e}"));
    let Some((above, [b'5', rest @ ..])) = exact.split_at_checked(digits.len()) else { return (digits, exponent) };
    if exact_exponent != exponent || rest.iter().any(|digit| *digit != b'0') || above.last().is_none_or(|digit| digit % 2 == 1) {
        return (digits, exponent);
    }
    let even = String::from_utf8_lossy(above).into_owned();
    let reads_back = format!("{even}e{}", exponent - (even.len() as i32 - 1)).parse() == Ok(number);
    if reads_back { (above.to_vec(), exponent) } else { (digits, exponent) }
}

/// Takes `d.ddde-5` apart.
fn scientific(text: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa.bytes().filter(u8::is_ascii_digit).collect(), exponent.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn double(number: f64) -> String {
        let mut out = Vec::new();
        write_double(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn s(document: &[u8]) -> String {
        let mut out = Vec::new();
        text(document, JsonForm::MySql80, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_as_the_server_prints_them() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (100.0, "100.0"),
            (1e14, "100000000000000.0"),
            (1e15, "1e15"),
            (1e20, "1e20"),
            (123_456_789_012_345_680.0, "1.2345678901234568e17"),
            (1_234_567_890_123_456.8, "1234567890123456.8"),
            (0.001, "0.001"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (1.5e300, "1.5e300"),
            (-2.5e-20, "-2.5e-20"),
            (977_909_540_281_299.2, "977909540281299.2"),
        ] {
            assert_eq!(double(number), expected);
        }
    }

    #[test]
    fn scalars_and_containers() {
        assert_eq!(s(&[]), "null");
        assert_eq!(s(&[4, 1]), "true");
        assert_eq!(s(&[5, 0xff, 0xff]), "-1");
        assert_eq!(s(&[0x0c, 3, b'a', b'"', 1]), r#""a\"\u0001""#);
        // {"a": 1, "b": [null, "x"]}, small.
        let object: &[u8] = &[
            0x00, 2, 0, 33, 0, // count, size
            18, 0, 1, 0, 19, 0, 1, 0, // keys
            5, 1, 0, 2, 20, 0, // values: inlined 1; array at 20
            b'a', b'b', // keys at 18
            2, 0, 13, 0, 4, 0, 0, 12, 10, 0, 1, b'x', 0, // array at 20: count, size, entries, "x" at 10
        ];
        assert_eq!(s(object), r#"{"a": 1, "b": [null, "x"]}"#);
    }

    #[test]
    fn types_are_marked() {
        assert_eq!(s(&[0x0f, 246, 4, 3, 1, 0x81, 5]), "##D1.5");
        assert_eq!(s(&[0x0f, 252, 3, 1, 2, 3]), "##b\"base64:type252:AQID\"");
        // Of 5.7, which prints 253 where later servers have 15.
        assert_eq!(s(&[0x0f, 253, 3, 1, 2, 3]), "##b\"base64:type15:AQID\"");
        assert_eq!(s(&[6, 7, 0]), "##U7");
        assert_eq!(s(&[10, 255, 255, 255, 255, 255, 255, 255, 255]), "18446744073709551615");
        let mut out = Vec::new();
        text(&[6, 7, 0], JsonForm::MySql57, &mut out).unwrap();
        assert_eq!(out, b"7");
    }

    #[test]
    fn offsets_that_point_back_end() {
        // An array of itself.
        assert!(text(&[2, 2, 0, 10, 0, 2, 0, 0, 2, 0, 0], JsonForm::MySql80, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn malformed_documents_do_not_panic(kind in 0u8..16, bytes in proptest::collection::vec(0u8..40, 0..120)) {
            let mut document = vec![kind];
            document.extend(bytes);
            let _ = text(&document, JsonForm::MySql57, &mut Vec::new());
        }

        #[test]
        fn doubles_read_back(number: f64) {
            prop_assume!(number.is_finite());
            prop_assert_eq!(double(number).parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
    }
}
