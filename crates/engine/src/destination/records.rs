//! The port's half that remembers.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::checkpoint::{Claim, NewTask, Saved, SavedChunk, Stage, TableStage};
use godwit_model::definition::TableDefinition;
use godwit_model::error::Result;
use godwit_model::position::Position;

/// One task's records. They outlive every engine and are the only thing that a later one goes on from. What is said here of errors and crashes is the
/// contract of [`crate::destination`].
pub trait Records: Debug + Send + Sync {
    /// The task's name in the records: `namespace/name`.
    fn task(&self) -> &str;

    /// Where the records are, for people: the name of a database or of a table.
    fn place(&self) -> &str;

    /// Makes room for records where there is none. May run twice.
    fn prepare(&self) -> BoxFuture<'_, Result<()>>;

    /// Records a new task, all of it or nothing.
    ///
    /// # Errors
    /// A definite one when another task writes one of its tables. A transient one when another engine has just recorded the same task.
    fn create<'a>(&'a self, task: NewTask<'a>) -> BoxFuture<'a, Result<()>>;

    /// What the task has recorded; None for a task that never got that far.
    fn load(&self) -> BoxFuture<'_, Result<Option<Saved>>>;

    /// Raises the epoch: once this returns no other engine writes for the task (or stops within the destination's bound), and what is loaded
    /// afterwards is final. `writers`: copy workers that may write under the claim.
    fn claim(&self, writers: u32) -> BoxFuture<'_, Result<Claim>>;

    /// Whether the claim still holds.
    ///
    /// # Errors
    /// Fenced when another engine has claimed the task.
    fn check(&self, claim: Claim) -> BoxFuture<'_, Result<()>>;

    /// Records how far the task has come, while the claim holds.
    fn set_stage(&self, claim: Claim, stage: Stage) -> BoxFuture<'_, Result<()>>;

    /// Records what has become of a table, while the claim holds.
    fn set_table_stage<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        stage: TableStage,
    ) -> BoxFuture<'a, Result<()>>;

    /// The chunks of a table that are copied.
    fn copied_chunks<'a>(&'a self, definition: &'a TableDefinition) -> BoxFuture<'a, Result<Vec<SavedChunk>>>;

    /// Records that a table is copied and forgets its chunks, while the claim holds.
    fn finish_copy<'a>(
        &'a self,
        claim: Claim,
        definition: &'a TableDefinition,
        rows: u64,
        bytes: u64,
    ) -> BoxFuture<'a, Result<()>>;

    /// What each lane has applied; nothing before all rows are copied.
    fn applied(&self) -> BoxFuture<'_, Result<Vec<Position>>>;

    /// What a person runs where the source is the same server under another name, so that the records say the new one.
    fn rename_source(&self, before: &str, now: &str) -> String;
}
