//! Tasks and pools, and waiting for what becomes of them.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use godwit::api::engine::engine_name;
use godwit::api::{DedicatedCluster, MigrationTask, MigrationTaskStatus, Phase};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::world::World;
use crate::hollow::script::ANNOTATION_SCRIPT;

/// How long something may take that should happen soon, on a machine that is busy with other things.
pub const SOON: Duration = Duration::from_secs(100);

/// Puts `patch` into `value` as a JSON merge patch does.
pub fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, field) in fields {
        if field.is_null() {
            value.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut value[key.as_str()], field);
        }
    }
}

/// A manifest that is accepted as it stands.
pub fn manifest(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "godwit.dev/v1alpha1", "kind": "MigrationTask",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            // Servers of its own: tasks that share one share its retry times.
            "source": {"mysql": {"host": format!("shop-db.{namespace}"), "credentials": {"secretName": "source"}}},
            "destination": {"mysql": {"host": format!("polar.{namespace}"), "credentials": {"secretName": "destination"}}},
            "objects": [{"database": "shop"}]
        }
    })
}

/// A task of a case.
#[derive(Clone)]
pub struct Task {
    world: Arc<World>,
    pub namespace: String,
    pub name: String,
    manifest: Value,
}

/// A task in a namespace of its own that is in sync, and the uid of its pod.
pub async fn running(world: &Arc<World>, prefix: &str) -> (Task, Option<String>) {
    let namespace = world.namespace(prefix).await;
    let task = Task::new(world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    let uid = task.pod().await.unwrap().uid();
    (task, uid)
}

impl Task {
    pub fn new(world: &Arc<World>, namespace: &str, name: &str) -> Self {
        Self { world: world.clone(), namespace: namespace.into(), name: name.into(), manifest: manifest(namespace, name) }
    }

    /// Changes the manifest before it is created.
    pub fn with(mut self, patch: Value) -> Self {
        merge(&mut self.manifest, &patch);
        self
    }

    pub fn script(self, script: &str) -> Self {
        self.with(json!({"metadata": {"annotations": {ANNOTATION_SCRIPT: script}}}))
    }

    pub fn pool(self, pool: &str, units: u32) -> Self {
        self.with(json!({"spec": {"cluster": {"name": pool, "units": units}}}))
    }

    pub async fn create(self) -> Self {
        let object: MigrationTask = serde_json::from_value(self.manifest.clone()).unwrap();
        let mut created = self.api().create(&PostParams::default(), &object).await;
        if matches!(created, Err(kube::Error::Service(_))) {
            // A kept connection that the API server closed at the same moment.
            created = self.api().create(&PostParams::default(), &object).await;
        }
        match created {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
            other => drop(other.unwrap()),
        }
        self
    }

    pub fn api(&self) -> Api<MigrationTask> {
        Api::namespaced(self.world.client.clone(), &self.namespace)
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.world.client.clone(), &self.namespace)
    }

    pub fn engine(&self) -> String {
        engine_name(&self.name)
    }

    pub async fn get(&self) -> MigrationTask {
        self.api().get(&self.name).await.unwrap()
    }

    pub async fn status(&self) -> MigrationTaskStatus {
        self.get().await.status.unwrap_or_default()
    }

    pub async fn pod(&self) -> Option<Pod> {
        self.pods().get_opt(&self.engine()).await.unwrap()
    }

    pub async fn plan_map(&self) -> Option<ConfigMap> {
        Api::<ConfigMap>::namespaced(self.world.client.clone(), &self.namespace).get_opt(&self.engine()).await.unwrap()
    }

    pub async fn patch(&self, patch: Value) -> MigrationTask {
        self.api().patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    pub async fn set_script(&self, script: &str) {
        self.patch(json!({"metadata": {"annotations": {ANNOTATION_SCRIPT: script}}})).await;
    }

    pub async fn desire(&self, state: &str) {
        self.patch(json!({"spec": {"desiredState": state}})).await;
    }

    pub async fn delete(&self) {
        self.api().delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn exists(&self) -> bool {
        self.api().get_opt(&self.name).await.unwrap().is_some()
    }

    /// What the hollow destination remembers of it.
    pub fn record(&self) -> crate::hollow::records::Record {
        self.world.hollow.records().get(&format!("{}/{}", self.namespace, self.name))
    }

    /// Waits until it is marked at the hollow destination: the engine does so when it ends, a moment after its last report.
    pub async fn until_fenced(&self) {
        let marked = || async { if self.record().fenced { Ok(()) } else { Err("nobody marked it at the destination") } };
        eventually("fenced", marked).await;
    }

    pub fn order(&self, order: crate::hollow::kubelet::Order) {
        assert!(self.world.hollow.order(&self.namespace, &self.name, order), "{} has no pod", self.name);
    }

    /// Waits until its status is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&MigrationTaskStatus) -> bool) -> MigrationTaskStatus {
        let began = Instant::now();
        loop {
            let status = self.status().await;
            if wanted(&status) {
                return status;
            }
            if began.elapsed() > SOON {
                self.give_up(what, &status).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn give_up(&self, what: &str, status: &MigrationTaskStatus) -> ! {
        let pod = self.pod().await.map(|pod| (pod.labels().clone(), pod.metadata.deletion_timestamp, pod.status));
        let events: Vec<String> = self.events().await;
        panic!(
            "{}/{} is not {what} within {SOON:?}\nstatus: {}\npod: {pod:?}\nevents: {events:#?}",
            self.namespace,
            self.name,
            serde_json::to_string_pretty(status).unwrap()
        );
    }

    pub async fn until_phase(&self, phase: Phase) -> MigrationTaskStatus {
        self.until(phase.as_str(), |status| status.phase == Some(phase)).await
    }

    pub async fn until_in_sync(&self) -> MigrationTaskStatus {
        self.until("in sync", |status| condition(status, "InSync") == "True" && condition(status, "Ready") == "True").await
    }

    /// Waits until its pod is as wanted.
    pub async fn until_pod(&self, what: &str, wanted: impl Fn(Option<&Pod>) -> bool) -> Option<Pod> {
        let began = Instant::now();
        loop {
            let pod = self.pod().await;
            if wanted(pod.as_ref()) {
                return pod;
            }
            if began.elapsed() > SOON {
                self.give_up(&format!("such that its pod is {what}"), &self.status().await).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Events about the task, as `type reason: note`.
    pub async fn events(&self) -> Vec<String> {
        let list = ListParams::default().fields(&format!("involvedObject.name={}", self.name));
        let events = Api::<Event>::namespaced(self.world.client.clone(), &self.namespace).list(&list).await.unwrap();
        let text = |event: Event| {
            let part = |text: Option<String>| text.unwrap_or_default();
            format!("{} {}: {}", part(event.type_), part(event.reason), part(event.message))
        };
        events.into_iter().map(text).collect()
    }

    /// The events of a kind, once there are any: they are published behind the other requests.
    pub async fn until_told(&self, what: &str, is: impl Fn(&str) -> bool) -> Vec<String> {
        eventually(what, || async {
            let (told, others): (Vec<String>, Vec<String>) = self.events().await.into_iter().partition(|event| is(event));
            if told.is_empty() { Err(others) } else { Ok(told) }
        })
        .await
    }
}

/// Status of a condition: True, False, Unknown, or empty.
pub fn condition<'a>(status: &'a MigrationTaskStatus, kind: &str) -> &'a str {
    status.conditions.iter().find(|condition| condition.type_ == kind).map_or("", |condition| &condition.status)
}

/// Reason of a condition.
pub fn reason<'a>(status: &'a MigrationTaskStatus, kind: &str) -> &'a str {
    status.conditions.iter().find(|condition| condition.type_ == kind).map_or("", |condition| &condition.reason)
}

/// Message of a condition.
pub fn message<'a>(status: &'a MigrationTaskStatus, kind: &str) -> &'a str {
    status.conditions.iter().find(|condition| condition.type_ == kind).map_or("", |condition| &condition.message)
}

/// Stalled with this reason, and not Ready.
pub fn stalls(status: &MigrationTaskStatus, why: &str) -> bool {
    condition(status, "Stalled") == "True" && condition(status, "Ready") == "False" && reason(status, "Stalled") == why
}

/// Creates a pool and waits until it is Ready.
pub async fn pool(world: &Arc<World>, prefix: &str, spec: Value) -> String {
    let name = world.unique(prefix);
    let object = json!({
        "apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": name}, "spec": spec
    });
    pools(world).create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    name
}

pub fn pools(world: &Arc<World>) -> Api<DedicatedCluster> {
    Api::all(world.client.clone())
}

/// Waits until the pool's status is as wanted.
pub async fn until_pool(
    world: &Arc<World>,
    name: &str,
    what: &str,
    wanted: impl Fn(&godwit::api::ClusterStatus) -> bool,
) -> godwit::api::ClusterStatus {
    let last = eventually(what, || async {
        let status = pools(world).get(name).await.unwrap().status.unwrap_or_default();
        if wanted(&status) { Ok(status) } else { Err(serde_json::to_string_pretty(&status).unwrap()) }
    });
    last.await
}

/// Tries again until it succeeds.
pub async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(what: &str, attempt: impl Fn() -> F) -> T {
    let began = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(began.elapsed() < SOON, "not {what} within {SOON:?}: {error:#?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
