//! How far the destination is behind: by the source's log, by the heartbeat on it, and across attempts.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::{Progress, UNKNOWN, lock};

/// As it is stored.
fn micros(value: Duration) -> u64 {
    u64::try_from(value.as_micros()).unwrap_or(UNKNOWN - 1)
}

pub(super) fn known(stored: &AtomicU64) -> Option<Duration> {
    Some(stored.load(Relaxed)).filter(|micros| *micros != UNKNOWN).map(Duration::from_micros)
}

impl Progress {
    /// How far the destination is behind by the source's log; None: not known.
    pub fn set_latency(&self, latency: Option<Duration>) {
        self.0.hot.latency_micros.store(latency.map_or(UNKNOWN, micros), Relaxed);
        self.0.hot.is_interrupted.store(false, Relaxed);
        self.touch();
    }

    /// Everything is applied that was committed on the source before this moment.
    pub fn set_synced_at(&self, at: Instant) {
        self.record(|facts| facts.synced_at = Some(at));
    }

    /// The last moment before which everything is applied; None: it was never known in this process.
    pub fn synced_at(&self) -> Option<Instant> {
        lock(&self.0.facts).synced_at
    }

    /// Nothing that is measured sees everything, and none of it is too large: the largest counts.
    pub(super) fn latency(&self) -> Option<Duration> {
        let hot = &self.0.hot;
        let by_log = known(&hot.latency_micros)?;
        let by_heartbeat = Duration::from_micros(hot.outstanding_micros.load(Relaxed));
        // Between two attempts nobody measures, and the last figure grows old.
        let by_age = self.synced_at().filter(|_| hot.is_interrupted.load(Relaxed)).map(|at| at.elapsed()).unwrap_or_default();
        Some(by_log.max(by_heartbeat).max(by_age))
    }

    /// What the newest heartbeat took from the source's commit until everything before it was applied (None: not known), and for how long
    /// the oldest one has been waiting that is not applied: the latency is no less than that.
    pub fn set_heartbeat(&self, latency: Option<Duration>, outstanding: Duration) {
        self.0.hot.heartbeat_micros.store(latency.map_or(UNKNOWN, micros), Relaxed);
        self.0.hot.outstanding_micros.store(micros(outstanding), Relaxed);
        self.touch();
    }

    /// The source has committed a heartbeat.
    pub fn heartbeat_written(&self) {
        self.0.hot.heartbeats.fetch_add(1, Relaxed);
    }

    /// A heartbeat could not be written.
    pub fn heartbeat_failed(&self) {
        self.0.hot.heartbeat_failures.fetch_add(1, Relaxed);
    }

    /// Why no heartbeat is written; None: they are. Stands in the message beside what the task does.
    pub fn heartbeat_problem(&self, problem: Option<String>) {
        if lock(&self.0.facts).heartbeat_problem != problem {
            self.record(|facts| facts.heartbeat_problem = problem);
        }
    }
}
