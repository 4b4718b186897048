//! Which tasks share a server, and whose retry time then holds for all of them: the shortest, or the one that was set last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::jiff::Timestamp;

use super::ledger::TaskKey;
use super::settings::RetryRule;

/// A task's own wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Servers that it works with, as `host:port`.
    pub servers: Vec<String>,
    pub connection_minutes: u32,
    /// When that was set.
    pub set_at: Timestamp,
}

/// All wishes, by server. Each task reports its own in every reconcile.
#[derive(Debug, Default)]
pub struct Sharing {
    wishes: HashMap<TaskKey, Wish>,
    servers: HashMap<String, BTreeMap<TaskKey, (u32, Timestamp)>>,
}

impl Sharing {
    /// Takes a task's wish (None: it has ended). Returns the tasks of those servers at which another time may hold now.
    pub fn set(&mut self, task: &TaskKey, wish: Option<Wish>) -> Vec<TaskKey> {
        let before = self.wishes.get(task);
        if before == wish.as_ref() {
            return Vec::new();
        }
        let concerned: BTreeSet<String> = before.into_iter().chain(&wish).flat_map(|wish| wish.servers.clone()).collect();
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
    pub fn effective(&self, task: &TaskKey, rule: RetryRule) -> Option<(u32, Option<TaskKey>)> {
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
        let servers = servers.iter().map(|server| (*server).to_owned()).collect();
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
}
