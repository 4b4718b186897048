//! Binary log -> row changes -> net changes -> destination.
//!
//! `reader` turns the log into transactions of [`change::Change`]s, `dispatch` orders them against copied
//! chunks and hands them to lanes, `lane` applies windows of them, `net` changes only, in one transaction with
//! the lane's position.

pub mod change;
pub mod dispatch;
pub mod lane;

