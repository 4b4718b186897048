//! Rows to bytes. Lengths are those of what lies in memory and was checked against the limits before; they fit four bytes.

use super::{
    DELETE_ALL_VERSIONS, DELETE_ONE_VERSION, HEADER, TAG_CELL, TAG_CELL_CHECKSUM, TAG_CELL_NAME, TAG_CELL_OPERATION,
    TAG_CELL_TIMESTAMP, TAG_CELL_VALUE, TAG_DELETE_MARKER, TAG_ROW_CHECKSUM, TAG_ROW_DATA, TAG_ROW_KEY, TYPE_BINARY,
    TYPE_BOOLEAN, TYPE_DOUBLE, TYPE_INTEGER, TYPE_MAX, TYPE_MIN, TYPE_STRING,
};
use crate::change::{ColumnUpdate, RowOperation};
use crate::crc8;
use crate::value::{Column, KeyBound, KeyPoint, KeyValue, PrimaryKey, Value};

/// A key as its own buffer: what GetRow and BatchGetRow ask for.
#[must_use]
pub fn primary_key(key: &PrimaryKey) -> Vec<u8> {
    let mut to = Writer::begin(key.len() * 40);
    to.key(key);
    to.finish(false)
}

/// A point of a range as its own buffer: what GetRange begins and ends with.
#[must_use]
pub fn point(point: &KeyPoint) -> Vec<u8> {
    let mut to = Writer::begin(point.len() * 40);
    to.bytes.push(TAG_ROW_KEY);
    for (name, bound) in point {
        to.cell(name, |to| match bound {
            KeyBound::Min => to.bare(TYPE_MIN),
            KeyBound::Value(value) => to.key_value(value),
            KeyBound::Max => to.bare(TYPE_MAX),
        });
    }
    to.finish(false)
}

/// A change of a row: what PutRow, UpdateRow, DeleteRow and the batches send.
#[must_use]
pub fn change(key: &PrimaryKey, operation: &RowOperation) -> Vec<u8> {
    let columns = match operation {
        RowOperation::Put(columns) => columns.len(),
        RowOperation::Update(updates) => updates.len(),
        RowOperation::Delete => 0,
    };
    let mut to = Writer::begin((key.len() + columns) * 40);
    to.key(key);
    if columns > 0 {
        to.bytes.push(TAG_ROW_DATA);
    }
    match operation {
        RowOperation::Put(columns) => columns.iter().for_each(|column| to.column(column)),
        RowOperation::Update(updates) => updates.iter().for_each(|update| to.update(update)),
        RowOperation::Delete => {}
    }
    to.finish(matches!(operation, RowOperation::Delete))
}

/// A value by itself, as comparisons hold it: its type, then the value, without a length before it.
#[must_use]
pub fn variant(value: &Value) -> Vec<u8> {
    let mut to = Writer { bytes: Vec::with_capacity(9), cell: 0, row: 0 };
    to.value(value);
    // The tag and the length before the value are those of a cell.
    to.bytes.split_off(5)
}

struct Writer {
    bytes: Vec<u8>,
    /// The checksum of the cell that is being written.
    cell: u8,
    /// The checksum of the row.
    row: u8,
}

impl Writer {
    fn begin(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + 8);
        bytes.extend_from_slice(&HEADER.to_le_bytes());
        Self { bytes, cell: 0, row: 0 }
    }

    fn finish(mut self, deleted: bool) -> Vec<u8> {
        if deleted {
            self.bytes.push(TAG_DELETE_MARKER);
        }
        let checksum = crc8::byte(self.row, u8::from(deleted));
        self.bytes.extend_from_slice(&[TAG_ROW_CHECKSUM, checksum]);
        self.bytes
    }

    fn key(&mut self, key: &PrimaryKey) {
        self.bytes.push(TAG_ROW_KEY);
        for (name, value) in key {
            self.cell(name, |to| to.key_value(value));
        }
    }

    fn column(&mut self, column: &Column) {
        self.cell(&column.name, |to| {
            to.value(&column.value);
            if let Some(timestamp) = column.timestamp {
                to.timestamp(timestamp);
            }
        });
    }

    fn update(&mut self, update: &ColumnUpdate) {
        match update {
            ColumnUpdate::Put(column) => self.column(column),
            ColumnUpdate::DeleteAll(name) => self.cell(name, |to| {
                to.bytes.extend_from_slice(&[TAG_CELL_OPERATION, DELETE_ALL_VERSIONS]);
                to.cell = crc8::byte(to.cell, DELETE_ALL_VERSIONS);
            }),
            // The operation is written before the timestamp, but counts after it.
            ColumnUpdate::DeleteVersion(name, timestamp) => self.cell(name, |to| {
                to.bytes.extend_from_slice(&[TAG_CELL_OPERATION, DELETE_ONE_VERSION]);
                to.timestamp(*timestamp);
                to.cell = crc8::byte(to.cell, DELETE_ONE_VERSION);
            }),
        }
    }

    fn cell(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.bytes.extend_from_slice(&[TAG_CELL, TAG_CELL_NAME]);
        self.length(name.len());
        self.bytes.extend_from_slice(name.as_bytes());
        self.cell = crc8::bytes(0, name.as_bytes());
        content(self);
        self.bytes.extend_from_slice(&[TAG_CELL_CHECKSUM, self.cell]);
        self.row = crc8::byte(self.row, self.cell);
    }

    fn key_value(&mut self, value: &KeyValue) {
        match value {
            KeyValue::Integer(number) => self.fixed(TYPE_INTEGER, &number.to_le_bytes()),
            KeyValue::String(text) => self.sized(TYPE_STRING, text.as_bytes()),
            KeyValue::Binary(bytes) => self.sized(TYPE_BINARY, bytes),
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Integer(number) => self.fixed(TYPE_INTEGER, &number.to_le_bytes()),
            Value::Double(number) => self.fixed(TYPE_DOUBLE, &number.to_bits().to_le_bytes()),
            Value::Boolean(truth) => self.fixed(TYPE_BOOLEAN, &[u8::from(*truth)]),
            Value::String(text) => self.sized(TYPE_STRING, text.as_bytes()),
            Value::Binary(bytes) => self.sized(TYPE_BINARY, bytes),
        }
    }

    fn bare(&mut self, r#type: u8) {
        self.fixed(r#type, &[]);
    }

    /// A value of a known length.
    fn fixed(&mut self, r#type: u8, content: &[u8]) {
        self.bytes.push(TAG_CELL_VALUE);
        self.length(1 + content.len());
        self.checked(&[r#type]);
        self.checked(content);
    }

    /// A value that says its length. The length counts for the checksum, the one before the type does not.
    fn sized(&mut self, r#type: u8, content: &[u8]) {
        self.bytes.push(TAG_CELL_VALUE);
        self.length(5 + content.len());
        self.checked(&[r#type]);
        self.checked(&length(content.len()));
        self.checked(content);
    }

    fn timestamp(&mut self, timestamp: i64) {
        self.bytes.push(TAG_CELL_TIMESTAMP);
        self.checked(&timestamp.to_le_bytes());
    }

    fn length(&mut self, of: usize) {
        self.bytes.extend_from_slice(&length(of));
    }

    fn checked(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(content);
        self.cell = crc8::bytes(self.cell, content);
    }
}

/// Four bytes. Only what is far beyond every limit, and so was refused before, is cut off.
#[allow(clippy::cast_possible_truncation)]
fn length(of: usize) -> [u8; 4] {
    (of as u32).to_le_bytes()
}
