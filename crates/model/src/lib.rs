//! What everything is about: names, definitions, rows, places in the log, what a server is, errors, and texts that may be shown. Pure data:
//! nothing here reads, writes or waits.
#![deny(unreachable_pub)]

pub mod definition;
pub mod error;
pub mod names;
pub mod plain;
pub mod position;
pub mod program;
pub mod row;
pub mod server;
pub mod text;
pub mod words;
