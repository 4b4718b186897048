//! The MySQL family as a source: what is visible, and the binary log: its connection, its events, their decoder.

pub mod binlog;
pub mod dump;
pub mod prepared;
pub mod same_log;
pub mod stream;
pub mod visibility;
