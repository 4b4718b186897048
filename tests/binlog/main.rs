//! The binary log decoder against real servers: what a SELECT shows (the copy's side) and what the log says
//! must be the same canonical bytes, for every type.
//!
//! `cargo test --test binlog -- --ignored` (see e2e/lab/README.md).

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod cases;
mod json;
mod seeds;
mod server;
mod sessions;
mod values;
