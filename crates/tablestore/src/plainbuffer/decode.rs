//! Bytes to rows. Whatever the bytes are, the answer is rows or [`Malformed`], and no more memory is taken than a small multiple of the bytes
//! that are there: a length is compared with what is left before anything is copied.

use super::{
    HEADER, TAG_CELL, TAG_CELL_CHECKSUM, TAG_CELL_NAME, TAG_CELL_TIMESTAMP, TAG_CELL_VALUE, TAG_ROW_CHECKSUM, TAG_ROW_DATA,
    TAG_ROW_KEY, TYPE_BINARY, TYPE_BOOLEAN, TYPE_DOUBLE, TYPE_INTEGER, TYPE_MAX, TYPE_MIN, TYPE_STRING,
};
use crate::crc8;
use crate::value::{Column, KeyBound, KeyPoint, KeyValue, Name, PrimaryKey, Row, Value};

/// Why bytes are no PlainBuffer of rows. It tells of the form only, never of what the bytes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first four bytes are others.
    #[error("rows do not begin with the header of PlainBuffer")]
    Header,
    /// The bytes end within a row.
    #[error("rows end in the middle of one")]
    End,
    /// There is a tag where another one has to be.
    #[error("tag {found} where tag {wanted} has to be")]
    Tag {
        /// The tag that has to be there.
        wanted: u8,
        /// The byte that is there.
        found: u8,
    },
    /// A value has a type that does not exist, or that is not allowed in its place.
    #[error("a value of type {0} is not allowed in this place")]
    Type(u8),
    /// The two lengths of a value contradict each other, or its type.
    #[error("the length of a value contradicts its type")]
    Length,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A boolean is neither 0 nor 1.
    #[error("a boolean is neither 0 nor 1")]
    Boolean,
    /// The checksum of a cell is another one.
    #[error("the checksum of a cell is wrong")]
    CellChecksum,
    /// The checksum of a row is another one.
    #[error("the checksum of a row is wrong")]
    RowChecksum,
    /// There are bytes after the row, or several rows where one was asked for.
    #[error("there is more than one row")]
    More,
}

/// All rows of a buffer, in order. No bytes at all are no rows.
///
/// # Errors
/// [`Malformed`] for the first thing that is wrong; the rows before it are not handed out.
pub fn rows(bytes: &[u8]) -> Result<Vec<Row>, Malformed> {
    let mut rows = Vec::new();
    if bytes.is_empty() {
        return Ok(rows);
    }
    let mut from = Reader::begin(bytes)?;
    while !from.rest.is_empty() {
        let (point, columns) = from.row()?;
        let key =
            point.into_iter().map(|(name, bound)| Ok((name, value_of(bound)?))).collect::<Result<PrimaryKey, Malformed>>()?;
        rows.push(Row { key, columns });
    }
    Ok(rows)
}

/// The one row of a buffer, or none if there are no bytes.
///
/// # Errors
/// [`Malformed`]; [`Malformed::More`] for a second row.
pub fn row(bytes: &[u8]) -> Result<Option<Row>, Malformed> {
    let mut rows = rows(bytes)?;
    let row = rows.pop();
    if rows.is_empty() { Ok(row) } else { Err(Malformed::More) }
}

/// A point of the key space, as GetRange and ComputeSplitPointsBySize answer it.
///
/// # Errors
/// [`Malformed`]; [`Malformed::More`] for attributes or a second row.
pub fn key(bytes: &[u8]) -> Result<KeyPoint, Malformed> {
    let mut from = Reader::begin(bytes)?;
    let (point, columns) = from.row()?;
    if columns.is_empty() && from.rest.is_empty() { Ok(point) } else { Err(Malformed::More) }
}

fn value_of(bound: KeyBound) -> Result<KeyValue, Malformed> {
    match bound {
        KeyBound::Value(value) => Ok(value),
        KeyBound::Min => Err(Malformed::Type(TYPE_MIN)),
        KeyBound::Max => Err(Malformed::Type(TYPE_MAX)),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn begin(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Self { rest: bytes };
        if u32::from_le_bytes(from.array()?) == HEADER { Ok(from) } else { Err(Malformed::Header) }
    }

    fn row(&mut self) -> Result<(KeyPoint, Vec<Column>), Malformed> {
        let mut checksum = 0;
        self.tag(TAG_ROW_KEY)?;
        let mut point = Vec::new();
        while self.peek() == Some(TAG_CELL) {
            let (name, mut cell) = self.name()?;
            self.tag(TAG_CELL_VALUE)?;
            let bound = self.key_value(&mut cell)?;
            checksum = crc8::byte(checksum, self.cell_checksum(cell)?);
            point.push((name, bound));
        }
        let mut columns = Vec::new();
        if self.peek() == Some(TAG_ROW_DATA) {
            self.tag(TAG_ROW_DATA)?;
            while self.peek() == Some(TAG_CELL) {
                let (name, mut cell) = self.name()?;
                self.tag(TAG_CELL_VALUE)?;
                let value = self.value(&mut cell)?;
                let timestamp = self.timestamp(&mut cell)?;
                checksum = crc8::byte(checksum, self.cell_checksum(cell)?);
                columns.push(Column { name, value, timestamp });
            }
        }
        // A row that is read has no delete marker, so the byte for it is 0.
        self.tag(TAG_ROW_CHECKSUM)?;
        if self.byte()? == crc8::byte(checksum, 0) { Ok((point, columns)) } else { Err(Malformed::RowChecksum) }
    }

    /// A cell up to and with its name; also the checksum of the name.
    fn name(&mut self) -> Result<(Name, u8), Malformed> {
        self.tag(TAG_CELL)?;
        self.tag(TAG_CELL_NAME)?;
        let length = self.length()?;
        let name = self.take(length)?;
        Ok((text(name)?.into(), crc8::bytes(0, name)))
    }

    fn key_value(&mut self, cell: &mut u8) -> Result<KeyBound, Malformed> {
        let (r#type, content) = self.typed(cell)?;
        let value = match r#type {
            TYPE_MIN if content.is_empty() => return Ok(KeyBound::Min),
            TYPE_MAX if content.is_empty() => return Ok(KeyBound::Max),
            TYPE_INTEGER => KeyValue::Integer(i64::from_le_bytes(fixed(content)?)),
            TYPE_STRING => KeyValue::String(text(sized(content)?)?.to_owned()),
            TYPE_BINARY => KeyValue::Binary(sized(content)?.to_vec()),
            other => return Err(Malformed::Type(other)),
        };
        Ok(KeyBound::Value(value))
    }

    fn value(&mut self, cell: &mut u8) -> Result<Value, Malformed> {
        let (r#type, content) = self.typed(cell)?;
        Ok(match r#type {
            TYPE_INTEGER => Value::Integer(i64::from_le_bytes(fixed(content)?)),
            TYPE_DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(fixed(content)?))),
            TYPE_BOOLEAN => match fixed::<1>(content)? {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return Err(Malformed::Boolean),
            },
            TYPE_STRING => Value::String(text(sized(content)?)?.to_owned()),
            TYPE_BINARY => Value::Binary(sized(content)?.to_vec()),
            other => return Err(Malformed::Type(other)),
        })
    }

    /// The type of a value and what follows it, counted into the checksum of the cell.
    fn typed(&mut self, cell: &mut u8) -> Result<(u8, &'a [u8]), Malformed> {
        let length = self.length()?;
        let (r#type, content) = self.take(length)?.split_first().ok_or(Malformed::Length)?;
        *cell = crc8::bytes(crc8::byte(*cell, *r#type), content);
        Ok((*r#type, content))
    }

    fn timestamp(&mut self, cell: &mut u8) -> Result<Option<i64>, Malformed> {
        if self.peek() != Some(TAG_CELL_TIMESTAMP) {
            return Ok(None);
        }
        self.tag(TAG_CELL_TIMESTAMP)?;
        let bytes: [u8; 8] = self.array()?;
        *cell = crc8::bytes(*cell, &bytes);
        Ok(Some(i64::from_le_bytes(bytes)))
    }

    fn cell_checksum(&mut self, computed: u8) -> Result<u8, Malformed> {
        self.tag(TAG_CELL_CHECKSUM)?;
        if self.byte()? == computed { Ok(computed) } else { Err(Malformed::CellChecksum) }
    }

    fn tag(&mut self, wanted: u8) -> Result<(), Malformed> {
        let found = self.byte()?;
        if found == wanted { Ok(()) } else { Err(Malformed::Tag { wanted, found }) }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| Malformed::End)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Malformed::End)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::End)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// What a value of a known length holds.
fn fixed<const N: usize>(content: &[u8]) -> Result<[u8; N], Malformed> {
    content.try_into().map_err(|_| Malformed::Length)
}

/// What a value that says its length holds.
fn sized(content: &[u8]) -> Result<&[u8], Malformed> {
    let (length, content) = content.split_first_chunk().ok_or(Malformed::Length)?;
    if usize::try_from(u32::from_le_bytes(*length)) == Ok(content.len()) { Ok(content) } else { Err(Malformed::Length) }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Text)
}
