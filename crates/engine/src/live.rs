//! What of a task can be changed while it runs: how fast it goes, and how long failures are retried. Everybody who works by it shares one [`Live`];
//! a change is felt within a quarter of a second. Holds no data; on a restart it is made anew from the task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::throttle::Throttle;
use godwit_api::Retry;
use godwit_model::error::Class;

/// Bytes of a megabyte in the manifest.
const MEGABYTE: u64 = 1_000_000;

/// However low the limits are: each chunk costs the source and the destination some statements of its own.
const FEWEST_CHUNK_ROWS: u64 = 20;

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
    pub fn new(throttle: &godwit_api::Throttle, retry: &Retry) -> Self {
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
    pub fn set_throttle(&self, throttle: &godwit_api::Throttle) {
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

    /// Before a query of the full copy on the source: one that reads rows, or that looks for the end of a chunk.
    pub async fn query(&self) {
        self.0.queries.acquire(1, 0).await;
    }

    /// Rows that a chunk of the full copy may have, so that limited reading is steady and no chunk stays open for long.
    pub fn chunk_rows(&self, row_bytes: u64) -> u64 {
        let (rows, bytes) = self.0.copy.limits();
        let by_rows = if rows == 0 { u64::MAX } else { rows };
        let by_bytes = if bytes == 0 { u64::MAX } else { bytes / row_bytes.max(1) };
        by_rows.min(by_bytes).max(FEWEST_CHUNK_ROWS)
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

    #[tokio::test]
    async fn limits_are_those_of_the_moment() {
        let limits = |rows: u64, megabytes: u64| godwit_api::Throttle {
            full: godwit_api::FullThrottle { rows_per_second: rows, megabytes_per_second: megabytes, ..Default::default() },
            ..Default::default()
        };
        let live = Live::new(&godwit_api::Throttle::default(), &Retry::default());
        assert_eq!(live.chunk_rows(100), u64::MAX);
        live.set_throttle(&limits(5_000, 0));
        assert_eq!(live.chunk_rows(100), 5_000);
        live.set_throttle(&limits(5_000, 1));
        assert_eq!((live.chunk_rows(1_000), live.chunk_rows(0)), (1_000, 5_000));
        live.set_throttle(&limits(1, 0));
        assert_eq!(live.chunk_rows(100), 20);
        // Raised while somebody waits for an hour's worth: it goes on at once.
        let waiting = tokio::spawn({
            let live = live.clone();
            async move { live.copied(3_600, 0).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        live.set_throttle(&limits(0, 0));
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn queries_are_counted() {
        let live = Live::new(&godwit_api::Throttle::default(), &Retry::default());
        let full = godwit_api::FullThrottle { source_queries_per_second: 20, ..Default::default() };
        live.set_throttle(&godwit_api::Throttle { full, ..Default::default() });
        let start = std::time::Instant::now();
        for _ in 0..10 {
            live.query().await;
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!((0.3..3.0).contains(&seconds), "{seconds}");
        // Rows have a limit of their own.
        live.copied(1 << 40, 1 << 40).await;
        live.changes(1 << 40, 1 << 40).await;
        assert!(start.elapsed().as_secs_f64() < 3.0);
    }

    #[test]
    fn retry_times_are_those_of_the_moment() {
        let live = Live::new(&godwit_api::Throttle::default(), &Retry::default());
        let of = |class| live.retried_for(class).as_secs() / 60;
        assert_eq!((of(Class::Connection), of(Class::Other)), (720, 10));
        live.clone().set_retry(&Retry { connection_minutes: 30, other_minutes: 5, failed_task_days: 0 });
        assert_eq!((of(Class::Connection), of(Class::Other)), (30, 5));
    }
}
