//! One migration from start to end.
//!
//! `entry` is what can be asked for; `migrate` begins or resumes a task and takes it through its phases, whose order is a table in `migrate::phases`. The
//! other folders are what the phases use.
#![deny(unreachable_pub)]

mod change;
pub mod checkpoint;
mod computing;
pub mod connection;
mod copy;
mod create;
pub mod destination;
mod entry;
#[cfg(test)]
mod fixture;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod group;
mod heartbeat;
pub mod live;
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
mod throttle;
mod tls;
pub mod value;
pub mod verify;

pub use entry::{Outcome, Planned, Task, check, plan_only, precheck_only, run, verify_only};
