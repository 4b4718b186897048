//! The MySQL family as a source: what is visible, and the stream of its binary log.

pub mod prepared;
pub mod same_log;
pub mod stream;
pub mod visibility;
