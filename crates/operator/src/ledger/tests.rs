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
    assert_eq!(ledger.claim(&key("b"), &claim(2, 0, 20)).0, Standing::Waits { place: 1, free: 1, aside: false });
    // It would fit, and waits all the same: b was there before.
    assert_eq!(ledger.claim(&key("c"), &claim(1, 0, 30)).0, Standing::Waits { place: 2, free: 1, aside: false });
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
    assert_eq!(ledger.claim(&key("b"), &claim(1, 0, 20)).0, Standing::Waits { place: 1, free: 0, aside: false });
    assert_eq!(ledger.set_capacity(&Some("prod".into()), Some(5)), vec![key("b")]);
}

#[test]
fn other_units_are_paid_by_their_difference_and_the_old_ones_stay_meanwhile() {
    let mut ledger = ledger(4);
    ledger.claim(&key("a"), &claim(2, 0, 10));
    ledger.claim(&key("b"), &claim(1, 0, 20));
    assert_eq!(ledger.claim(&key("a"), &claim(3, 0, 10)).0, Standing::Holds);
    assert_eq!(ledger.claim(&key("a"), &claim(4, 0, 10)).0, Standing::Waits { place: 1, free: 0, aside: false });
    assert_eq!(ledger.holding(&key("a")), Some((Some("prod".into()), 3)));
    assert_eq!(ledger.release(&key("b")), vec![key("a")]);
    assert_eq!(ledger.holding(&key("a")), Some((Some("prod".into()), 4)));
    // Fewer units are always free to have, and what is given back goes on.
    ledger.claim(&key("c"), &claim(2, 0, 30));
    assert_eq!(ledger.claim(&key("a"), &claim(2, 0, 10)), (Standing::Holds, vec![key("c")]));
}

#[test]
fn tasks_that_wait_for_each_other_hold_up_nobody_else() {
    let mut ledger = ledger(6);
    ledger.claim(&key("a"), &claim(2, 0, 10));
    ledger.claim(&key("b"), &claim(2, 0, 20));
    // Both go on with two. a could have five if b did not want more as well.
    assert_eq!(ledger.claim(&key("a"), &claim(5, 0, 10)).0, Standing::Waits { place: 1, free: 2, aside: false });
    assert_eq!(ledger.claim(&key("c"), &claim(1, 0, 30)).0, Standing::Waits { place: 2, free: 2, aside: false });
    let (standing, affected) = ledger.claim(&key("b"), &claim(5, 0, 20));
    assert_eq!((standing, affected), (Standing::Waits { place: 2, free: 1, aside: true }, vec![key("c")]));
    // Whoever of them wants less again lets the other have its turn.
    assert_eq!(ledger.claim(&key("b"), &claim(1, 0, 20)).0, Standing::Holds);
    ledger.release(&key("b"));
    assert_eq!(ledger.holding(&key("a")), Some((Some("prod".into()), 5)));
    // A large newcomer still keeps its place: those that hold what it wants work and come to an end.
    ledger.release(&key("c"));
    assert_eq!(ledger.claim(&key("d"), &claim(3, 0, 40)).0, Standing::Waits { place: 1, free: 1, aside: false });
    assert_eq!(ledger.claim(&key("e"), &claim(1, 0, 50)).0, Standing::Waits { place: 2, free: 1, aside: false });
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
    assert_eq!(ledger.claim(&key("b"), &claim(1, 9, 1)).0, Standing::Waits { place: 1, free: 0, aside: false });
    assert_eq!(ledger.claim(&key("a"), &claim(3, 0, 10)).0, Standing::Holds);
}

#[test]
fn units_count_until_the_pod_that_uses_them_is_gone() {
    let (a, b, prod) = (key("a"), key("b"), Some("prod".to_owned()));
    let mut ledger = ledger(4);
    ledger.claim(&a, &claim(4, 0, 10));
    ledger.starts(&a, &prod, 4);
    ledger.claim(&b, &claim(3, 0, 20));
    // Whether the pod was seen or not: fewer units, a move, or none at all free nothing as long as it is there.
    assert_eq!(ledger.claim(&a, &claim(1, 0, 10)), (Standing::Holds, vec![]));
    assert_eq!((ledger.unseen(&a), ledger.is_starting(&a)), (vec![], true));
    assert_eq!(ledger.uses(&a, &prod, 4), vec![]);
    assert_eq!(ledger.claim(&a, &Claim { pool: None, ..claim(2, 0, 10) }), (Standing::Holds, vec![]));
    assert_eq!(ledger.counted(&a), BTreeMap::from([(None, 2), (prod.clone(), 4)]));
    assert_eq!(ledger.release(&a), vec![]);
    assert_eq!((ledger.view(&prod).held, ledger.view(&None).held), (4, 0));
    assert_eq!(ledger.unseen(&a), vec![b]);
}

#[test]
fn units_come_back_to_a_pod_that_still_uses_them() {
    let (a, prod) = (key("a"), Some("prod".to_owned()));
    let mut ledger = ledger(4);
    ledger.claim(&a, &claim(4, 0, 10));
    ledger.uses(&a, &prod, 4);
    ledger.claim(&a, &claim(1, 0, 10));
    assert_eq!(ledger.claim(&a, &claim(3, 0, 10)), (Standing::Holds, vec![]));
    assert_eq!(ledger.view(&prod).held, 4);
}

#[test]
fn a_pod_that_was_not_made_frees_what_it_would_have_used() {
    let mut ledger = ledger(2);
    ledger.claim(&key("a"), &claim(2, 0, 10));
    ledger.starts(&key("a"), &Some("prod".into()), 2);
    ledger.claim(&key("b"), &claim(1, 0, 20));
    ledger.claim(&key("a"), &claim(1, 0, 10));
    assert_eq!(ledger.unused(&key("a")), vec![key("b")]);
}

#[derive(Debug, Clone)]
enum Step {
    /// Task, pool, units, priority.
    Claim(usize, usize, u32, i32),
    Leave(usize),
    Release(usize),
    Capacity(usize, u64),
    /// The pod is made with what the task holds. Whether who watches sees it.
    Start(usize, bool),
    /// A pod that was told to go, or ended, is gone.
    Gone(usize),
    /// A new operator, which knows what was granted and the pods.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let task = || 0..6usize;
    prop_oneof![
        4 => (task(), 0..2usize, 1..5u32, -1..2i32).prop_map(|(task, pool, units, priority)| Step::Claim(task, pool, units, priority)),
        1 => task().prop_map(Step::Leave),
        1 => task().prop_map(Step::Release),
        1 => (0..2usize, 0..10u64).prop_map(|(pool, units)| Step::Capacity(pool, units)),
        4 => (task(), any::<bool>()).prop_map(|(task, seen)| Step::Start(task, seen)),
        3 => task().prop_map(Step::Gone),
        1 => Just(Step::Restart),
    ]
}

/// Pools, and pods as they really are.
struct Model {
    ledger: Ledger,
    capacities: [u64; 2],
    pods: HashMap<TaskKey, (PoolKey, u32)>,
}

const POOLS: [Option<&str>; 2] = [Some("prod"), None];

fn pool(number: usize) -> PoolKey {
    POOLS[number].map(str::to_owned)
}

impl Model {
    fn take(&mut self, step: Step) {
        let key = |task: usize| super::tests::key(&task.to_string());
        match step {
            Step::Claim(task, number, units, priority) => {
                let claim = Claim { pool: pool(number), ..claim(units, priority, task as i64) };
                let (standing, _) = self.ledger.claim(&key(task), &claim);
                let holds = self.ledger.holding(&key(task)) == Some((claim.pool, units));
                assert_eq!(standing == Standing::Holds, holds);
            }
            Step::Leave(task) => drop(self.ledger.leave(&key(task))),
            Step::Release(task) => drop(self.ledger.release(&key(task))),
            Step::Capacity(number, units) => {
                self.capacities[number] = units;
                self.ledger.set_capacity(&pool(number), Some(units));
            }
            Step::Start(task, seen) => {
                let Some((pool, units)) = self.ledger.holding(&key(task)) else { return };
                if !self.pods.contains_key(&key(task)) {
                    self.ledger.starts(&key(task), &pool, units);
                    self.pods.insert(key(task), (pool.clone(), units));
                    // Who watches may be late, and looks meanwhile.
                    if seen {
                        self.ledger.uses(&key(task), &pool, units)
                    } else {
                        self.ledger.unseen(&key(task))
                    };
                }
            }
            Step::Gone(task) => {
                if let Some((pool, units)) = self.pods.remove(&key(task)) {
                    self.ledger.uses(&key(task), &pool, units);
                    self.ledger.unseen(&key(task));
                }
            }
            Step::Restart => {
                let mut ledger = Ledger::default();
                for task in (0..6).map(key) {
                    self.ledger.holding(&task).iter().for_each(|(pool, units)| drop(ledger.restore(&task, pool, *units)));
                    self.pods.get(&task).iter().for_each(|(pool, units)| drop(ledger.uses(&task, pool, *units)));
                }
                (0..2).for_each(|number| drop(ledger.set_capacity(&pool(number), Some(self.capacities[number]))));
                self.ledger = ledger;
            }
        }
    }

    /// Units of a pool that pods use, or will as soon as their predecessors are gone.
    fn spent(&self, pool: &PoolKey) -> u64 {
        let of = |held: Option<&(PoolKey, u32)>| held.filter(|(of, _)| of == pool).map_or(0, |(_, units)| *units);
        let tasks = (0..6).map(|task| key(&task.to_string()));
        tasks.map(|task| u64::from(of(self.pods.get(&task)).max(of(self.ledger.holding(&task).as_ref())))).sum()
    }

    /// Units of a pool that pods use.
    fn used(&self, pool: &PoolKey) -> u64 {
        self.pods.values().filter(|(of, _)| of == pool).map(|(_, units)| u64::from(*units)).sum()
    }
}

proptest! {
    /// Whatever happens: no pods of a pool use together what it does not have, the sums are right, and the head of the queue does not fit.
    #[test]
    fn nothing_is_spent_twice(steps in proptest::collection::vec(step(), 1..80)) {
        let mut model = Model { ledger: Ledger::default(), capacities: [5, 3], pods: HashMap::new() };
        (0..2).for_each(|number| model.take(Step::Capacity(number, model.capacities[number])));
        for step in steps {
            let before: Vec<_> = (0..2).map(|number| model.spent(&pool(number))).collect();
            model.take(step);
            for (number, before) in before.into_iter().enumerate() {
                let (pool, capacity) = (pool(number), model.capacities[number]);
                let view = model.ledger.view(&pool);
                prop_assert!(model.spent(&pool) <= capacity.max(before));
                prop_assert!(model.used(&pool) <= model.spent(&pool));
                prop_assert_eq!(view.held, model.spent(&pool));
                prop_assert_eq!(view.held, view.holders.iter().map(|(_, units)| u64::from(*units)).sum::<u64>());
                if let Some((head, units)) = view.waiting.first() {
                    let counted = model.ledger.counted(head).get(&pool).copied().unwrap_or(0);
                    let used = model.pods.get(head).filter(|(of, _)| *of == pool).map_or(0, |(_, units)| *units);
                    prop_assert!(view.held - u64::from(counted) + u64::from(used.max(*units)) > capacity);
                }
            }
        }
    }
}
