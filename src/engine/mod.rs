//! One migration from start to end.

pub mod checkpoint;
pub mod connection;
pub mod copy;
pub mod destination;
mod entry;
pub mod error;
pub mod plan;
pub mod progress;
pub mod replicate;
pub mod schema;
pub mod source;
pub mod value;

pub use entry::{Outcome, Planned, Task, VerifyOptions, plan_only, precheck_only, run, verify_only};
