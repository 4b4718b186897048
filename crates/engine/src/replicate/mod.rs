//! Binary log -> row changes -> net changes -> destination.
//!
//! `reader` turns the log into transactions of [`change::Change`]s (`assemble`), `guard` stops before statements
//! that cannot be followed (`reading` has their text, `proof` asks the source where they lead), `dispatch` orders transactions against copied chunks and hands them to lanes, and a
//! `lane` applies windows of them, net changes only, in one transaction with the lane's position.

pub mod assemble;
pub mod cascade;
pub mod change;
pub mod dispatch;
pub mod drop_set;
pub mod gate;
pub mod guard;
pub mod lane;
pub mod proof;
pub mod reader;
mod reading;
