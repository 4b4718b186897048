//! Whether the operator can do its work: every watch is synced and none has been failing for a while. Readiness is made from it, and says which
//! watch is dead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A watch may fail for this long before the operator calls itself unready: an API server restarts in less.
const PATIENCE: Duration = Duration::from_secs(10);

/// State of all watches. Shared.
#[derive(Debug, Default)]
pub(crate) struct Health {
    watches: Mutex<BTreeMap<String, Watch>>,
}

/// For so long what is refused may be about to be allowed: roles take a moment to be known.
const REFUSED_FOR: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Clone)]
struct Watch {
    /// The namespace that it is limited to.
    namespace: Option<String>,
    synced: bool,
    failing_since: Option<Instant>,
    /// The API server said that this may not be watched.
    refused: bool,
    error: String,
}

impl Watch {
    /// It is of a namespace that cannot be watched: one that is gone, or whose roles are.
    fn is_out(&self) -> bool {
        self.namespace.is_some() && self.refused && self.failing_since.is_some_and(|since| since.elapsed() >= REFUSED_FOR)
    }
}

impl Health {
    /// A watch begins: until it is synced, the operator is not ready.
    pub(crate) fn begin(&self, name: &str, namespace: Option<&str>) {
        self.update(name, |watch| *watch = Watch { namespace: namespace.map(str::to_owned), ..Watch::default() });
    }

    /// The watch delivers.
    pub(crate) fn alive(&self, name: &str) {
        self.update(name, |watch| {
            watch.failing_since = None;
            watch.refused = false;
            watch.error.clear();
        });
    }

    /// The watch has seen everything that was there when it began.
    pub(crate) fn synced(&self, name: &str) {
        self.update(name, |watch| watch.synced = true);
    }

    /// The watch failed and is tried again. `refused`: because it is not allowed, or what it watches is not there.
    pub(crate) fn failed(&self, name: &str, error: String, refused: bool) {
        self.update(name, |watch| {
            watch.failing_since.get_or_insert_with(Instant::now);
            watch.refused = refused;
            watch.error = error;
        });
    }

    /// Whether everything is known that is there to know: each watch has seen what was there when it began, or is of a namespace that cannot be watched,
    /// which must not stop the others.
    pub(crate) fn may_begin(&self) -> bool {
        let watches = self.watches();
        !watches.is_empty() && watches.values().all(|watch| watch.synced || watch.is_out())
    }

    /// Whether all watches of a namespace are synced; None: those of all namespaces.
    pub(crate) fn knows(&self, namespace: Option<&str>) -> bool {
        let watches = self.watches();
        let mut own = watches.values().filter(|watch| watch.namespace.as_deref() == namespace);
        own.all(|watch| watch.synced)
    }

    /// Namespaces that are to be watched and cannot be.
    pub(crate) fn unwatched(&self) -> BTreeSet<String> {
        self.watches().values().filter(|watch| watch.is_out()).filter_map(|watch| watch.namespace.clone()).collect()
    }

    /// Why the operator cannot do its work; empty: it can. A namespace that cannot be watched is one reason only where there is no other.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let watches = self.watches();
        let others = watches.values().any(|watch| watch.namespace.is_some() && !watch.refused);
        let complain = |(name, watch): (&String, &Watch)| match watch.failing_since {
            Some(_) if others && watch.is_out() => None,
            Some(since) if since.elapsed() > PATIENCE || !watch.synced => {
                Some(format!("the watch of {name} fails: {}", watch.error))
            }
            _ if !watch.synced => Some(format!("the watch of {name} is not synced yet")),
            _ => None,
        };
        watches.iter().filter_map(complain).collect()
    }

    fn watches(&self) -> MutexGuard<'_, BTreeMap<String, Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, name: &str, change: impl FnOnce(&mut Watch)) {
        let mut watches = self.watches();
        change(watches.entry(name.to_owned()).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_when_it_is_synced_and_until_it_is_dead() {
        let health = Health::default();
        assert!(!health.may_begin());
        health.begin("pods", None);
        assert_eq!(health.complaints(), ["the watch of pods is not synced yet"]);
        health.failed("pods", "forbidden".into(), false);
        assert_eq!(health.complaints(), ["the watch of pods fails: forbidden"]);
        health.alive("pods");
        health.synced("pods");
        assert!(health.may_begin() && health.complaints().is_empty());
        // It may come back in time.
        health.failed("pods", "cut".into(), false);
        assert!(health.complaints().is_empty());
    }
    #[test]
    fn a_namespace_that_cannot_be_watched_stops_no_other() {
        let health = Health::default();
        for (name, namespace) in [("nodes", None), ("pods in a", Some("a")), ("pods in b", Some("b"))] {
            health.begin(name, namespace);
        }
        ["nodes", "pods in b"].iter().for_each(|name| health.synced(name));
        health.failed("pods in a", "forbidden".into(), true);
        assert!(!health.may_begin(), "its roles may be on their way");
        let long_ago = Instant::now().checked_sub(REFUSED_FOR * 2).unwrap();
        health.update("pods in a", |watch| watch.failing_since = Some(long_ago));
        assert!(health.may_begin() && health.complaints().is_empty());
        assert!(health.knows(Some("b")) && health.knows(None) && !health.knows(Some("a")));
        assert_eq!(health.unwatched(), BTreeSet::from(["a".to_owned()]));
        // Without any other there is nothing to do: that is told.
        health.update("pods in b", |watch| (watch.failing_since, watch.refused) = (Some(long_ago), true));
        assert_eq!(health.complaints().len(), 2);
        // It comes back.
        health.alive("pods in a");
        health.synced("pods in a");
        assert!(health.knows(Some("a")) && health.unwatched() == BTreeSet::from(["b".to_owned()]));
        // One that fails otherwise, or is of the whole cluster, is waited for.
        health.failed("nodes", "forbidden".into(), true);
        health.update("nodes", |watch| (watch.synced, watch.failing_since) = (false, Some(long_ago)));
        assert!(!health.may_begin());
    }
}
