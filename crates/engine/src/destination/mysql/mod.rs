//! A MySQL-family server as the destination.

pub mod apply;
pub mod cascade;
pub mod chunk;
mod long;
mod statement;

pub use statement::{Limits, OnDuplicate, SMALL_BYTES, Statement, column_list, refusal};
