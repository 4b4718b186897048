//! Decoder of the binary log, from the bytes of events to rows of canonical values.
//!
//! The transport ([`super::dump`]) delivers headers and bodies; everything after that is here. Events go through a [`Decoder`] in
//! their order; a compressed transaction's events ([`Payload`]) through the same one. Rows are decoded by a
//! [`RowDecoder`], which is built from the table's definition at that position and refuses a log that does
//! not agree with it.
//!
//! Nothing here waits or keeps more than one event. Bytes that make no sense are a definite error, never a
//! panic and never skipped. There is no state that outlives a stream: after a restart a new `Decoder` starts
//! at the beginning of a transaction.

mod align;
mod bounds;
mod column;
mod compress;
mod cursor;
mod decoder;
mod event;
mod format;
mod json_diff;
mod jsonb;
mod numbers;
mod offset;
mod payload;
mod query;
mod row_decoder;
mod rows;
mod table_map;
mod temporal;
mod transaction;

#[cfg(any(test, fuzzing))]
pub mod fuzz;

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod tests;

pub use bounds::{LARGEST_EVENT, event as check_event_size};
pub use decoder::{Decoder, Event};
pub(crate) use event::code;
pub use event::{FLAG_ARTIFICIAL, FLAG_IGNORABLE, HEADER_LENGTH, RawEvent};
pub use format::{Flavour, FormatDescription, Heartbeat, Rotate, checksum_algorithm};
pub use jsonb::JsonForm;
pub use offset::LogOffset;
pub use payload::{Payload, PayloadEvents};
pub use query::{Query, QuerySession};
pub use row_decoder::RowDecoder;
pub use rows::{DetachedRows, RowsEvent, RowsKind};
pub use table_map::{MapColumn, TableMap};
pub use transaction::{AlterPhase, MariaStart, TransactionStart, XaPrepare};
