//! One migration from start to end.

pub mod copy;
pub mod error;
pub mod plan;
pub mod schema;
pub mod source;
pub mod value;
