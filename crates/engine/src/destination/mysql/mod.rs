//! A MySQL-family server as the destination.

pub(crate) mod apply;
pub(crate) mod cascade;
pub(crate) mod chunk;
mod long;
mod statement;
pub(crate) mod zones;

pub(crate) use statement::{Limits, OnDuplicate, SMALL_BYTES, Statement, column_list, refusal};
