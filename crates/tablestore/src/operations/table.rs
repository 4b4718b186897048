//! Tables: CreateTable, DescribeTable, ListTable, UpdateTable, DeleteTable.

use std::time::Instant;

use crate::client::Client;
use crate::error::{AnswerError, Error};
use crate::limits::{self, Invalid};
use crate::operations::{distrust, refuse};
use crate::proto;
use crate::value::Name;

/// The type of a column of a primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// A signed number of 64 bits.
    Integer,
    /// Text in UTF-8.
    String,
    /// Bytes.
    Binary,
}

/// One column of a primary key. The first is the partition key: rows that share its value lie together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// The column's name.
    pub name: Name,
    /// Its type.
    pub r#type: KeyType,
    /// Whether the service numbers rows in it by itself. This client creates none such and cannot write to tables that have one.
    pub auto_increment: bool,
}

impl KeyColumn {
    /// A column that the writer fills.
    #[must_use]
    pub fn new(name: impl Into<Name>, r#type: KeyType) -> Self {
        Self { name: name.into(), r#type, auto_increment: false }
    }
}

/// What can be changed about a table. None leaves it as it is. The service has no default for the first two when a table is created: None is
/// sent as −1 (nothing expires) and as one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// Seconds after which a version of a column expires; −1 for never. At least one day otherwise.
    pub time_to_live: Option<i32>,
    /// The versions of a column that are kept.
    pub max_versions: Option<i32>,
    /// Seconds by which the version that a writer gives may differ from the service's clock.
    pub max_deviation: Option<i64>,
    /// Whether UpdateRow is allowed.
    pub allow_update: Option<bool>,
}

/// Reserved capacity, in units of 4 KB a second; 0 for what is paid by use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throughput {
    /// Units of reading.
    pub read: i32,
    /// Units of writing.
    pub write: i32,
}

/// A table as the service describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    /// The columns of its primary key, in order.
    pub key: Vec<KeyColumn>,
    /// Its options.
    pub options: TableOptions,
    /// Its reserved capacity.
    pub throughput: Throughput,
}

impl Client {
    /// Creates a table. It takes some seconds until the table takes rows; until then rows are answered `OTSTableNotReady`, which is tried again.
    ///
    /// Sent again after a lost answer, it is refused with `OTSObjectAlreadyExist`; then [`Error::may_have_succeeded`] is true.
    ///
    /// # Errors
    /// [`Error`]; `OTSObjectAlreadyExist` where the table is there, `OTSQuotaExhausted` where the instance has all its tables.
    pub async fn create_table(
        &self,
        name: &str,
        key: &[KeyColumn],
        options: TableOptions,
        throughput: Throughput,
    ) -> Result<(), Error> {
        const OPERATION: &str = "CreateTable";
        let invalid = refuse(OPERATION);
        limits::name(name).map_err(&invalid)?;
        if key.is_empty() || key.len() > limits::KEY_COLUMNS {
            return Err(invalid(Invalid::KeyColumns(key.len())));
        }
        for (at, column) in key.iter().enumerate() {
            limits::name(&column.name).map_err(&invalid)?;
            if key[..at].iter().any(|earlier| earlier.name == column.name) {
                return Err(invalid(Invalid::DuplicateColumn(column.name.to_string())));
            }
        }
        throughput_fits(throughput).map_err(&invalid)?;
        let request = proto::CreateTableRequest {
            table_meta: proto::TableMeta {
                table_name: name.to_owned(),
                primary_key: key.iter().map(KeyColumn::to_proto).collect(),
            },
            reserved_throughput: throughput.to_proto(),
            table_options: Some(
                TableOptions {
                    time_to_live: options.time_to_live.or(Some(-1)),
                    max_versions: options.max_versions.or(Some(1)),
                    ..options
                }
                .to_proto(),
            ),
        };
        self.call::<proto::Empty>(OPERATION, &request, Instant::now()).await.map(|_| ())
    }

    /// What the service knows of a table.
    ///
    /// # Errors
    /// [`Error`]; `OTSObjectNotExist` where there is none.
    pub async fn describe_table(&self, name: &str) -> Result<TableDescription, Error> {
        const OPERATION: &str = "DescribeTable";
        limits::name(name).map_err(refuse(OPERATION))?;
        let request = proto::TableRequest { table_name: name.to_owned() };
        let called = self.call::<proto::DescribeTableResponse>(OPERATION, &request, Instant::now()).await?;
        described(&called.answer).map_err(|error| distrust(OPERATION, &called, error))
    }

    /// The names of all tables of the instance.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn list_tables(&self) -> Result<Vec<String>, Error> {
        let called = self.call::<proto::ListTableResponse>("ListTable", &proto::Empty {}, Instant::now()).await?;
        Ok(called.answer.table_names)
    }

    /// Changes options or throughput of a table, and tells what they are then. The service allows it once in two minutes for a table. Doing it
    /// twice is doing it once.
    ///
    /// # Errors
    /// [`Error`]; `OTSObjectNotExist` where there is no such table.
    pub async fn update_table(
        &self,
        name: &str,
        options: Option<TableOptions>,
        throughput: Option<Throughput>,
    ) -> Result<(TableOptions, Throughput), Error> {
        const OPERATION: &str = "UpdateTable";
        let invalid = refuse(OPERATION);
        limits::name(name).map_err(&invalid)?;
        throughput.map_or(Ok(()), throughput_fits).map_err(&invalid)?;
        let request = proto::UpdateTableRequest {
            table_name: name.to_owned(),
            reserved_throughput: throughput.map(Throughput::to_proto),
            table_options: options.map(TableOptions::to_proto),
        };
        let called = self.call::<proto::UpdateTableResponse>(OPERATION, &request, Instant::now()).await?;
        state(called.answer.table_options.as_ref(), called.answer.reserved_throughput_details.as_ref())
            .map_err(|error| distrust(OPERATION, &called, error))
    }

    /// Deletes a table with all its rows.
    ///
    /// Sent again after a lost answer, it is refused with `OTSObjectNotExist`; then [`Error::may_have_succeeded`] is true.
    ///
    /// # Errors
    /// [`Error`]; `OTSObjectNotExist` where there is no such table.
    pub async fn delete_table(&self, name: &str) -> Result<(), Error> {
        const OPERATION: &str = "DeleteTable";
        limits::name(name).map_err(refuse(OPERATION))?;
        let request = proto::TableRequest { table_name: name.to_owned() };
        self.call::<proto::Empty>(OPERATION, &request, Instant::now()).await.map(|_| ())
    }
}

fn throughput_fits(throughput: Throughput) -> Result<(), Invalid> {
    for (what, value) in [("reserved read capacity", throughput.read), ("reserved write capacity", throughput.write)] {
        if value < 0 {
            return Err(Invalid::Number { what, value: value.into() });
        }
    }
    Ok(())
}

fn described(answer: &proto::DescribeTableResponse) -> Result<TableDescription, AnswerError> {
    let meta = answer.table_meta.as_ref().ok_or(AnswerError::Field("table_meta"))?;
    let (options, throughput) = state(answer.table_options.as_ref(), answer.reserved_throughput_details.as_ref())?;
    Ok(TableDescription { key: schema(&meta.primary_key)?, options, throughput })
}

/// The columns of a key, as an answer has them.
pub(super) fn schema(columns: &[proto::PrimaryKeySchema]) -> Result<Vec<KeyColumn>, AnswerError> {
    let column = |column: &proto::PrimaryKeySchema| {
        let r#type = match proto::PrimaryKeyType::try_from(column.r#type) {
            Ok(proto::PrimaryKeyType::Integer) => KeyType::Integer,
            Ok(proto::PrimaryKeyType::String) => KeyType::String,
            Ok(proto::PrimaryKeyType::Binary) => KeyType::Binary,
            Err(_) => return Err(AnswerError::Field("primary_key.type")),
        };
        Ok(KeyColumn { name: column.name.as_str().into(), r#type, auto_increment: column.option == Some(1) })
    };
    if columns.is_empty() { Err(AnswerError::Field("primary_key")) } else { columns.iter().map(column).collect() }
}

fn state(
    options: Option<&proto::TableOptions>,
    details: Option<&proto::ReservedThroughputDetails>,
) -> Result<(TableOptions, Throughput), AnswerError> {
    let options = options.ok_or(AnswerError::Field("table_options"))?;
    let unit = &details.ok_or(AnswerError::Field("reserved_throughput_details"))?.capacity_unit;
    let options = TableOptions {
        time_to_live: options.time_to_live,
        max_versions: options.max_versions,
        max_deviation: options.deviation_cell_version_in_sec,
        allow_update: options.allow_update,
    };
    // A unit that is left out is none.
    Ok((options, Throughput { read: unit.read.unwrap_or(0), write: unit.write.unwrap_or(0) }))
}

impl KeyColumn {
    fn to_proto(&self) -> proto::PrimaryKeySchema {
        let r#type = match self.r#type {
            KeyType::Integer => proto::PrimaryKeyType::Integer,
            KeyType::String => proto::PrimaryKeyType::String,
            KeyType::Binary => proto::PrimaryKeyType::Binary,
        };
        proto::PrimaryKeySchema { name: self.name.to_string(), r#type: r#type.into(), option: self.auto_increment.then_some(1) }
    }
}

impl TableOptions {
    fn to_proto(self) -> proto::TableOptions {
        proto::TableOptions {
            time_to_live: self.time_to_live,
            max_versions: self.max_versions,
            deviation_cell_version_in_sec: self.max_deviation,
            allow_update: self.allow_update,
        }
    }
}

impl Throughput {
    fn to_proto(self) -> proto::ReservedThroughput {
        proto::ReservedThroughput { capacity_unit: proto::CapacityUnit { read: Some(self.read), write: Some(self.write) } }
    }
}
