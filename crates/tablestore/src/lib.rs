//! A client for Alibaba Cloud Tablestore that knows nothing of Godwit.
//!
//! [`Client`] has a method for each operation: tables ([`Client::create_table`] …), rows ([`Client::put_row`] …), batches
//! ([`Client::batch_write_row`], [`Client::bulk_import`], [`Client::batch_get_row`]), ranges ([`Client::get_range`],
//! [`Client::compute_split_points_by_size`]).
//!
//! What it promises:
//! - **Nothing is believed.** The MD5 and the signature of every answer are verified, rows by their checksums, batches by their number and order,
//!   ranges by their ends; what the protocol requires and is not there is an error ([`AnswerError`]).
//! - **Nothing is sent that is too large** or breaks another of the service's [`limits`]; it is refused with the column and the limit ([`Invalid`]).
//! - **What can be tried again is**, within [`Retry`], each attempt with fresh credentials. All writes here do the same when they are done twice.
//!   Where a condition could fail because of an attempt whose answer was lost, the error says so ([`Error::may_have_succeeded`]).
//! - **Under overload** at most [`Limits::connections`] requests are under way; further calls wait. A service that asks for fewer requests gets
//!   longer pauses. Bodies of answers are bounded.
//! - It keeps no state but connections: after a restart there is nothing to resume.
#![forbid(unsafe_code)]
#![deny(unreachable_pub)]

pub mod limits;
pub mod plainbuffer;

mod change;
mod client;
mod crc8;
mod credentials;
mod error;
mod operations;
mod proto;
mod retry;
mod sign;
mod transport;
mod value;

pub use change::{ColumnFilter, ColumnUpdate, Comparator, Condition, Existence, RowChange, RowOperation};
pub use client::{Client, Config, ConfigError};
pub use credentials::{Credentials, CredentialsError, ProvideCredentials, Provided, Replaceable};
pub use error::{AnswerError, Code, Error, ErrorKind, Refusal};
pub use limits::Invalid;
pub use operations::{
    Consumed, Direction, KeyColumn, KeyType, KeysOfTable, Page, Range, Read, RowError, RowResult, RowsOfTable, SplitPoints,
    TableDescription, TableOptions, Throughput, WriteResult,
};
pub use retry::Retry;
pub use sign::Signing;
pub use transport::{Limits, TlsError};
pub use value::{Column, KeyBound, KeyPoint, KeyValue, Name, PrimaryKey, Row, Value, point};
