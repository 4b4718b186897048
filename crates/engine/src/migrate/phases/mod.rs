//! The phases of a task, in their order, which stands here and nowhere else ([`work`]).
//!
//! | phase | may enter | does | done when | after a crash |
//! |---|---|---|---|---|
//! | [`schema`] | the record's stage is below `SchemaMade` | databases and tables, without indexes that can come later | all are there; stage `SchemaMade` | a table whose intent is recorded is looked at: made before, or made now |
//! | [`snapshots`] | the task copies rows, stage below `Following` | tables without a usable key, and those that cascades need whole, each from one snapshot | the table is `Copied`, with the snapshot's place, in the transaction of its last rows | a table that is not `Copied` is emptied and copied again |
//! | [`log`] | the task has Incremental | lanes, reader, heartbeats: from here the log is followed beside all else | never; it ends with the attempt | lanes go on from their positions |
//! | [`chunks`] | the task copies rows, stage below `Following` | tables with a key in chunks; the indexes of each when its rows are there | the table is `Done` | recorded chunks stay, others are cut and read again; indexes that are there stay |
//! | [`indexes`] | stage below `Following` | secondary indexes of tables from snapshots, and of all where no rows are copied | the table is `Done` | those that are there stay |
//! | [`programs`] (routines) | the task has Schema | functions and procedures, which views may call | each stands there or is told | those that say what was meant stay |
//! | [`constraints`] | stage below `Following` | foreign keys and views | all are there; stage `Following` | those that are there stay |
//! | [`programs`] (triggers, events) | the task has Schema | triggers, behind a guard where the log is followed, and events, disabled | each stands there or is told | as above |
//! | [`verification`] | it was asked for, stage below `Verified` | both sides are compared | it has finished once; stage `Verified` | it begins again |
//! | [`replication`] | the log is followed | measures how far behind the destination is | asked to stop, or caught up where that was asked for | as `log` |
//!
//! All of a task's workers live inside an attempt: when one fails, all end, and the next attempt claims the task anew before it reads what was
//! committed.

mod chunks;
mod constraints;
mod indexes;
mod log;
mod programs;
mod replication;
mod schema;
mod snapshots;
mod verification;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::CLAIMING;
use super::attempt::{Attempt, CASCADES, cascades, clock_offset, mode};
use super::end::{End, Maker};
use crate::checkpoint::{Claim, Saved, Stage, TableStage};
use crate::connection::Role;
use crate::copy::CopyContext;
use crate::create::Creator;
use crate::create::programs::Programs;
use crate::destination::Existing;
use crate::evolve::{self, Ends};
use crate::group::Group;
use crate::plan::TablePlan;
use crate::plan::resolve::{Catalog, CatalogDatabase, resolve};
use crate::replicate::definition::{Defined, Pending};
use crate::source::stream::replica_id;
use crate::source::visibility::{self, Visibility};
use crate::task::Outcome;
use godwit_api::{ConflictPolicy, Phase};
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context, Error, Result};

/// Once a stop is asked for, what is begun at the destination gets this long.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// Workers get this long to commit what they have and to record their positions.
const END_WITHIN: Duration = Duration::from_secs(20);

/// An attempt that holds the task: what its phases work with.
struct Run<'a> {
    attempt: &'a Attempt<'a>,
    claim: Claim,
    /// The record when the task was claimed: nothing that an earlier engine still had under way can change it.
    saved: Saved,
    /// Of the plan's tables, when the schema was made.
    stages: Vec<TableStage>,
    maker: Maker,
    /// None: a destination that has none.
    programs: Option<Programs>,
    context: CopyContext,
    server_id: u32,
    /// Microseconds from the source's clock to ours.
    clock_offset: i64,
    cancel: CancellationToken,
    /// Where the reader leaves a definition statement.
    pending: Pending,
    /// Definition statements may be carried out.
    defines: Arc<AtomicBool>,
}

/// Claims the task and takes it through its phases.
///
/// # Errors
/// The first error of a phase or of a worker.
pub(super) async fn work(attempt: &Attempt<'_>, cancel: &CancellationToken) -> Result<Option<Outcome>> {
    let mut run = Run::claim(attempt, cancel).await?;
    if schema::may_enter(&run) {
        schema::run(&mut run).await?;
    }
    schema::check(&run).await?;
    schema::resumed(&run);
    if snapshots::may_enter(&run) {
        snapshots::run(&run).await?;
    }
    let mut workers = Group::new("a worker", cancel);
    if log::may_enter(&run) {
        run.context.dispatcher = Some(log::join(&run, &mut workers).await?);
    }
    let outcome = tokio::select! {
        outcome = beside_the_log(&run) => outcome,
        error = workers.failure() => Err(error),
        // What the destination is at then (an index of a large table) it ends by itself; the next run finds it.
        () = async { cancel.cancelled().await; tokio::time::sleep(FINISH_WITHIN).await } => Err(Error::cancelled()),
    };
    let ended = workers.end(END_WITHIN).await;
    if let Some(defined) = run.pending.take() {
        define(&run, &defined).await?;
        return Ok(None);
    }
    let outcome = outcome?;
    ended?;
    if let Some(dispatcher) = &run.context.dispatcher {
        let position = dispatcher.position();
        let gtid = position.gtid.to_string();
        attempt.progress.set_position((!gtid.is_empty()).then_some(gtid), position.file.clone(), position.offset);
    }
    if outcome == Outcome::Completed {
        attempt.records.set_stage(run.claim, Stage::Completed).await?;
        attempt.progress.set_phase(Phase::Completed);
    }
    Ok(Some(outcome))
}

/// Records what a definition statement will do; whoever claims the task next carries it out.
async fn define(run: &Run<'_>, defined: &Defined) -> Result<()> {
    let attempt = run.attempt;
    let End::MySql { connector, info, record } = &attempt.end else {
        return Err(Error::definite("a definition statement for a destination that takes none; this is a bug"));
    };
    attempt.progress.message(format!("a definition statement: {}", defined.shown));
    let ends = Ends {
        spec: attempt.task.spec(),
        selection: &attempt.selection,
        plan: &attempt.plan,
        source: &attempt.source,
        source_info: &attempt.source_info,
        destination: connector,
        destination_info: info,
    };
    let saved = attempt.records.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
    let replan = |definitions: Vec<TableDefinition>| {
        let plan = &attempt.plan;
        let databases = plan.databases.iter().map(|database| CatalogDatabase {
            name: database.source.clone(),
            character_set: database.character_set.clone(),
            collation: database.collation.clone(),
        });
        let tables = definitions.into_iter().map(Arc::new).collect();
        let catalog = Catalog { databases: databases.collect(), tables, ..Catalog::default() };
        Ok(resolve(attempt.task.spec(), &attempt.selection, &catalog)?.between(&attempt.source_info, info))
    };
    let (mut change, plan) = evolve::prepare(&ends, &saved, defined, &replan).await?;
    // A foreign key that acts may have come, or the last one may be gone. All lanes stand at one place, so nothing hangs on what was before.
    let before = saved.fingerprint.iter().find(|(name, _)| name == CASCADES).map(|(_, value)| value.as_str());
    let mut conn = attempt.source.connect(Role::Metadata).await?;
    let folds = attempt.selection.names().source_folds();
    let cascades = cascades(&mut conn, &attempt.source_info, &plan, folds, before).await?;
    let _ = conn.disconnect().await;
    change.cascades = Some((CASCADES.to_owned(), mode(&cascades).to_owned()));
    record.mean(run.claim, &change).await?;
    attempt.progress.add_ddl(&defined.shown);
    Ok(())
}

/// The phases during which the log is followed, where it is.
async fn beside_the_log(run: &Run<'_>) -> Result<Outcome> {
    if chunks::may_enter(run) {
        chunks::run(run).await?;
    }
    if indexes::may_enter(run) {
        indexes::run(run).await?;
    }
    let of_programs = programs::may_enter(run);
    if let Some(of_programs) = of_programs {
        programs::routines(run, of_programs).await?;
    }
    if constraints::may_enter(run) {
        constraints::run(run).await?;
    }
    if let Some(of_programs) = of_programs {
        programs::triggers_and_events(run, of_programs).await?;
    }
    if verification::may_enter(run) {
        verification::run(run).await?;
    }
    match &run.context.dispatcher {
        Some(dispatcher) => replication::run(run, dispatcher).await,
        None => {
            if let Some(of_programs) = of_programs {
                programs::again(run, of_programs).await?;
            }
            Ok(Outcome::Completed)
        }
    }
}

impl<'a> Run<'a> {
    async fn claim(attempt: &'a Attempt<'a>, cancel: &CancellationToken) -> Result<Self> {
        let (task, plan) = (attempt.task, &attempt.plan);
        let destination = attempt.end.open(task.spec(), plan, &attempt.cascades).await?;
        let capabilities = destination.capabilities();
        if let Some(why) = capabilities.refuses(plan, &attempt.cascades) {
            return Err(Error::definite(why));
        }
        let claim = attempt.records.claim(task.sizing.claimed_writers()).await.context(CLAIMING)?;
        // After the claim, and after whatever an earlier engine still had under way: it cannot change what is read here. Before the first claim
        // there was none.
        if claim.epoch > 1 && !capabilities.zombie.is_zero() {
            attempt
                .progress
                .message(format!("waiting {} s for what an earlier engine may still have sent", capabilities.zombie.as_secs()));
            tokio::time::sleep(capabilities.zombie).await;
        }
        let saved = attempt.records.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
        let maker = match &attempt.end {
            End::MySql { connector, info, .. } => Maker::MySql(Creator::new(
                task.spec(),
                plan,
                &attempt.source_info,
                info,
                connector,
                &attempt.records,
                claim,
                attempt.progress,
            )?),
            End::Tablestore { instance, targets, .. } => {
                Maker::tablestore(instance, plan, targets, task.spec(), &attempt.records, claim)
            }
        };
        let programs = match &attempt.end {
            End::MySql { connector, info, .. } => {
                Some(Programs::new(task.spec(), plan, &attempt.source_info, info, connector, attempt.progress))
            }
            End::Tablestore { .. } => None,
        };
        let mut conn = attempt.source.connect(Role::Metadata).await?;
        let visibility =
            if plan.incremental { visibility::detect(&mut conn, &attempt.source_info).await? } else { Visibility::LockingReads };
        let clock_offset = clock_offset(&mut conn).await?;
        let _ = conn.disconnect().await;
        let context = CopyContext {
            plan: Arc::clone(plan),
            cascades: Arc::clone(&attempt.cascades),
            source: attempt.source.clone(),
            source_info: attempt.source_info.clone(),
            source_identity: attempt.source_identity.as_str().into(),
            visibility,
            destination,
            existing: match task.spec().conflict_policy {
                ConflictPolicy::PrecheckAndReportErrors => Existing::Replaced,
                ConflictPolicy::IgnoreErrorsAndProceed => Existing::Kept,
            },
            records: Arc::clone(&attempt.records),
            claim,
            progress: attempt.progress.clone(),
            dispatcher: None,
            follows: plan.incremental,
            readers: task.sizing.readers,
            writers: task.sizing.writers,
            budget_bytes: task.sizing.copy_bytes,
            live: task.live.clone(),
        };
        let (stages, server_id) = (attempt.stages(&saved), replica_id(&task.name(), claim.epoch));
        Ok(Self {
            attempt,
            claim,
            saved,
            stages,
            maker,
            programs,
            context,
            server_id,
            clock_offset,
            cancel: cancel.clone(),
            pending: Pending::default(),
            defines: Arc::default(),
        })
    }

    /// Whether rows are still to be copied.
    fn copies(&self) -> bool {
        self.attempt.plan.full && self.saved.stage < Stage::Following
    }

    /// Tables whose rows are not all there: those that are cut into chunks, or the others.
    fn open(&self, chunked: bool) -> impl Iterator<Item = (Arc<TablePlan>, TableStage)> {
        let open = self.attempt.plan.tables.iter().zip(&self.stages).filter(|(_, stage)| **stage < TableStage::Copied);
        let is_chunked = |table: &TablePlan| table.is_chunked() && !self.attempt.cascades.needs_snapshot(table.id);
        open.map(|(table, stage)| (Arc::clone(table), *stage)).filter(move |(table, _)| is_chunked(table) == chunked)
    }
}
