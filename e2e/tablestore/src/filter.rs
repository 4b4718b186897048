//! Comparisons of columns: of conditions, and of reads.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::plain;
use crate::refusal::{Refusal, invalid};
use crate::store::{Cell, Row};
use crate::wire::Message;

/// A comparison, or several of them.
pub(crate) enum Filter {
    Single {
        column: String,
        comparator: i64,
        value: Cell,
        missing_fails: bool,
        latest_only: bool,
    },
    Not(Box<Filter>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    /// Some columns of each row, by their order: from the one, so many.
    Page {
        from: usize,
        columns: usize,
    },
}

impl Filter {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::nested(bytes, 0)
    }

    fn nested(bytes: &[u8], depth: usize) -> Result<Self, Refusal> {
        if depth > 32 {
            return Err(invalid("The filter is nested too deep."));
        }
        let filter = Message::parse(bytes)?;
        let inner = Message::parse(filter.needed(2, "filter")?)?;
        match filter.needed_number(1, "type")? {
            1 => {
                let comparator = inner.needed_number(1, "comparator")?;
                if !(1..=6).contains(&comparator) || inner.bytes(6).is_some() {
                    return Err(invalid("This test server compares whole values, by the six comparators of order."));
                }
                Ok(Self::Single {
                    comparator,
                    column: inner.needed_text(2, "column_name")?,
                    value: plain::variant(inner.needed(3, "column_value")?)?,
                    missing_fails: inner.needed_number(4, "filter_if_missing")? != 0,
                    latest_only: inner.needed_number(5, "latest_version_only")? != 0,
                })
            }
            2 => {
                let mut filters =
                    inner.all_bytes(2).map(|bytes| Self::nested(bytes, depth + 1)).collect::<Result<Vec<_>, _>>()?;
                match (inner.needed_number(1, "combinator")?, filters.len()) {
                    (1, 1) => {
                        filters.pop().map(|filter| Self::Not(Box::new(filter))).ok_or_else(|| invalid("NOT has one filter."))
                    }
                    (2, 2..) => Ok(Self::And(filters)),
                    (3, 2..) => Ok(Self::Or(filters)),
                    _ => Err(invalid("The number of filters does not fit the combinator.")),
                }
            }
            3 => {
                let number = |field, name| {
                    let number = inner.needed_number(field, name)?;
                    usize::try_from(number).map_err(|_| invalid(format!("The {name} of a pagination must not be negative.")))
                };
                match (number(1, "offset")?, number(2, "limit")?) {
                    (_, 0) => Err(invalid("Limit in ColumnPaginationFilter must be greater than 0.")),
                    (from, columns) => Ok(Self::Page { from, columns }),
                }
            }
            _ => Err(invalid("Invalid filter type.")),
        }
    }

    pub(crate) fn passes(&self, row: &Row) -> bool {
        match self {
            Self::Single { column, comparator, value, missing_fails, latest_only } => match row.get(column) {
                None => !missing_fails,
                Some(versions) if *latest_only => {
                    versions.values().next_back().is_some_and(|cell| holds(*comparator, cell, value))
                }
                Some(versions) => versions.values().any(|cell| holds(*comparator, cell, value)),
            },
            Self::Not(filter) => !filter.passes(row),
            Self::And(filters) => filters.iter().all(|filter| filter.passes(row)),
            Self::Or(filters) => filters.iter().any(|filter| filter.passes(row)),
            Self::Page { .. } => true,
        }
    }

    /// The columns of a row that are wanted, where it says so.
    fn page(&self) -> Option<(usize, usize)> {
        match self {
            Self::Page { from, columns } => Some((*from, *columns)),
            Self::And(filters) => filters.iter().find_map(Self::page),
            Self::Single { .. } | Self::Not(_) | Self::Or(_) => None,
        }
    }
}

/// Values of different types are unequal, and none is before the other.
fn holds(comparator: i64, left: &Cell, right: &Cell) -> bool {
    let order = match (left, right) {
        (Cell::Integer(left), Cell::Integer(right)) => Some(left.cmp(right)),
        (Cell::Double(left), Cell::Double(right)) => left.partial_cmp(right),
        (Cell::Boolean(left), Cell::Boolean(right)) => Some(left.cmp(right)),
        (Cell::String(left), Cell::String(right)) => Some(left.cmp(right)),
        (Cell::Binary(left), Cell::Binary(right)) => Some(left.cmp(right)),
        _ => None,
    };
    match comparator {
        1 => order == Some(Ordering::Equal),
        2 => order != Some(Ordering::Equal),
        3 => order == Some(Ordering::Greater),
        4 => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        5 => order == Some(Ordering::Less),
        _ => matches!(order, Some(Ordering::Less | Ordering::Equal)),
    }
}

/// What is read of rows: GetRow, BatchGetRow and GetRange have the same fields, with other numbers.
pub(crate) struct Reading {
    columns: Vec<String>,
    versions: usize,
    times: (i64, i64),
    filter: Option<Filter>,
    start: Option<String>,
    end: Option<String>,
}

/// The numbers of the fields: columns, time range, versions, filter, start column, end column, tokens.
pub(crate) type Numbers = [u64; 7];

impl Reading {
    pub(crate) fn parse(request: &Message<'_>, numbers: Numbers) -> Result<Self, Refusal> {
        let [columns, times, versions, filter, start, end, token] = numbers;
        if request.all_bytes(token).any(|token| !token.is_empty()) {
            return Err(invalid("This test server cuts no rows and so takes no tokens."));
        }
        let versions = request.number(versions);
        let times = request.message(times)?;
        if versions.is_none() && times.is_none() {
            return Err(invalid("No version condition is specified while querying row."));
        }
        if versions.is_some_and(|versions| versions < 1) {
            return Err(invalid("The value of max_versions must be positive."));
        }
        // One version is asked for by its time, or by a number of newest ones.
        if versions.is_some() && times.as_ref().is_some_and(|times| times.number(3).is_some()) {
            return Err(invalid("Specific timestamp and max versions cannot be given at the same time."));
        }
        let times = match times {
            None => (i64::MIN, i64::MAX),
            Some(range) => match (range.number(1), range.number(2), range.number(3)) {
                (Some(start), Some(end), None) if start < end => (start, end),
                (None, None, Some(time)) => (time, time.saturating_add(1)),
                _ => return Err(invalid("The time range is invalid.")),
            },
        };
        Ok(Self {
            columns: request.all_texts(columns)?,
            versions: versions.and_then(|versions| usize::try_from(versions).ok()).unwrap_or(usize::MAX),
            times,
            filter: request.bytes(filter).map(Filter::parse).transpose()?,
            start: request.text(start)?,
            end: request.text(end)?,
        })
    }

    /// What is left of a row, or nothing when the row does not pass or has none of the columns.
    pub(crate) fn of(&self, row: Row, is_key: impl Fn(&str) -> bool) -> Option<Row> {
        if self.filter.as_ref().is_some_and(|filter| !filter.passes(&row)) {
            return None;
        }
        let wanted = |name: &str| {
            (self.columns.is_empty() || self.columns.iter().any(|column| column == name))
                && self.start.as_ref().is_none_or(|start| name >= start.as_str())
                && self.end.as_ref().is_none_or(|end| name < end.as_str())
        };
        let cut = |versions: BTreeMap<i64, Cell>| -> BTreeMap<i64, Cell> {
            versions
                .into_iter()
                .rev()
                .filter(|(time, _)| (self.times.0..self.times.1).contains(time))
                .take(self.versions)
                .collect()
        };
        let cells =
            row.into_iter().filter(|(name, _)| wanted(name)).map(|(name, of)| (name, cut(of))).filter(|(_, of)| !of.is_empty());
        let left: Row = match self.filter.as_ref().and_then(Filter::page) {
            Some((from, columns)) => cells.skip(from).take(columns).collect(),
            None => cells.collect(),
        };
        let attributes_only = !self.columns.is_empty() && !self.columns.iter().any(|column| is_key(column));
        (!left.is_empty() || !attributes_only).then_some(left)
    }
}
