//! The watches that fill the caches and wake the reconciles. Each has a task and a backoff of its own: one that fails stops none of the others, and
//! makes the operator unready.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use k8s_openapi::api::core::v1::{Namespace, Node, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Lookup};
use kube::runtime::watcher as watch;
use kube::runtime::watcher::{self, Config, Event};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::cached::{CachedPlan, CachedPod, CachedTask, OfTask, slim, slim_secret};
use super::context::{Caches, Pokes, RawPool};
use super::health::Health;
use super::ledger::TaskKey;
use super::metrics::Metrics;
use super::task::decide::backoff;
use godwit_api::engine::LABEL_TASK;

/// The API server ends a watch after this long; a connection that went dead without a word is found when its answer is overdue
/// ([`super::process::READ_TIMEOUT`]).
const WATCH_SECONDS: u32 = 50;
/// Pauses after a watch has failed: the first, doubled up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Objects a list page.
const PAGE: u32 = 100;
/// Tasks a list page: each may be as large as etcd takes, 1.5 MiB, and a page is held whole.
const TASKS_PAGE: u32 = 20;

/// What is done when objects come and go. `listing`: it was there when the watch began.
type React<K> = Box<dyn FnMut(&K, Change) + Send>;

/// How an object changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Listed,
    Applied,
    Deleted,
}

/// The watches as futures that never end.
pub(crate) type Watches = Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>;

/// What the watches need.
#[derive(Clone)]
pub(crate) struct Watcher {
    pub client: Client,
    pub health: Arc<Health>,
    pub metrics: Arc<Metrics>,
    pub pokes: Arc<Pokes>,
}

/// The caches, and the watches that fill them.
pub(crate) fn start(
    watcher: &Watcher,
    namespaces: &[String],
    on_gone: impl Fn(&TaskKey) + Clone + Send + 'static,
) -> (Caches, Watches) {
    let mut watches: Watches = Vec::new();
    let scopes: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|name| Some(name.as_str())).collect() };
    let mut caches = Caches {
        tasks: Vec::new(),
        pods: Vec::new(),
        plans: Vec::new(),
        secrets: Vec::new(),
        pools: watcher.pools(&mut watches),
        nodes: watcher.nodes(&mut watches),
        namespaces: watcher.namespaces(&mut watches),
    };
    for scope in scopes {
        let tasks = watcher.tasks(scope, on_gone.clone(), &mut watches);
        caches.secrets.push(watcher.secrets(scope, tasks.clone(), &mut watches));
        caches.pods.push(watcher.pods(scope, tasks.clone(), on_gone.clone(), &mut watches));
        caches.tasks.push(tasks);
        caches.plans.push(watcher.plans(scope, &mut watches));
    }
    (caches, watches)
}

/// Begins a watch, each time from a list.
type Anew<K> = Box<dyn Fn() -> BoxStream<'static, watcher::Result<Event<K>>> + Send>;

fn anew<K>(api: Api<K>, config: Config) -> Anew<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    Box::new(move || watch(api.clone(), config.clone()).boxed())
}

fn config() -> Config {
    Config::default().timeout(WATCH_SECONDS).page_size(PAGE)
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn name(kind: &str, scope: Option<&str>) -> String {
    scope.map_or_else(|| kind.to_owned(), |namespace| format!("{kind} in {namespace}"))
}

impl Watcher {
    fn tasks(
        &self,
        scope: Option<&str>,
        on_gone: impl Fn(&TaskKey) + Send + 'static,
        watches: &mut Watches,
    ) -> reflector::Store<CachedTask> {
        let stream = anew(api::<CachedTask>(&self.client, scope), config().page_size(TASKS_PAGE));
        let pokes = Arc::clone(&self.pokes);
        let mut seen: HashMap<TaskKey, u64> = HashMap::new();
        let react = move |task: &CachedTask, change: Change| {
            let key = TaskKey::of(task);
            if change == Change::Deleted {
                seen.remove(&key);
                on_gone(&key);
                return;
            }
            // Our own writes of status are no news.
            let news = substance(task.meta());
            if seen.insert(key.clone(), news) != Some(news) {
                pokes.task(&key);
            }
        };
        self.run(name("migrationtasks", scope), stream, |_| {}, Box::new(react), watches)
    }

    fn pools(&self, watches: &mut Watches) -> reflector::Store<RawPool> {
        let stream = anew(Api::<RawPool>::all(self.client.clone()), config());
        let pokes = Arc::clone(&self.pokes);
        let mut seen: HashMap<String, u64> = HashMap::new();
        let react = move |pool: &RawPool, change: Change| {
            let name = pool.name_any();
            let news = substance(pool.meta());
            if change == Change::Deleted {
                seen.remove(&name);
            } else if seen.insert(name.clone(), news) == Some(news) {
                return;
            }
            pokes.pool(&Some(name.clone()));
            pokes.tasks_of_pool(&name);
        };
        self.run("dedicatedclusters".to_owned(), stream, |pool| slim(pool.meta_mut()), Box::new(react), watches)
    }

    fn pods(
        &self,
        scope: Option<&str>,
        tasks: reflector::Store<CachedTask>,
        on_gone: impl Fn(&TaskKey) + Send + 'static,
        watches: &mut Watches,
    ) -> reflector::Store<CachedPod> {
        let stream = anew(api::<CachedPod>(&self.client, scope), config().labels(LABEL_TASK));
        let mut poke = self.poke_owner();
        let react = move |pod: &CachedPod, change: Change| {
            poke(pod, change);
            // Nobody looks at a task that is gone: its units count by the pod that is still there, and are given back when that goes.
            if let (Change::Applied | Change::Deleted, Some(task)) = (change, pod.task()) {
                let key = TaskKey::new(pod.meta().namespace.clone().unwrap_or_default(), task);
                if tasks.get(&reflector::ObjectRef::new(&key.name).within(&key.namespace)).is_none() {
                    on_gone(&key);
                }
            }
        };
        self.run(name("pods", scope), stream, |_| {}, Box::new(react), watches)
    }

    fn plans(&self, scope: Option<&str>, watches: &mut Watches) -> reflector::Store<CachedPlan> {
        let stream = anew(api::<CachedPlan>(&self.client, scope), config().labels(LABEL_TASK));
        // One that changes was changed by us, or is put right in the next look; one that is gone is missed at once.
        let mut poke = self.poke_owner();
        let react = move |map: &CachedPlan, change: Change| {
            if change == Change::Deleted {
                poke(map, change);
            }
        };
        self.run(name("configmaps", scope), stream, |_| {}, Box::new(react), watches)
    }

    /// Metadata only: the values of Secrets never come into this process.
    fn secrets(
        &self,
        scope: Option<&str>,
        tasks: reflector::Store<CachedTask>,
        watches: &mut Watches,
    ) -> reflector::Store<PartialObjectMeta<Secret>> {
        let stream = anew(api::<PartialObjectMeta<Secret>>(&self.client, scope), config());
        let pokes = Arc::clone(&self.pokes);
        let mut seen: HashMap<(String, String), u64> = HashMap::new();
        let react = move |secret: &PartialObjectMeta<Secret>, change: Change| {
            let (namespace, name) = (secret.metadata.namespace.clone().unwrap_or_default(), secret.name_any());
            let news = digest(&(&secret.metadata.uid, &secret.metadata.annotations));
            let place = (namespace.clone(), name.clone());
            let known = match change {
                Change::Deleted => seen.remove(&place).filter(|_| false),
                Change::Listed | Change::Applied => seen.insert(place, news),
            };
            if change == Change::Listed || known == Some(news) {
                return;
            }
            for task in tasks.state() {
                let here = task.meta().namespace.as_deref() == Some(namespace.as_str());
                if here && task.glance().is_some_and(|glance| glance.secrets.contains(&name)) {
                    pokes.task(&TaskKey::of(&*task));
                }
            }
        };
        self.run(name("secrets", scope), stream, |secret| slim_secret(&mut secret.metadata), Box::new(react), watches)
    }

    fn nodes(&self, watches: &mut Watches) -> reflector::Store<Node> {
        let stream = anew(Api::<Node>::all(self.client.clone()), config());
        self.run("nodes".to_owned(), stream, slim_node, Box::new(|_, _| {}), watches)
    }

    fn namespaces(&self, watches: &mut Watches) -> reflector::Store<PartialObjectMeta<Namespace>> {
        let stream = anew(Api::<PartialObjectMeta<Namespace>>::all(self.client.clone()), config());
        let pokes = Arc::clone(&self.pokes);
        let mut seen: HashMap<String, u64> = HashMap::new();
        let react = move |namespace: &PartialObjectMeta<Namespace>, change: Change| {
            let news = digest(&(&namespace.metadata.labels, namespace.metadata.deletion_timestamp.is_some()));
            if seen.insert(namespace.name_any(), news) != Some(news) && change == Change::Applied {
                pokes.tasks_of_namespace(&namespace.name_any());
            }
        };
        self.run("namespaces".to_owned(), stream, |space| slim(&mut space.metadata), Box::new(react), watches)
    }

    /// Wakes the task that a label names.
    fn poke_owner<K: Resource + OfTask + 'static>(&self) -> React<K> {
        let pokes = Arc::clone(&self.pokes);
        Box::new(move |object: &K, change: Change| {
            if let (Some(task), true) = (object.task(), change != Change::Listed) {
                pokes.task(&TaskKey::new(object.meta().namespace.clone().unwrap_or_default(), task));
            }
        })
    }

    fn run<K>(
        &self,
        name: String,
        stream: Anew<K>,
        slim: impl Fn(&mut K) + Send + 'static,
        react: React<K>,
        watches: &mut Watches,
    ) -> reflector::Store<K>
    where
        K: Lookup<DynamicType = ()> + Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    {
        let writer = Writer::<K>::new(());
        let store = writer.as_reader();
        self.health.begin(&name, name.split_once(" in ").map(|(_, namespace)| namespace));
        let (health, metrics) = (Arc::clone(&self.health), Arc::clone(&self.metrics));
        watches.push(Box::pin(follow(name, stream, writer, slim, react, health, metrics)));
        store
    }
}

/// Whether the API server says that this may not be watched, or is not there.
fn refused(error: &watcher::Error) -> bool {
    let code = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code,
        watcher::Error::WatchError(status) => status.code,
        _ => return false,
    };
    matches!(code, 403 | 404)
}

async fn follow<K>(
    name: String,
    anew: Anew<K>,
    mut writer: Writer<K>,
    slim: impl Fn(&mut K),
    mut react: React<K>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) where
    K: Lookup<DynamicType = ()> + Resource<DynamicType = ()> + Clone + Debug,
{
    // What was there before the watch began anew, to tell what went meanwhile.
    let mut listed: Option<std::collections::HashSet<(Option<String>, String)>> = None;
    let mut stream = anew();
    let mut failures = 0;
    while let Some(event) = stream.next().await {
        let mut event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(watch = name, %error, "a watch failed and is tried again");
                metrics.watch_failed(name.split(' ').next().unwrap_or_default());
                health.failed(&name, error.to_string(), refused(&error));
                // A watch that is taken up again says nothing before something changes; one that begins anew says that it is well.
                failures += 1;
                tokio::time::sleep(backoff(PAUSES.0, PAUSES.1, failures)).await;
                stream = anew();
                continue;
            }
        };
        // Init comes before the API server was asked.
        if !matches!(event, Event::Init) {
            health.alive(&name);
            failures = 0;
        }
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = &mut event {
            slim(object);
        }
        let known = |object: &K| (object.meta().namespace.clone(), object.name_any());
        let mut gone = Vec::new();
        match &event {
            Event::Init => listed = Some(std::collections::HashSet::new()),
            Event::InitApply(object) => {
                if let Some(listed) = &mut listed {
                    listed.insert(known(object));
                }
            }
            Event::InitDone => {
                let now = listed.take().unwrap_or_default();
                gone = writer.as_reader().state().into_iter().filter(|object| !now.contains(&known(object))).collect();
            }
            Event::Apply(_) | Event::Delete(_) => {}
        }
        // Whoever reacts finds the cache as it is after the event.
        writer.apply_watcher_event(&event);
        gone.iter().for_each(|object| react(object, Change::Deleted));
        match &event {
            Event::Apply(object) => react(object, Change::Applied),
            Event::Delete(object) => react(object, Change::Deleted),
            Event::InitDone => {
                // The cache has what is listed only when all of it has come, which may take several pages.
                writer.as_reader().state().iter().for_each(|object| react(object, Change::Listed));
                health.synced(&name);
            }
            Event::Init | Event::InitApply(_) => {}
        }
    }
}

/// Digest of what matters of an object beyond its status.
fn substance(metadata: &ObjectMeta) -> u64 {
    digest(&(
        metadata.uid.clone(),
        metadata.generation,
        metadata.labels.clone(),
        metadata.annotations.clone(),
        metadata.finalizers.clone(),
        metadata.deletion_timestamp.as_ref().map(|time| time.0.as_second()),
    ))
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn slim_node(node: &mut Node) {
    slim(&mut node.metadata);
    node.metadata.annotations = None;
    if let Some(status) = &mut node.status {
        status.images = None;
        status.node_info = None;
        status.volumes_attached = None;
        status.volumes_in_use = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::stream;

    use super::*;

    fn namespace(name: &str) -> Namespace {
        Namespace { metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }, ..Namespace::default() }
    }

    /// A list of several pages has pauses in it, in which a reconciler looks.
    #[tokio::test]
    async fn who_reacts_finds_what_was_listed() {
        let writer = Writer::<Namespace>::new(());
        let store = writer.as_reader();
        let anew: Anew<Namespace> = Box::new(|| {
            let events = ["a", "b"].map(|name| Ok(Event::InitApply(namespace(name))));
            stream::iter([Ok(Event::Init)]).chain(stream::iter(events)).chain(stream::iter([Ok(Event::InitDone)])).boxed()
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let react: React<Namespace> = {
            let seen = Arc::clone(&seen);
            Box::new(move |object, _| {
                let found = store.get(&reflector::ObjectRef::new(&object.name_any())).is_some();
                seen.lock().unwrap().push((object.name_any(), found));
            })
        };
        follow("namespaces".into(), anew, writer, |_| {}, react, Arc::default(), Arc::default()).await;
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
        seen.sort();
        assert_eq!(seen, [("a".to_owned(), true), ("b".to_owned(), true)]);
    }
}
