//! Stored programs as the destination is to have them.
//!
//! The head is written anew, from what the source's `information_schema` tells field by field ([`make`]); the body is the source's text, in which
//! names are replaced only where they provably stand for what is mapped ([`rewrite`], with the names of [`names`]).

pub mod make;
pub mod names;
pub mod rewrite;
