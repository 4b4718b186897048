//! Godwit moves live MySQL-family databases.
//!
//! The program: the command line ([`cli`]) and what an engine answers over HTTP ([`http`]) stand here and put together the members of the
//! workspace, each with a wall of its own:
//!
//! - [`model`]: names, definitions, rows, places in the log, errors: pure data;
//! - [`api`]: the resources, manifests and conditions, and what operator and engine tell each other;
//! - [`engine`]: a manifest becomes an [`engine::plan`]; rows come from [`engine::source`] through `copy` (chunks) and `replicate` (binary log),
//!   travel as canonical bytes ([`engine::value`]) and are written through the port [`engine::destination`]: at a server of the MySQL family in
//!   one transaction with the position, guarded by the epoch. [`engine::verify`] compares;
//! - [`operator`]: turns the resources into engine pods and the engines' reports into status. It and the engine do not know each other;
//! - [`serve`], [`listen`], [`handshake`]: what a process that answers HTTP has (`godwit-service`).
#![deny(unreachable_pub)]

pub mod cli;
pub mod http;
pub mod telemetry;

pub use godwit_api::{self as api, conditions, manifest};
pub use godwit_engine as engine;
pub use godwit_model as model;
pub use godwit_operator as operator;
pub use godwit_service::{handshake, listen, serve};
