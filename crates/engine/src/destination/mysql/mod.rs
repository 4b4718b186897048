//! A MySQL-family server as the destination.

pub mod apply;
pub mod cascade;
pub mod chunk;
mod long;
mod statement;
pub mod zones;

pub use statement::{Limits, OnDuplicate, SMALL_BYTES, Statement, column_list, refusal};
