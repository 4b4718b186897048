//! Godwit moves live MySQL-family databases.
//!
//! The data's way: a manifest (`manifest`, types in `api`) becomes a `engine::plan`; rows come from
//! `engine::source` through `engine::copy` (chunks) and `engine::replicate` (binary log), travel as
//! canonical bytes (`engine::value`) and are written by `engine::destination`, in one transaction with the
//! position (`engine::checkpoint`) and guarded by the epoch (`engine::fence`). `engine::verify` compares.
//! `cli` starts any of it; all of it reports into `engine::progress`, which `http` and `cli::show` read from.

pub mod api;
pub mod cli;
pub mod conditions;
pub mod engine;
pub mod http;
pub mod manifest;
pub mod operator;
pub mod telemetry;
