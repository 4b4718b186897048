//! The operations, each as a method of [`Client`](crate::Client).

mod batch;
mod range;
mod row;
mod table;

pub use batch::{KeysOfTable, RowError, RowResult, RowsOfTable, WriteResult};
pub use range::{Direction, Page, Range, SplitPoints};
pub use row::Read;
pub use table::{KeyColumn, KeyType, TableDescription, TableOptions, Throughput};

use crate::error::AnswerError;
use crate::proto;

/// The capacity that an operation used, in units of 4 KB each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumed {
    /// Units of reading.
    pub read: u64,
    /// Units of writing.
    pub write: u64,
}

impl Consumed {
    /// What an answer says. A unit that it leaves out was not used; the field as a whole is always there.
    fn from_answer(consumed: Option<&proto::ConsumedCapacity>) -> Result<Self, AnswerError> {
        let unit = &consumed.ok_or(AnswerError::Field("consumed"))?.capacity_unit;
        let count = |unit: Option<i32>| u64::try_from(unit.unwrap_or(0)).map_err(|_| AnswerError::Field("capacity_unit"));
        Ok(Self { read: count(unit.read)?, write: count(unit.write)? })
    }
}

impl std::ops::AddAssign for Consumed {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.write += other.write;
    }
}

/// Gives an error the operation and the answer that it belongs to.
fn distrust<R>(operation: &'static str, called: &crate::client::Called<R>, error: AnswerError) -> crate::Error {
    crate::Error {
        operation,
        request_id: called.request_id.clone(),
        attempts: called.attempts,
        earlier_attempt_may_have_succeeded: called.uncertain,
        kind: error.into(),
    }
}

/// Gives what a limit refuses the operation that it was refused for.
fn refuse(operation: &'static str) -> impl Fn(crate::limits::Invalid) -> crate::Error {
    move |invalid| crate::Error::new(operation, invalid.into())
}
