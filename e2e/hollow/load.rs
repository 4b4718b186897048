//! Many tasks, and what becomes of them, seen from outside as any client sees it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use godwit::api::engine::LABEL_TASK;
use godwit::api::{DedicatedCluster, MigrationTask};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// Namespaces that the tasks are spread over.
const NAMESPACES: usize = 10;
/// Tasks that have not arrived by then are lost.
const LIMIT: Duration = Duration::from_secs(900);

type Failure = Box<dyn Error>;

fn namespace_of(number: usize) -> String {
    format!("scale-{}", number % NAMESPACES)
}

/// Creates pools, namespaces and tasks; prints how long the first pod of each took to appear.
pub async fn load(client: Client, tasks: usize, pools: usize, rate: u32) -> Result<(), Failure> {
    prepare(&client, tasks, pools).await?;
    let pods = Arc::new(Mutex::new(HashMap::new()));
    let watching = tokio::spawn(first_pods(client.clone(), pods.clone()));
    let began = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut creating = Vec::new();
    for number in 0..tasks {
        pace.tick().await;
        let (client, object) = (client.clone(), task(number, pools)?);
        creating.push(tokio::spawn(async move {
            let asked = Instant::now();
            let namespaced = Api::<MigrationTask>::namespaced(client, &namespace_of(number));
            namespaced
                .create(&PostParams::default(), &object)
                .await
                .map(|_| (format!("{}/{}", namespace_of(number), object.name_any()), asked))
        }));
    }
    let mut asked = Vec::new();
    for created in creating {
        asked.push(created.await??);
    }
    let created = began.elapsed();
    settle_all(&client, tasks).await?;
    let arrived = began.elapsed();
    watching.abort();
    let pods = pods.lock().unwrap_or_else(PoisonError::into_inner);
    let mut delays: Vec<Duration> = Vec::new();
    for (key, at) in &asked {
        let seen: Option<&Instant> = pods.get(key);
        delays.push(seen.ok_or_else(|| format!("no pod of {key} was seen"))?.saturating_duration_since(*at));
    }
    delays.sort();
    let percentile = |share: usize| delays.get((delays.len() * share / 100).min(delays.len() - 1)).map(Duration::as_millis);
    println!(
        "{}",
        json!({
            "tasks": tasks, "createdSeconds": created.as_secs_f32(), "inSyncSeconds": arrived.as_secs_f32(),
            "podMillisP50": percentile(50), "podMillisP99": percentile(99), "podMillisMost": percentile(100)
        })
    );
    Ok(())
}

async fn prepare(client: &Client, tasks: usize, pools: usize) -> Result<(), Failure> {
    let create = PostParams::default();
    for number in 0..NAMESPACES {
        let name = namespace_of(number);
        let object = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        Api::<Namespace>::all(client.clone()).create(&create, &object).await?;
        for secret in ["source", "destination"] {
            let object = json!({"metadata": {"name": secret}, "stringData": {"username": "u", "password": "p"}});
            Api::<Secret>::namespaced(client.clone(), &name).create(&create, &serde_json::from_value(object)?).await?;
        }
    }
    let units = tasks.div_ceil(pools);
    for number in 0..pools {
        let object = json!({
            "apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster",
            "metadata": {"name": format!("pool-{number}")}, "spec": {"units": units}
        });
        Api::<DedicatedCluster>::all(client.clone()).create(&create, &serde_json::from_value(object)?).await?;
    }
    // The controllers make the ServiceAccounts that pods need.
    tokio::time::sleep(Duration::from_secs(3)).await;
    Ok(())
}

fn task(number: usize, pools: usize) -> Result<MigrationTask, Failure> {
    let object = json!({
        "apiVersion": "godwit.dev/v1alpha1", "kind": "MigrationTask",
        "metadata": {"name": format!("task-{number}"), "namespace": namespace_of(number)},
        "spec": {
            "cluster": {"name": format!("pool-{}", number % pools), "units": 1},
            "source": {"mysql": {"host": format!("shop-db-{}.example", number / 10), "credentials": {"secretName": "source"}}},
            "destination": {"mysql": {"host": format!("polar-{}.example", number / 10), "credentials": {"secretName": "destination"}}},
            "objects": [{"database": "shop"}]
        }
    });
    Ok(serde_json::from_value(object)?)
}

/// When the first pod of each task was seen.
async fn first_pods(client: Client, seen: Arc<Mutex<HashMap<String, Instant>>>) {
    let config = watcher::Config::default().labels(LABEL_TASK);
    let mut pods = watcher(Api::<Pod>::all(client), config).default_backoff().applied_objects().boxed();
    while let Some(pod) = pods.next().await {
        let Ok(pod) = pod else { continue };
        let task = pod.labels().get(LABEL_TASK).cloned().unwrap_or_default();
        let key = format!("{}/{task}", pod.namespace().unwrap_or_default());
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(Instant::now);
    }
}

/// Changes a throttle of every task, as fast as the API server takes it.
pub async fn change(client: Client) -> Result<(), Failure> {
    let tasks = Api::<MigrationTask>::all(client.clone()).list_metadata(&ListParams::default()).await?;
    let patch = json!({"spec": {"throttle": {"full": {"rowsPerSecond": 1000}}}});
    let began = Instant::now();
    let changed = stream::iter(tasks.iter()).map(|task| {
        let namespaced = Api::<MigrationTask>::namespaced(client.clone(), &task.namespace().unwrap_or_default());
        let (name, patch) = (task.name_any(), patch.clone());
        async move { namespaced.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await }
    });
    let changed: Vec<MigrationTask> = changed.buffer_unordered(32).try_collect().await?;
    println!("{}", json!({"changed": changed.len(), "seconds": began.elapsed().as_secs_f32()}));
    Ok(())
}

/// Waits until every task's status is about its present spec and in sync.
pub async fn settle(client: Client) -> Result<(), Failure> {
    let tasks = Api::<MigrationTask>::all(client.clone()).list_metadata(&ListParams::default()).await?.items.len();
    let began = Instant::now();
    settle_all(&client, tasks).await?;
    println!("{}", json!({"tasks": tasks, "seconds": began.elapsed().as_secs_f32()}));
    Ok(())
}

async fn settle_all(client: &Client, tasks: usize) -> Result<(), Failure> {
    let began = Instant::now();
    let mut states: HashMap<String, bool> = HashMap::new();
    let mut changes = watcher(Api::<MigrationTask>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    let mut settled = 0;
    while settled < tasks {
        let next = tokio::time::timeout(LIMIT.saturating_sub(began.elapsed()), changes.next()).await;
        let task = match next {
            Ok(Some(Ok(task))) => task,
            Ok(Some(Err(_))) => continue,
            Ok(None) | Err(_) => return Err(format!("{settled} of {tasks} tasks arrived; {}", some_that_did_not(&states)).into()),
        };
        let now = is_settled(&task);
        let key = format!("{}/{}", task.namespace().unwrap_or_default(), task.name_any());
        let before = states.insert(key, now).unwrap_or_default();
        settled = settled + usize::from(now) - usize::from(before);
    }
    Ok(())
}

fn is_settled(task: &MigrationTask) -> bool {
    let Some(status) = &task.status else { return false };
    let ready = status.conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && status.observed_generation == task.metadata.generation
}

fn some_that_did_not(states: &HashMap<String, bool>) -> Value {
    states.iter().filter(|(_, settled)| !**settled).map(|(key, _)| key.clone()).take(5).collect::<Vec<_>>().into()
}
