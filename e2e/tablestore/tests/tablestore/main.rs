//! The Tablestore client against the test server, and both against the official SDKs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bodies;
mod conditions;
mod connections;
mod control;
mod faults;
mod operations;
mod sdk;
mod setup;
