//! One migration from start to end.
//!
//! `entry` is what can be asked for; `migrate` begins or resumes a task and takes it through its phases, whose order is a table in `migrate::phases`. The
//! other folders are what the phases use.
#![deny(unreachable_pub)]

pub mod binlog;
mod change;
pub mod checkpoint;
mod computing;
pub mod connection;
mod copy;
pub mod create;
pub mod destination;
pub mod dump;
mod entry;
mod evolve;
#[cfg(test)]
mod fixture;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod group;
mod heartbeat;
pub mod live;
pub mod logged;
mod migrate;
pub mod plan;
pub mod precheck;
pub mod progress;
mod replicate;
mod rows;
pub mod schema;
pub mod sizing;
pub mod source;
pub mod sql;
mod stall;
mod task;
mod throttle;
mod tls;
pub mod value;
pub mod verify;

pub use entry::{Planned, check, plan_only, precheck_only, run, verify_only};
pub use task::{Outcome, Task};
