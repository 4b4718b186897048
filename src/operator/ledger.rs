//! Who holds which units of which pool, and who waits in which order. No clock, no client: the whole of admission can be tested here.
//!
//! The ledger is the one place where units are handed out. It is filled from status and pods before the first task is looked at (a unit counts as
//! held from the moment it is granted, before any object says so), and every task reports to it in each of its reconciles. After a restart it is
//! built anew from what status and pods say. It promises that the units held in a pool never grow beyond the pool's through a grant; they are
//! above it only after the pool itself shrank.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use k8s_openapi::jiff::Timestamp;

/// A task: namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    pub namespace: String,
    pub name: String,
}

impl TaskKey {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for TaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A pool: the name of a DedicatedCluster, or None for the shared default.
pub type PoolKey = Option<String>;

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub pool: PoolKey,
    pub units: u32,
    pub priority: i32,
    pub created: Timestamp,
}

/// Higher priority first, then the older task; the key makes it total.
type Order = (Reverse<i32>, Timestamp, TaskKey);

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The units are held.
    Holds,
    /// Not yet: the place in the queue (1 is next) and the units that are free.
    Waits { place: u64, free: u64 },
}

/// What changed for others: tasks to look at again.
pub type Affected = Vec<TaskKey>;

#[derive(Debug, Default)]
struct Book {
    /// None: no limit.
    capacity: Option<u64>,
    held: u64,
    holders: HashMap<TaskKey, u32>,
    queue: BTreeMap<Order, u32>,
}

/// Numbers of a pool for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolView {
    pub held: u64,
    pub holders: Vec<(TaskKey, u32)>,
    /// In their order.
    pub waiting: Vec<(TaskKey, u32)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    books: HashMap<PoolKey, Book>,
    /// Where each task stands: the pool, and its place in the order if it waits.
    tasks: HashMap<TaskKey, Entry>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    holds: Option<PoolKey>,
    waits: Option<(PoolKey, Order)>,
}

impl Ledger {
    /// How many units the pool has; None: no limit. Returns the tasks that got units by it.
    pub fn set_capacity(&mut self, pool: &PoolKey, units: Option<u64>) -> Affected {
        let book = self.books.entry(pool.clone()).or_default();
        if book.capacity == units {
            return Vec::new();
        }
        book.capacity = units;
        self.grant(pool)
    }

    /// Units that a task is known to hold, from its status or its pod; they are not asked for again.
    pub fn restore(&mut self, task: &TaskKey, pool: &PoolKey, units: u32) {
        self.release(task);
        let book = self.books.entry(pool.clone()).or_default();
        book.held += u64::from(units);
        book.holders.insert(task.clone(), units);
        self.tasks.entry(task.clone()).or_default().holds = Some(pool.clone());
    }

    /// Asks for units, or for other units than are held. What is held stays held until the new claim can be met.
    pub fn claim(&mut self, task: &TaskKey, claim: &Claim) -> (Standing, Affected) {
        let entry = self.tasks.entry(task.clone()).or_default();
        if let Some(pool) = &entry.holds
            && *pool == claim.pool
            && let Some(held) = self.books.get(pool).and_then(|book| book.holders.get(task)).copied()
            && claim.units <= held
        {
            // The same or fewer in the same pool: nobody has to be waited for.
            let left = self.leave_queue(task);
            if let Some(book) = self.books.get_mut(&claim.pool) {
                book.held -= u64::from(held - claim.units);
                book.holders.insert(task.clone(), claim.units);
            }
            let elsewhere = left.filter(|pool| *pool != claim.pool).map(|pool| self.grant(&pool));
            let granted = self.grant(&claim.pool);
            return (Standing::Holds, elsewhere.into_iter().flatten().chain(granted).collect());
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
        let book = self.books.entry(claim.pool.clone()).or_default();
        let place = book.queue.range(..=order).count() as u64;
        (Standing::Waits { place, free: book.free().unwrap_or(u64::MAX) }, affected)
    }

    /// The task neither holds nor wants units any more. Returns who got them.
    pub fn release(&mut self, task: &TaskKey) -> Affected {
        let left = self.leave_queue(task);
        let held = self.tasks.remove(task).and_then(|entry| entry.holds);
        if let Some(pool) = &held {
            self.give_back(task, pool);
        }
        let pools: Vec<PoolKey> = left.into_iter().chain(held).collect();
        pools.iter().flat_map(|pool| self.grant(pool)).collect()
    }

    /// The task wants no other units any more, and keeps those it holds. Returns who got units by it.
    pub fn leave(&mut self, task: &TaskKey) -> Affected {
        self.leave_queue(task).map(|pool| self.grant(&pool)).unwrap_or_default()
    }

    /// Pool and units that a task holds.
    pub fn holding(&self, task: &TaskKey) -> Option<(PoolKey, u32)> {
        let pool = self.tasks.get(task)?.holds.clone()?;
        let units = *self.books.get(&pool)?.holders.get(task)?;
        Some((pool, units))
    }

    /// Numbers and tasks of a pool.
    pub fn view(&self, pool: &PoolKey) -> PoolView {
        let Some(book) = self.books.get(pool) else { return PoolView::default() };
        let mut holders: Vec<_> = book.holders.iter().map(|(task, units)| (task.clone(), *units)).collect();
        holders.sort();
        let waiting = book.queue.iter().map(|((_, _, task), units)| (task.clone(), *units)).collect();
        PoolView { held: book.held, holders, waiting }
    }

    /// Units held and asked for in all pools.
    pub fn totals(&self) -> (u64, u64) {
        self.books.values().fold((0, 0), |(held, queued), book| {
            (held + book.held, queued + book.queue.values().map(|units| u64::from(*units)).sum::<u64>())
        })
    }

    /// Hands out units strictly in order: a task that does not fit keeps those behind it waiting, so that it is not passed over for ever.
    fn grant(&mut self, pool: &PoolKey) -> Affected {
        let mut granted = Vec::new();
        loop {
            let Some(book) = self.books.get_mut(pool) else { return granted };
            let Some((order, units)) = book.queue.iter().next().map(|(order, units)| (order.clone(), *units)) else {
                return granted;
            };
            let task = order.2.clone();
            // A task that asks for other units in the same pool pays the difference only.
            let already = book.holders.get(&task).copied().unwrap_or(0);
            let fits = book.capacity.is_none_or(|capacity| book.held - u64::from(already) + u64::from(units) <= capacity);
            if !fits {
                return granted;
            }
            book.queue.remove(&order);
            let before = self.tasks.get(&task).and_then(|entry| entry.holds.clone());
            if let Some(before) = before {
                self.give_back(&task, &before);
                if before != *pool {
                    granted.extend(self.grant(&before));
                }
            }
            let book = self.books.entry(pool.clone()).or_default();
            book.held += u64::from(units);
            book.holders.insert(task.clone(), units);
            self.tasks.insert(task.clone(), Entry { holds: Some(pool.clone()), waits: None });
            granted.push(task);
        }
    }

    fn give_back(&mut self, task: &TaskKey, pool: &PoolKey) {
        if let Some(book) = self.books.get_mut(pool)
            && let Some(units) = book.holders.remove(task)
        {
            book.held -= u64::from(units);
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(name: &str) -> TaskKey {
        TaskKey::new("data", name)
    }

    fn claim(units: u32, priority: i32, second: i64) -> Claim {
        Claim { pool: Some("prod".into()), units, priority, created: Timestamp::from_second(second).unwrap() }
    }

    fn ledger(capacity: u64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.set_capacity(&Some("prod".into()), Some(capacity));
        ledger
    }

    #[test]
    fn units_go_out_by_priority_then_age_and_strictly_in_order() {
        let mut ledger = ledger(4);
        assert_eq!(ledger.claim(&key("a"), &claim(3, 0, 10)).0, Standing::Holds);
        assert_eq!(ledger.claim(&key("b"), &claim(2, 0, 20)).0, Standing::Waits { place: 1, free: 1 });
        // It would fit, and waits all the same: b was there before.
        assert_eq!(ledger.claim(&key("c"), &claim(1, 0, 30)).0, Standing::Waits { place: 2, free: 1 });
        assert_eq!(ledger.claim(&key("d"), &claim(1, 5, 40)).0, Standing::Holds);
        assert_eq!(ledger.release(&key("a")), vec![key("b"), key("c")]);
        assert_eq!(ledger.view(&Some("prod".into())).held, 4);
    }

    #[test]
    fn a_shrunk_pool_evicts_nobody_and_admits_nobody() {
        let mut ledger = ledger(4);
        ledger.claim(&key("a"), &claim(4, 0, 10));
        assert_eq!(ledger.set_capacity(&Some("prod".into()), Some(2)), vec![]);
        assert_eq!(ledger.holding(&key("a")), Some((Some("prod".into()), 4)));
        assert_eq!(ledger.claim(&key("b"), &claim(1, 0, 20)).0, Standing::Waits { place: 1, free: 0 });
        assert_eq!(ledger.set_capacity(&Some("prod".into()), Some(5)), vec![key("b")]);
    }

    #[test]
    fn other_units_are_paid_by_their_difference_and_the_old_ones_stay_meanwhile() {
        let mut ledger = ledger(4);
        ledger.claim(&key("a"), &claim(2, 0, 10));
        ledger.claim(&key("b"), &claim(1, 0, 20));
        assert_eq!(ledger.claim(&key("a"), &claim(3, 0, 10)).0, Standing::Holds);
        assert_eq!(ledger.claim(&key("a"), &claim(4, 0, 10)).0, Standing::Waits { place: 1, free: 0 });
        assert_eq!(ledger.holding(&key("a")), Some((Some("prod".into()), 3)));
        assert_eq!(ledger.release(&key("b")), vec![key("a")]);
        assert_eq!(ledger.holding(&key("a")), Some((Some("prod".into()), 4)));
        // Fewer units are always free to have, and what is given back goes on.
        ledger.claim(&key("c"), &claim(2, 0, 30));
        assert_eq!(ledger.claim(&key("a"), &claim(2, 0, 10)), (Standing::Holds, vec![key("c")]));
    }

    #[test]
    fn a_task_moves_to_another_pool_when_that_has_room() {
        let mut ledger = ledger(2);
        ledger.set_capacity(&None, Some(1));
        ledger.claim(&key("a"), &claim(2, 0, 10));
        ledger.claim(&key("b"), &claim(2, 0, 20));
        let moved = Claim { pool: None, units: 1, ..claim(1, 0, 10) };
        assert_eq!(ledger.claim(&key("a"), &moved), (Standing::Holds, vec![key("b")]));
        assert_eq!(ledger.holding(&key("a")), Some((None, 1)));
    }

    #[test]
    fn restored_units_are_not_handed_out_again() {
        let mut ledger = ledger(3);
        ledger.restore(&key("a"), &Some("prod".into()), 3);
        assert_eq!(ledger.claim(&key("b"), &claim(1, 9, 1)).0, Standing::Waits { place: 1, free: 0 });
        assert_eq!(ledger.claim(&key("a"), &claim(3, 0, 10)).0, Standing::Holds);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Claim(usize, u32, i32),
        Release(usize),
        Capacity(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6usize, 1..5u32, -1..2i32).prop_map(|(task, units, priority)| Step::Claim(task, units, priority)),
            (0..6usize).prop_map(Step::Release),
            (0..10u64).prop_map(Step::Capacity),
        ]
    }

    proptest! {
        /// Whatever happens: no grant goes beyond the pool, the sums are right, and the head of the queue does not fit.
        #[test]
        fn nothing_is_spent_twice(steps in proptest::collection::vec(step(), 1..60)) {
            let pool = Some("prod".to_owned());
            let mut ledger = ledger(5);
            let mut capacity = 5;
            for step in steps {
                let before = ledger.view(&pool).held;
                match step {
                    Step::Claim(task, units, priority) => {
                        ledger.claim(&key(&task.to_string()), &claim(units, priority, task as i64));
                    }
                    Step::Release(task) => { ledger.release(&key(&task.to_string())); }
                    Step::Capacity(units) => { capacity = units; ledger.set_capacity(&pool, Some(units)); }
                }
                let view = ledger.view(&pool);
                prop_assert_eq!(view.held, view.holders.iter().map(|(_, units)| u64::from(*units)).sum::<u64>());
                prop_assert!(view.held <= capacity.max(before));
                if let Some((head, units)) = view.waiting.first() {
                    let already = view.holders.iter().find(|(task, _)| task == head).map_or(0, |(_, units)| *units);
                    prop_assert!(view.held - u64::from(already) + u64::from(*units) > capacity);
                }
            }
        }
    }
}
