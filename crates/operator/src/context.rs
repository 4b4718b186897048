//! What all reconciles share: the client, the caches, the books, and the ways to wake one another. One writer per piece: tasks write the ledger
//! and the sharing of servers for themselves, pools only their capacity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::Stream;
use k8s_openapi::api::core::v1::{Namespace, Node, Secret};
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use kube::{Client, Resource};
use tokio::sync::mpsc;

use super::cached::{CachedPlan, CachedPod, CachedTask, Glance, Packed};
use super::events::Telling;
use super::ledger::{Affected, Ledger, PoolKey, TaskKey};
use super::metrics::Metrics;
use super::settings::Settings;
use super::sharing::Sharing;
use super::slots::Slots;
use super::trouble::Trouble;
use godwit_api::engine::engine_name;
use godwit_api::{DedicatedCluster, MigrationTaskStatus};

/// A pool as the API server has it, malformed ones included.
pub(crate) type RawPool = DeserializeGuard<DedicatedCluster>;

/// Everything that is watched. One store a watched namespace where only some are watched.
#[derive(Debug)]
pub(crate) struct Caches {
    pub tasks: Vec<Store<CachedTask>>,
    pub pods: Vec<Store<CachedPod>>,
    pub plans: Vec<Store<CachedPlan>>,
    pub secrets: Vec<Store<PartialObjectMeta<Secret>>>,
    pub pools: Store<RawPool>,
    pub nodes: Store<Node>,
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
}

/// An object of one of the stores.
pub(crate) fn find<K>(stores: &[Store<K>], namespace: &str, name: &str) -> Option<Arc<K>>
where
    K: Lookup<DynamicType = ()> + Clone + 'static,
{
    let key = ObjectRef::<K>::new(name).within(namespace);
    stores.iter().find_map(|store| store.get(&key))
}

impl Caches {
    /// Of a task that can be read.
    pub(crate) fn glance<T>(&self, key: &TaskKey, read: impl FnOnce(&Glance) -> T) -> Option<T> {
        find(&self.tasks, &key.namespace, &key.name)?.glance().map(read)
    }

    /// All tasks that can be read.
    pub(crate) fn every_task(&self, mut visit: impl FnMut(&CachedTask, &Glance)) {
        for task in self.tasks.iter().flat_map(Store::state) {
            if let Some(glance) = task.glance() {
                visit(&task, glance);
            }
        }
    }

    /// Whether there is a pool of this name that cannot be read.
    pub(crate) fn is_malformed(&self, pool: &str) -> bool {
        self.pools.get(&ObjectRef::<RawPool>::new(pool)).is_some_and(|raw| raw.0.is_err())
    }

    /// A pool that can be read.
    pub(crate) fn pool(&self, name: &str) -> Option<DedicatedCluster> {
        self.pools.get(&ObjectRef::<RawPool>::new(name))?.0.as_ref().ok().cloned()
    }
}

/// A look that fails so often in a row is told as an event.
const TOLD_AFTER: u32 = 3;

/// Looks at an object that failed in a row, and the failure that was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures {
    count: u32,
    told: Option<String>,
}

impl Failures {
    /// One more. How many there are now, and whether this one is to be told.
    pub(crate) fn add(&mut self, cause: &str) -> (u32, bool) {
        self.count = self.count.saturating_add(1);
        let news = self.count >= TOLD_AFTER && self.told.as_deref() != Some(cause);
        if news {
            self.told = Some(cause.to_owned());
        }
        (self.count, news)
    }
}

/// What is remembered of a task between two reconciles; it may be lost at any time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// The status that was written last, and the resourceVersion that it got.
    pub written: Option<(Packed<MigrationTaskStatus>, u64)>,
    pub written_at: Option<Instant>,
    pub failures: Failures,
    /// What kept the last step from being taken, and how often in a row.
    pub refused: Option<Trouble>,
    pub refusals: u32,
    /// The token of its plan.
    pub token: Option<String>,
    /// Since when it is to be fenced.
    pub fencing_since: Option<Instant>,
}

/// Wakes reconciles.
#[derive(Debug)]
pub(crate) struct Pokes {
    /// Namespace (None: all) and the queue of its tasks.
    tasks: Vec<(Option<String>, mpsc::UnboundedSender<ObjectRef<CachedTask>>)>,
    pools: mpsc::UnboundedSender<ObjectRef<RawPool>>,
    /// Where to look who is concerned by a pool or a namespace; set once the caches exist.
    stores: OnceLock<Vec<Store<CachedTask>>>,
}

/// The other ends.
pub(crate) type TaskQueues = Vec<mpsc::UnboundedReceiver<ObjectRef<CachedTask>>>;
/// The other end for pools.
pub(crate) type PoolQueue = mpsc::UnboundedReceiver<ObjectRef<RawPool>>;

impl Pokes {
    /// One queue for each watched namespace, or one for all. The queues hold references only, and whoever reads them folds equal ones.
    pub(crate) fn new(namespaces: &[String]) -> (Self, TaskQueues, PoolQueue) {
        let scopes: Vec<Option<String>> =
            if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
        let (tasks, queues) = scopes
            .into_iter()
            .map(|scope| {
                let (sender, receiver) = mpsc::unbounded_channel();
                ((scope, sender), receiver)
            })
            .unzip();
        let (pools, pool_queue) = mpsc::unbounded_channel();
        (Self { tasks, pools, stores: OnceLock::new() }, queues, pool_queue)
    }

    pub(crate) fn task(&self, key: &TaskKey) {
        for (scope, sender) in &self.tasks {
            if scope.as_ref().is_none_or(|namespace| *namespace == key.namespace) {
                // A receiver that is gone means that the process is ending.
                let _ = sender.send(ObjectRef::new(&key.name).within(&key.namespace));
            }
        }
    }

    pub(crate) fn tasks(&self, keys: impl IntoIterator<Item = TaskKey>) {
        keys.into_iter().for_each(|key| self.task(&key));
    }

    /// From now on tasks can be found by pool and namespace.
    pub(crate) fn know(&self, stores: Vec<Store<CachedTask>>) {
        let _ = self.stores.set(stores);
    }

    pub(crate) fn tasks_of_pool(&self, pool: &str) {
        self.concerned(|task| task.glance().is_some_and(|glance| glance.cluster.as_deref() == Some(pool)));
    }

    pub(crate) fn tasks_of_namespace(&self, namespace: &str) {
        self.concerned(|task| task.glance().is_some() && task.meta().namespace.as_deref() == Some(namespace));
    }

    fn concerned(&self, concerns: impl Fn(&CachedTask) -> bool) {
        for task in self.stores.get().into_iter().flatten().flat_map(Store::state) {
            if concerns(&task) {
                self.task(&TaskKey::of(&*task));
            }
        }
    }

    pub(crate) fn pool(&self, key: &PoolKey) {
        if let Some(name) = key {
            let _ = self.pools.send(ObjectRef::new(name));
        }
    }
}

/// A queue as a stream.
pub(crate) fn queue_stream<T>(queue: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = Result<T, std::convert::Infallible>> {
    futures_util::stream::unfold(queue, |mut queue| async move { queue.recv().await.map(|item| (Ok(item), queue)) })
}

/// See the module.
pub(crate) struct Context {
    pub client: Client,
    pub settings: Settings,
    pub caches: Caches,
    pub pokes: Arc<Pokes>,
    pub metrics: Arc<Metrics>,
    /// To who publishes events.
    pub events: mpsc::Sender<Telling>,
    pub slots: Slots,
    ledger: Mutex<Ledger>,
    sharing: Mutex<Sharing>,
    memory: Mutex<HashMap<TaskKey, Memory>>,
    rollout: Mutex<Rollout>,
    pool_failures: Mutex<HashMap<String, Failures>>,
    /// When each pool may be looked at again.
    looked: Mutex<HashMap<String, Instant>>,
    /// When the next request to the API server may go out.
    next_request: Mutex<Instant>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept under these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two looks at the same pool, at least and at most.
const POOL_PACE: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(10);
/// The pause after a pool's status was written, in times of what the write took.
const POOL_SHARE: u32 = 20;
/// Within this time the first engine with a new image has its pod; else another is the first.
const FIRST_WITHIN: Duration = Duration::from_secs(60);

/// How far engines have got a new image.
#[derive(Debug, Default)]
struct Rollout {
    /// An engine came up with it.
    proven: bool,
    /// When the last engine was replaced for it.
    last: Option<Instant>,
}

/// Between two engines that are replaced only because the image changed: all at once would be a storm on servers and scheduler.
const ROLLOUT_PACE: Duration = Duration::from_millis(500);

impl Context {
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        caches: Caches,
        pokes: Arc<Pokes>,
        metrics: Arc<Metrics>,
        events: mpsc::Sender<Telling>,
    ) -> Self {
        Self {
            client,
            slots: Slots::new(settings.concurrency.into()),
            settings,
            caches,
            pokes,
            metrics,
            events,
            ledger: Mutex::default(),
            sharing: Mutex::default(),
            memory: Mutex::default(),
            rollout: Mutex::default(),
            pool_failures: Mutex::default(),
            looked: Mutex::default(),
            next_request: Mutex::new(Instant::now()),
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn sharing(&self) -> MutexGuard<'_, Sharing> {
        lock(&self.sharing)
    }

    /// Reads what is remembered of a task.
    pub(crate) fn recall<T>(&self, key: &TaskKey, read: impl FnOnce(&Memory) -> T) -> T {
        match lock(&self.memory).get(key) {
            Some(memory) => read(memory),
            None => read(&Memory::default()),
        }
    }

    /// Changes what is remembered.
    pub(crate) fn remember<T>(&self, key: &TaskKey, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(lock(&self.memory).entry(key.clone()).or_default())
    }

    /// A task that is gone: it gives everything back, units once no pod uses them any more. Called again when its pod has ended.
    pub(crate) fn forget(&self, key: &TaskKey) {
        lock(&self.memory).remove(key);
        let sharing = self.sharing().set(key, None);
        self.pokes.tasks(sharing);
        let pod = find(&self.caches.pods, &key.namespace, &engine_name(&key.name));
        self.account(key, |ledger| {
            let mut granted = ledger.release(key);
            // Nobody looks for a pod that was not seen yet: should there be one, it counts from when it is.
            granted.extend(match pod.as_deref().and_then(CachedPod::uses) {
                Some((pool, units)) => ledger.uses(key, &pool, units),
                None => ledger.unused(key),
            });
            granted
        });
    }

    /// Tells the ledger what the task's pod uses, by the cache.
    pub(crate) fn count_pod(&self, key: &TaskKey) {
        let pod = find(&self.caches.pods, &key.namespace, &engine_name(&key.name));
        self.account(key, |ledger| match (pod.as_deref(), pod.as_deref().and_then(CachedPod::uses)) {
            (_, Some((pool, units))) => ledger.uses(key, &pool, units),
            (Some(_), None) => ledger.unused(key),
            (None, None) => ledger.unseen(key),
        });
    }

    /// Changes what counts for a task, and wakes whoever is concerned: the tasks that got units, and the pools.
    pub(crate) fn account(&self, key: &TaskKey, change: impl FnOnce(&mut Ledger) -> Affected) {
        let (before, mut granted, after) = {
            let mut ledger = self.ledger();
            let before = ledger.counted(key);
            let granted = change(&mut ledger);
            (before, granted, ledger.counted(key))
        };
        granted.retain(|other| other != key);
        self.pokes.tasks(granted);
        let concerned = before.keys().chain(after.keys()).filter(|pool| before.get(*pool) != after.get(*pool));
        concerned.for_each(|pool| self.pokes.pool(pool));
    }

    /// Whether a pool may be looked at now; else how long it has to wait. Every task that moves wakes its pool: looks are kept apart, and unlike with a
    /// debounce, pools that are never left in peace are looked at all the same.
    pub(crate) fn may_look(&self, pool: &str) -> Result<(), Duration> {
        let mut looks = lock(&self.looked);
        let now = Instant::now();
        if let Some(left) = looks.get(pool).map(|next| next.saturating_duration_since(now)).filter(|left| !left.is_zero()) {
            return Err(left);
        }
        looks.insert(pool.to_owned(), now + *POOL_PACE.start());
        Ok(())
    }

    /// A pool's status took this long to write: pools keep to a small share of an API server that is busy.
    pub(crate) fn wrote_pool(&self, pool: &str, took: Duration) {
        let pause = took.saturating_mul(POOL_SHARE).clamp(*POOL_PACE.start(), *POOL_PACE.end());
        lock(&self.looked).insert(pool.to_owned(), Instant::now() + pause);
    }

    /// Counts a failed look at a pool, as [`Failures::add`].
    pub(crate) fn pool_failed(&self, pool: &str, cause: &str) -> (u32, bool) {
        lock(&self.pool_failures).entry(pool.to_owned()).or_default().add(cause)
    }

    /// A pool was looked at without a failure.
    pub(crate) fn pool_is_well(&self, pool: &str) {
        lock(&self.pool_failures).remove(pool);
    }

    /// Waits until one more request may go to the API server: at most `--api-qps` a second, with a burst of a second's worth.
    pub(crate) async fn take_turn(&self) {
        tokio::time::sleep_until(self.turn().into()).await;
    }

    /// When one more request may go to the API server. Who calls this has taken the turn.
    pub(crate) fn turn(&self) -> Instant {
        let gap = Duration::from_secs(1) / self.settings.api_qps.max(1);
        let mut next = lock(&self.next_request);
        let now = Instant::now();
        let turn = (*next).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
        *next = turn + gap;
        turn
    }

    /// Whether one more engine may be replaced for a new image just now: first one alone, and the others when an engine came up with that image.
    pub(crate) fn may_roll(&self) -> bool {
        let image = &self.settings.image;
        let mut rollout = lock(&self.rollout);
        let mut tried = false;
        if !rollout.proven {
            let pods = self.caches.pods.iter().flat_map(Store::state);
            (rollout.proven, tried) = pods
                .filter(|pod| pod.made_with(image))
                .fold((false, false), |(proven, _), pod| (proven || pod.proves(image), true));
        }
        let since = rollout.last.map(|at| at.elapsed());
        // The first one's pod is being replaced, or has the image and does not come up.
        let waits = !rollout.proven && (tried || since.is_some_and(|since| since < FIRST_WITHIN));
        if waits || since.is_some_and(|since| since <= ROLLOUT_PACE) {
            return false;
        }
        rollout.last = Some(Instant::now());
        true
    }
}
