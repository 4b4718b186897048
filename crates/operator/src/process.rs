//! The operator's process: client, lease, watches, reconciles, and an orderly end.
//!
//! It waits for the CRDs instead of exiting, works only while it holds the lease, and ends when it loses it: nothing that it began goes on after
//! that. Nothing of its own is kept between two lives; what it knows comes from the API server.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join_all, select_all};
use futures_util::stream::StreamExt;
use k8s_controller::LeaderElection;
use kube::runtime::controller::{self, applier};
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource};
use tokio_util::sync::CancellationToken;

use super::cached::{CachedPod, CachedTask, OfTask};
use super::context::{Caches, Context, Pokes, PoolQueue, TaskQueues, queue_stream};
use super::health::Health;
use super::ledger::{Ledger, PoolKey, TaskKey};
use super::metrics::{Metrics, PoolUnits};
use super::settings::Settings;
use super::task::observe;
use super::watch::{self, Watcher, Watches};
use super::{http, pool, task};
use godwit_api::{DedicatedCluster, EngineMode, MigrationTask, Phase};

/// Longer than a watch lasts: a connection that says nothing for so long is dead.
pub const READ_TIMEOUT: Duration = Duration::from_secs(75);
/// Name of the lease.
pub const LEASE: &str = "godwit-operator";

/// Events that may wait to be published; more are left out.
const EVENTS_WAITING: usize = 10_000;

/// Why the operator cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no way to the Kubernetes API: {0}; run it in a pod with a service account, or set KUBECONFIG")]
    Config(String),
    #[error("--listen {address}: {error}")]
    Listen { address: String, error: std::io::Error },
    #[error("the lease {LEASE} could not be renewed in time, or went to another replica; this one ends and stands by anew")]
    LeaseLost,
    #[error("a part of the operator ended, which is a bug: {0}")]
    Ended(&'static str),
}

/// What the HTTP server shows.
#[derive(Debug)]
pub struct Shared {
    pub metrics: Arc<Metrics>,
    health: Arc<Health>,
    started: Instant,
    leading: AtomicBool,
    waiting_for: Mutex<Option<String>>,
    context: OnceLock<Arc<Context>>,
}

impl Shared {
    fn new() -> Self {
        Self {
            metrics: Arc::default(),
            health: Arc::default(),
            started: Instant::now(),
            leading: AtomicBool::new(false),
            waiting_for: Mutex::new(Some("the API server was not reached yet".to_owned())),
            context: OnceLock::new(),
        }
    }

    fn wait_for(&self, what: Option<String>) {
        *self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Why it cannot do its work; empty: it can, or it stands by for the one that does.
    pub fn complaints(&self) -> Vec<String> {
        let waiting = self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let watches = if self.leading.load(Relaxed) { self.health.complaints() } else { Vec::new() };
        waiting.into_iter().chain(watches).collect()
    }

    /// Counts what is counted only when somebody asks.
    pub fn refresh_metrics(&self) {
        let Some(ctx) = self.context.get() else { return };
        let mut phases: Vec<(Phase, usize)> = Phase::ALL.iter().map(|phase| (*phase, 0)).collect();
        ctx.caches.every_task(|_, glance| {
            let phase = glance.phase.unwrap_or(Phase::Pending);
            if let Some((_, count)) = phases.iter_mut().find(|(known, _)| *known == phase) {
                *count += 1;
            }
        });
        let pools = ctx.caches.pools.state();
        let readable = pools.iter().filter_map(|raw| raw.0.as_ref().ok());
        let capacities = readable.map(|pool| (pool_name(pool), Some(observe::capacity(pool))));
        let capacities = capacities.chain([(None, ctx.settings.default_capacity())]);
        let units = pool_units(&ctx.ledger(), capacities);
        self.metrics.set_world(&phases, units, self.started.elapsed());
        self.metrics.set_unwatched(self.health.unwatched().len());
    }
}

/// Units of pools (None: no limit), as the ledger has them.
fn pool_units(ledger: &Ledger, capacities: impl Iterator<Item = (PoolKey, Option<u64>)>) -> PoolUnits {
    let (used, queued) = ledger.totals();
    let mut units = PoolUnits { total: 0, used, free: 0, queued };
    for (pool, capacity) in capacities {
        let Some(capacity) = capacity else { continue };
        units.total += capacity;
        units.free += capacity.saturating_sub(ledger.view(&pool).held);
    }
    units
}

/// Runs until `stop`.
///
/// # Errors
/// When the API cannot be configured, the address cannot be bound, or the lease is lost.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let mut config = kube::Config::infer().await.map_err(|error| Error::Config(error.to_string()))?;
    config.read_timeout = Some(READ_TIMEOUT);
    let client = Client::try_from(config).map_err(|error| Error::Config(error.to_string()))?;
    let shared = Arc::new(Shared::new());
    let listener = godwit_service::listen::bind(&settings.listen)
        .await
        .map_err(|error| Error::Listen { address: settings.listen.clone(), error })?;
    tracing::info!(address = settings.listen, "serving /healthz, /readyz and /metrics");
    let server = tokio::spawn(http::serve(listener, Arc::clone(&shared), stop.clone()));
    let election = LeaderElection::new(client.clone(), &settings.namespace, LEASE, &settings.identity);
    let result = tokio::select! {
        result = lead(&settings, client, &election, &shared) => result,
        () = stop.cancelled() => Ok(()),
    };
    if settings.leader_elect && result.is_ok() {
        // A replica that stands by need not wait for the lease to run out. All work has ended: its future is gone.
        let _ = tokio::time::timeout(Duration::from_secs(3), election.release()).await;
    }
    stop.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    result
}

async fn lead(settings: &Settings, client: Client, election: &LeaderElection, shared: &Arc<Shared>) -> Result<(), Error> {
    wait_for_crds(&client, settings, shared).await;
    if !settings.leader_elect {
        return work(settings.clone(), client, Arc::clone(shared)).await;
    }
    tracing::info!(lease = LEASE, namespace = settings.namespace, identity = settings.identity, "standing by for the lease");
    let result = election.with_lease(work(settings.clone(), client, Arc::clone(shared))).await;
    result.unwrap_or(Err(Error::LeaseLost))
}

/// Waits until both kinds are served, and can be listed by this account.
async fn wait_for_crds(client: &Client, settings: &Settings, shared: &Shared) {
    let one = kube::api::ListParams::default().limit(1);
    loop {
        let pools: Api<super::context::RawPool> = Api::all(client.clone());
        let missing = match (list_tasks(client, settings, &one).await, pools.list(&one).await) {
            (Ok(()), Ok(_)) => break,
            (Err(error), _) => format!("MigrationTasks cannot be listed: {error}"),
            (_, Err(error)) => format!("DedicatedClusters cannot be listed: {error}"),
        };
        tracing::warn!(missing, "waiting for the CustomResourceDefinitions");
        shared.wait_for(Some(missing));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    shared.wait_for(None);
}

/// Whether tasks can be listed in one of the namespaces at least: another may be gone, or not be there yet.
async fn list_tasks(client: &Client, settings: &Settings, one: &kube::api::ListParams) -> kube::Result<()> {
    let all = || Api::<CachedTask>::all(client.clone());
    let mut apis: Vec<Api<CachedTask>> =
        settings.watch_namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect();
    let last = apis.pop().unwrap_or_else(all);
    for api in apis {
        if api.list(one).await.is_ok() {
            return Ok(());
        }
    }
    last.list(one).await.map(drop)
}

async fn work(settings: Settings, client: Client, shared: Arc<Shared>) -> Result<(), Error> {
    shared.leading.store(true, Relaxed);
    shared.metrics.leading(true);
    tracing::info!("working");
    let (pokes, task_queues, pool_queue) = Pokes::new(&settings.watch_namespaces);
    let pokes = Arc::new(pokes);
    let watcher = Watcher {
        client: client.clone(),
        health: Arc::clone(&shared.health),
        metrics: Arc::clone(&shared.metrics),
        pokes: Arc::clone(&pokes),
    };
    let gone = Arc::new(OnceLock::<Arc<Context>>::new());
    let on_gone = {
        let gone = Arc::clone(&gone);
        move |key: &TaskKey| {
            if let Some(ctx) = gone.get() {
                ctx.forget(key);
            }
        }
    };
    let (caches, watches) = watch::start(&watcher, &settings.watch_namespaces, on_gone);
    pokes.know(caches.tasks.clone());
    let (events, event_queue) = tokio::sync::mpsc::channel(EVENTS_WAITING);
    let ctx = Arc::new(Context::new(client, settings, caches, pokes, Arc::clone(&shared.metrics), events));
    let _ = gone.set(Arc::clone(&ctx));
    let _ = shared.context.set(Arc::clone(&ctx));
    let reconciles = reconciles(Arc::clone(&ctx), task_queues, pool_queue, Arc::clone(&shared.health));
    tokio::select! {
        () = watching(watches) => Err(Error::Ended("a watch")),
        () = super::events::publish(&ctx, event_queue) => Err(Error::Ended("who publishes events")),
        () = reconciles => Err(Error::Ended("the reconciles")),
    }
}

/// Each watch on a task of its own; ends when one of them does, and ends all with it.
async fn watching(watches: Watches) {
    let mut running = tokio::task::JoinSet::new();
    for watch in watches {
        running.spawn(watch);
    }
    let _ = running.join_next().await;
}

async fn reconciles(ctx: Arc<Context>, task_queues: TaskQueues, pool_queue: PoolQueue, health: Arc<Health>) {
    while !health.may_begin() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    seed(&ctx);
    let mut running: Vec<BoxFuture<'static, ()>> = Vec::new();
    for (scope, queue) in task_queues.into_iter().enumerate() {
        running.push(reconcile_scope(Arc::clone(&ctx), scope, queue, Arc::clone(&health)).boxed());
    }
    let pools = applier(
        |raw, ctx| pool::reconcile(raw, ctx).boxed(),
        pool::after_error,
        Arc::clone(&ctx),
        ctx.caches.pools.clone(),
        queue_stream(pool_queue),
        controller::Config::default().concurrency(8),
    );
    running.push(pools.for_each(|_| std::future::ready(())).boxed());
    drop(ctx);
    // Each on a thread of the runtime; one that ends (none should) ends all.
    let handles: Vec<_> = running.into_iter().map(|part| Box::pin(tokio::spawn(part))).collect();
    let aborts: Vec<_> = handles.iter().map(|handle| handle.abort_handle()).collect();
    let _guard = AbortAll(aborts);
    let (_, _, rest) = select_all(handles).await;
    rest.iter().for_each(|handle| handle.abort());
    let _ = join_all(rest).await;
}

/// Looks at the tasks of one watched namespace, or of all, once what is there is known.
async fn reconcile_scope(
    ctx: Arc<Context>,
    scope: usize,
    queue: tokio::sync::mpsc::UnboundedReceiver<kube::runtime::reflector::ObjectRef<CachedTask>>,
    health: Arc<Health>,
) {
    let namespace = ctx.settings.watch_namespaces.get(scope).cloned();
    if !health.knows(namespace.as_deref()) {
        tracing::warn!(namespace, "the namespace cannot be watched; its tasks are looked after as soon as it can be");
        while !health.knows(namespace.as_deref()) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let restored = seed_scope(&ctx, &mut ctx.ledger(), scope);
        tracing::info!(namespace, holding = restored, "the namespace can be watched now");
    }
    let Some(store) = ctx.caches.tasks.get(scope).cloned() else { return };
    let reconciles = applier(
        |raw, ctx| task::reconcile(raw, ctx).boxed(),
        task::after_error,
        ctx,
        store,
        queue_stream(queue),
        // Not bounded here but by the context's slots, which know whom to let in first.
        controller::Config::default().concurrency(0),
    );
    reconciles.for_each(|_| std::future::ready(())).await;
}

/// Tasks of the runtime outlive the future that made them, unless they are told.
struct AbortAll(Vec<tokio::task::AbortHandle>);

impl Drop for AbortAll {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// Fills the ledger from what stands in status, and from pods that run without it, before anything is granted.
fn seed(ctx: &Context) {
    let mut ledger = ctx.ledger();
    let restored: usize = (0..ctx.caches.tasks.len()).map(|scope| seed_scope(ctx, &mut ledger, scope)).sum();
    ledger.set_capacity(&None, ctx.settings.default_capacity());
    for raw in ctx.caches.pools.state() {
        if let Ok(pool) = &raw.0 {
            ledger.set_capacity(&pool_name(pool), Some(observe::capacity(pool)));
        }
    }
    let tasks: usize = ctx.caches.tasks.iter().map(Store::len).sum();
    tracing::info!(tasks, holding = restored, "caches are filled");
}

/// … as far as one watched namespace goes. How many tasks hold units.
fn seed_scope(ctx: &Context, ledger: &mut Ledger, scope: usize) -> usize {
    let Caches { tasks, pods, .. } = &ctx.caches;
    let mut restored = 0;
    for raw in tasks.get(scope).into_iter().flat_map(Store::state) {
        let Ok(task) = raw.read() else { continue };
        if let Some((pool, units)) = held(&task, pods) {
            ledger.restore(&TaskKey::of(&task), &pool, units);
            restored += 1;
        }
    }
    // Whoever they belong to: tasks that cannot be read, or are gone, or a predecessor of the same name.
    for pod in pods.get(scope).into_iter().flat_map(Store::state) {
        if let (Some(task), Some((pool, units))) = (pod.task(), pod.uses()) {
            ledger.uses(&TaskKey::new(pod.meta().namespace.clone().unwrap_or_default(), task), &pool, units);
        }
    }
    restored
}

fn pool_name(pool: &DedicatedCluster) -> Option<String> {
    pool.metadata.name.clone()
}

fn held(task: &MigrationTask, pods: &[Store<CachedPod>]) -> Option<(Option<String>, u32)> {
    let status = task.status.as_ref();
    if let Some(admission) = status.and_then(|status| status.admission.as_ref()) {
        let ended = status.and_then(|status| status.phase).is_some_and(Phase::is_final);
        return (!ended).then(|| (admission.cluster.clone(), admission.units));
    }
    let key = TaskKey::of(task);
    let pod = super::context::find(pods, &key.namespace, &godwit_api::engine::engine_name(&key.name))?;
    let view = pod.view(task.metadata.uid.as_deref().unwrap_or_default(), |_| None);
    (view.ours && view.mode == Some(EngineMode::Run)).then_some((view.cluster, view.units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_a_pool_without_limit_are_not_taken_from_the_others() {
        let pool = |name: &str| Some(name.to_owned());
        let mut ledger = Ledger::default();
        ledger.restore(&TaskKey::new("data", "shared"), &None, 5);
        ledger.restore(&TaskKey::new("data", "a"), &pool("a"), 1);
        ledger.restore(&TaskKey::new("data", "shrunk"), &pool("shrunk"), 3);
        let units = |default| pool_units(&ledger, [(pool("a"), Some(4)), (pool("shrunk"), Some(2)), (None, default)].into_iter());
        assert_eq!(units(None), PoolUnits { total: 6, used: 9, free: 3, queued: 0 });
        assert_eq!(units(Some(8)), PoolUnits { total: 14, used: 9, free: 6, queued: 0 });
    }
}
