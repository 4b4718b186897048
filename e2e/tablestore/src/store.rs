//! What the server keeps: tables in memory, rows in the order of their keys, versions of columns by their times.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::refusal::{Refusal, invalid, invalid_key};

/// One column of a key, or one end of a range in it. The order is the service's: integers by value, texts and bytes by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Min,
    Integer(i64),
    String(String),
    Binary(Vec<u8>),
    Max,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Integer(i64),
    Double(f64),
    Boolean(bool),
    String(String),
    Binary(Vec<u8>),
}

/// A change of one column.
pub(crate) struct Edit {
    pub(crate) column: String,
    pub(crate) change: Change,
}

pub(crate) enum Change {
    Put(Cell, Option<i64>),
    DeleteAll,
    DeleteVersion(i64),
}

/// The versions of each column, by their times in milliseconds.
pub(crate) type Row = BTreeMap<String, BTreeMap<i64, Cell>>;

/// The type of a column of a key, by its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Integer = 1,
    String = 2,
    Binary = 3,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) time_to_live: i64,
    pub(crate) max_versions: i64,
    pub(crate) deviation: i64,
    pub(crate) allow_update: bool,
}

pub(crate) struct Table {
    pub(crate) key: Vec<(String, KeyType)>,
    pub(crate) options: Options,
    /// Read and write.
    pub(crate) throughput: (i64, i64),
    /// When the throughput was set, in seconds since 1970, and by our clock.
    pub(crate) throughput_since: (i64, Instant),
    pub(crate) created: Instant,
    pub(crate) rows: BTreeMap<Vec<Part>, Row>,
}

pub(crate) const DAY: i64 = 86_400;

impl Options {
    /// What the service has by default: nothing expires, one version, a day.
    pub(crate) fn service_default() -> Self {
        Self { time_to_live: -1, max_versions: 1, deviation: DAY, allow_update: true }
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.time_to_live != -1 && self.time_to_live < DAY {
            return Err(invalid("The value of time_to_live must be -1 or at least 86400."));
        }
        if self.max_versions < 1 {
            return Err(invalid("The value of max_versions must be positive."));
        }
        if self.deviation < 1 {
            return Err(invalid("The value of deviation_cell_version_in_sec must be positive."));
        }
        Ok(())
    }
}

pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && name.len() <= 255 {
        Ok(())
    } else {
        Err(invalid(format!("Invalid {what}: '{name}'.")))
    }
}

impl Part {
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Integer(_) => 8,
            Self::String(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Min | Self::Max => 0,
        }
    }
}

impl Cell {
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Double(_) => 8,
            Self::Boolean(_) => 1,
            Self::String(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl Table {
    /// The parts of a key that was sent, if it is one of this table; with the ends of ranges where they are allowed.
    pub(crate) fn key_of(&self, sent: Vec<(String, Part)>, ends: bool) -> Result<Vec<Part>, Refusal> {
        if sent.len() != self.key.len() {
            return Err(invalid_key(format!("Validate PK size fail. Input: {}, Meta: {}.", sent.len(), self.key.len())));
        }
        let mut parts = Vec::new();
        for ((name, part), (wanted, kind)) in sent.into_iter().zip(&self.key) {
            if name != *wanted {
                return Err(invalid_key(format!("Validate PK name fail. Input: {name}, Meta: {wanted}.")));
            }
            let fits = match part {
                Part::Integer(_) => *kind == KeyType::Integer,
                Part::String(_) => *kind == KeyType::String,
                Part::Binary(_) => *kind == KeyType::Binary,
                Part::Min | Part::Max => ends,
            };
            if !fits {
                return Err(invalid_key(format!("Validate PK type fail. Column: {wanted}.")));
            }
            if part.size() > 1024 {
                return Err(invalid(format!("The length of primary key column: '{wanted}' exceeded the MaxLength:1024.")));
            }
            parts.push(part);
        }
        Ok(parts)
    }

    /// Whether the table was created less than `loading` ago.
    pub(crate) fn is_loading(&self, loading: Duration) -> bool {
        self.created.elapsed() < loading
    }

    /// The row of a key, without what has expired. Milliseconds since 1970.
    pub(crate) fn visible(&self, row: &Row, now: i64) -> Row {
        let oldest = if self.options.time_to_live < 0 { i64::MIN } else { now - self.options.time_to_live * 1000 };
        let versions = |versions: &BTreeMap<i64, Cell>| -> BTreeMap<i64, Cell> {
            let kept = usize::try_from(self.options.max_versions).unwrap_or(usize::MAX);
            versions
                .iter()
                .rev()
                .take(kept)
                .filter(|(time, _)| **time >= oldest)
                .map(|(time, cell)| (*time, cell.clone()))
                .collect()
        };
        row.iter().map(|(name, of)| (name.clone(), versions(of))).filter(|(_, of)| !of.is_empty()).collect()
    }

    /// The changes that an update or a put makes of a row, checked before the first of them is made.
    pub(crate) fn check_edits(&self, edits: &[Edit], put: bool, now: i64) -> Result<(), Refusal> {
        if edits.len() > 1024 {
            let count = edits.len();
            return Err(invalid(format!(
                "The number of columns from the request exceeds the limit, limit count: 1024, column count: {count}."
            )));
        }
        for edit in edits {
            check_name("column name", &edit.column)?;
            if self.key.iter().any(|(name, _)| *name == edit.column) {
                return Err(invalid(format!("Duplicated attribute column name with primary key column: '{}'.", edit.column)));
            }
            match &edit.change {
                Change::Put(Cell::Double(number), _) if number.is_nan() => {
                    return Err(invalid("NaN can't be set to double value."));
                }
                Change::Put(Cell::Double(number), _) if number.is_infinite() => {
                    return Err(invalid("Infinity can't be set to double value."));
                }
                Change::Put(cell, version) => {
                    if cell.size() > 2 * 1024 * 1024 {
                        return Err(invalid(format!(
                            "The length of attribute column: '{}' exceeded the MaxLength:2097152.",
                            edit.column
                        )));
                    }
                    if version.is_some_and(|version| (version - now).abs() > self.options.deviation * 1000) {
                        return Err(invalid("The cell version is out of the allowed deviation."));
                    }
                }
                Change::DeleteAll | Change::DeleteVersion(_) if put => return Err(invalid("PutRow can not delete columns.")),
                Change::DeleteAll | Change::DeleteVersion(_) => {}
            }
        }
        Ok(())
    }

    /// Makes the changes of an update or a put.
    pub(crate) fn edit(&self, row: &mut Row, edits: Vec<Edit>, now: i64) {
        for edit in edits {
            match edit.change {
                Change::Put(cell, version) => {
                    let versions = row.entry(edit.column).or_default();
                    versions.insert(version.unwrap_or(now), cell);
                    while versions.len() as u64 > self.options.max_versions.unsigned_abs() {
                        versions.pop_first();
                    }
                }
                Change::DeleteAll => {
                    row.remove(&edit.column);
                }
                Change::DeleteVersion(version) => {
                    if let Some(versions) = row.get_mut(&edit.column) {
                        versions.remove(&version);
                        if versions.is_empty() {
                            row.remove(&edit.column);
                        }
                    }
                }
            }
        }
    }
}

/// The bytes that count of a row: names and values, as the service's documentation counts them.
pub(crate) fn row_size(key: &[Part], row: &Row) -> usize {
    let cells = row.iter().map(|(name, versions)| versions.values().map(|cell| name.len() + cell.size() + 8).sum::<usize>());
    key.iter().map(Part::size).sum::<usize>() + cells.sum::<usize>()
}

/// Units of capacity for so many bytes: one for each 4 KB that is begun.
pub(crate) fn units(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(4096).max(1)).unwrap_or(i64::MAX)
}
