//! The port of destinations: what copy and replication need of whatever the rows go to, and what they may rely on.
//!
//! The two sides of the port are kept apart: what stands here speaks of tables, rows, changes and positions, never of SQL. [`mysql`] is the
//! destination of the MySQL family; `memory` is one for tests, which can also be killed between any two steps.
//!
//! # Contract
//!
//! What has been *accepted* is durable when the call returns `Ok`, and stays so whatever happens to this engine. When a call returns an error,
//! or never returns, each part of it may have happened or not, except as the table says. Every call of a writer is *fenced*: once
//! [`Records::claim`] has returned to another engine, it changes nothing any more, or stops changing within
//! [`Capabilities::zombie`].
//!
//! | call | is true when it returns | after a crash in the middle, [`Commit::Atomic`] | after a crash in the middle, [`Commit::Behind`] |
//! |---|---|---|---|
//! | [`Records::create`] | the task is recorded, and no other task writes its tables | all of it or nothing | the same |
//! | [`Records::claim`] | no other engine writes for the task; [`Records::load`] tells all that was accepted | the epoch is raised or not; both are good | the same |
//! | [`LaneWriter::apply`] with a mark | the window's rows and its position | both or neither | some rows, no position: the window comes again |
//! | [`LaneWriter::apply`] without a mark | nothing yet: a part of a transaction too large to hold | nothing of it | some rows of it: the whole transaction comes again |
//! | [`LaneWriter::rollback`] | true: none of the parts stands; false: they stand, and cannot be taken back | none stands | they stand |
//! | [`ChunkSink::write`] with [`Done`] | the rows, and that they are copied | both or neither | some rows: the chunk is read and written again |
//! | [`ChunkSink::write`] without | the rows | all or none | some rows |
//! | [`ChunkSink::empty`] | no row is in the table | fewer rows | fewer rows |
//!
//! A destination of kind [`Commit::Behind`] meets windows and chunks again whose rows it has in part. That is right only if writing a row
//! again changes nothing, if the position is written after the last row of the window was accepted, and if nothing older than a row is
//! written after it; docs/correctness.md ("Destinations that mark behind") has the argument, `tests/model/behind.rs` the model with
//! each of these broken.

#[cfg(test)]
pub(crate) mod memory;
pub mod mysql;
mod records;
pub(crate) mod tablestore;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::change::NetChanges;
use crate::change::cascade::{Applied, Cascade, Cascades};
use crate::checkpoint::{Claim, SavedChunk};
use crate::plan::{Plan, TablePlan};
use godwit_model::error::Result;
use godwit_model::position::Position;
use godwit_model::row::Row;

pub use records::Records;

/// Whatever rows go to. One for a task; its writers are one for a lane or a copy worker.
pub(crate) trait Destination: Debug + Send + Sync {
    /// What it can, and cannot.
    fn capabilities(&self) -> Capabilities;

    /// The writer of an apply lane, under this claim.
    fn lane(&self, claim: Claim, lane: u32) -> BoxFuture<'_, Result<Box<dyn LaneWriter>>>;

    /// The writer of a copy worker, under this claim.
    fn chunks(&self, claim: Claim, worker: u32) -> BoxFuture<'_, Result<Box<dyn ChunkSink>>>;
}

/// What a destination can do. The engine asks before it relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub commit: Commit,
    /// For how long an engine that lost its claim may still change rows; zero where the destination itself refuses them.
    pub zombie: Duration,
    /// Rows without a key can be told apart by their values: tables without a key are taken.
    pub keyless: bool,
    /// What foreign keys did below the source's log can be carried out ([`Step::Cascades`]).
    pub cascades: bool,
}

/// Engines whose changes are in a transaction. What others write stays when the transaction is rolled back, so that its rollback stands in
/// the log behind its rows.
const TRANSACTIONAL: [&str; 5] = ["InnoDB", "XENGINE", "ROCKSDB", "TokuDB", "ndbcluster"];

impl Capabilities {
    /// Why the plan cannot be carried out at this destination; None: it can.
    pub(crate) fn refuses(self, plan: &Plan, cascades: &Cascades) -> Option<String> {
        let name = |table: &TablePlan| table.source.to_string();
        if !self.keyless
            && let Some(table) = plan.tables.iter().find(|table| !table.has_key())
        {
            return Some(format!(
                "{}: the destination tells rows apart by their keys only, and the table has none; give it a primary key at the source, or \
                 leave it out",
                name(table)
            ));
        }
        if !self.cascades
            && let Some(table) = plan.tables.iter().find(|table| cascades.is_child(table.id))
        {
            return Some(format!(
                "{}: what foreign keys change in it is not in the source's binary log, and the destination cannot look rows up by the \
                 columns of a foreign key; leave the table out",
                name(table)
            ));
        }
        let stays = |table: &TablePlan| !TRANSACTIONAL.iter().any(|engine| engine.eq_ignore_ascii_case(&table.definition.engine));
        if self.commit == Commit::Behind
            && plan.incremental
            && let Some(table) = plan.tables.iter().find(|table| stays(table))
        {
            return Some(format!(
                "{}: rows of engine {} stay when their transaction is rolled back, and the destination cannot take back what it was given \
                 of such a transaction; ALTER TABLE … ENGINE=InnoDB at the source, or leave the table out",
                name(table),
                table.definition.engine
            ));
        }
        None
    }
}

/// How rows and the record of them are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// In one transaction.
    Atomic,
    /// Rows first, each by itself and so that writing it again changes nothing; the record after the last of them.
    Behind,
}

/// Up to where a lane has applied everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark<'a> {
    pub position: &'a Position,
    /// From where the log must be read after a restart, where that is before the position (XA transactions that are not decided).
    pub replay_from: Option<&'a Position>,
}

/// A piece of a lane's window. Pieces are applied in order.
#[derive(Debug)]
pub(crate) enum Step {
    /// The last state of every key that was changed, by `TablePlan::id`. Within a table deletes go before writes, or a row may meet the unique value that
    /// another row of the window gives up.
    Changes(Vec<(u32, NetChanges)>),
    /// In the order of the log, with the parent's table.
    Cascades(Vec<(u32, Box<Cascade>)>),
}

/// Applies the changes of the log, of one lane.
pub(crate) trait LaneWriter: Send {
    /// Applies a window; `mark`: it is whole, and this is its position. None: a part of a transaction, whose end comes with a later call.
    /// What cascades came to is returned, for the chunks that are on their way.
    ///
    /// # Errors
    /// What the destination says, with table and key; then nothing of the window is accepted, or its fate is unknown and told so by the
    /// error's class. Fenced: another engine holds the task.
    fn apply<'a>(&'a mut self, window: Vec<Step>, mark: Option<Mark<'a>>) -> BoxFuture<'a, Result<Vec<Arc<Applied>>>>;

    /// Takes back the parts that are not marked. False: this destination cannot ([`Commit::Behind`]), and they stand.
    ///
    /// # Errors
    /// The destination's.
    fn rollback(&mut self) -> BoxFuture<'_, Result<bool>>;

    /// Whether parts stand there without their mark.
    fn is_open(&self) -> bool;
}

/// What a copied row does to a row of the same key that stands there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It takes its place: that can only be the same row, brought by the log or by an earlier attempt.
    Replaced,
    /// Nothing (`conflictPolicy: IgnoreErrorsAndProceed`).
    Kept,
    /// There can be none: one is an error. Tables without a key have none ever.
    Refused,
}

/// What is recorded with the rows that it is true of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Done<'a> {
    /// A chunk of a table.
    Chunk(&'a SavedChunk),
    /// The last rows of a table that is copied from one snapshot. Changes that `valid_from` covers are in its rows.
    Snapshot { rows: u64, bytes: u64, valid_from: Option<&'a Position> },
}

/// Writes copied rows, of one copy worker.
pub(crate) trait ChunkSink: Send {
    /// Writes the rows of a chunk, and what is done with them.
    ///
    /// # Errors
    /// A value that the destination does not take names table, column and key. Fenced: another engine holds the task.
    fn write<'a>(
        &'a mut self,
        table: &'a Arc<TablePlan>,
        rows: &'a Arc<Vec<Row>>,
        existing: Existing,
        done: Option<Done<'a>>,
    ) -> BoxFuture<'a, Result<()>>;

    /// Whether the table holds no row.
    ///
    /// # Errors
    /// The destination's.
    fn is_empty<'a>(&'a mut self, table: &'a TablePlan) -> BoxFuture<'a, Result<bool>>;

    /// Removes all rows of the table, which are the task's own.
    ///
    /// # Errors
    /// The destination's. Fenced: another engine holds the task.
    fn empty<'a>(&'a mut self, table: &'a Arc<TablePlan>) -> BoxFuture<'a, Result<()>>;
}
