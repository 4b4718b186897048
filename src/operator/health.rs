//! Whether the operator can do its work: every watch is synced and none has been failing for a while. Readiness is made from it, and says which
//! watch is dead.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A watch may fail for this long before the operator calls itself unready: an API server restarts in less.
const PATIENCE: Duration = Duration::from_secs(10);

/// State of all watches. Shared.
#[derive(Debug, Default)]
pub struct Health {
    watches: Mutex<BTreeMap<String, Watch>>,
}

#[derive(Debug, Default, Clone)]
struct Watch {
    synced: bool,
    failing_since: Option<Instant>,
    error: String,
}

impl Health {
    /// A watch begins: until it is synced, the operator is not ready.
    pub fn begin(&self, name: &str) {
        self.update(name, |watch| *watch = Watch::default());
    }

    /// The watch delivers.
    pub fn alive(&self, name: &str) {
        self.update(name, |watch| {
            watch.failing_since = None;
            watch.error.clear();
        });
    }

    /// The watch has seen everything that was there when it began.
    pub fn synced(&self, name: &str) {
        self.update(name, |watch| watch.synced = true);
    }

    /// The watch failed and is tried again.
    pub fn failed(&self, name: &str, error: String) {
        self.update(name, |watch| {
            watch.failing_since.get_or_insert_with(Instant::now);
            watch.error = error;
        });
    }

    /// Whether a watch has seen everything that was there when it began.
    pub fn is_synced(&self) -> bool {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        !watches.is_empty() && watches.values().all(|watch| watch.synced)
    }

    /// Why the operator cannot do its work; empty: it can.
    pub fn complaints(&self) -> Vec<String> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let complain = |(name, watch): (&String, &Watch)| match watch.failing_since {
            Some(since) if since.elapsed() > PATIENCE || !watch.synced => {
                Some(format!("the watch of {name} fails: {}", watch.error))
            }
            _ if !watch.synced => Some(format!("the watch of {name} is not synced yet")),
            _ => None,
        };
        watches.iter().filter_map(complain).collect()
    }

    fn update(&self, name: &str, change: impl FnOnce(&mut Watch)) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        change(watches.entry(name.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_when_it_is_synced_and_until_it_is_dead() {
        let health = Health::default();
        assert!(!health.is_synced());
        health.begin("pods");
        assert_eq!(health.complaints(), ["the watch of pods is not synced yet"]);
        health.failed("pods", "forbidden".into());
        assert_eq!(health.complaints(), ["the watch of pods fails: forbidden"]);
        health.alive("pods");
        health.synced("pods");
        assert!(health.is_synced() && health.complaints().is_empty());
        // It may come back in time.
        health.failed("pods", "cut".into());
        assert!(health.complaints().is_empty());
    }
}
