//! The MySQL family as a source: connections, positions, the binary log.

pub mod binlog;
pub mod dump;
pub mod prepared;
pub mod same_log;
pub mod stream;
pub mod visibility;
