//! Which tasks share a server, and whose retry time then holds for all of them: the shortest, or the one that was set last.
//!
//! Tasks share within a circle only: that of their namespace, and that of their pool where its owner wants it (`spec.retrySharing`). So nobody shortens
//! the retry time of another namespace's task, or learns its name, by naming the same host.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::jiff::Timestamp;

use super::ledger::TaskKey;
use super::settings::RetryRule;

/// Tasks that trust one another as far as retry times go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Circle {
    /// Those of a namespace.
    Namespace(String),
    /// Those of a pool whose owner wants it.
    Pool(String),
}

/// A server as `host:port`, seen from one circle.
pub(crate) type Server = (Circle, String);

/// A task's own wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Servers that it works with, in each circle that it belongs to.
    pub servers: Vec<Server>,
    pub connection_minutes: u32,
    /// When that was set.
    pub set_at: Timestamp,
}

/// All wishes, by server. Each task reports its own in every reconcile.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    wishes: HashMap<TaskKey, Wish>,
    servers: HashMap<Server, BTreeMap<TaskKey, (u32, Timestamp)>>,
}

impl Sharing {
    /// Takes a task's wish (None: it has ended). Returns the tasks of those servers at which another time may hold now.
    pub(crate) fn set(&mut self, task: &TaskKey, wish: Option<Wish>) -> Vec<TaskKey> {
        let before = self.wishes.get(task);
        if before == wish.as_ref() {
            return Vec::new();
        }
        let concerned: BTreeSet<Server> = before.into_iter().chain(&wish).flat_map(|wish| wish.servers.clone()).collect();
        let mut affected = Vec::new();
        for server in concerned {
            let tasks = self.servers.entry(server.clone()).or_default();
            let ruled = ruling(tasks);
            tasks.remove(task);
            if let Some(wish) = wish.as_ref().filter(|wish| wish.servers.contains(&server)) {
                tasks.insert(task.clone(), (wish.connection_minutes, wish.set_at));
            }
            if ruling(tasks) != ruled {
                affected.extend(tasks.keys().cloned());
            }
            if tasks.is_empty() {
                self.servers.remove(&server);
            }
        }
        match wish {
            Some(wish) => self.wishes.insert(task.clone(), wish),
            None => self.wishes.remove(task),
        };
        affected.sort();
        affected.dedup();
        affected.retain(|other| other != task);
        affected
    }

    /// Minutes that hold for a task, and whose they are where they are another's.
    pub(crate) fn effective(&self, task: &TaskKey, rule: RetryRule) -> Option<(u32, Option<TaskKey>)> {
        let wish = self.wishes.get(task)?;
        let sharing = wish.servers.iter().filter_map(|server| self.servers.get(server)).flatten();
        let ruling = match rule {
            RetryRule::Shortest => sharing.min_by_key(|(key, (minutes, _))| (*minutes, *key != task, (*key).clone())),
            RetryRule::LastSet => sharing.max_by_key(|(key, (_, at))| (*at, *key == task, (*key).clone())),
        };
        let (key, (minutes, _)) = ruling?;
        Some((*minutes, (key != task && *minutes != wish.connection_minutes).then(|| key.clone())))
    }
}

/// Minutes that hold at a server by either rule: the shortest, and those that were set last.
fn ruling(tasks: &BTreeMap<TaskKey, (u32, Timestamp)>) -> (Option<u32>, Option<u32>) {
    let last = tasks.values().max_by_key(|(_, at)| *at);
    (tasks.values().map(|(minutes, _)| *minutes).min(), last.map(|(minutes, _)| *minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(servers: &[&str], minutes: u32, second: i64) -> Option<Wish> {
        let servers = servers.iter().map(|server| (Circle::Namespace("x".into()), (*server).to_owned())).collect();
        Some(Wish { servers, connection_minutes: minutes, set_at: Timestamp::from_second(second).unwrap() })
    }

    #[test]
    fn the_shortest_or_the_last_rules_where_a_server_is_shared() {
        let (a, b, c) = (TaskKey::new("x", "a"), TaskKey::new("x", "b"), TaskKey::new("y", "c"));
        let mut sharing = Sharing::default();
        assert!(sharing.set(&a, wish(&["s:1", "d:1"], 720, 1)).is_empty());
        assert_eq!(sharing.set(&b, wish(&["s:1", "d:2"], 30, 2)), vec![a.clone()]);
        assert_eq!(sharing.set(&b, wish(&["s:1", "d:2"], 30, 2)), vec![]);
        // One more of the same minutes changes nothing for the others.
        let d = TaskKey::new("x", "d");
        assert_eq!(sharing.set(&d, wish(&["s:1"], 30, 2)), vec![]);
        assert_eq!(sharing.set(&d, None), vec![]);
        sharing.set(&c, wish(&["s:9"], 10, 3));
        assert_eq!(sharing.effective(&a, RetryRule::Shortest), Some((30, Some(b.clone()))));
        assert_eq!(sharing.effective(&b, RetryRule::Shortest), Some((30, None)));
        assert_eq!(sharing.effective(&c, RetryRule::Shortest), Some((10, None)));
        sharing.set(&a, wish(&["s:1", "d:1"], 900, 5));
        assert_eq!(sharing.effective(&b, RetryRule::LastSet), Some((900, Some(a.clone()))));
        assert_eq!(sharing.set(&a, None), vec![b.clone()]);
        assert_eq!(sharing.effective(&b, RetryRule::LastSet), Some((30, None)));
        assert_eq!(sharing.effective(&a, RetryRule::Shortest), None);
    }
    #[test]
    fn another_namespace_has_no_say_unless_the_pool_is_a_circle() {
        let (ours, theirs) = (TaskKey::new("ours", "a"), TaskKey::new("theirs", "b"));
        let in_circles = |circles: &[Circle], minutes: u32| {
            let servers = circles.iter().map(|circle| (circle.clone(), "db:3306".to_owned())).collect();
            Some(Wish { servers, connection_minutes: minutes, set_at: Timestamp::UNIX_EPOCH })
        };
        let namespace = |name: &str| Circle::Namespace(name.to_owned());
        let mut sharing = Sharing::default();
        sharing.set(&ours, in_circles(&[namespace("ours")], 720));
        assert_eq!(sharing.set(&theirs, in_circles(&[namespace("theirs")], 2)), vec![]);
        assert_eq!(sharing.effective(&ours, RetryRule::Shortest), Some((720, None)));
        assert_eq!(sharing.effective(&ours, RetryRule::LastSet), Some((720, None)));
        let pool = Circle::Pool("prod".to_owned());
        sharing.set(&ours, in_circles(&[namespace("ours"), pool.clone()], 720));
        assert_eq!(sharing.set(&theirs, in_circles(&[namespace("theirs"), pool], 2)), vec![ours.clone()]);
        assert_eq!(sharing.effective(&ours, RetryRule::Shortest), Some((2, Some(theirs))));
    }
}
