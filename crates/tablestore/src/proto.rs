//! The messages of the operations, in proto2, written by hand. Names, numbers and types are those of the definitions that the official SDKs
//! bring (Python 6.4.8; Java 5.17.10 for BulkImport). Fields that no operation here sends or reads are left out: proto2 skips what it does not know.
//!
//! What an answer must hold is declared optional here, so that its absence is seen: the decoder would put an empty value in its place, and a
//! range without its rows would look like one that is empty.

use prost::{Enumeration, Message};

/// A refusal, as the body of an answer or of one row in it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Error {
    #[prost(string, required, tag = "1")]
    pub(crate) code: String,
    #[prost(string, optional, tag = "2")]
    pub(crate) message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum PrimaryKeyType {
    Integer = 1,
    String = 2,
    Binary = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PrimaryKeySchema {
    #[prost(string, required, tag = "1")]
    pub(crate) name: String,
    #[prost(enumeration = "PrimaryKeyType", required, tag = "2")]
    pub(crate) r#type: i32,
    /// 1 stands for a column that the service numbers by itself.
    #[prost(int32, optional, tag = "3")]
    pub(crate) option: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableOptions {
    #[prost(int32, optional, tag = "1")]
    pub(crate) time_to_live: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) max_versions: Option<i32>,
    #[prost(int64, optional, tag = "5")]
    pub(crate) deviation_cell_version_in_sec: Option<i64>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) allow_update: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableMeta {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) primary_key: Vec<PrimaryKeySchema>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum RowExistenceExpectation {
    Ignore = 0,
    ExpectExist = 1,
    ExpectNotExist = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Condition {
    #[prost(enumeration = "RowExistenceExpectation", required, tag = "1")]
    pub(crate) row_existence: i32,
    /// A `Filter`, encoded.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) column_condition: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CapacityUnit {
    #[prost(int32, optional, tag = "1")]
    pub(crate) read: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) write: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReservedThroughputDetails {
    #[prost(message, required, tag = "1")]
    pub(crate) capacity_unit: CapacityUnit,
    #[prost(int64, required, tag = "2")]
    pub(crate) last_increase_time: i64,
    #[prost(int64, optional, tag = "3")]
    pub(crate) last_decrease_time: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReservedThroughput {
    #[prost(message, required, tag = "1")]
    pub(crate) capacity_unit: CapacityUnit,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConsumedCapacity {
    #[prost(message, required, tag = "1")]
    pub(crate) capacity_unit: CapacityUnit,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateTableRequest {
    #[prost(message, required, tag = "1")]
    pub(crate) table_meta: TableMeta,
    #[prost(message, required, tag = "2")]
    pub(crate) reserved_throughput: ReservedThroughput,
    #[prost(message, optional, tag = "3")]
    pub(crate) table_options: Option<TableOptions>,
}

/// The answer of an operation that says nothing but that it is done: CreateTable, DeleteTable.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Empty {}

/// The request of an operation on one table that has no more to say: DescribeTable, DeleteTable.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateTableRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) reserved_throughput: Option<ReservedThroughput>,
    #[prost(message, optional, tag = "3")]
    pub(crate) table_options: Option<TableOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct UpdateTableResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) reserved_throughput_details: Option<ReservedThroughputDetails>,
    #[prost(message, optional, tag = "2")]
    pub(crate) table_options: Option<TableOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DescribeTableResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_meta: Option<TableMeta>,
    #[prost(message, optional, tag = "2")]
    pub(crate) reserved_throughput_details: Option<ReservedThroughputDetails>,
    #[prost(message, optional, tag = "3")]
    pub(crate) table_options: Option<TableOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListTableResponse {
    #[prost(string, repeated, tag = "1")]
    pub(crate) table_names: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetRowRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) primary_key: Vec<u8>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) columns_to_get: Vec<String>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) max_versions: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub(crate) filter: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetRowResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) consumed: Option<ConsumedCapacity>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) row: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) next_token: Option<Vec<u8>>,
}

/// PutRow, UpdateRow and DeleteRow: the three messages have the same fields with the same numbers; what is called `row` in the first is
/// `row_change` in the second and `primary_key` in the third.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRowRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) row: Vec<u8>,
    #[prost(message, required, tag = "3")]
    pub(crate) condition: Condition,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRowResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) consumed: Option<ConsumedCapacity>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableInBatchGetRowRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) primary_key: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) columns_to_get: Vec<String>,
    #[prost(int32, optional, tag = "6")]
    pub(crate) max_versions: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "8")]
    pub(crate) filter: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchGetRowRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) tables: Vec<TableInBatchGetRowRequest>,
}

/// One row of the answer of BatchGetRow, BatchWriteRow and BulkImport; the numbers agree, BulkImport sends no row.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RowInBatchResponse {
    #[prost(bool, optional, tag = "1")]
    pub(crate) is_ok: Option<bool>,
    #[prost(message, optional, tag = "2")]
    pub(crate) error: Option<Error>,
    #[prost(message, optional, tag = "3")]
    pub(crate) consumed: Option<ConsumedCapacity>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) row: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) next_token: Option<Vec<u8>>,
}

/// One table of the answer of BatchGetRow and BatchWriteRow, and the whole answer of BulkImport.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableInBatchResponse {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) rows: Vec<RowInBatchResponse>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) tables: Vec<TableInBatchResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum OperationType {
    Put = 1,
    Update = 2,
    Delete = 3,
}

/// One row of BatchWriteRow, and of BulkImport, which has no condition.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RowInBatchWriteRequest {
    #[prost(enumeration = "OperationType", required, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) row_change: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub(crate) condition: Option<Condition>,
}

/// One table of BatchWriteRow, and the whole request of BulkImport.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableInBatchWriteRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) rows: Vec<RowInBatchWriteRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchWriteRowRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) tables: Vec<TableInBatchWriteRequest>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetRangeRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    /// 0 forward, 1 backward.
    #[prost(int32, required, tag = "2")]
    pub(crate) direction: i32,
    #[prost(string, repeated, tag = "3")]
    pub(crate) columns_to_get: Vec<String>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) max_versions: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    pub(crate) limit: Option<i32>,
    #[prost(bytes = "vec", required, tag = "7")]
    pub(crate) inclusive_start_primary_key: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "8")]
    pub(crate) exclusive_end_primary_key: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "10")]
    pub(crate) filter: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GetRangeResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) consumed: Option<ConsumedCapacity>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) rows: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) next_start_primary_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) next_token: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ComputeSplitPointsBySizeRequest {
    #[prost(string, required, tag = "1")]
    pub(crate) table_name: String,
    /// In units of 100 MB, unless the next field says otherwise.
    #[prost(int64, required, tag = "2")]
    pub(crate) split_size: i64,
    #[prost(int64, optional, tag = "3")]
    pub(crate) split_size_unit_in_byte: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SplitLocation {
    #[prost(string, required, tag = "1")]
    pub(crate) location: String,
    #[prost(sint64, required, tag = "2")]
    pub(crate) repeat: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ComputeSplitPointsBySizeResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) consumed: Option<ConsumedCapacity>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) schema: Vec<PrimaryKeySchema>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) split_points: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) locations: Vec<SplitLocation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum FilterType {
    SingleColumnValue = 1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(crate) enum ComparatorType {
    Equal = 1,
    NotEqual = 2,
    GreaterThan = 3,
    GreaterEqual = 4,
    LessThan = 5,
    LessEqual = 6,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SingleColumnValueFilter {
    #[prost(enumeration = "ComparatorType", required, tag = "1")]
    pub(crate) comparator: i32,
    #[prost(string, required, tag = "2")]
    pub(crate) column_name: String,
    /// A type byte and the value (`plainbuffer::variant`).
    #[prost(bytes = "vec", required, tag = "3")]
    pub(crate) column_value: Vec<u8>,
    #[prost(bool, required, tag = "4")]
    pub(crate) filter_if_missing: bool,
    #[prost(bool, required, tag = "5")]
    pub(crate) latest_version_only: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Filter {
    #[prost(enumeration = "FilterType", required, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(bytes = "vec", required, tag = "2")]
    pub(crate) filter: Vec<u8>,
}
