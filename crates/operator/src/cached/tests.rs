//! What a cached object still says, and what it weighs.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::*;
use crate::context::Memory;
use crate::view::PodPhase;
use godwit_api::EngineMode;
use godwit_api::engine::{ANNOTATION_PLAN, LABEL_CLUSTER, LABEL_MODE, LABEL_UNITS};

/// As the API server sends it: with who owns which field, and what kubectl applied.
fn metadata(name: &str) -> Value {
    let owned = |by: &str, at: &str, fields: Value| json!({"manager": by, "operation": "Update", "time": at, "fieldsV1": fields});
    json!({
        "name": name, "namespace": "data", "uid": "u-1", "generation": 3, "resourceVersion": "17",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "godwit.dev/restart": "1"},
        "managedFields": [
            owned("kubectl", "2026-01-02T00:00:00Z", json!({"f:spec": {"f:retry": {"f:connectionMinutes": {}}}})),
            owned("godwit-operator", "2026-01-03T00:00:00Z", json!({"f:status": {"f:phase": {}}})),
        ],
    })
}

/// A status with as many checks as a migration of every part has, in texts as long as theirs and no two alike.
fn status() -> Value {
    let text = |of: &str, item: usize| {
        format!(
            "{of}: {}",
            (0..3).map(|n| format!("{:x}", xxhash_rust::xxh3::xxh3_128(&[item as u8, n]))).collect::<Vec<_>>().join(" ")
        )
    };
    let item = |number: usize| {
        json!({
            "name": format!("Check{number}"), "verdict": "Warning", "ignored": true, "seen": text("the source has", number),
            "why": text("rows could be lost because", number + 50), "remedy": text("SET GLOBAL", number + 100),
        })
    };
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "AsItShould", "message": "in sync with the source",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3,
        })
    };
    let kinds = godwit_api::condition::ALL;
    json!({
        "phase": "Replicating", "observedGeneration": 3, "latencySeconds": 2, "message": "in sync with the source",
        "precheck": {"successRate": "100%", "items": (0..45).map(item).collect::<Vec<_>>()},
        "conditions": kinds.iter().map(|kind| condition(kind)).collect::<Vec<_>>(),
    })
}

fn task(status: Value) -> Value {
    json!({
        "apiVersion": "godwit.dev/v1alpha1", "kind": "MigrationTask", "metadata": metadata("shop"), "status": status,
        "spec": {
            "cluster": {"name": "prod"},
            "source": {"mysql": {"host": "db.example.com", "credentials": {"secretName": "shop-source"}}},
            "destination": {"mysql": {"host": "new.example.com", "credentials": {"secretName": "shop-destination"}}},
        },
    })
}

fn pod() -> Value {
    json!({
        "metadata": {
            "name": "shop-engine", "namespace": "data", "uid": "p-1", "resourceVersion": "18", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {LABEL_TASK: "shop", LABEL_MODE: "Run", LABEL_UNITS: "2", LABEL_CLUSTER: "prod"},
            "annotations": {ANNOTATION_PLAN: "1"},
            "ownerReferences": [{"apiVersion": "godwit.dev/v1alpha1", "kind": "MigrationTask", "name": "shop", "uid": "u-1"}],
            "managedFields": [{"manager": "kubelet", "operation": "Update"}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "engine", "image": "godwit:1", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}],
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:05Z"}],
        },
    })
}

fn read<K: DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

impl CachedTask {
    /// Bytes that it takes, near enough: those of its metadata by their text.
    fn weight(&self) -> usize {
        let packed = self.body.as_ref().map_or(0, |body| size_of::<Body>() + body.parts.bytes.len());
        size_of::<Self>() + serde_json::to_string(&self.metadata).unwrap().len() + packed
    }
}

#[test]
fn a_task_is_kept_whole_but_for_what_nobody_reads() {
    let cached: CachedTask = read(task(status()));
    let mut whole: MigrationTask = read(task(status()));
    let kept = cached.read().unwrap();
    assert_eq!((&kept.spec, &kept.status), (&whole.spec, &whole.status));
    whole.metadata.managed_fields = None;
    let annotations = whole.metadata.annotations.as_mut().unwrap();
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration").unwrap();
    annotations.insert(RETRY_SET_AT.to_owned(), "2026-01-02T00:00:00Z".to_owned());
    assert_eq!(kept.metadata, whole.metadata);
    let glance = cached.glance().unwrap();
    assert_eq!(
        (glance.cluster.as_deref(), glance.phase, glance.latency_seconds),
        (Some("prod"), Some(Phase::Replicating), Some(2))
    );
    assert_eq!(*glance.secrets, ["shop-source".to_owned(), "shop-destination".to_owned()]);
    assert!(glance.has_status && !read::<CachedTask>(task(Value::Null)).glance().unwrap().has_status);
}

#[test]
fn a_task_that_cannot_be_read_says_why() {
    let mut object = task(Value::Null);
    object["spec"]["desiredState"] = json!("Hibernating");
    let cached: CachedTask = read(object);
    assert!(cached.read().unwrap_err().contains("Hibernating"));
    assert!(cached.glance().is_none());
    assert_eq!((cached.name_any(), cached.managed_fields().len()), ("shop".to_owned(), 0));
}

#[test]
fn thousands_of_tasks_fit() {
    let plain = read::<CachedTask>(task(Value::Null)).weight();
    let checked = read::<CachedTask>(task(status())).weight();
    // 45 checks of three sentences each, of which half is noise that nothing compresses.
    let as_text = task(status()).to_string().len();
    assert!(as_text > 18_000, "a status of {as_text} bytes is none");
    assert!(plain < 2 << 10, "{plain} bytes without a status");
    assert!(checked < 12 << 10, "{checked} bytes with one");
    assert!(size_of::<Memory>() <= 256, "{} bytes are remembered of each", size_of::<Memory>());
    assert!(size_of::<CachedPod>() <= 1 << 10, "{} bytes for each pod", size_of::<CachedPod>());
    assert!(size_of::<CachedPlan>() <= 768, "{} bytes for each plan", size_of::<CachedPlan>());
}

#[test]
fn a_pod_is_seen_for_its_task() {
    let cached: CachedPod = read(pod());
    let ready = |holds: &str| {
        Arc::new(read::<Node>(json!({"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": holds}]}})))
    };
    let view = cached.view("u-1", |_| Some(ready("True")));
    assert_eq!((view.uid.as_str(), view.ours, view.mode, view.node_lost), ("p-1", true, Some(EngineMode::Run), false));
    assert_eq!((view.plan.as_str(), view.image.as_str(), view.address.as_deref()), ("1", "godwit:1", Some("10.0.0.1")));
    assert_eq!(
        (view.phase, view.ready, view.limits.map(|limits| limits.memory_bytes)),
        (PodPhase::Running, false, Some(1 << 30))
    );
    assert_eq!(view.not_ready_since, Some("2026-01-01T00:00:05Z".parse::<Timestamp>().unwrap()));
    assert!(!cached.view("u-2", |_| Some(ready("True"))).ours, "of an earlier task of the name");
    assert!(cached.view("u-1", |_| Some(ready("False"))).node_lost);
    assert!(cached.view("u-1", |_| None).node_lost);
    assert_eq!((cached.uses(), cached.task()), (Some((Some("prod".to_owned()), 2)), Some("shop")));
    let mut other = pod();
    other["metadata"]["labels"][LABEL_MODE] = json!("Precheck");
    assert_eq!(read::<CachedPod>(other).uses(), None, "a precheck uses no units");
    let mut foreign = pod();
    foreign["metadata"]["labels"] = json!({});
    assert!(!read::<CachedPod>(foreign).view("u-1", |_| None).ours);
}

#[test]
fn a_watch_can_go_on_from_each() {
    // kube takes it from the object of every event.
    assert_eq!(read::<CachedTask>(task(status())).resource_version().as_deref(), Some("17"));
    assert_eq!(read::<CachedPod>(pod()).resource_version().as_deref(), Some("18"));
    assert_eq!(read::<CachedPlan>(json!({"metadata": metadata("shop-engine")})).resource_version().as_deref(), Some("17"));
    let pod = read::<CachedPod>(pod());
    assert_eq!((pod.name_any().as_str(), pod.namespace().as_deref()), ("shop-engine", Some("data")));
}
