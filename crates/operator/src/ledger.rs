//! Who holds which units of which pool, and who waits in which order. No clock, no client: the whole of admission can be tested here.
//!
//! The ledger is the one place where units are handed out. It is filled from status and pods before the first task is looked at, and every task
//! reports to it in each of its reconciles. After a restart it is built anew from what status and pods say.
//!
//! A unit counts from the moment it is granted, before any object says so, until the pod that uses it is gone, whatever was granted meanwhile: a
//! task that moves or asks for fewer counts in a pool with what it holds there or with what its pod uses there, whichever is more. The ledger
//! promises that what counts in a pool never grows beyond the pool's units through a grant; it is above them only after the pool itself shrank.
//!
//! Order is strict, so that a large task is not passed over for ever, with one exception: a task that has units, wants more, and could not get them
//! even if all that do not wait gave theirs back, waits for another that waits. It stands aside: the circle would hold up everybody behind it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

/// A task: namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskKey {
    pub namespace: String,
    pub name: String,
}

impl TaskKey {
    /// Of a task's resource.
    pub(crate) fn of(task: &impl ResourceExt) -> Self {
        Self::new(task.namespace().unwrap_or_default(), task.name_any())
    }

    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for TaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A pool: the name of a DedicatedCluster, or None for the shared default.
pub(crate) type PoolKey = Option<String>;

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub pool: PoolKey,
    pub units: u32,
    pub priority: i32,
    pub created: Timestamp,
}

/// Higher priority first, then the older task; the key makes it total.
type Order = (Reverse<i32>, Timestamp, TaskKey);

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The units are held.
    Holds,
    /// Not yet: the place in the queue (1 is next) and the units that are free. `aside`: it could have them only when another task of the pool that
    /// waits for more as well gives back what it has.
    Waits { place: u64, free: u64, aside: bool },
}

/// What changed for others: tasks to look at again.
pub(crate) type Affected = Vec<TaskKey>;

#[derive(Debug, Default)]
struct Book {
    /// None: no limit.
    capacity: Option<u64>,
    /// The sum of what counts.
    held: u64,
    /// What counts for each task.
    holders: HashMap<TaskKey, u32>,
    queue: BTreeMap<Order, u32>,
}

/// Numbers of a pool for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PoolView {
    pub held: u64,
    pub holders: Vec<(TaskKey, u32)>,
    /// In their order.
    pub waiting: Vec<(TaskKey, u32)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: HashMap<PoolKey, Book>,
    /// Where each task stands.
    tasks: HashMap<TaskKey, Entry>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    /// What was granted.
    holds: Option<(PoolKey, u32)>,
    /// What its pod uses.
    uses: Option<Use>,
    waits: Option<(PoolKey, Order)>,
}

#[derive(Debug, Clone)]
struct Use {
    pool: PoolKey,
    units: u32,
    /// The pod was seen. One that was not may still be on its way to who watches.
    seen: bool,
}

impl Entry {
    /// What counts for the task in a pool.
    fn counts(&self, pool: &PoolKey) -> u32 {
        let holds = self.holds.iter().filter(|(holds, _)| holds == pool).map(|(_, units)| *units);
        holds.chain(self.used(pool)).max().unwrap_or(0)
    }

    fn used(&self, pool: &PoolKey) -> Option<u32> {
        self.uses.as_ref().filter(|uses| uses.pool == *pool).map(|uses| uses.units)
    }

    /// Pools in which it counts.
    fn pools(&self) -> impl Iterator<Item = &PoolKey> {
        self.holds.iter().map(|(pool, _)| pool).chain(self.uses.iter().map(|uses| &uses.pool))
    }

    fn is_empty(&self) -> bool {
        self.holds.is_none() && self.uses.is_none() && self.waits.is_none()
    }
}

impl Ledger {
    /// How many units the pool has; None: no limit. Returns the tasks that got units by it.
    pub(crate) fn set_capacity(&mut self, pool: &PoolKey, units: Option<u64>) -> Affected {
        let book = self.books.entry(pool.clone()).or_default();
        if book.capacity == units {
            return Vec::new();
        }
        book.capacity = units;
        self.grant(pool)
    }

    /// Units that a task is known to hold, from its status or its pod; they are not asked for again. Returns who got others by it.
    pub(crate) fn restore(&mut self, task: &TaskKey, pool: &PoolKey, units: u32) -> Affected {
        let left = self.leave_queue(task);
        let freed = self.change(task, |entry| entry.holds = Some((pool.clone(), units)));
        self.grant_all(left.into_iter().chain(freed))
    }

    /// Asks for units, or for other units than are held. What is held stays held until the new claim can be met.
    pub(crate) fn claim(&mut self, task: &TaskKey, claim: &Claim) -> (Standing, Affected) {
        let entry = self.tasks.get(task).cloned().unwrap_or_default();
        if entry.holds.as_ref().is_some_and(|(pool, held)| *pool == claim.pool && claim.units <= *held) {
            // The same or fewer in the same pool: nobody has to be waited for.
            return (Standing::Holds, self.restore(task, &claim.pool, claim.units));
        }
        let order = (Reverse(claim.priority), claim.created, task.clone());
        let place = Some((claim.pool.clone(), order.clone()));
        let mut affected = Vec::new();
        if entry.waits != place {
            let left = self.leave_queue(task);
            self.tasks.entry(task.clone()).or_default().waits = place;
            affected.extend(left.filter(|pool| *pool != claim.pool).map(|pool| self.grant(&pool)).into_iter().flatten());
        }
        self.books.entry(claim.pool.clone()).or_default().queue.insert(order.clone(), claim.units);
        affected.extend(self.grant(&claim.pool));
        if let Some(mine) = affected.iter().position(|granted| granted == task) {
            affected.swap_remove(mine);
            return (Standing::Holds, affected);
        }
        let aside = self.stands_aside(&claim.pool, task, claim.units);
        let book = self.books.entry(claim.pool.clone()).or_default();
        let place = book.queue.range(..=order).count() as u64;
        (Standing::Waits { place, free: book.free().unwrap_or(u64::MAX), aside }, affected)
    }

    /// The task neither holds nor wants units any more; what its pod uses counts until that is gone. Returns who got units by it.
    pub(crate) fn release(&mut self, task: &TaskKey) -> Affected {
        let left = self.leave_queue(task);
        let freed = self.change(task, |entry| entry.holds = None);
        self.grant_all(left.into_iter().chain(freed))
    }

    /// The task wants no other units any more, and keeps those it holds. Returns who got units by it.
    pub(crate) fn leave(&mut self, task: &TaskKey) -> Affected {
        let left = self.leave_queue(task);
        self.grant_all(left)
    }

    /// A pod is about to be made that uses these units. They count until it was seen and is gone, or was not made after all.
    pub(crate) fn starts(&mut self, task: &TaskKey, pool: &PoolKey, units: u32) {
        self.change(task, |entry| entry.uses = Some(Use { pool: pool.clone(), units, seen: false }));
    }

    /// Whether a pod may have been made that was not seen yet.
    pub(crate) fn is_starting(&self, task: &TaskKey) -> bool {
        self.tasks.get(task).and_then(|entry| entry.uses.as_ref()).is_some_and(|uses| !uses.seen)
    }

    /// The task's pod is there and uses these units. Returns who got units that it used before.
    pub(crate) fn uses(&mut self, task: &TaskKey, pool: &PoolKey, units: u32) -> Affected {
        let freed = self.change(task, |entry| entry.uses = Some(Use { pool: pool.clone(), units, seen: true }));
        self.grant_all(freed)
    }

    /// No pod of the task is seen: one that was is gone, one that starts may still come. Returns who got its units.
    pub(crate) fn unseen(&mut self, task: &TaskKey) -> Affected {
        if self.is_starting(task) { Vec::new() } else { self.unused(task) }
    }

    /// No pod of the task uses units, for certain. Returns who got them.
    pub(crate) fn unused(&mut self, task: &TaskKey) -> Affected {
        let freed = self.change(task, |entry| entry.uses = None);
        self.grant_all(freed)
    }

    /// Pool and units that were granted to a task.
    pub(crate) fn holding(&self, task: &TaskKey) -> Option<(PoolKey, u32)> {
        self.tasks.get(task)?.holds.clone()
    }

    /// What counts for a task, by pool: while it moves, in two of them.
    pub(crate) fn counted(&self, task: &TaskKey) -> BTreeMap<PoolKey, u32> {
        let entry = self.tasks.get(task);
        entry.into_iter().flat_map(|entry| entry.pools().map(|pool| (pool.clone(), entry.counts(pool)))).collect()
    }

    /// Numbers and tasks of a pool.
    pub(crate) fn view(&self, pool: &PoolKey) -> PoolView {
        let Some(book) = self.books.get(pool) else { return PoolView::default() };
        let mut holders: Vec<_> = book.holders.iter().map(|(task, units)| (task.clone(), *units)).collect();
        holders.sort();
        let waiting = book.queue.iter().map(|((_, _, task), units)| (task.clone(), *units)).collect();
        PoolView { held: book.held, holders, waiting }
    }

    /// Units held and asked for in all pools.
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.books.values().fold((0, 0), |(held, queued), book| {
            (held + book.held, queued + book.queue.values().map(|units| u64::from(*units)).sum::<u64>())
        })
    }

    /// Hands out units in order: a task that does not fit keeps those behind it waiting, so that it is not passed over for ever, unless it stands aside.
    fn grant(&mut self, pool: &PoolKey) -> Affected {
        let mut granted = Vec::new();
        while let Some((order, units)) = self.next_to_grant(pool) {
            let task = order.2.clone();
            if let Some(book) = self.books.get_mut(pool) {
                book.queue.remove(&order);
            }
            let freed = self.change(&task, |entry| {
                entry.holds = Some((pool.clone(), units));
                entry.waits = None;
            });
            granted.push(task);
            granted.extend(freed.iter().filter(|freed| *freed != pool).flat_map(|freed| self.grant(freed)));
        }
        granted
    }

    /// The first of the queue whose turn it is and whose units are there.
    fn next_to_grant(&self, pool: &PoolKey) -> Option<(Order, u32)> {
        let book = self.books.get(pool)?;
        for (order, units) in &book.queue {
            // A task that asks for other units in the same pool pays the difference only.
            let (counted, needed) = self.price(pool, &order.2, *units);
            if book.capacity.is_none_or(|capacity| book.held - counted + needed <= capacity) {
                return Some((order.clone(), *units));
            }
            if !self.stands_aside(pool, &order.2, *units) {
                return None;
            }
        }
        None
    }

    /// What a task counts for in a pool now, and what it would count for with so many units.
    fn price(&self, pool: &PoolKey, task: &TaskKey, units: u32) -> (u64, u64) {
        let entry = self.tasks.get(task);
        let counted = entry.map_or(0, |entry| entry.counts(pool));
        let used = entry.and_then(|entry| entry.used(pool)).unwrap_or(0);
        (u64::from(counted), u64::from(units.max(used)))
    }

    /// Whether a task that has units of the pool could get those that it wants only from others that have some and want more.
    fn stands_aside(&self, pool: &PoolKey, task: &TaskKey, units: u32) -> bool {
        let Some(book) = self.books.get(pool) else { return false };
        let (counted, needed) = self.price(pool, task, units);
        let Some(capacity) = book.capacity.filter(|_| counted > 0) else { return false };
        let others = book.queue.keys().map(|(_, _, other)| other).filter(|other| *other != task);
        let kept: u64 = others.map(|other| book.holders.get(other).copied().map_or(0, u64::from)).sum();
        needed > capacity.saturating_sub(kept)
    }

    fn grant_all(&mut self, pools: impl IntoIterator<Item = PoolKey>) -> Affected {
        pools.into_iter().flat_map(|pool| self.grant(&pool)).collect()
    }

    /// Changes what a task holds or uses, and the books with it. Returns the pools in which it counts with less than before.
    fn change(&mut self, task: &TaskKey, change: impl FnOnce(&mut Entry)) -> Vec<PoolKey> {
        let entry = self.tasks.entry(task.clone()).or_default();
        let before = entry.clone();
        change(entry);
        let after = entry.clone();
        if after.is_empty() {
            self.tasks.remove(task);
        }
        let mut pools: Vec<&PoolKey> = before.pools().chain(after.pools()).collect();
        pools.sort();
        pools.dedup();
        let mut freed = Vec::new();
        for pool in pools {
            let (was, is) = (before.counts(pool), after.counts(pool));
            let book = self.books.entry(pool.clone()).or_default();
            book.held = book.held - u64::from(was) + u64::from(is);
            if is > 0 {
                book.holders.insert(task.clone(), is);
            } else {
                book.holders.remove(task);
            }
            if is < was {
                freed.push(pool.clone());
            }
        }
        freed
    }

    /// The pool in which the task waited; those behind it may have their turn now.
    fn leave_queue(&mut self, task: &TaskKey) -> Option<PoolKey> {
        let (pool, order) = self.tasks.get_mut(task)?.waits.take()?;
        if let Some(book) = self.books.get_mut(&pool) {
            book.queue.remove(&order);
        }
        Some(pool)
    }
}

impl Book {
    fn free(&self) -> Option<u64> {
        self.capacity.map(|capacity| capacity.saturating_sub(self.held))
    }
}

#[cfg(test)]
mod tests;
