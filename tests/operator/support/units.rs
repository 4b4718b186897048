//! Watches that no more units are ever handed out than a pool has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use godwit::api::engine::{LABEL_CLUSTER, LABEL_UNITS};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinHandle;

/// Follows every event of the pods that hold units of a pool.
pub struct UnitsWatch {
    pool: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    now: HashMap<String, u64>,
    most: u64,
    events: u64,
}

impl UnitsWatch {
    /// Starts to watch.
    pub fn start(client: &Client, pool: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(follow(Api::all(client.clone()), pool.to_owned(), seen.clone()));
        Self { pool: pool.to_owned(), seen, task }
    }

    /// Fails when more than `total` units were ever held at once; tells how many at most.
    pub fn at_most(&self, total: u64) -> u64 {
        let seen = self.seen.lock().unwrap();
        assert!(seen.events > 0, "no pod of {} was seen", self.pool);
        assert!(seen.most <= total, "{} units of {} were held at once, it has {total}", seen.most, self.pool);
        seen.most
    }
}

impl Drop for UnitsWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(pods: Api<Pod>, pool: String, seen: Arc<Mutex<Seen>>) {
    let labels = format!("godwit.dev/mode=Run,{LABEL_CLUSTER}={pool}");
    let mut events = watcher(pods, watcher::Config::default().labels(&labels)).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let mut seen = seen.lock().unwrap();
        match event {
            Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                let units = pod.labels().get(LABEL_UNITS).and_then(|units| units.parse().ok()).expect("the label of units");
                let ended = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                let key = pod.uid().unwrap_or_default();
                if matches!(ended, Some("Succeeded" | "Failed")) {
                    seen.now.remove(&key)
                } else {
                    seen.now.insert(key, units)
                };
                seen.events += 1;
            }
            Ok(watcher::Event::Delete(pod)) => {
                seen.now.remove(&pod.uid().unwrap_or_default());
            }
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => {}
        }
        seen.most = seen.most.max(seen.now.values().sum());
    }
}
