//! What a cell can hold, and what a key is made of.

use std::sync::Arc;

/// The name of a column. Rows of one table share their names.
pub type Name = Arc<str>;

/// The value of an attribute column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A signed number of 64 bits.
    Integer(i64),
    /// An IEEE 754 number of 64 bits; the bits travel as they are. The service refuses NaN and infinite ones, so they are not sent.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// Text in UTF-8, at most [`limits::ATTRIBUTE_BYTES`](crate::limits::ATTRIBUTE_BYTES).
    String(String),
    /// Bytes, at most [`limits::ATTRIBUTE_BYTES`](crate::limits::ATTRIBUTE_BYTES).
    Binary(Vec<u8>),
}

impl Value {
    /// The bytes that the service counts for the value, as "data size" in its documentation of limits.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Double(_) => 8,
            Self::Boolean(_) => 1,
            Self::String(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// The value of a column of the primary key. Tablestore orders integers by value, texts and bytes by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyValue {
    /// A signed number of 64 bits.
    Integer(i64),
    /// Text in UTF-8, at most [`limits::KEY_BYTES`](crate::limits::KEY_BYTES).
    String(String),
    /// Bytes, at most [`limits::KEY_BYTES`](crate::limits::KEY_BYTES).
    Binary(Vec<u8>),
}

impl KeyValue {
    /// The bytes that the service counts for the value.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Integer(_) => 8,
            Self::String(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// One end of a range in one column of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyBound {
    /// Before every value.
    Min,
    /// The value itself.
    Value(KeyValue),
    /// After every value.
    Max,
}

/// The key of one row: all columns of the table's primary key, in the order of the table.
pub type PrimaryKey = Vec<(Name, KeyValue)>;

/// One end of a range of rows: a bound for every column of the primary key, in the order of the table.
pub type KeyPoint = Vec<(Name, KeyBound)>;

/// The point at which a row lies.
#[must_use]
pub fn point(key: &PrimaryKey) -> KeyPoint {
    key.iter().map(|(name, value)| (name.clone(), KeyBound::Value(value.clone()))).collect()
}

/// One cell: a version of an attribute column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The column's name.
    pub name: Name,
    /// The value of this version.
    pub value: Value,
    /// The version, in milliseconds since 1970. None in a request lets the service take its own time; an answer always has one.
    pub timestamp: Option<i64>,
}

impl Column {
    /// A cell whose version is the time at which the service writes it.
    #[must_use]
    pub fn new(name: impl Into<Name>, value: Value) -> Self {
        Self { name: name.into(), value, timestamp: None }
    }

    /// The bytes that the service counts for the cell: name, value, and eight for a version that is given.
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.len() + self.value.size() + if self.timestamp.is_some() { 8 } else { 0 }
    }
}

/// A row as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The row's key.
    pub key: PrimaryKey,
    /// Its cells, in the order in which the service sent them: by name, and the newest version of a column first.
    pub columns: Vec<Column>,
}
