//! Definitions: read at the source, rewritten, created at the destination, remembered per position.

pub mod definition;
