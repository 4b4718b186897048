//! Definitions: read at the source, rewritten for the destination, compared.
//!
//! The way of a table: [`read`] gives a [`TableDefinition`](godwit_model::definition::TableDefinition) with its SHOW CREATE TABLE, every literal in it as the
//! server has it ([`exact`], `complete`); [`adapt`] says
//! it in the words of the destination's server; [`rewrite`] puts the destination's names in and splits it into
//! one CREATE and the ALTERs that wait for the rows; [`crate::create`] runs them; [`compare`] tells whether the
//! destination has what was meant. [`crate::logged`] understands what the log brings later.
//!
//! [`crate::sql::lexer`] gives tokens by byte offset; everything that changes a statement splices names into it ([`edit`])
//! and keeps all other bytes. What is not recognised is an error, never a guess.

pub mod adapt;
pub mod collation;
pub mod column_type;
pub mod compare;
pub mod compare_texts;
mod compare_words;
mod complete;
pub mod create;
pub mod edit;
pub mod exact;
pub mod names;
mod options;
pub mod program;
pub mod read;
pub mod read_views;
pub mod rewrite;
pub mod view;
pub mod view_session;
pub mod zone;

use godwit_model::names::TableName;

/// An object that could not be read or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFailure {
    pub object: TableName,
    pub statement: String,
    pub error: String,
}
