//! The built binary between real servers (e2e/lab/README.md): a shop that is written to all the time.
//!
//! `cargo test --test e2e`; `cargo test --test e2e migrate::` and so on for a part.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod cascades;
mod commands;
mod crash;
mod definitions;
mod destination;
mod dump;
mod families;
mod fuzz_keyless;
mod fuzz_keys;
mod heartbeat;
mod hostile;
mod keys;
mod logged;
mod memory;
mod migrate;
mod names;
mod ownership;
mod pod;
#[path = "../support/pod.rs"]
mod pod_files;
mod programs;
mod refusals;
mod rows;
#[path = "../../e2e/shop/mod.rs"]
mod shop;
mod stalls;
mod support;
mod tablestore;
mod tls;
mod values;
mod wire;
mod xa;
mod zones;
