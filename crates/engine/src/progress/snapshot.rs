//! Everything that [`super::Progress`] holds, at one moment and without locks: what reports, metrics and bars are made from.

use std::time::Duration;

use jiff::Timestamp;

use super::rate::Rates;
use super::{HistogramSnapshot, Recorded, TableSnapshot, TableState};
use godwit_api::{MigrationTaskStatus, Phase};

/// Counts of this process; they never fall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows and bytes of the full copy.
    pub rows: u64,
    pub bytes: u64,
    /// Row changes from the binary log.
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub transactions: u64,
    /// Bytes read from the binary log.
    pub log_bytes: u64,
    pub ddl: u64,
    pub ddl_skipped: u64,
    pub retries: u64,
    pub failures: u64,
    /// Heartbeats that the source has committed, and those that could not be written.
    pub heartbeats: u64,
    pub heartbeat_failures: u64,
}

impl Counters {
    /// Row changes of all kinds.
    pub fn applied(&self) -> u64 {
        self.inserts + self.updates + self.deletes
    }
}

/// The state at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub running_for: Duration,
    /// When the last rows were copied, since the start.
    pub(super) copied_until: Duration,
    pub(super) is_foreseeable: bool,
    /// In the plan's order.
    pub tables: Vec<TableSnapshot>,
    pub(super) work_done: u64,
    pub(super) work_total: u64,
    pub counters: Counters,
    pub(super) rates: Rates,
    /// None while it is not known.
    pub latency: Option<Duration>,
    /// What the newest heartbeat took; None: there is none, or it is not known.
    pub heartbeat_latency: Option<Duration>,
    pub latencies: HistogramSnapshot,
    /// When the newest transaction that is applied was committed at the source.
    pub(super) last_commit: Option<Timestamp>,
    pub(super) recorded: Recorded,
}

impl Snapshot {
    /// What status shows.
    pub fn phase(&self) -> Phase {
        if self.recorded.failed.is_some() {
            return Phase::Failed;
        }
        if let Some(rest) = self.recorded.at_rest {
            return rest;
        }
        if self.recorded.retry.is_some() { Phase::Retrying } else { self.recorded.stage }
    }

    /// The whole report but its conditions, which need the reports before.
    pub fn report(&self) -> MigrationTaskStatus {
        super::report::report(self)
    }

    /// How far the work has come, whatever interrupts it.
    pub fn stage(&self) -> Phase {
        self.recorded.stage
    }

    /// Share of the full copy that is done, 0 to 1, weighed by estimated bytes; 1 only when every table is done.
    pub fn share_done(&self) -> f64 {
        if self.work_total == 0 {
            return 1.0;
        }
        self.work_done as f64 / self.work_total as f64
    }

    /// Tables whose rows are copied; some may yet want their indexes.
    pub fn tables_done(&self) -> usize {
        self.tables.iter().filter(|table| matches!(table.state, TableState::Indexing | TableState::Done)).count()
    }

    /// How long this process has copied rows: from the beginning of the copy to the last of them.
    pub fn copied_for(&self) -> Duration {
        self.recorded.copying_since.map_or(Duration::ZERO, |since| self.copied_until.saturating_sub(since))
    }

    /// Rows per second of the full copy.
    pub fn rows_per_second(&self) -> f64 {
        self.rates.rows
    }

    /// Bytes per second of the full copy.
    pub fn bytes_per_second(&self) -> f64 {
        self.rates.bytes
    }

    /// Rows per second of one table; 0 for one that is not being copied.
    pub fn table_rate(&self, id: u32) -> f64 {
        self.rates.tables.iter().find(|(table, _)| *table == id).map_or(0.0, |(_, rate)| *rate)
    }

    /// Time left for the full copy at the present rate; None while that says nothing.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.work_total.saturating_sub(self.work_done);
        if left == 0 || self.rates.work < 1.0 || !self.is_foreseeable {
            return None;
        }
        Some(Duration::from_secs_f64((left as f64 / self.rates.work).min(1e9)))
    }
}
