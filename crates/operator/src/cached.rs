//! What the caches keep of an object: of thousands, so as little as decisions need. The watches read straight into these types.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::Resource;
use kube::core::{DeserializeGuard, NamespaceResourceScope, PartialObjectMeta};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ledger::PoolKey;
use super::view::{PlanView, PodView, node_ready, plan_view, pod_view};
use godwit_api::engine::LABEL_TASK;
use godwit_api::manifest::{HOSTS_ANNOTATION, secret_references};
use godwit_api::{MigrationTask, MigrationTaskSpec, MigrationTaskStatus, Phase};

/// Annotation of a cached task: when its retry was set last. It exists in the cache only.
pub(crate) const RETRY_SET_AT: &str = "cache.godwit.dev/retry-set-at";

/// Annotation of a cached Secret: who wrote its values last, and when. It exists in the cache only.
pub(crate) const DATA_SET_AT: &str = "cache.godwit.dev/data-set-at";

/// Keeps of a Secret's metadata what is looked at: its name, the hosts it is for, and when its values were written. Labels, annotations and whatever
/// else is touched every few seconds by who keeps Secrets in step are no change of it.
pub(crate) fn slim_secret(metadata: &mut ObjectMeta) {
    let writes_values = |entry: &&ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:data").or_else(|| fields.0.get("f:stringData")).is_some())
    };
    let entries = metadata.managed_fields.iter().flatten().filter(writes_values);
    let mut written: Vec<String> = entries
        .map(|entry| {
            let values = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:data")).map(ToString::to_string);
            let at = entry.time.as_ref().map(|time| time.0.to_string());
            format!("{} {} {}", entry.manager.as_deref().unwrap_or_default(), at.unwrap_or_default(), values.unwrap_or_default())
        })
        .collect();
    written.sort();
    slim(metadata);
    metadata.labels = None;
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.retain(|name, _| name == HOSTS_ANNOTATION);
    if !written.is_empty() {
        annotations.insert(DATA_SET_AT.to_owned(), written.join("\n"));
    }
}

/// Of zstd: a task is packed each time it changes, and the higher levels win little on texts this short.
const LEVEL: i32 = 1;

/// A value as compressed JSON. The checks of a precheck alone are tens of kilobytes as values.
#[derive(Debug, Clone)]
pub(crate) struct Packed<T> {
    bytes: Box<[u8]>,
    /// Of the JSON.
    size: usize,
    value: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Packed<T> {
    pub(crate) fn new(value: &T) -> Self {
        // Neither fails on values that came from JSON; what could not be packed cannot be read, and is told.
        let text = serde_json::to_vec(value).unwrap_or_default();
        let bytes = zstd::bulk::compress(&text, LEVEL).unwrap_or_default();
        Self { bytes: bytes.into_boxed_slice(), size: text.len(), value: PhantomData }
    }

    /// # Errors
    /// When it was not packed as it should.
    pub(crate) fn read(&self) -> Result<T, String> {
        let text = zstd::bulk::decompress(&self.bytes, self.size).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    }
}

/// A task, malformed ones included.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "DeserializeGuard<MigrationTask>")]
pub(crate) struct CachedTask {
    metadata: ObjectMeta,
    /// Or why it cannot be read.
    body: Result<Box<Body>, String>,
}

type Parts = (MigrationTaskSpec, Option<MigrationTaskStatus>);

#[derive(Debug, Clone)]
struct Body {
    glance: Glance,
    parts: Packed<Parts>,
}

/// What is looked up over all tasks, without unpacking each.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    /// Name of the pool.
    pub cluster: PoolKey,
    /// Names of its Secrets.
    pub secrets: Box<[String]>,
    /// Somebody has looked at it before.
    pub has_status: bool,
    pub phase: Option<Phase>,
    pub latency_seconds: Option<u64>,
}

impl From<DeserializeGuard<MigrationTask>> for CachedTask {
    fn from(raw: DeserializeGuard<MigrationTask>) -> Self {
        let (mut metadata, body) = match raw.0 {
            Ok(task) => {
                let status = task.status.as_ref();
                let glance = Glance {
                    cluster: task.spec.cluster.name.clone(),
                    secrets: secret_references(&task.spec).into_iter().map(|(_, name)| name).collect(),
                    has_status: status.is_some(),
                    phase: status.and_then(|status| status.phase),
                    latency_seconds: status.and_then(|status| status.latency_seconds),
                };
                let parts = Packed::new(&(task.spec, task.status));
                (task.metadata, Ok(Box::new(Body { glance, parts })))
            }
            Err(invalid) => (invalid.metadata, Err(invalid.error)),
        };
        // Who set retry last, and when, stands nowhere else.
        let owns_retry = |entry: &&ManagedFieldsEntry| {
            entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:retry").is_some())
        };
        let entries = metadata.managed_fields.iter().flatten().filter(owns_retry);
        if let Some(at) = entries.filter_map(|entry| entry.time.clone()).max_by_key(|time| time.0) {
            metadata.annotations.get_or_insert_default().insert(RETRY_SET_AT.to_owned(), at.0.to_string());
        }
        slim(&mut metadata);
        Self { metadata, body }
    }
}

impl CachedTask {
    /// # Errors
    /// Why it cannot be read.
    pub(crate) fn read(&self) -> Result<MigrationTask, String> {
        let (spec, status) = self.body.as_ref().map_err(String::clone)?.parts.read()?;
        Ok(MigrationTask { metadata: self.metadata.clone(), spec, status })
    }

    /// Bytes of its spec and status as JSON.
    pub(crate) fn size(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.parts.size)
    }

    /// None: it cannot be read.
    pub(crate) fn glance(&self) -> Option<&Glance> {
        self.body.as_ref().ok().map(|body| &body.glance)
    }
}

/// An engine's pod.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Pod")]
pub(crate) struct CachedPod {
    metadata: ObjectMeta,
    task: Option<String>,
    owners: Box<[String]>,
    node: Option<String>,
    view: PodView,
}

impl From<Pod> for CachedPod {
    fn from(pod: Pod) -> Self {
        let view = pod_view(&pod);
        let node = pod.spec.and_then(|spec| spec.node_name);
        Self { task: task_of(&pod.metadata), owners: owners(&pod.metadata), node, view, metadata: name_of(pod.metadata) }
    }
}

impl CachedPod {
    /// The pod, for this task. `node`: the node it runs on, if there is one of that name.
    pub(crate) fn view(&self, task_uid: &str, node: impl Fn(&str) -> Option<Arc<Node>>) -> PodView {
        let node_lost = self.node.as_deref().is_some_and(|name| !node(name).is_some_and(|node| node_ready(&node)));
        PodView { ours: self.task.is_some() && owns(&self.owners, task_uid), node_lost, ..self.view.clone() }
    }

    /// Whether it came up with this image.
    pub(crate) fn proves(&self, image: &str) -> bool {
        self.view.ready && self.view.image == image
    }

    /// Whether it was made with this image.
    pub(crate) fn made_with(&self, image: &str) -> bool {
        self.view.image == image
    }

    /// See [`PodView::uses`].
    pub(crate) fn uses(&self) -> Option<(PoolKey, u32)> {
        self.view.uses()
    }
}

/// A plan's ConfigMap, by its metadata.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "PartialObjectMeta<ConfigMap>")]
pub(crate) struct CachedPlan {
    metadata: ObjectMeta,
    task: Option<String>,
    owners: Box<[String]>,
    view: PlanView,
}

impl From<PartialObjectMeta<ConfigMap>> for CachedPlan {
    fn from(map: PartialObjectMeta<ConfigMap>) -> Self {
        let (task, owners, view) = (task_of(&map.metadata), owners(&map.metadata), plan_view(&map.metadata));
        Self { task, owners, view, metadata: name_of(map.metadata) }
    }
}

impl CachedPlan {
    /// The plan, for this task; None for one that is not ours.
    pub(crate) fn view(&self, task_uid: &str) -> Option<PlanView> {
        owns(&self.owners, task_uid).then(|| self.view.clone())
    }
}

/// An object that was made for a task.
pub(crate) trait OfTask {
    /// Name of the task.
    fn task(&self) -> Option<&str>;
}

impl OfTask for CachedPod {
    fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }
}

impl OfTask for CachedPlan {
    fn task(&self) -> Option<&str> {
        self.task.as_deref()
    }
}

fn task_of(metadata: &ObjectMeta) -> Option<String> {
    metadata.labels.as_ref()?.get(LABEL_TASK).cloned()
}

fn owners(metadata: &ObjectMeta) -> Box<[String]> {
    metadata.owner_references.iter().flatten().map(|owner| owner.uid.clone()).collect()
}

fn owns(owners: &[String], uid: &str) -> bool {
    owners.iter().any(|owner| owner == uid)
}

/// What an object is found by, and from where its watch goes on.
fn name_of(metadata: ObjectMeta) -> ObjectMeta {
    let ObjectMeta { name, namespace, resource_version, .. } = metadata;
    ObjectMeta { name, namespace, resource_version, ..ObjectMeta::default() }
}

/// What no decision looks at is not kept.
pub(crate) fn slim(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// The type is watched as `$kind` is.
macro_rules! watched_as {
    ($type:ty, $kind:ty) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                <$kind>::kind(&())
            }

            fn group((): &()) -> Cow<'_, str> {
                <$kind>::group(&())
            }

            fn version((): &()) -> Cow<'_, str> {
                <$kind>::version(&())
            }

            fn plural((): &()) -> Cow<'_, str> {
                <$kind>::plural(&())
            }

            fn metadata_api() -> bool {
                <$kind>::metadata_api()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

watched_as!(CachedTask, MigrationTask);
watched_as!(CachedPod, Pod);
watched_as!(CachedPlan, PartialObjectMeta<ConfigMap>);

#[cfg(test)]
mod tests;
