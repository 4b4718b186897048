//! The Kubernetes side: from `MigrationTask` and `DedicatedCluster` to engine pods, and from what engines report to status.
//!
//! ```text
//! API server ──> watch (caches, each watch by itself) ──> pokes ──> task: observe > decide > build > report > apply ──> API server
//!                                                           │                 │            ^
//!                                                           └──> pool         └ ledger     └ engines: GET /status
//! ```
//!
//! What it promises: level-triggered and idempotent, it can die at any point and be started again; the only writer of status; units are never
//! granted twice; nothing is written when nothing changed. Under overload looks at tasks come later, never wrong. It imports nothing of the engine.
#![deny(unreachable_pub)]

mod cached;
mod context;
mod engines;
mod events;
mod health;
mod http;
mod ledger;
mod metrics;
mod pool;
pub mod process;
mod quantity;
pub mod settings;
mod sharing;
mod slots;
mod task;
mod trouble;
mod view;
mod watch;
