//! The one place that the engine's tasks report into, and from which every report is made: `/status`, the status file, metrics, progress bars.
//!
//! Reporting never waits for a reader: the hot counters are atomics, everything else is one short lock. Under overload readers see fewer
//! reports, never wrong ones. Nothing here survives a restart: the engine reports again what its own record at the destination says.

mod bounded;
mod histogram;
mod latency;
mod rate;
mod report;
mod snapshot;
mod tables;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::AcqRel, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::connection::Link;
use crate::plan::Plan;
use godwit_api::condition::{Condition, Time};
use godwit_api::conditions::{self, Parts};
use godwit_api::{
    LastDdl, MigrationTaskStatus, Phase, Position, PrecheckStatus, RetryStatus, STATUS_LIST_LIMIT, SchemaFailure, SchemaStatus,
    StatusReport, TaskIdentity, VerificationStatus,
};

pub use histogram::{BOUNDS, Histogram, HistogramSnapshot};
pub use report::precheck_passed;
pub use snapshot::{Counters, Snapshot};
pub use tables::{TableSnapshot, TableState};

use rate::{Sample, Window};
use tables::TableCell;

/// A statement in status is cut after this many characters.
const STATEMENT_LIMIT: usize = 1_000;
/// Stands for a latency that is not known.
const UNKNOWN: u64 = u64::MAX;

/// What the engine is doing and how far it has come. Clones share it.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    tables: RwLock<Vec<TableCell>>,
    hot: Hot,
    latencies: Histogram,
    facts: Mutex<Recorded>,
    window: Mutex<Window>,
    /// When the next sample is due, in milliseconds since the start: keeps writers off the window's lock.
    next_sample: AtomicU64,
    /// Whether readers know already that something changed.
    signalled: AtomicBool,
    changed: watch::Sender<()>,
}

/// Counts of this process.
#[derive(Debug, Default)]
struct Hot {
    rows: AtomicU64,
    bytes: AtomicU64,
    /// When the last of them were committed, in milliseconds since the start.
    copied_at: AtomicU64,
    /// The rate of the copy says how long the rest will take.
    is_foreseeable: AtomicBool,
    inserts: AtomicU64,
    updates: AtomicU64,
    deletes: AtomicU64,
    transactions: AtomicU64,
    log_bytes: AtomicU64,
    latency_micros: AtomicU64,
    /// When the newest transaction that is applied was committed at the source, in microseconds since 1970; 0: none is applied.
    committed_micros: AtomicU64,
    /// An attempt has ended since the latency was measured.
    is_interrupted: AtomicBool,
    /// What the newest heartbeat took, or takes.
    heartbeat_micros: AtomicU64,
    /// How far behind the destination is at least, by the heartbeats that are not applied.
    outstanding_micros: AtomicU64,
    heartbeats: AtomicU64,
    heartbeat_failures: AtomicU64,
    ddl: AtomicU64,
    ddl_skipped: AtomicU64,
    retries: AtomicU64,
    failures: AtomicU64,
}

/// What changes seldom.
#[derive(Debug, Clone)]
struct Recorded {
    /// Both ends as `host:port`, for people.
    source: String,
    destination: String,
    /// The generation of the resource that the work follows.
    generation: Option<i64>,
    /// Which resource's task it is, in a pod.
    task: Option<TaskIdentity>,
    /// The last phase of the work itself.
    stage: Phase,
    /// Paused or Stopped, while it is so.
    at_rest: Option<Phase>,
    message: Option<String>,
    started_at: Timestamp,
    /// When this process began to copy, since it started.
    copying_since: Option<Duration>,
    completed_at: Option<Timestamp>,
    parts: Option<Parts>,
    precheck: Option<PrecheckStatus>,
    schema: Option<SchemaStatus>,
    position: Option<Position>,
    last_ddl: Option<LastDdl>,
    /// What was committed on the source before this moment is applied.
    synced_at: Option<Instant>,
    retry: Option<RetryStatus>,
    failed: Option<String>,
    verification: Option<VerificationStatus>,
    /// Why no heartbeat is written.
    heartbeat_problem: Option<String>,
    /// Both servers, and whether a connection to each is not encrypted because none was offered.
    links: Vec<Link>,
    /// As they were in the last report: the times of their last change come from here.
    conditions: Vec<Condition>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept under these locks is whole after every statement; a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// `source` and `destination` as `host:port`, for people.
    pub fn new(source: String, destination: String) -> Self {
        let recorded = Recorded {
            source,
            destination,
            generation: None,
            task: None,
            stage: Phase::Pending,
            at_rest: None,
            message: None,
            started_at: Timestamp::now(),
            copying_since: None,
            completed_at: None,
            parts: None,
            precheck: None,
            schema: None,
            position: None,
            last_ddl: None,
            synced_at: None,
            retry: None,
            failed: None,
            verification: None,
            heartbeat_problem: None,
            links: Vec::new(),
            conditions: Vec::new(),
        };
        Self(Arc::new(Inner {
            started: Instant::now(),
            tables: RwLock::new(Vec::new()),
            hot: Hot { latency_micros: AtomicU64::new(UNKNOWN), heartbeat_micros: AtomicU64::new(UNKNOWN), ..Hot::default() },
            latencies: Histogram::default(),
            facts: Mutex::new(recorded),
            window: Mutex::new(Window::default()),
            next_sample: AtomicU64::new(0),
            signalled: AtomicBool::new(false),
            changed: watch::Sender::new(()),
        }))
    }

    /// The two ends as `host:port`, once they are known.
    pub fn set_ends(&self, source: String, destination: String) {
        self.record(|facts| (facts.source, facts.destination) = (source, destination));
    }

    /// The generation of the resource that the work now follows; the report and its conditions carry it.
    pub fn set_generation(&self, generation: i64) {
        self.record(|facts| facts.generation = Some(generation));
    }

    /// Whose connections are told of where they are not encrypted although that was wanted.
    pub fn watch_links(&self, links: Vec<Link>) {
        self.record(|facts| facts.links = links);
    }

    /// Which resource's task this is; reports carry it, so that nobody takes one engine for another.
    pub fn set_task(&self, task: TaskIdentity) {
        self.record(|facts| facts.task = Some(task));
    }

    /// What `/status` answers.
    pub fn report(&self) -> StatusReport {
        let task = lock(&self.0.facts).task.clone();
        StatusReport { task, ..StatusReport::from(self.status()) }
    }

    /// The work enters a phase, or comes to rest (Paused, Stopped). The message of the phase before goes.
    pub fn set_phase(&self, phase: Phase) {
        let now = self.0.started.elapsed();
        self.record(|facts| {
            if phase == Phase::Copying {
                facts.copying_since.get_or_insert(now);
            }
            let rest = matches!(phase, Phase::Paused | Phase::Stopped).then_some(phase);
            if phase <= Phase::Completed && facts.stage != phase {
                facts.message = None;
                facts.stage = phase;
            }
            facts.at_rest = rest;
            if phase.is_final() {
                facts.completed_at.get_or_insert_with(Timestamp::now);
            }
        });
    }

    /// One sentence for a person, until the next phase.
    pub fn message(&self, message: impl Into<String>) {
        let message = message.into();
        self.record(|facts| facts.message = Some(message));
    }

    /// Outcome of the precheck.
    pub fn set_precheck(&self, precheck: PrecheckStatus) {
        self.record(|facts| facts.precheck = Some(precheck));
    }

    /// Registers the plan's tables. Called again, tables of the same source name keep their counters.
    pub fn set_plan(&self, plan: &Plan) {
        self.record(|facts| {
            facts.parts = Some(Parts { schema: plan.schema, full: plan.full, incremental: plan.incremental });
        });
        let cells: Vec<TableCell> = plan.tables.iter().map(|table| TableCell::new(table)).collect();
        let mut tables = self.0.tables.write().unwrap_or_else(PoisonError::into_inner);
        let earlier: std::collections::HashMap<&str, &TableCell> =
            tables.iter().map(|cell| (cell.source.as_str(), cell)).collect();
        for cell in &cells {
            if let Some(known) = earlier.get(cell.source.as_str()) {
                cell.inherit(known);
            }
        }
        *tables = cells;
        drop(tables);
        self.touch();
    }

    /// What is being done with a table.
    pub fn table_state(&self, id: u32, state: TableState) {
        self.table(id, |cell| cell.set_state(state));
        self.touch();
    }

    /// Rows and bytes that an earlier run copied, or 0 and 0 when a table is copied again. Sets, does not add.
    pub fn table_resumed(&self, id: u32, rows: u64, bytes: u64) {
        self.table(id, |cell| cell.resume(rows, bytes));
        self.touch();
    }

    /// Rows that are now committed at the destination.
    pub fn add_copied(&self, id: u32, rows: u64, bytes: u64) {
        self.table(id, |cell| cell.add(rows, bytes));
        self.0.hot.rows.fetch_add(rows, Relaxed);
        self.0.hot.bytes.fetch_add(bytes, Relaxed);
        self.0.hot.copied_at.store(self.milliseconds(), Relaxed);
        self.count();
    }

    /// Whether the rate of the copy, from now on, says how long the rest of it will take.
    pub fn foresee(&self, foreseeable: bool) {
        self.0.hot.is_foreseeable.store(foreseeable, Relaxed);
        let now = self.sample();
        lock(&self.0.window).restart(now);
    }

    /// Since the start.
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn table(&self, id: u32, change: impl FnOnce(&TableCell)) {
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = tables.get(id as usize) {
            change(cell);
        }
    }

    /// Objects that stand at the destination.
    pub fn schema_counts(&self, databases: u64, tables: u64, views: u64) {
        self.record(|facts| {
            let schema = facts.schema.get_or_insert_default();
            (schema.databases, schema.tables, schema.views) = (databases, tables, views);
        });
    }

    /// An object that could not be created; `object` with its kind, for example `view shop.totals`. Told again, it counts once.
    pub fn schema_failed(&self, object: impl Into<String>, statement: &str, error: impl Into<String>) {
        let failure = SchemaFailure { object: object.into(), statement: shorten(statement), error: error.into() };
        self.record(|facts| {
            let schema = facts.schema.get_or_insert_default();
            if let Some(known) = schema.failed.iter_mut().find(|known| known.object == failure.object) {
                *known = failure;
                return;
            }
            schema.failed_total += 1;
            if schema.failed.len() < STATUS_LIST_LIMIT {
                schema.failed.push(failure);
            }
        });
    }

    /// Stored programs that stand at the destination.
    pub fn program_counts(&self, procedures: u64, functions: u64, triggers: u64, events: u64) {
        self.record(|facts| {
            let schema = facts.schema.get_or_insert_default();
            (schema.procedures, schema.functions, schema.triggers, schema.events) = (procedures, functions, triggers, events);
        });
    }

    /// An object that could not be created before stands there now.
    pub fn schema_made(&self, object: &str) {
        self.record(|facts| {
            let Some(schema) = &mut facts.schema else { return };
            let before = schema.failed.len();
            schema.failed.retain(|known| known.object != object);
            schema.failed_total -= (before - schema.failed.len()) as u64;
        });
    }

    /// Triggers that a person makes.
    pub fn set_held_triggers(&self, triggers: Vec<String>) {
        let triggers = triggers.into_iter().take(STATUS_LIST_LIMIT).collect();
        self.record(|facts| facts.schema.get_or_insert_default().held_triggers = triggers);
    }

    /// Position up to which everything is applied.
    pub fn set_position(&self, gtid: Option<String>, file: String, offset: u64) {
        let file = (!file.is_empty()).then_some(file);
        let offset = file.as_ref().map(|_| offset);
        self.record(|facts| facts.position = Some(Position { gtid_set: gtid, file, offset }));
    }

    /// A transaction that the source committed at this time is applied now.
    pub fn applied(&self, committed_at: SystemTime, now: SystemTime) {
        self.0.latencies.record(now.duration_since(committed_at).unwrap_or_default());
        let since = committed_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Lanes commit in an order of their own.
        self.0.hot.committed_micros.fetch_max(u64::try_from(since.as_micros()).unwrap_or_default(), Relaxed);
    }

    /// Row changes that are now committed at the destination.
    pub fn add_applied(&self, inserts: u64, updates: u64, deletes: u64, transactions: u64) {
        self.0.hot.inserts.fetch_add(inserts, Relaxed);
        self.0.hot.updates.fetch_add(updates, Relaxed);
        self.0.hot.deletes.fetch_add(deletes, Relaxed);
        self.0.hot.transactions.fetch_add(transactions, Relaxed);
        self.count();
    }

    /// Bytes of the binary log that were read.
    pub fn add_log_bytes(&self, bytes: u64) {
        self.0.hot.log_bytes.fetch_add(bytes, Relaxed);
        self.count();
    }

    /// A definition statement of the log was applied.
    pub fn add_ddl(&self, statement: &str) {
        self.0.hot.ddl.fetch_add(1, Relaxed);
        self.last_ddl(statement, true);
    }

    /// A definition statement of the log was left out on purpose.
    pub fn add_ddl_skipped(&self, statement: &str) {
        self.0.hot.ddl_skipped.fetch_add(1, Relaxed);
        self.last_ddl(statement, false);
    }

    fn last_ddl(&self, statement: &str, applied: bool) {
        let ddl = LastDdl { statement: shorten(statement), applied, at: Some(whole_second(Timestamp::now())) };
        self.record(|facts| facts.last_ddl = Some(ddl));
    }

    /// An error is being retried, with the number of the attempt; None: the work goes on.
    pub fn set_retrying(&self, retrying: Option<(String, u32)>) {
        if retrying.is_some() {
            self.0.hot.retries.fetch_add(1, Relaxed);
            self.0.hot.is_interrupted.store(true, Relaxed);
        }
        self.record(|facts| {
            let since = facts.retry.take().and_then(|earlier| earlier.since);
            facts.retry = retrying.map(|(error, attempts)| RetryStatus {
                error,
                attempts: attempts.into(),
                since: since.or_else(|| Some(whole_second(Timestamp::now()))),
                ..RetryStatus::default()
            });
        });
    }

    /// The engine gave up; a person has to act.
    pub fn set_failed(&self, error: String) {
        self.0.hot.failures.fetch_add(1, Relaxed);
        self.record(|facts| {
            facts.retry = None;
            facts.failed = Some(error);
        });
    }

    /// State of the verification.
    pub fn set_verification(&self, verification: VerificationStatus) {
        self.record(|facts| facts.verification = Some(verification));
    }

    /// Wakes after every change that the last [`Progress::status`] did not show; many changes are one.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// The whole report.
    pub fn status(&self) -> MigrationTaskStatus {
        let snapshot = self.snapshot();
        let mut status = snapshot.report();
        let mut facts = lock(&self.0.facts);
        let findings = std::mem::take(&mut facts.conditions);
        status.conditions = conditions::with_times(report::findings(&snapshot), &findings, &whole_second(Timestamp::now()));
        for condition in &mut status.conditions {
            condition.observed_generation = status.observed_generation;
        }
        facts.conditions.clone_from(&status.conditions);
        drop(facts);
        bounded::bounded(status)
    }

    /// Everything at one moment, for reports, metrics and bars.
    pub fn snapshot(&self) -> Snapshot {
        self.0.signalled.swap(false, AcqRel);
        let now = self.sample();
        let rates = lock(&self.0.window).rates(&now);
        lock(&self.0.window).push(now);
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        let table_snapshots = tables.iter().map(TableCell::snapshot).collect();
        let (work_done, work_total) =
            tables.iter().fold((0, 0), |(done, total), cell| (done + cell.work_done(), total + cell.weight()));
        drop(tables);
        let hot = &self.0.hot;
        let counters = Counters {
            rows: hot.rows.load(Relaxed),
            bytes: hot.bytes.load(Relaxed),
            inserts: hot.inserts.load(Relaxed),
            updates: hot.updates.load(Relaxed),
            deletes: hot.deletes.load(Relaxed),
            transactions: hot.transactions.load(Relaxed),
            log_bytes: hot.log_bytes.load(Relaxed),
            ddl: hot.ddl.load(Relaxed),
            ddl_skipped: hot.ddl_skipped.load(Relaxed),
            retries: hot.retries.load(Relaxed),
            failures: hot.failures.load(Relaxed),
            heartbeats: hot.heartbeats.load(Relaxed),
            heartbeat_failures: hot.heartbeat_failures.load(Relaxed),
        };
        let mut snapshot = Snapshot {
            running_for: self.0.started.elapsed(),
            copied_until: Duration::from_millis(hot.copied_at.load(Relaxed)),
            is_foreseeable: hot.is_foreseeable.load(Relaxed),
            tables: table_snapshots,
            work_done,
            work_total,
            counters,
            rates,
            latency: self.latency(),
            heartbeat_latency: latency::known(&hot.heartbeat_micros),
            latencies: self.0.latencies.snapshot(),
            last_commit: last_commit(hot.committed_micros.load(Relaxed)),
            recorded: lock(&self.0.facts).clone(),
        };
        if snapshot.phase().is_final() || matches!(snapshot.phase(), Phase::Paused | Phase::Failed) {
            // What has come to rest has no speed, whatever the window remembers.
            snapshot.rates = rate::Rates::default();
        }
        snapshot
    }

    fn record(&self, change: impl FnOnce(&mut Recorded)) {
        change(&mut lock(&self.0.facts));
        self.touch();
    }

    /// A hot counter moved.
    fn count(&self) {
        self.touch();
        let now = self.milliseconds();
        let due = self.0.next_sample.load(Relaxed);
        let next = now.saturating_add(rate::INTERVAL.as_millis() as u64);
        if now >= due && self.0.next_sample.compare_exchange(due, next, AcqRel, Relaxed).is_ok() {
            let sample = self.sample();
            lock(&self.0.window).push(sample);
        }
    }

    fn touch(&self) {
        if !self.0.signalled.swap(true, AcqRel) {
            self.0.changed.send_replace(());
        }
    }

    fn sample(&self) -> Sample {
        let hot = &self.0.hot;
        let tables = self.0.tables.read().unwrap_or_else(PoisonError::into_inner);
        let active = tables.iter().filter(|cell| cell.state() == TableState::Copying);
        Sample {
            at: self.0.started.elapsed(),
            rows: hot.rows.load(Relaxed),
            bytes: hot.bytes.load(Relaxed),
            work: tables.iter().map(TableCell::work_done).sum(),
            applied: hot.inserts.load(Relaxed) + hot.updates.load(Relaxed) + hot.deletes.load(Relaxed),
            log_bytes: hot.log_bytes.load(Relaxed),
            tables: active.map(|cell| (cell.id, cell.rows())).collect(),
        }
    }
}

fn shorten(statement: &str) -> String {
    let mut characters = statement.char_indices();
    match characters.nth(STATEMENT_LIMIT) {
        Some((end, _)) => format!("{}…", &statement[..end]),
        None => statement.to_owned(),
    }
}

/// None: nothing is applied.
fn last_commit(micros: u64) -> Option<Timestamp> {
    i64::try_from(micros).ok().filter(|micros| *micros > 0).and_then(|micros| Timestamp::from_microsecond(micros).ok())
}

/// Times in status have no fractions.
fn whole_second(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests;
