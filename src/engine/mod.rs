//! One migration from start to end.

pub mod connection;
pub mod copy;
pub mod error;
pub mod plan;
pub mod schema;
pub mod source;
pub mod throttle;
pub mod value;
pub mod verify;
