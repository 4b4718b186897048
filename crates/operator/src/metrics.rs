//! The operator's metrics. No object's name is ever a label: thousands of tasks make the same few series.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use godwit_api::Phase;

/// Which kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Kind {
    MigrationTask,
    DedicatedCluster,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    kind: Kind,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// Units of all pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUnits {
    /// Of pools that have a limit.
    pub total: u64,
    /// Of all pools.
    pub used: u64,
    /// Of pools that have a limit.
    pub free: u64,
    /// That tasks wait for.
    pub queued: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<OutcomeLabels, Counter>,
    durations: Family<KindLabel, Histogram, fn() -> Histogram>,
    writes: Family<KindLabel, Counter>,
    polls: Family<Outcome, Counter>,
    watch_errors: Family<Watched, Counter>,
    tasks: Family<PhaseLabel, Gauge>,
    units: Family<State, Gauge>,
    queued: Gauge,
    unwatched: Gauge,
    leader: Gauge,
    uptime: Gauge<f64, AtomicU64>,
}

fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("godwit_operator"),
            reconciles: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
            writes: Family::default(),
            polls: Family::default(),
            watch_errors: Family::default(),
            tasks: Family::default(),
            units: Family::default(),
            queued: Gauge::default(),
            unwatched: Gauge::default(),
            leader: Gauge::default(),
            uptime: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("reconciles", "Times that an object was looked at", metrics.reconciles.clone());
        registry.register("reconcile_duration_seconds", "Time that a look at an object took", metrics.durations.clone());
        registry.register("status_writes", "Times that a status was written", metrics.writes.clone());
        registry.register("engine_polls", "Times that an engine was asked for its report", metrics.polls.clone());
        registry.register("watch_errors", "Times that a watch failed", metrics.watch_errors.clone());
        registry.register("tasks", "Tasks by phase", metrics.tasks.clone());
        registry.register("pool_units", "Units of all pools", metrics.units.clone());
        registry.register("queued_units", "Units that tasks wait for", metrics.queued.clone());
        registry.register("unwatched_namespaces", "Namespaces to watch that cannot be", metrics.unwatched.clone());
        registry.register("leader", "1 for the replica that works, 0 for one that stands by", metrics.leader.clone());
        registry.register("uptime_seconds", "Time since this process started", metrics.uptime.clone());
        metrics
    }
}

impl Metrics {
    pub fn reconciled(&self, kind: Kind, outcome: &'static str, took: Duration) {
        self.reconciles.get_or_create(&OutcomeLabels { kind, outcome }).inc();
        self.durations.get_or_create(&KindLabel { kind }).observe(took.as_secs_f64());
    }

    pub fn wrote_status(&self, kind: Kind) {
        self.writes.get_or_create(&KindLabel { kind }).inc();
    }

    pub fn polled(&self, outcome: &'static str) {
        self.polls.get_or_create(&Outcome { outcome }).inc();
    }

    pub fn watch_failed(&self, kind: &str) {
        self.watch_errors.get_or_create(&Watched { kind: kind.to_owned() }).inc();
    }

    pub fn leading(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Counts that are taken when somebody asks.
    pub fn set_world(&self, phases: &[(Phase, usize)], units: PoolUnits, uptime: Duration) {
        for (phase, count) in phases {
            self.tasks.get_or_create(&PhaseLabel { phase: phase.as_str() }).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let states = [("total", units.total), ("used", units.used), ("free", units.free)];
        for (state, value) in states {
            self.units.get_or_create(&State { state }).set(number(value));
        }
        self.queued.set(number(units.queued));
        self.uptime.set(uptime.as_secs_f64().floor());
    }

    pub fn set_unwatched(&self, namespaces: usize) {
        self.unwatched.set(i64::try_from(namespaces).unwrap_or(i64::MAX));
    }

    /// OpenMetrics text.
    ///
    /// # Errors
    /// Never in practice: writing into a string.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
