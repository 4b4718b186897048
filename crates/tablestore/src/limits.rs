//! The limits of the service, and the check of a call against them before anything is sent.
//!
//! Source: "General limits", "BatchWriteRow" and "BulkImport" in the service's documentation (May 2026). Sizes count names and values as
//! [`RowChange::size`] does.

use std::collections::{HashMap, HashSet};

use crate::change::{ColumnUpdate, RowChange, RowOperation};
use crate::value::{Column, KeyValue, Name, PrimaryKey, Value};

/// Columns of a primary key, at most.
pub const KEY_COLUMNS: usize = 4;
/// Bytes of one value of a primary key, at most.
pub const KEY_BYTES: usize = 1024;
/// Bytes of one value of an attribute column, at most.
pub const ATTRIBUTE_BYTES: usize = 2 * 1024 * 1024;
/// Attribute columns of one row in a request, at most.
pub const COLUMNS: usize = 1024;
/// Bytes of the name of a table or a column, at most.
pub const NAME_BYTES: usize = 255;
/// Rows of one BatchWriteRow or BulkImport, at most.
pub const BATCH_WRITE_ROWS: usize = 200;
/// Rows of one BatchGetRow, at most.
pub const BATCH_GET_ROWS: usize = 100;
/// Bytes of the rows of one request, at most.
pub const REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the body of a request, at most.
pub const BODY_BYTES: usize = 5 * 1024 * 1024;
/// Rows of one answer of GetRange, at most.
pub const RANGE_ROWS: u32 = 5000;
/// Tables of an instance, unless its quota was raised.
pub const TABLES: usize = 64;
/// Seconds by which the clocks of client and service may differ.
pub const CLOCK_SKEW_SECONDS: i64 = 15 * 60;

/// A call that the service would refuse. It names columns and places, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A name of a table or a column.
    #[error("the name {0:?} is not allowed: 1 to 255 letters, digits and underscores, not beginning with a digit")]
    Name(String),
    /// The number of columns of a key.
    #[error("a primary key has 1 to 4 columns, this one has {0}")]
    KeyColumns(usize),
    /// The size of a value of a key.
    #[error("the key column {column} holds {bytes} bytes; 1024 are allowed")]
    KeySize {
        /// The column.
        column: String,
        /// The bytes of its value.
        bytes: usize,
    },
    /// The size of a value.
    #[error("the column {column} holds {bytes} bytes; 2097152 are allowed")]
    AttributeSize {
        /// The column.
        column: String,
        /// The bytes of its value.
        bytes: usize,
    },
    /// A number that is none, or infinite: the service stores neither.
    #[error("the column {0} holds NaN or an infinite number, which Tablestore does not store")]
    Double(String),
    /// The number of columns of a row.
    #[error("a row has {0} attribute columns; 1024 are allowed in a request")]
    Columns(usize),
    /// A column that stands in a row twice, in one of its versions, or that is also one of the key.
    #[error("the column {0} stands in a row twice")]
    DuplicateColumn(String),
    /// An UpdateRow without a change.
    #[error("an update changes no column")]
    NoUpdate,
    /// The number of rows of a batch.
    #[error("a batch has {rows} rows; 1 to {limit} are allowed")]
    BatchRows {
        /// The rows of the batch.
        rows: usize,
        /// The rows that are allowed.
        limit: usize,
    },
    /// The size of what a request writes.
    #[error("a request holds {0} bytes of rows; 4194304 are allowed")]
    RequestSize(usize),
    /// The size of a request's body.
    #[error("a request has a body of {0} bytes; 5242880 are allowed")]
    BodySize(usize),
    /// A key that stands in a batch twice: the order of its changes would be open.
    #[error("the rows {first} and {second} of a batch have one key; a batch holds a key once")]
    DuplicateKey {
        /// The place of the first, counted from 0 over all tables.
        first: usize,
        /// The place of the second.
        second: usize,
    },
    /// A table that stands in a batch twice.
    #[error("the table {0} stands in a batch twice")]
    DuplicateTable(String),
    /// A condition where there can be none.
    #[error("BulkImport takes no condition, and row {0} has one")]
    Condition(usize),
    /// A number of rows, versions or bytes that is zero or too large.
    #[error("{what} is {value}, which is not allowed")]
    Number {
        /// What it is the number of.
        what: &'static str,
        /// The number.
        value: i64,
    },
}

/// Checks the name of a table or a column.
///
/// # Errors
/// [`Invalid::Name`], with the name.
pub fn name(name: &str) -> Result<(), Invalid> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let all = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && all && name.len() <= NAME_BYTES { Ok(()) } else { Err(Invalid::Name(crate::error::bounded(name, NAME_BYTES))) }
}

/// Checks the key of a row.
///
/// # Errors
/// The first [`Invalid`] that is found.
pub fn key(key: &PrimaryKey) -> Result<(), Invalid> {
    if key.is_empty() || key.len() > KEY_COLUMNS {
        return Err(Invalid::KeyColumns(key.len()));
    }
    for (column, value) in key {
        name(column)?;
        if !matches!(value, KeyValue::Integer(_)) && value.size() > KEY_BYTES {
            return Err(Invalid::KeySize { column: column.to_string(), bytes: value.size() });
        }
    }
    Ok(())
}

/// Checks the change of one row.
///
/// # Errors
/// The first [`Invalid`] that is found.
pub fn change(row_key: &PrimaryKey, operation: &RowOperation) -> Result<(), Invalid> {
    key(row_key)?;
    let mut seen: HashSet<(&str, Option<i64>)> = HashSet::new();
    // A key column has one value and no versions: whatever version an attribute of its name had, it would be another column.
    let in_key = |column: &Name| row_key.iter().any(|(name, _)| name == column);
    let duplicate = |column: &Name| Invalid::DuplicateColumn(column.to_string());
    match operation {
        RowOperation::Delete => {}
        RowOperation::Put(columns) => {
            number_of_columns(columns.len())?;
            for column in columns {
                attribute(column)?;
                if in_key(&column.name) || !seen.insert((&*column.name, column.timestamp)) {
                    return Err(duplicate(&column.name));
                }
            }
        }
        RowOperation::Update(updates) => {
            if updates.is_empty() {
                return Err(Invalid::NoUpdate);
            }
            number_of_columns(updates.len())?;
            for update in updates {
                let version = match update {
                    ColumnUpdate::Put(column) => {
                        attribute(column)?;
                        column.timestamp
                    }
                    ColumnUpdate::DeleteAll(column) => {
                        name(column)?;
                        None
                    }
                    ColumnUpdate::DeleteVersion(column, version) => {
                        name(column)?;
                        Some(*version)
                    }
                };
                if in_key(update.name()) || !seen.insert((&**update.name(), version)) {
                    return Err(duplicate(update.name()));
                }
            }
        }
    }
    Ok(())
}

fn number_of_columns(columns: usize) -> Result<(), Invalid> {
    if columns <= COLUMNS { Ok(()) } else { Err(Invalid::Columns(columns)) }
}

fn attribute(column: &Column) -> Result<(), Invalid> {
    name(&column.name)?;
    if matches!(column.value, Value::Double(number) if !number.is_finite()) {
        return Err(Invalid::Double(column.name.to_string()));
    }
    let bytes = column.value.size();
    if bytes <= ATTRIBUTE_BYTES { Ok(()) } else { Err(Invalid::AttributeSize { column: column.name.to_string(), bytes }) }
}

/// Checks the rows of a batch that writes: of one table each, in their order.
///
/// # Errors
/// The first [`Invalid`] that is found.
pub fn batch<'a>(tables: impl IntoIterator<Item = (&'a str, &'a [RowChange])>) -> Result<(), Invalid> {
    let (mut rows, mut bytes) = (0, 0);
    let mut names = HashSet::new();
    for (table, changes) in tables {
        name(table)?;
        if !names.insert(table) {
            return Err(Invalid::DuplicateTable(table.to_owned()));
        }
        let mut keys: HashMap<Vec<&KeyValue>, usize> = HashMap::new();
        for row in changes {
            change(&row.key, &row.operation)?;
            bytes += row.size();
            if let Some(first) = keys.insert(row.key.iter().map(|(_, value)| value).collect(), rows) {
                return Err(Invalid::DuplicateKey { first, second: rows });
            }
            rows += 1;
        }
    }
    number_of_rows(rows, BATCH_WRITE_ROWS)?;
    request(bytes)
}

/// Checks the number of rows in a batch.
pub(crate) fn number_of_rows(rows: usize, limit: usize) -> Result<(), Invalid> {
    if (1..=limit).contains(&rows) { Ok(()) } else { Err(Invalid::BatchRows { rows, limit }) }
}

/// Checks the size of what one request writes, as [`RowChange::size`] counts it.
pub(crate) fn request(bytes: usize) -> Result<(), Invalid> {
    if bytes <= REQUEST_BYTES { Ok(()) } else { Err(Invalid::RequestSize(bytes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: KeyValue) -> PrimaryKey {
        vec![("id".into(), value)]
    }

    fn put(columns: Vec<Column>) -> Result<(), Invalid> {
        change(&id(KeyValue::Integer(1)), &RowOperation::Put(columns))
    }

    #[test]
    fn names_are_those_that_the_service_takes() {
        for good in ["a", "_", "A9_", &"x".repeat(255)] {
            assert_eq!(name(good), Ok(()), "{good}");
        }
        for bad in ["", "9a", "a-b", "a.b", "ä", "a b", &"x".repeat(256)] {
            assert!(matches!(name(bad), Err(Invalid::Name(_))), "{bad}");
        }
    }

    #[test]
    fn keys_end_at_four_columns_and_a_kilobyte() {
        assert_eq!(key(&vec![]), Err(Invalid::KeyColumns(0)));
        let columns = |count: usize| (0..count).map(|at| (format!("k{at}").into(), KeyValue::Integer(0))).collect::<PrimaryKey>();
        assert_eq!(key(&columns(4)), Ok(()));
        assert_eq!(key(&columns(5)), Err(Invalid::KeyColumns(5)));
        assert_eq!(key(&id(KeyValue::String("x".repeat(1024)))), Ok(()));
        let long = Err(Invalid::KeySize { column: "id".to_owned(), bytes: 1025 });
        assert_eq!(key(&id(KeyValue::String("x".repeat(1025)))), long);
        assert_eq!(key(&id(KeyValue::Binary(vec![0; 1025]))), long);
    }

    #[test]
    fn rows_end_at_1024_columns_of_two_megabytes() {
        let columns = |count: usize| (0..count).map(|at| Column::new(format!("c{at}"), Value::Integer(0))).collect::<Vec<_>>();
        assert_eq!(put(columns(1024)), Ok(()));
        assert_eq!(put(columns(1025)), Err(Invalid::Columns(1025)));
        let sized = |bytes| vec![Column::new("c", Value::Binary(vec![0; bytes]))];
        assert_eq!(put(sized(ATTRIBUTE_BYTES)), Ok(()));
        assert_eq!(
            put(sized(ATTRIBUTE_BYTES + 1)),
            Err(Invalid::AttributeSize { column: "c".to_owned(), bytes: ATTRIBUTE_BYTES + 1 })
        );
    }

    #[test]
    fn numbers_are_finite() {
        assert_eq!(put(vec![Column::new("c", Value::Double(f64::MAX))]), Ok(()));
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(put(vec![Column::new("c", Value::Double(number))]), Err(Invalid::Double("c".to_owned())));
        }
    }

    #[test]
    fn a_column_stands_in_a_row_once_for_each_version() {
        let column = |version| Column { name: "c".into(), value: Value::Boolean(true), timestamp: version };
        assert_eq!(put(vec![column(Some(1)), column(Some(2))]), Ok(()));
        assert_eq!(put(vec![column(Some(1)), column(Some(1))]), Err(Invalid::DuplicateColumn("c".to_owned())));
        assert_eq!(put(vec![Column::new("id", Value::Integer(1))]), Err(Invalid::DuplicateColumn("id".to_owned())));
        let both = RowOperation::Update(vec![ColumnUpdate::DeleteAll("c".into()), ColumnUpdate::Put(column(None))]);
        assert_eq!(change(&id(KeyValue::Integer(1)), &both), Err(Invalid::DuplicateColumn("c".to_owned())));
        assert_eq!(change(&id(KeyValue::Integer(1)), &RowOperation::Update(vec![])), Err(Invalid::NoUpdate));
    }

    #[test]
    fn batches_end_at_200_rows_and_four_megabytes_and_hold_a_key_once() {
        let rows =
            |count: i64| (0..count).map(|at| RowChange::new(id(KeyValue::Integer(at)), RowOperation::Delete)).collect::<Vec<_>>();
        assert_eq!(batch([("t", &*rows(200))]), Ok(()));
        assert_eq!(batch([("t", &*rows(201))]), Err(Invalid::BatchRows { rows: 201, limit: 200 }));
        assert_eq!(batch([]), Err(Invalid::BatchRows { rows: 0, limit: 200 }));
        assert_eq!(batch([("t", &*rows(2)), ("u", &*rows(2))]), Ok(()));
        assert_eq!(batch([("t", &*rows(2)), ("t", &*rows(2))]), Err(Invalid::DuplicateTable("t".to_owned())));
        let twice: Vec<RowChange> = rows(2).into_iter().chain(rows(1)).collect();
        assert_eq!(batch([("t", &*twice)]), Err(Invalid::DuplicateKey { first: 0, second: 2 }));
        let large = |at, bytes| {
            RowChange::new(id(KeyValue::Integer(at)), RowOperation::Put(vec![Column::new("c", Value::Binary(vec![0; bytes]))]))
        };
        // Each row counts "id", eight bytes of a number, and "c".
        assert_eq!(batch([("t", &[large(1, ATTRIBUTE_BYTES - 11), large(2, ATTRIBUTE_BYTES - 11)][..])]), Ok(()));
        let over = [large(1, ATTRIBUTE_BYTES - 11), large(2, ATTRIBUTE_BYTES - 10)];
        assert_eq!(batch([("t", &over[..])]), Err(Invalid::RequestSize(REQUEST_BYTES + 1)));
    }
}
