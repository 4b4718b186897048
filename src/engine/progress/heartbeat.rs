//! What is reported of the heartbeat on the source.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Progress, UNKNOWN, lock};

impl Progress {
    /// What the newest heartbeat took from the source's commit until everything before it was applied (None: not known), and for how long
    /// the oldest one has been waiting that is not applied: the latency is no less than that.
    pub fn set_heartbeat(&self, latency: Option<Duration>, outstanding: Duration) {
        let micros = |value: Duration| u64::try_from(value.as_micros()).unwrap_or(UNKNOWN - 1);
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
