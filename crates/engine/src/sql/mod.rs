//! Text of statements, made so that nobody who wrote a part of it can say more than that part.
//!
//! A source is not believed: what it says of names, definitions and values becomes SQL only as a quoted name, as a canonical literal
//! or as a *single statement* that was taken apart and is of the expected kind about the expected object ([`single`]). Definitions are
//! run by `PREPARE`, which takes one statement and no more, whatever the session allows ([`single::Single::run`]).
//!
//! [`Sql`] is the text of every statement that is sent, and [`Queries`] the only way to send one.
//!
//! `words` holds the grammars: of numbers, and of names that stand without quotes (character sets, collations).

pub mod charset;
mod failure;
pub mod lexer;
pub mod logged;
pub mod program;
mod queries;
pub mod single;
mod text;
mod tokens;

pub use failure::{Answer, Failure};
pub use queries::{Queries, Statement, no_answer, permitted};
pub use text::{Hex, Mark, Name, Part, Qualified, Quoted, Sql, places};

#[cfg(test)]
mod tests;
