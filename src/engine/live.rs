//! What of a task can be changed while it runs: how fast it goes, and how long failures are retried. Everybody who works by it shares one [`Live`];
//! a change is felt within a quarter of a second. Holds no data; on a restart it is made anew from the task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::Class;
use super::throttle::Throttle;
use crate::api::{self, Retry};

/// Bytes of a megabyte in the manifest.
const MEGABYTE: u64 = 1_000_000;

/// The settings in force; clones share them.
#[derive(Debug, Clone)]
pub struct Live(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    queries: Throttle,
    copy: Throttle,
    changes: Throttle,
    retry: Mutex<Retry>,
}

impl Live {
    /// The settings of a task at its start.
    pub fn new(throttle: &api::Throttle, retry: &Retry) -> Self {
        let live = Self(Arc::new(Settings {
            queries: Throttle::new(0, 0),
            copy: Throttle::new(0, 0),
            changes: Throttle::new(0, 0),
            retry: Mutex::new(retry.clone()),
        }));
        live.set_throttle(throttle);
        live
    }

    /// Changes the limits.
    pub fn set_throttle(&self, throttle: &api::Throttle) {
        let (full, incremental) = (&throttle.full, &throttle.incremental);
        self.0.queries.set(full.source_queries_per_second, 0);
        self.0.copy.set(full.rows_per_second, full.megabytes_per_second.saturating_mul(MEGABYTE));
        self.0.changes.set(incremental.rows_per_second, incremental.megabytes_per_second.saturating_mul(MEGABYTE));
    }

    /// Changes how long failures are retried.
    pub fn set_retry(&self, retry: &Retry) {
        *self.0.retry.lock().unwrap_or_else(PoisonError::into_inner) = retry.clone();
    }

    /// For how long an error of a class is tried again.
    pub fn retried_for(&self, class: Class) -> Duration {
        let retry = self.0.retry.lock().unwrap_or_else(PoisonError::into_inner);
        let minutes = if class == Class::Connection { retry.connection_minutes } else { retry.other_minutes };
        Duration::from_secs(u64::from(minutes) * 60)
    }

    /// Before a query of the full copy on the source.
    pub async fn query(&self) {
        self.0.queries.acquire(1, 0).await;
    }

    /// Rows and bytes that the full copy has read.
    pub async fn copied(&self, rows: u64, bytes: u64) {
        self.0.copy.acquire(rows, bytes).await;
    }

    /// Row changes, and their bytes, that were read from the binary log.
    pub async fn changes(&self, rows: u64, bytes: u64) {
        self.0.changes.acquire(rows, bytes).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_times_are_those_of_the_moment() {
        let live = Live::new(&api::Throttle::default(), &Retry::default());
        let of = |class| live.retried_for(class).as_secs() / 60;
        assert_eq!((of(Class::Connection), of(Class::Other)), (720, 10));
        live.clone().set_retry(&Retry { connection_minutes: 30, other_minutes: 5, failed_task_days: 0 });
        assert_eq!((of(Class::Connection), of(Class::Other)), (30, 5));
    }
}
