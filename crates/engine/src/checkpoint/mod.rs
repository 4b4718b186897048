//! What a task has recorded at its destination, as pure data. The destination keeps it
//! ([`crate::destination::Records`]) and changes it together with the rows it stands for.

mod saved;
mod schema_change;
mod stage;

pub use saved::{NewTask, Saved, SavedChunk, SavedTable};
pub use schema_change::{SchemaChange, SchemaStep, StatementSession, TableEffect};
pub use stage::{Stage, TableStage};

/// Number of apply lanes of a new task; recorded, because rows are spread over them by hash.
pub const LANES: u32 = 4;

/// Proof of holding a task: the epoch that this engine raised ([`crate::destination::Records::claim`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub epoch: u64,
}
