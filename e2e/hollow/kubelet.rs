//! The hollow kubelet: watches the engines' pods and gives each a [`Worker`]; takes orders from tests.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use godwit::api::engine::{LABEL_TASK, engine_name};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::node::{self, NodeSpec};
use super::pod::Worker;
use super::records::Records;
use super::script::Script;

/// Requests to the API server at the same time: kubelets have limits as well, and thousands of pods must not drown it.
const REQUESTS: usize = 8;
/// For so long a Secret that was seen is not asked for again: a kubelet watches them.
const SECRET_SEEN: Duration = Duration::from_secs(2);

/// What a test makes happen to a running pod.
#[derive(Debug, Clone)]
pub enum Order {
    /// The node throws the pod out.
    Evict,
    /// The container ends with an exit code; it is started again.
    Crash { code: i32, reason: &'static str },
    /// The process ends by itself, successfully.
    Finish,
    /// The node is lost: the engine is gone, nobody writes the pod's status any more.
    Vanish,
    /// The engine behaves differently from now on.
    Script(Script),
}

struct Handle {
    name: String,
    seen: watch::Sender<Option<Pod>>,
    orders: mpsc::UnboundedSender<Order>,
}

/// What the workers share.
pub struct Shared {
    pub client: Client,
    pub records: Records,
    nodes: Mutex<Vec<NodeSpec>>,
    addresses: AtomicU32,
    complaints: Mutex<Vec<String>>,
    requests: Semaphore,
    secrets: Mutex<HashMap<(String, String), Instant>>,
    pods: Mutex<HashMap<String, Handle>>,
}

/// A running hollow kubelet.
pub struct Hollow {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hollow {
    /// Registers two nodes, one of them with the label `pool: special`, and starts to watch.
    ///
    /// # Errors
    /// When the API server refuses the nodes.
    pub async fn start(client: Client) -> kube::Result<Self> {
        let shared = Arc::new(Shared {
            client: client.clone(),
            records: Records::default(),
            nodes: Mutex::default(),
            addresses: AtomicU32::new(0),
            complaints: Mutex::default(),
            requests: Semaphore::new(REQUESTS),
            secrets: Mutex::default(),
            pods: Mutex::default(),
        });
        let hollow = Self { shared: shared.clone(), stop: CancellationToken::new() };
        hollow.add_node(NodeSpec { name: "hollow-1".into(), labels: Vec::new(), address: "192.0.2.1".into() }).await?;
        let labels = vec![("pool".into(), "special".into())];
        hollow.add_node(NodeSpec { name: "hollow-2".into(), labels, address: "192.0.2.2".into() }).await?;
        tokio::spawn(watch_pods(shared, hollow.stop.clone()));
        Ok(hollow)
    }

    /// Registers a node and keeps its lease.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn add_node(&self, spec: NodeSpec) -> kube::Result<()> {
        node::register(&self.shared.client, &spec, true).await?;
        tokio::spawn(node::heartbeat(self.shared.client.clone(), spec.name.clone(), self.stop.child_token()));
        lock(&self.shared.nodes).push(spec);
        Ok(())
    }

    /// What the destinations remember.
    pub fn records(&self) -> &Records {
        &self.shared.records
    }

    /// Makes something happen to the pod of a task; false when it has none.
    pub fn order(&self, namespace: &str, task: &str, order: Order) -> bool {
        let key = format!("{namespace}/{}", engine_name(task));
        let pods = lock(&self.shared.pods);
        pods.values().find(|handle| handle.name == key).is_some_and(|handle| handle.orders.send(order).is_ok())
    }

    /// Breaches of the contract between operator and engine that were seen.
    pub fn complaints(&self) -> Vec<String> {
        lock(&self.shared.complaints).clone()
    }

    /// Pods in its hands.
    pub fn pods(&self) -> usize {
        lock(&self.shared.pods).len()
    }
}

impl Drop for Hollow {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    /// Addresses of this process: a block of their own for each, so that several can run at once.
    pub fn next_address(&self) -> Ipv4Addr {
        let next = self.addresses.fetch_add(1, Ordering::Relaxed) % (250 * 250);
        let block = 16 + std::process::id() % 200;
        Ipv4Addr::from((127 << 24) | (block << 16) | ((next / 250) << 8) | (1 + next % 250))
    }

    /// Waits until one more request may go to the API server.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.requests.acquire().await.ok()
    }

    /// Whether a Secret was there a moment ago.
    pub fn has_seen_secret(&self, namespace: &str, name: &str) -> bool {
        let key = (namespace.to_owned(), name.to_owned());
        lock(&self.secrets).get(&key).is_some_and(|at| at.elapsed() < SECRET_SEEN)
    }

    pub fn note_secret(&self, namespace: &str, name: &str) {
        lock(&self.secrets).insert((namespace.to_owned(), name.to_owned()), Instant::now());
    }

    /// The first node whose labels the pod's nodeSelector allows.
    pub fn node_for(&self, pod: &Pod) -> Option<String> {
        let selector = pod.spec.as_ref().and_then(|spec| spec.node_selector.clone()).unwrap_or_default();
        let fits = |node: &NodeSpec| selector.iter().all(|wanted| node.labels.iter().any(|label| (&label.0, &label.1) == wanted));
        lock(&self.nodes).iter().find(|node| fits(node)).map(|node| node.name.clone())
    }

    pub fn complain(&self, text: String) {
        tracing::warn!("{text}");
        let mut complaints = lock(&self.complaints);
        if complaints.last() != Some(&text) {
            complaints.push(text);
        }
    }

    fn seen(self: &Arc<Self>, pod: Pod) {
        let uid = pod.uid().unwrap_or_default();
        let mut pods = lock(&self.pods);
        if let Some(handle) = pods.get(&uid) {
            handle.seen.send_replace(Some(pod));
            return;
        }
        let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        let (seen, receiver) = watch::channel(Some(pod.clone()));
        let (orders, queue) = mpsc::unbounded_channel();
        pods.insert(uid, Handle { name, seen, orders });
        tokio::spawn(Worker::new(self.clone(), pod, receiver, queue).run());
    }

    fn gone(&self, uid: &str) {
        if let Some(handle) = lock(&self.pods).remove(uid) {
            handle.seen.send_replace(None);
        }
    }

    fn keep_only(&self, uids: &[String]) {
        let gone: Vec<String> = lock(&self.pods).keys().filter(|uid| !uids.contains(uid)).cloned().collect();
        gone.iter().for_each(|uid| self.gone(uid));
    }
}

async fn watch_pods(shared: Arc<Shared>, stop: CancellationToken) {
    let pods = Api::<Pod>::all(shared.client.clone());
    let mut events = watcher(pods, watcher::Config::default().labels(LABEL_TASK)).default_backoff().boxed();
    let mut listed = Vec::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => tracing::warn!("watching pods: {error}"),
            Some(Ok(watcher::Event::Init)) => listed.clear(),
            Some(Ok(watcher::Event::InitApply(pod))) => {
                listed.extend(pod.uid());
                shared.seen(pod);
            }
            Some(Ok(watcher::Event::InitDone)) => shared.keep_only(&listed),
            Some(Ok(watcher::Event::Apply(pod))) => shared.seen(pod),
            Some(Ok(watcher::Event::Delete(pod))) => shared.gone(&pod.uid().unwrap_or_default()),
        }
    }
}
