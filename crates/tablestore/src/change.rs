//! What is written to a row, and under which condition.

use prost::Message;

use crate::plainbuffer;
use crate::proto;
use crate::value::{Column, Name, PrimaryKey, Value};

/// A change of one column by UpdateRow.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnUpdate {
    /// The column gets a version.
    Put(Column),
    /// All versions of the column go away.
    DeleteAll(Name),
    /// One version goes away: the one of this time, in milliseconds since 1970.
    DeleteVersion(Name, i64),
}

impl ColumnUpdate {
    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::Put(column) => &column.name,
            Self::DeleteAll(name) | Self::DeleteVersion(name, _) => name,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Put(column) => column.size(),
            Self::DeleteAll(name) => name.len(),
            Self::DeleteVersion(name, _) => name.len() + 8,
        }
    }
}

/// What happens to a row. None of it adds to what is there, so that doing it twice is doing it once: a write whose answer was lost can be
/// sent again.
#[derive(Clone, Debug, PartialEq)]
pub enum RowOperation {
    /// The row is replaced as a whole (PutRow).
    Put(Vec<Column>),
    /// The named columns change, the others stay; the row comes into being if there is none (UpdateRow).
    Update(Vec<ColumnUpdate>),
    /// The row goes away (DeleteRow). That there is none is no error.
    Delete,
}

/// One row of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The row's key.
    pub key: PrimaryKey,
    /// What happens to it.
    pub operation: RowOperation,
    /// When it happens.
    pub condition: Condition,
}

impl RowChange {
    /// A change without a condition.
    #[must_use]
    pub fn new(key: PrimaryKey, operation: RowOperation) -> Self {
        Self { key, operation, condition: Condition::default() }
    }

    /// The bytes that the service counts for the change: the names and values of its key and its columns.
    #[must_use]
    pub fn size(&self) -> usize {
        let columns = match &self.operation {
            RowOperation::Put(columns) => columns.iter().map(Column::size).sum(),
            RowOperation::Update(updates) => updates.iter().map(ColumnUpdate::size).sum(),
            RowOperation::Delete => 0,
        };
        key_size(&self.key) + columns
    }

    pub(crate) fn kind(&self) -> proto::OperationType {
        match self.operation {
            RowOperation::Put(_) => proto::OperationType::Put,
            RowOperation::Update(_) => proto::OperationType::Update,
            RowOperation::Delete => proto::OperationType::Delete,
        }
    }
}

/// The bytes that the service counts for a key.
pub(crate) fn key_size(key: &PrimaryKey) -> usize {
    key.iter().map(|(name, value)| name.len() + value.size()).sum()
}

/// What has to be known of a row's existence for a change to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existence {
    /// Nothing.
    #[default]
    Ignore,
    /// The row is there; otherwise the change fails with `OTSConditionCheckFail`.
    ExpectExist,
    /// The row is not there; otherwise the change fails with `OTSConditionCheckFail`.
    ExpectNotExist,
}

/// How a column is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Greater than the value.
    Greater,
    /// Greater than the value, or equal.
    GreaterOrEqual,
    /// Less than the value.
    Less,
    /// Less than the value, or equal.
    LessOrEqual,
}

/// A comparison of one column with one value.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnFilter {
    /// The column's name.
    pub column: Name,
    /// How it is compared.
    pub comparator: Comparator,
    /// With what.
    pub value: Value,
    /// Whether a row that does not have the column passes.
    pub pass_if_missing: bool,
    /// Whether only the newest version is compared; otherwise one version that fits is enough.
    pub latest_version_only: bool,
}

impl ColumnFilter {
    /// A comparison of the newest version, which a row without the column does not pass.
    #[must_use]
    pub fn new(column: impl Into<Name>, comparator: Comparator, value: Value) -> Self {
        Self { column: column.into(), comparator, value, pass_if_missing: false, latest_version_only: true }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let comparator = match self.comparator {
            Comparator::Equal => proto::ComparatorType::Equal,
            Comparator::NotEqual => proto::ComparatorType::NotEqual,
            Comparator::Greater => proto::ComparatorType::GreaterThan,
            Comparator::GreaterOrEqual => proto::ComparatorType::GreaterEqual,
            Comparator::Less => proto::ComparatorType::LessThan,
            Comparator::LessOrEqual => proto::ComparatorType::LessEqual,
        };
        let single = proto::SingleColumnValueFilter {
            comparator: comparator.into(),
            column_name: self.column.to_string(),
            column_value: plainbuffer::variant(&self.value),
            filter_if_missing: !self.pass_if_missing,
            latest_version_only: self.latest_version_only,
        };
        let filter = proto::Filter { r#type: proto::FilterType::SingleColumnValue.into(), filter: single.encode_to_vec() };
        filter.encode_to_vec()
    }
}

/// When a change happens. The default is always.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// What is known of the row.
    pub existence: Existence,
    /// What one of its columns holds; otherwise the change fails with `OTSConditionCheckFail`.
    pub column: Option<ColumnFilter>,
}

impl Condition {
    /// Whether the change happens without one.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.existence == Existence::Ignore && self.column.is_none()
    }

    pub(crate) fn to_proto(&self) -> proto::Condition {
        let existence = match self.existence {
            Existence::Ignore => proto::RowExistenceExpectation::Ignore,
            Existence::ExpectExist => proto::RowExistenceExpectation::ExpectExist,
            Existence::ExpectNotExist => proto::RowExistenceExpectation::ExpectNotExist,
        };
        proto::Condition { row_existence: existence.into(), column_condition: self.column.as_ref().map(ColumnFilter::to_bytes) }
    }
}
