//! TABLE_MAP: the columns of a table as the following row events have them.

use super::bounds::{self, LONGEST_NAME, MOST_COLUMNS, MOST_LABELS, MOST_MAP_BYTES, MOST_MEMBERS};
use super::cursor::{Cursor, malformed};
use super::format::Flavour;
use godwit_model::error::Result;

/// Column types in the log (`enum_field_types`).
pub(super) mod column_type {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    /// Only of columns that hide behind a multi-valued index.
    pub(crate) const TYPED_ARRAY: u8 = 20;
    pub(crate) const MARIA_BLOB_COMPRESSED: u8 = 140;
    pub(crate) const MARIA_VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}
use column_type as t;

/// What a label takes beside its letters.
const LABEL_BYTES: usize = 40;

/// A column as the log describes it. The optional parts are there when the source writes them
/// (`binlog_row_metadata`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapColumn {
    /// `enum_field_types`, with ENUM and SET told from CHAR.
    pub column_type: u8,
    /// What it means depends on the type: digits, length, bytes of the length.
    pub metadata: u16,
    pub nullable: bool,
    /// Of numbers, where the source writes it (by default, too) and it is certain.
    pub unsigned: Option<bool>,
    /// Collation id.
    pub collation: Option<u32>,
    pub name: Option<String>,
    /// Of an ENUM or SET, in the column's character set.
    pub labels: Option<Vec<Vec<u8>>>,
    pub geometry_type: Option<u32>,
    pub vector_dimensions: Option<u32>,
    pub visible: Option<bool>,
}

/// A table as the log describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    pub id: u64,
    pub flags: u16,
    pub database: String,
    pub table: String,
    pub columns: Vec<MapColumn>,
    /// Column and prefix length (0: the whole column), where the source writes it.
    pub primary_key: Vec<(usize, u64)>,
    /// The event's body: equal bytes are an equal map.
    pub(super) raw: Box<[u8]>,
    pub(super) size: usize,
}

impl TableMap {
    /// `database.table`, for messages.
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// Table id of an event's body, without reading the rest.
    pub(super) fn peek_id(body: &[u8], id_length: usize) -> Result<u64> {
        Cursor::new(body).uint(id_length)
    }

    pub(super) fn parse(body: &[u8], id_length: usize, flavour: Flavour) -> Result<Self> {
        bounds::count(body.len(), MOST_MAP_BYTES, "bytes in a table map")?;
        let mut cursor = Cursor::new(body);
        let id = cursor.uint(id_length)?;
        let flags = cursor.u16()?;
        let database = String::from_utf8_lossy(cursor.short_bytes()?).into_owned();
        cursor.u8()?;
        let table = String::from_utf8_lossy(cursor.short_bytes()?).into_owned();
        cursor.u8()?;
        let count = bounds::count(cursor.lenenc_size()?, MOST_COLUMNS, "columns in a table map")?;
        let types = cursor.take(count)?;
        let mut metadata = Cursor::new(cursor.lenenc_bytes()?);
        let nulls = cursor.take(count.div_ceil(8))?;
        let mut columns = Vec::with_capacity(count);
        for (i, code) in types.iter().enumerate() {
            let (column_type, metadata) = column_metadata(*code, &mut metadata)?;
            columns.push(MapColumn { column_type, metadata, nullable: bit(nulls, i), ..MapColumn::default() });
        }
        let mut map = Self { id, flags, database, table, columns, primary_key: Vec::new(), raw: body.into(), size: 0 };
        while !cursor.is_empty() {
            let field = cursor.u8()?;
            let value = Cursor::new(cursor.lenenc_bytes()?);
            map.optional(field, value, flavour)?;
        }
        map.size = map.measure();
        Ok(map)
    }

    fn optional(&mut self, field: u8, mut value: Cursor<'_>, flavour: Flavour) -> Result<()> {
        let is_character = if flavour == Flavour::MariaDb { is_maria_character } else { is_character };
        match field {
            1 => {
                // 8.0 leaves YEAR out of the list, 9.7 has it: nothing is certain behind one.
                let bits = value.rest();
                let certain = self.columns.iter_mut().take_while(|column| column.column_type != t::YEAR);
                let numeric = certain.filter(|column| is_numeric(column.column_type));
                numeric.enumerate().for_each(|(i, column)| column.unsigned = Some(bit_from_the_left(bits, i)));
            }
            2 => default_collations(&mut self.columns, is_character, value)?,
            3 => column_collations(&mut self.columns, is_character, value)?,
            4 => {
                for column in &mut self.columns {
                    let name = value.lenenc_bytes()?;
                    bounds::count(name.len(), LONGEST_NAME, "bytes in the name of a column")?;
                    column.name = Some(String::from_utf8_lossy(name).into_owned());
                }
            }
            5 => labels(&mut self.columns, t::SET, value)?,
            6 => labels(&mut self.columns, t::ENUM, value)?,
            7 => {
                for column in self.columns.iter_mut().filter(|column| column.column_type == t::GEOMETRY) {
                    column.geometry_type = Some(value.lenenc()? as u32);
                }
            }
            8 => {
                while !value.is_empty() {
                    self.key_part(value.lenenc_size()?, 0)?;
                }
            }
            9 => {
                while !value.is_empty() {
                    self.key_part(value.lenenc_size()?, value.lenenc()?)?;
                }
            }
            10 => default_collations(&mut self.columns, is_enum_or_set, value)?,
            11 => column_collations(&mut self.columns, is_enum_or_set, value)?,
            12 => {
                let bits = value.rest();
                self.columns.iter_mut().enumerate().for_each(|(i, column)| column.visible = Some(bit_from_the_left(bits, i)));
            }
            13 => {
                for column in self.columns.iter_mut().filter(|column| column.column_type == t::VECTOR) {
                    column.vector_dimensions = Some(value.lenenc()? as u32);
                }
            }
            // Fields of later versions describe; they do not change how rows are read.
            _ => {}
        }
        Ok(())
    }

    fn key_part(&mut self, column: usize, prefix: u64) -> Result<()> {
        bounds::count(self.primary_key.len() + 1, self.columns.len(), "columns in a primary key")?;
        self.primary_key.push((column, prefix));
        Ok(())
    }

    /// Bytes that it takes in memory, about.
    pub fn size(&self) -> usize {
        self.size
    }

    fn measure(&self) -> usize {
        let labels = |column: &MapColumn| column.labels.iter().flatten().map(|label| LABEL_BYTES + label.len()).sum::<usize>();
        let columns: usize = self
            .columns
            .iter()
            .map(|column| size_of::<MapColumn>() + column.name.as_ref().map_or(0, String::len) + labels(column))
            .sum();
        size_of::<Self>() + self.raw.len() + columns
    }
}

/// The type's own metadata; its length hangs on the type. CHAR of more than 255 bytes keeps two bits of its
/// length in the type byte, inverted.
fn column_metadata(code: u8, cursor: &mut Cursor<'_>) -> Result<(u8, u16)> {
    Ok(match code {
        t::FLOAT | t::DOUBLE | t::BLOB | t::GEOMETRY | t::JSON | t::VECTOR | t::MARIA_BLOB_COMPRESSED => {
            (code, u16::from(cursor.u8()?))
        }
        t::TIME2 | t::DATETIME2 | t::TIMESTAMP2 => (code, u16::from(cursor.u8()?)),
        t::VARCHAR | t::VAR_STRING | t::BIT | t::MARIA_VARCHAR_COMPRESSED => (code, cursor.u16()?),
        t::NEWDECIMAL => (code, u16::from(cursor.u8()?) << 8 | u16::from(cursor.u8()?)),
        t::TYPED_ARRAY => {
            // The elements' type and its metadata, which has a byte more for VARCHAR.
            let element = cursor.u8()?;
            if element == t::VARCHAR {
                cursor.take(3)?;
            } else if element != t::TYPED_ARRAY {
                column_metadata(element, cursor)?;
            }
            (code, 0)
        }
        t::STRING | t::ENUM | t::SET => {
            let (real, low) = (cursor.u8()?, u16::from(cursor.u8()?));
            if real & 0x30 == 0x30 { (real, low) } else { (real | 0x30, low | u16::from((real & 0x30) ^ 0x30) << 4) }
        }
        t::TINY
        | t::SHORT
        | t::LONG
        | t::LONGLONG
        | t::INT24
        | t::TIMESTAMP
        | t::DATE
        | t::TIME
        | t::DATETIME
        | t::YEAR
        | t::NEWDATE => (code, 0),
        other => return Err(malformed(format!("column of unknown type {other} in a table map"))),
    })
}

fn is_numeric(code: u8) -> bool {
    matches!(code, t::TINY | t::SHORT | t::INT24 | t::LONG | t::LONGLONG | t::NEWDECIMAL | t::FLOAT | t::DOUBLE)
}

/// The columns in the lists of collations, as seen on MySQL 8.0 and 9.7: VECTOR is one of them, GEOMETRY is not.
fn is_character(code: u8) -> bool {
    matches!(code, t::STRING | t::VAR_STRING | t::VARCHAR | t::BLOB | t::VECTOR)
}

/// The same on MariaDB 11.4: GEOMETRY is one of them.
fn is_maria_character(code: u8) -> bool {
    is_character(code) || matches!(code, t::GEOMETRY | t::MARIA_BLOB_COMPRESSED | t::MARIA_VARCHAR_COMPRESSED)
}

fn is_enum_or_set(code: u8) -> bool {
    matches!(code, t::ENUM | t::SET)
}

/// One collation for all columns of the sort, then exceptions by place among them.
fn default_collations(columns: &mut [MapColumn], of: fn(u8) -> bool, mut value: Cursor<'_>) -> Result<()> {
    let default = value.lenenc()? as u32;
    let mut listed: Vec<&mut MapColumn> = columns.iter_mut().filter(|column| of(column.column_type)).collect();
    listed.iter_mut().for_each(|column| column.collation = Some(default));
    while !value.is_empty() {
        let place = value.lenenc_size()?;
        let collation = value.lenenc()? as u32;
        let column = listed.get_mut(place).ok_or_else(|| malformed("collation of a column that is not there"))?;
        column.collation = Some(collation);
    }
    Ok(())
}

fn column_collations(columns: &mut [MapColumn], of: fn(u8) -> bool, mut value: Cursor<'_>) -> Result<()> {
    for column in columns.iter_mut().filter(|column| of(column.column_type)) {
        column.collation = Some(value.lenenc()? as u32);
    }
    Ok(())
}

fn labels(columns: &mut [MapColumn], of: u8, mut value: Cursor<'_>) -> Result<()> {
    let mut bytes = 0;
    for column in columns.iter_mut().filter(|column| column.column_type == of) {
        let most = if of == t::SET { MOST_MEMBERS } else { MOST_LABELS };
        let count = bounds::count(value.lenenc_size()?, most, "labels of a column")?;
        let mut labels = Vec::new();
        for _ in 0..count {
            let label = value.lenenc_bytes()?;
            bytes += LABEL_BYTES + label.len();
            bounds::count(bytes, MOST_MAP_BYTES, "bytes of labels in a table map")?;
            labels.push(label.to_vec());
        }
        column.labels = Some(labels);
    }
    Ok(())
}

/// Bit `i`, least significant first.
#[inline]
pub(super) fn bit(bytes: &[u8], i: usize) -> bool {
    bytes.get(i / 8).is_some_and(|byte| byte >> (i % 8) & 1 == 1)
}

/// Bit `i`, most significant first.
fn bit_from_the_left(bytes: &[u8], i: usize) -> bool {
    bytes.get(i / 8).is_some_and(|byte| byte << (i % 8) & 0x80 != 0)
}
