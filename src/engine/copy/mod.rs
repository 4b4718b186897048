//! The full copy: tables are cut into chunks, read, written and remembered.

pub mod range;
