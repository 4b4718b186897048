//! One migration from start to end.

pub mod checkpoint;
pub mod connection;
pub mod copy;
pub mod destination;
pub mod error;
pub mod plan;
pub mod precheck;
pub mod progress;
pub mod replicate;
pub mod schema;
pub mod source;
pub mod throttle;
pub mod value;
pub mod verify;
