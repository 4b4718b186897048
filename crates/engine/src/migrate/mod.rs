//! One attempt: from the record at the destination to the task's end, or to the first error.
//!
//! The phases in order: precheck (of a new task), record and claim, schema, tables without a usable key, then copy and
//! log together, indexes and foreign keys, and the log alone. All of a task's workers live inside an attempt: when one
//! fails, all end, and the next attempt claims the task anew before it reads what was committed.

mod additions;
mod begin;
mod resume;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::checkpoint::{LANES, Record, Saved, Stage, TableStage};
use super::computing;
use super::connection::{Connector, Role, ServerInfo};
use super::copy::{self, CopyContext};
use super::create::Creator;
use super::destination::mysql::apply::Applier;
use super::destination::mysql::{Limits, OnDuplicate, SMALL_BYTES};
use super::entry::{Outcome, Task};
use super::error::{Context, Error, Result};
use super::heartbeat::{self, Beats, HeartbeatTable, Listener};
use super::plan::mapping::NameRules;
use super::plan::select::Selection;
use super::plan::{Plan, TablePlan};
use super::precheck;
use super::progress::{Progress, TableState};
use super::replicate::cascade::Cascades;
use super::replicate::dispatch::Dispatcher;
use super::replicate::guard::{self, Guard};
use super::replicate::lane::Lane;
use super::replicate::reader::Reader;
use super::source::position::Position;
use super::source::same_log;
use super::source::stream::replica_id;
use super::source::visibility::{self, Visibility};
use super::verify::{self, Hooks, Mode, VerifyOptions};
use crate::sql::Queries;
use additions::{finish_table, while_changes_wait};
use godwit_api::manifest::{resume_changes, resume_fingerprint};
use godwit_api::{ConflictPolicy, Phase, STATUS_LIST_LIMIT, TableVerification, VerificationState, VerificationStatus};

/// How often the log's end is asked for.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// A task that may be worked on: resolved, recorded, claimed.
struct Attempt<'a> {
    task: &'a Task,
    progress: &'a Progress,
    source: Connector,
    destination: Connector,
    source_info: ServerInfo,
    /// Tells the source from another server.
    source_identity: String,
    /// Recorded places in the source's log are places in the log that it has now.
    places_hold: bool,
    destination_info: ServerInfo,
    plan: Arc<Plan>,
    selection: Selection,
    record: Record,
    cascades: Arc<Cascades>,
}

/// What is done while [`Record::claim`] fails.
const CLAIMING: &str = "claiming the task at the destination";

/// Ends a task for good: raises its epoch, so that no engine that still runs can write, and records that none may again.
///
/// # Errors
/// When the destination cannot be reached.
pub async fn stop(task: &Task, progress: &Progress) -> Result<Outcome> {
    let (_, destination) = task.connectors()?;
    let record = Record::new(destination, &task.record_database, &task.name());
    let saved = record.load().await?;
    if saved.as_ref().is_some_and(|saved| saved.stage != Stage::Stopped) {
        let claim = record.claim(task.sizing.claimed_writers()).await.context(CLAIMING)?;
        record.set_stage(&claim, Stage::Stopped).await?;
    }
    progress.message(match saved {
        Some(_) => "ended for good as asked; a marker at the destination keeps the task from ever writing again",
        None => "ended for good as asked; the task has never written to the destination, so nothing is marked there",
    });
    progress.set_retrying(None);
    progress.set_phase(Phase::Stopped);
    Ok(Outcome::Stopped)
}

/// Runs one attempt.
///
/// # Errors
/// Of any class; see [`super::entry::run`].
pub async fn attempt(task: &Task, progress: &Progress, cancel: &CancellationToken) -> Result<Outcome> {
    let (source, destination) = task.connectors()?;
    progress.watch_links(vec![source.link(), destination.link()]);
    let record = Record::new(destination.clone(), &task.record_database, &task.name());
    let now = resume_fingerprint(task.spec());
    let saved = match record.load().await {
        Ok(saved) => saved,
        Err(error) => {
            let first = !task.prechecked && progress.status().precheck.is_none() && !progress_has_started(progress);
            // A destination that cannot be reached, or lets nobody in, at the very first start is the precheck's to report.
            let closed = first && (error.is_retryable() || destination.connect(Role::Metadata).await.is_err());
            if !closed {
                return Err(error.context("reading the task's record"));
            }
            None
        }
    };
    let mut attempt = match saved {
        Some(saved) => {
            if let Some(sentence) = resume_changes(&saved.fingerprint, &now) {
                return Err(Error::definite(sentence));
            }
            if saved.stage == Stage::Stopped {
                progress.set_phase(Phase::Stopped);
                return Err(Error::definite(
                    "the task was stopped for good (desiredState: Stopped) and can not be started again; start a new one under another name",
                ));
            }
            if saved.stage == Stage::Completed {
                progress.set_phase(Phase::Completed);
                progress.message("the task was completed in an earlier run");
                return Ok(Outcome::Completed);
            }
            resume::resume(task, progress, source, destination, record, &saved).await?
        }
        None => match begin::begin(task, progress, source, destination, record, &now).await? {
            Some(attempt) => attempt,
            None => return Ok(Outcome::PrecheckFailed),
        },
    };
    attempt.destination = computing::like_source(&attempt.source, &attempt.destination, &attempt.plan).await?;
    progress.set_plan(&attempt.plan);
    progress.set_retrying(None);
    attempt.work(cancel).await
}

fn progress_has_started(progress: &Progress) -> bool {
    !matches!(progress.status().phase, None | Some(Phase::Pending | Phase::Prechecking | Phase::PrecheckFailed))
}
/// Name, in the record, of how cascades come to the destination.
const CASCADES: &str = "source.cascades";
const LOGGED: &str = "in";
const DERIVED: &str = "missing from";

fn mode(cascades: &Cascades) -> &'static str {
    if cascades.is_empty() { LOGGED } else { DERIVED }
}

/// What has to be derived from the foreign keys, because the source's log lacks it. `recorded`: what was decided when the task
/// began, as lanes and the order of the copy follow from it.
async fn cascades(
    conn: &mut mysql_async::Conn,
    info: &ServerInfo,
    plan: &Plan,
    folds: bool,
    recorded: Option<&str>,
) -> Result<Cascades> {
    if !plan.incremental {
        return Ok(Cascades::none());
    }
    if recorded == Some(DERIVED) {
        return Ok(Cascades::derived(plan, folds));
    }
    let native: Option<String> = match info.is_mysql_since(9, 6, 0) {
        true => conn.query_first("SELECT CAST(@@GLOBAL.innodb_native_foreign_keys AS CHAR)").await?,
        false => None,
    };
    let native = native.map(|value| matches!(value.as_str(), "1" | "ON"));
    let replicates = recorded.is_none() && precheck::read_server::is_replica(conn, info).await? == Some(true);
    Ok(if info.logs_cascades(native) && !replicates { Cascades::logged(plan, folds) } else { Cascades::derived(plan, folds) })
}

async fn lower_case_table_names(conn: &mut mysql_async::Conn) -> Result<u8> {
    let value: Option<u8> = conn.query_first("SELECT @@GLOBAL.lower_case_table_names").await?;
    value.ok_or_else(|| Error::definite("a server does not say its lower_case_table_names"))
}

impl Attempt<'_> {
    async fn work(&self, cancel: &CancellationToken) -> Result<Outcome> {
        let plan = &self.plan;
        let claim = self.record.claim(self.task.sizing.claimed_writers()).await.context(CLAIMING)?;
        // After the claim: nothing that an earlier engine still had under way can change what is read here.
        let saved = self.record.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
        let mut stages = self.stages(&saved);
        let creator = Creator::new(
            self.task.spec(),
            plan,
            &self.source_info,
            &self.destination_info,
            &self.destination,
            &self.record,
            &claim,
            self.progress,
        )?;
        if saved.stage < Stage::SchemaMade {
            self.progress.set_phase(Phase::MigratingSchema);
            creator.databases_and_tables(&mut stages).await?;
            self.record.set_stage(&claim, Stage::SchemaMade).await?;
        }
        self.check_tables().await?;
        for (table, saved) in plan.tables.iter().zip(&saved.tables) {
            if saved.stage >= TableStage::Copied {
                self.progress.table_resumed(table.id, saved.rows, saved.bytes);
                self.progress.table_state(table.id, TableState::Done);
            }
        }
        let mut conn = self.source.connect(Role::Metadata).await?;
        let visibility =
            if plan.incremental { visibility::detect(&mut conn, &self.source_info).await? } else { Visibility::LockingReads };
        let clock_offset = clock_offset(&mut conn).await?;
        let _ = conn.disconnect().await;
        let (limits, load_data) = self.destination_limits().await?;
        let server_id = replica_id(&self.task.name(), claim.epoch);
        let copying = plan.full && saved.stage < Stage::Following;
        let mut context = CopyContext {
            plan: Arc::clone(plan),
            cascades: Arc::clone(&self.cascades),
            source: self.source.clone(),
            source_info: self.source_info.clone(),
            source_identity: self.source_identity.as_str().into(),
            visibility,
            destination: self.destination.clone(),
            limits,
            load_data,
            on_duplicate: match self.task.spec().conflict_policy {
                ConflictPolicy::PrecheckAndReportErrors => OnDuplicate::Replace,
                ConflictPolicy::IgnoreErrorsAndProceed => OnDuplicate::Keep,
            },
            record: self.record.clone(),
            claim: claim.clone(),
            progress: self.progress.clone(),
            dispatcher: None,
            follows: plan.incremental,
            readers: self.task.sizing.readers,
            writers: self.task.sizing.writers,
            budget_bytes: self.task.sizing.copy_bytes,
            live: self.task.live.clone(),
        };
        let pending = |chunked: bool| {
            let open = plan.tables.iter().zip(&stages).filter(|(_, stage)| **stage < TableStage::Copied);
            let is_chunked = |table: &TablePlan| table.is_chunked() && !self.cascades.needs_snapshot(table.id);
            open.map(|(table, stage)| (Arc::clone(table), *stage)).filter(move |(table, _)| is_chunked(table) == chunked)
        };
        if copying {
            self.progress.set_phase(Phase::Copying);
            // How fast snapshots of small tables are taken says nothing of the others.
            self.progress.foresee(pending(true).next().is_none());
            for tables in self.by_level(pending(false), |(table, _)| table) {
                copy::snapshot::run(&context, tables, server_id, cancel).await?;
            }
            self.progress.foresee(true);
        }
        let mut workers: JoinSet<Result<()>> = JoinSet::new();
        let stop = cancel.child_token();
        if plan.incremental {
            let saved = self.record.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
            let dispatcher = self.follow(&mut workers, &stop, &saved, &claim, limits, server_id, clock_offset).await?;
            context.dispatcher = Some(dispatcher);
        }
        let follow = context.dispatcher.clone();
        let main =
            self.copy_and_finish(context, creator, pending(true).map(|(table, _)| table).collect(), &saved, copying, cancel);
        let outcome = tokio::select! {
            outcome = main => outcome,
            error = first_failure(&mut workers) => Err(error),
            // What the destination is at then (an index of a large table) it ends by itself; the next run finds it.
            () = async { cancel.cancelled().await; tokio::time::sleep(FINISH_WITHIN).await } => Err(Error::cancelled()),
        };
        stop.cancel();
        let ended = end_workers(&mut workers).await;
        let outcome = outcome?;
        ended?;
        if let Some(dispatcher) = follow {
            let position = dispatcher.position();
            let gtid = position.gtid.to_string();
            self.progress.set_position((!gtid.is_empty()).then_some(gtid), position.file.clone(), position.offset);
        }
        if outcome == Outcome::Completed {
            self.record.set_stage(&claim, Stage::Completed).await?;
            self.progress.set_phase(Phase::Completed);
        }
        Ok(outcome)
    }

    /// Tables that the task did not make are looked at again: someone may have altered them since the precheck.
    async fn check_tables(&self) -> Result<()> {
        if self.plan.schema && self.task.spec().conflict_policy == ConflictPolicy::PrecheckAndReportErrors {
            return Ok(());
        }
        let mut conn = self.destination.connect(Role::Metadata).await?;
        let names =
            NameRules { source: 0, destination: lower_case_table_names(&mut conn).await?, policy: self.task.spec().name_case };
        precheck::read_destination::still_fit(&mut conn, &self.destination_info, &self.plan, names).await?;
        let _ = conn.disconnect().await;
        Ok(())
    }

    /// In the order of the copy: what cascades come through before what they come to.
    fn by_level<T>(&self, tables: impl Iterator<Item = T>, table: impl Fn(&T) -> &Arc<TablePlan>) -> Vec<Vec<T>> {
        let mut levels: BTreeMap<u32, Vec<T>> = BTreeMap::new();
        for one in tables {
            levels.entry(self.cascades.level(table(&one).id)).or_default().push(one);
        }
        levels.into_values().collect()
    }

    fn stages(&self, saved: &Saved) -> Vec<TableStage> {
        let by_name: HashMap<(&str, &str), TableStage> = saved
            .tables
            .iter()
            .map(|table| ((table.definition.database.as_str(), table.definition.table.as_str()), table.stage))
            .collect();
        self.plan
            .tables
            .iter()
            .map(|table| {
                let name = (table.source.database.as_str(), table.source.table.as_str());
                by_name.get(&name).copied().unwrap_or(TableStage::Planned)
            })
            .collect()
    }

    async fn destination_limits(&self) -> Result<(Limits, bool)> {
        let mut conn = self.destination.connect(Role::Metadata).await?;
        // The global values: a session's own limit is that of its start.
        let values: Option<(u64, u8)> = conn.query_first("SELECT @@GLOBAL.max_allowed_packet, @@GLOBAL.local_infile").await?;
        let _ = conn.disconnect().await;
        let (packet, local_infile) =
            values.ok_or_else(|| Error::transient("the destination does not tell its max_allowed_packet"))?;
        let packet = usize::try_from(packet).unwrap_or(usize::MAX);
        if packet < SMALL_BYTES {
            return Err(Error::definite(format!(
                "the destination's max_allowed_packet is {packet}, less than 1 MiB; raise it there (SET GLOBAL max_allowed_packet = 67108864)"
            )));
        }
        let row_alias = self.destination_info.is_mysql_since(8, 0, 20);
        let adopts_rows = self.task.spec().conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed;
        Ok((Limits::of(packet, row_alias, adopts_rows), local_infile == 1))
    }

    #[allow(clippy::too_many_arguments)]
    async fn follow(
        &self,
        workers: &mut JoinSet<Result<()>>,
        stop: &CancellationToken,
        saved: &Saved,
        claim: &super::checkpoint::Claim,
        limits: Limits,
        server_id: u32,
        clock_offset: i64,
    ) -> Result<Arc<Dispatcher>> {
        if saved.lanes.len() != LANES as usize {
            return Err(Error::definite(
                "the task's record has no position to follow the log from; it was started without Incremental",
            ));
        }
        let here = |position: &Position| resume::on_this_source(position, saved, &self.source_identity, self.places_hold);
        let positions: Vec<Position> = saved.lanes.iter().map(|(position, _)| here(position)).collect();
        let from: Vec<Position> =
            saved.lanes.iter().map(|(position, replay)| here(replay.as_ref().unwrap_or(position))).collect();
        let place_is_known = positions.iter().any(|position| position.last.is_some());
        let no_lane = || Error::definite("the task's record has no lane to follow the log with");
        let mut start = visibility::earliest(&from).ok_or_else(no_lane)?;
        if !start.goes_by_place() {
            // The stream says where it is.
            start = Position { file: String::new(), offset: 0, ..start };
        }
        start.server = Some(self.source_identity.as_str().into());
        if start.goes_by_place() && start.last.is_none() {
            // A source on which nothing happens sends no event that its log could be known again by.
            let server_id = server_id | resume::LOOKING;
            start.last = same_log::first_event(&self.source, &self.source_info, &start.file, server_id).await?;
        }
        let mut floor = visibility::earliest(&positions).ok_or_else(no_lane)?;
        if floor.goes_by_place() && floor.last.is_none() {
            floor.last.clone_from(&start.last);
        }
        let valid_from: HashMap<u32, Position> = saved
            .tables
            .iter()
            .filter_map(|table| {
                let from = here(table.valid_from.as_ref()?);
                let definition = &table.definition;
                let found = self
                    .plan
                    .tables
                    .iter()
                    .find(|t| t.source.database == definition.database && t.source.table == definition.table)?;
                Some((found.id, from))
            })
            .collect();
        let beats = self.task.spec().heartbeat.enabled.then(|| Beats::new(&self.task.name()));
        let dispatcher = Arc::new(Dispatcher::new(
            &self.plan,
            floor,
            start.clone(),
            positions.clone(),
            &valid_from,
            Arc::clone(&self.cascades),
            self.task.sizing.log,
        ));
        if self.plan.full {
            // A table of a higher level whose turn has not come: a table that its cascades come through is not copied yet.
            let open: Vec<&Arc<TablePlan>> = self
                .plan
                .tables
                .iter()
                .zip(self.stages(saved))
                .filter(|(_, s)| *s < TableStage::Copied)
                .map(|(t, _)| t)
                .collect();
            let lowest = open.iter().map(|table| self.cascades.level(table.id)).min().unwrap_or_default();
            dispatcher.hold_back(open.iter().map(|table| table.id).filter(|id| self.cascades.level(*id) > lowest));
        }
        for (number, recorded) in (0u32..).zip(positions) {
            let cascades = Arc::clone(&self.cascades);
            let applier = Applier::connect(&self.destination, claim.lane(number), limits, Arc::clone(&cascades)).await?;
            let (plan, dispatcher) = (Arc::clone(&self.plan), Arc::clone(&dispatcher));
            let lane = Lane::new(number, plan, cascades, dispatcher, applier, self.progress.clone(), recorded);
            workers.spawn(lane.run(stop.clone()));
        }
        let sequences = if self.source_info.is_mariadb() {
            let mut conn = self.source.connect(Role::Metadata).await?;
            let found = guard::sequences(&mut conn, &self.plan).await.context("reading the sequences of the source")?;
            let _ = conn.disconnect().await;
            found
        } else {
            HashSet::new()
        };
        let reader = Reader {
            source: self.source.clone(),
            source_info: self.source_info.clone(),
            source_identity: self.source_identity.clone(),
            plan: Arc::clone(&self.plan),
            dispatcher: Arc::clone(&dispatcher),
            start,
            place_is_known,
            guard: Guard::new(self.selection.clone(), self.progress.clone(), sequences),
            cascades: Arc::clone(&self.cascades),
            valid_from,
            server_id,
            clock_offset,
            progress: self.progress.clone(),
            live: self.task.live.clone(),
            heartbeat: beats.clone().map(Listener::new),
        };
        workers.spawn(reader.run(stop.clone()));
        if let Some(beats) = beats {
            workers.spawn(self.heartbeat(beats, claim, &dispatcher).run(stop.clone()));
        }
        Ok(dispatcher)
    }

    /// Begins after the claim: of two engines only the one that holds the task beats.
    fn heartbeat(&self, beats: Beats, claim: &super::checkpoint::Claim, dispatcher: &Arc<Dispatcher>) -> heartbeat::Writer {
        let asked = &self.task.spec().heartbeat;
        heartbeat::Writer {
            source: self.source.clone(),
            table: HeartbeatTable::new(&asked.database),
            task: self.task.name(),
            destination: format!("{}/{}", self.destination.address(), self.task.record_database),
            interval: Duration::from_secs(u64::from(asked.interval_seconds.max(1))),
            beats,
            record: self.record.clone(),
            claim: claim.clone(),
            dispatcher: Arc::clone(dispatcher),
            progress: self.progress.clone(),
        }
    }

    async fn copy_and_finish(
        &self,
        context: CopyContext,
        creator: Creator,
        pending: Vec<Arc<TablePlan>>,
        saved: &Saved,
        copying: bool,
        cancel: &CancellationToken,
    ) -> Result<Outcome> {
        let dispatcher = context.dispatcher.clone();
        if copying {
            let copied: copy::Copied = {
                let (creator, dispatcher) = (creator.clone(), dispatcher.clone());
                Arc::new(move |table| Box::pin(finish_table(creator.clone(), dispatcher.clone(), table)))
            };
            for tables in self.by_level(pending.into_iter(), |table| table) {
                if let Some(dispatcher) = &dispatcher {
                    for table in &tables {
                        dispatcher.begin(table.id).await;
                    }
                }
                copy::run(context.clone(), tables, cancel.clone(), Arc::clone(&copied)).await?;
            }
            // Tables from snapshots, and tables whose indexes an earlier run did not get to.
            let current = self.record.load().await?.ok_or_else(|| Error::definite("the task's record is gone"))?;
            let stages = self.stages(&current);
            for (table, stage) in self.plan.tables.iter().zip(stages) {
                if stage == TableStage::Copied {
                    copied(Arc::clone(table)).await?;
                }
            }
        }
        if saved.stage < Stage::Following {
            for table in creator.with_foreign_keys() {
                // The server locks the relations too, one after the other and some of them where no deadlock is seen:
                // beside transactions that have rows of both, it would wait until its time is up, again and again.
                let relations = self.plan.relations(table);
                while_changes_wait(dispatcher.as_deref(), relations, creator.foreign_keys(table)).await?;
            }
            creator.views().await?;
            self.record.set_stage(&creator.claim, Stage::Following).await?;
        }
        let verification = &self.task.spec().verification;
        if (verification.full.is_some() || verification.schema) && saved.stage < Stage::Verified {
            self.verify(cancel).await?;
            self.record.set_stage(&creator.claim, Stage::Verified).await?;
        }
        let Some(dispatcher) = dispatcher else { return Ok(Outcome::Completed) };
        self.progress.set_phase(Phase::Replicating);
        self.watch(&dispatcher, cancel).await
    }

    /// Compares both sides as the manifest asks, while the log goes on being followed.
    async fn verify(&self, cancel: &CancellationToken) -> Result<()> {
        self.progress.message("comparing both sides");
        let asked = &self.task.spec().verification;
        let mut options = VerifyOptions::of(asked);
        if asked.full.is_none() {
            options.mode = Mode::Definitions;
        }
        let hooks = Hooks { record: Some(self.record.clone()), ..Hooks::default() };
        let report = verify::verify(&self.plan, &self.source, &self.destination, options, cancel.clone(), hooks).await?;
        let sum = |count: fn(&TableVerification) -> u64| report.tables.iter().map(count).sum::<u64>();
        let row_values = self.task.spec().diagnostics.row_values;
        let told = |table: &TableVerification| TableVerification {
            samples: if row_values { table.samples.clone() } else { Vec::new() },
            ..table.clone()
        };
        self.progress.set_verification(VerificationStatus {
            state: Some(VerificationState::Finished),
            equal: Some(report.equal),
            source_position: report.source_position.clone(),
            tables_total: report.tables.len() as u64,
            tables_done: report.tables.len() as u64,
            rows_compared: sum(|table| table.rows),
            missing: sum(|table| table.missing),
            extra: sum(|table| table.extra),
            different: sum(|table| table.different),
            repaired: sum(|table| table.repaired),
            tables: report.tables.iter().take(STATUS_LIST_LIMIT).map(told).collect(),
            schema: report.schema.iter().take(STATUS_LIST_LIMIT).cloned().collect(),
            ..VerificationStatus::default()
        });
        if !report.equal {
            tracing::warn!("the comparison found differences; godwit verify lists them");
        }
        Ok(())
    }

    /// Follows the log: measures how far behind the destination is, until stopped or, if asked, until caught up.
    async fn watch(&self, dispatcher: &Dispatcher, cancel: &CancellationToken) -> Result<Outcome> {
        let mut conn = self.source.connect(Role::Metadata).await?;
        let mut first = true;
        loop {
            let asked = Instant::now();
            // What an earlier attempt did not get to has waited since then.
            let waits_since = self.progress.synced_at().filter(|_| first).unwrap_or(asked);
            let read = dispatcher.position();
            let end = visibility::log_end(&mut conn, &self.source_info).await.context("asking the source for its log's end")?;
            if read.compare_places(&end.0, end.1).is_gt() {
                // The next attempt looks at it more closely.
                return Err(Error::connection(format!(
                    "the source's binary log ends at {}:{}, and was read up to {}:{} before: it was reset",
                    end.0, end.1, read.file, read.offset
                )));
            }
            let reached = async {
                dispatcher.wait_passed(&end.0, end.1).await;
                dispatcher.drain().await;
            };
            tokio::pin!(reached);
            loop {
                tokio::select! {
                    () = &mut reached => break,
                    () = tokio::time::sleep(PROBE_EVERY) => self.progress.set_latency(Some(waits_since.elapsed())),
                    () = cancel.cancelled() => return Ok(Outcome::Stopped),
                }
            }
            let behind = asked.elapsed();
            self.progress.set_synced_at(asked);
            // Applied within the time that asking takes: nothing is outstanding.
            self.progress.set_latency(Some(if behind < Duration::from_secs(1) { Duration::ZERO } else { behind }));
            if first && self.task.until_caught_up {
                return Ok(Outcome::CaughtUp);
            }
            first = false;
            tokio::select! {
                () = tokio::time::sleep(PROBE_EVERY) => {}
                () = cancel.cancelled() => return Ok(Outcome::Stopped),
            }
        }
    }
}

/// Once a stop is asked for, what is begun at the destination gets this long.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

/// The first worker that ends by itself has failed.
async fn first_failure(workers: &mut JoinSet<Result<()>>) -> Error {
    loop {
        match workers.join_next().await {
            None => std::future::pending::<()>().await,
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return error,
            Some(Err(error)) => return Error::definite(format!("a worker failed: {error}")),
        }
    }
}

/// Workers get this long to commit what they have and to record their positions.
const END_WITHIN: Duration = Duration::from_secs(20);

async fn end_workers(workers: &mut JoinSet<Result<()>>) -> Result<()> {
    let mut result = Ok(());
    let ending = async {
        while let Some(joined) = workers.join_next().await {
            if let Ok(Err(error)) = joined {
                result = Err(error);
            }
        }
    };
    if tokio::time::timeout(END_WITHIN, ending).await.is_err() {
        workers.abort_all();
    }
    result
}

/// What to add to the source's clock to get ours, in microseconds.
async fn clock_offset(conn: &mut mysql_async::Conn) -> Result<i64> {
    let asked = std::time::SystemTime::now();
    let microseconds = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)";
    let theirs: Option<i64> = conn.query_first(microseconds).await?;
    let half_way = asked + asked.elapsed().unwrap_or_default() / 2;
    let ours = half_way.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    Ok(theirs.map_or(0, |theirs| ours - theirs))
}
