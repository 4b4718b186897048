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

pub mod cached;
pub mod context;
pub mod engines;
pub mod events;
pub mod health;
mod http;
pub mod ledger;
pub mod metrics;
pub mod pool;
pub mod process;
pub mod quantity;
pub mod settings;
pub mod sharing;
pub mod slots;
pub mod task;
pub mod watch;
