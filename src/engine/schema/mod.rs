//! Definitions: read at the source, rewritten, created at the destination, remembered per position.
//!
//! [`lexer`] gives tokens by byte offset; everything that changes a statement splices names into it ([`edit`])
//! and keeps all other bytes. What is not recognised is an error, never a guess.

pub mod column_type;
pub mod create;
pub mod definition;
pub mod edit;
pub mod lexer;
pub mod names;
mod options;
pub mod read;
pub mod rewrite;
pub mod statement;
mod statement_ddl;
mod statement_parse;
