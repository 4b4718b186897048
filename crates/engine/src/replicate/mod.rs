//! Binary log -> row changes -> net changes -> destination.
//!
//! - `reader` takes the log event by event; `assemble` makes transactions of [`crate::change::Change`]s from it.
//! - `guard` stops before statements that cannot be followed; `reading` has their text, `proof` asks the source where they lead.
//! - `dispatch` is where copy and log meet: it orders transactions against copied chunks and hands changes to lanes.
//! - `lane` applies windows of them, net changes only, in one transaction with the lane's position.

pub(crate) mod assemble;
pub(crate) mod definition;
pub(crate) mod dispatch;
pub(crate) mod drop_set;
pub(crate) mod gate;
pub(crate) mod guard;
pub(crate) mod lane;
pub(crate) mod proof;
pub(crate) mod reader;
mod reading;
