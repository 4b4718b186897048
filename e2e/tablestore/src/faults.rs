//! Faults on demand: what the service does on bad days.

use serde::{Deserialize, Serialize};

/// A fault, and which requests it meets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The operation that it meets; none for all.
    #[serde(default)]
    pub operation: Option<String>,
    /// How many requests of the operation pass before the first that it meets.
    #[serde(default)]
    pub skip: u64,
    /// How many requests it meets; none for all that come.
    #[serde(default)]
    pub times: Option<u64>,
    /// It meets one of so many requests; 1 for each.
    #[serde(default = "one")]
    pub one_in: u64,
    /// What happens.
    pub kind: FaultKind,
}

fn one() -> u64 {
    1
}

/// What happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type", deny_unknown_fields)]
pub enum FaultKind {
    /// The request is refused with a code that the service documents, and its HTTP status; nothing is done.
    Refuse {
        /// The code.
        code: String,
    },
    /// Some rows of a batch are refused; the others are done.
    RefuseRows {
        /// The code.
        code: String,
        /// One of so many rows of the batch, beginning with the first.
        #[serde(rename = "oneIn")]
        one_in: usize,
    },
    /// The answer of a batch lacks its last row, which was done.
    OmitRow,
    /// The request is done as usual, after a while.
    Slow {
        /// The while, in milliseconds.
        milliseconds: u64,
    },
    /// The connection is reset before anything is done.
    Reset,
    /// The request is done, and the connection is reset instead of an answer.
    LoseAnswer,
    /// The request is done; its answer is signed with another key.
    WrongSignature,
    /// The request is done; its answer names another MD5.
    WrongMd5,
    /// Something before the service answers with a page of its own; nothing is done.
    Gateway {
        /// The HTTP status.
        status: u16,
    },
    /// The service's clock is so many seconds ahead of ours, for judging requests and for dating answers.
    Clock {
        /// The seconds; negative for a clock that is behind.
        seconds: i64,
    },
}

impl Fault {
    /// A fault that meets every request of an operation.
    pub fn always(operation: impl Into<String>, kind: FaultKind) -> Self {
        Self { operation: Some(operation.into()), skip: 0, times: None, one_in: 1, kind }
    }

    /// A fault that meets the next request of an operation.
    pub fn once(operation: impl Into<String>, kind: FaultKind) -> Self {
        Self { times: Some(1), ..Self::always(operation, kind) }
    }
}

/// The faults that are set, with how many requests each has seen.
#[derive(Default)]
pub(crate) struct Faults(Vec<(Fault, u64)>);

impl Faults {
    pub(crate) fn set(&mut self, faults: Vec<Fault>) {
        self.0 = faults.into_iter().map(|fault| (fault, 0)).collect();
    }

    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    /// What happens to a request: the first fault that meets it.
    pub(crate) fn next(&mut self, operation: &str) -> Option<FaultKind> {
        for (fault, seen) in &mut self.0 {
            if fault.operation.as_ref().is_some_and(|of| of != operation) || fault.times == Some(0) {
                continue;
            }
            *seen += 1;
            if *seen > fault.skip && (*seen - fault.skip - 1).is_multiple_of(fault.one_in.max(1)) {
                fault.times = fault.times.map(|times| times - 1);
                return Some(fault.kind.clone());
            }
        }
        None
    }
}
