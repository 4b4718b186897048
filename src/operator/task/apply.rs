//! Writes what was decided. Every call is idempotent: what an operator that died had done already is found done.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource};
use serde_json::json;

use super::Error;
use super::build::Built;
use super::report::Note;
use crate::api::engine::{ANNOTATION_PLAN, PLAN_KEY, engine_name};
use crate::api::{API_VERSION, EnginePlan, MigrationTask, MigrationTaskStatus};
use crate::operator::context::{Context, EventQueue};
use crate::operator::ledger::TaskKey;
use crate::operator::metrics::Kind;

/// Name under which the operator owns fields.
pub const MANAGER: &str = "godwit-operator";

fn apply() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

/// Writes the status, and remembers it with the resourceVersion that the task has by it.
pub async fn status(ctx: &Context, task: &MigrationTask, key: &TaskKey, status: &MigrationTaskStatus) -> Result<(), Error> {
    let api: Api<MigrationTask> = Api::namespaced(ctx.client.clone(), &key.namespace);
    // The uid keeps the status of a task that is gone from one of the same name.
    let patch = json!({
        "apiVersion": API_VERSION,
        "kind": MigrationTask::kind(&()),
        "metadata": {"name": key.name, "uid": task.metadata.uid},
        "status": status,
    });
    ctx.take_turn().await;
    let written = api.patch_status(&key.name, &apply(), &Patch::Apply(&patch)).await.map_err(Error::at("writing status"))?;
    ctx.metrics.wrote_status(Kind::MigrationTask);
    let version = written.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
    ctx.remember(key, |memory| {
        memory.written = Some((status.clone(), version));
        memory.written_at = Some(std::time::Instant::now());
    });
    Ok(())
}

/// Puts the plan in place, then makes the pod: a pod never finds an older plan.
pub async fn create(ctx: &Context, key: &TaskKey, built: &Built) -> Result<(), Error> {
    put_plan(ctx, key, built).await?;
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    ctx.take_turn().await;
    match pods.create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, &built.pod).await {
        Ok(_) => Ok(()),
        // Made by a predecessor, or one that is on its way out; the cache will tell.
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        Err(error) => Err(Error::at("creating the engine's pod")(error)),
    }
}

/// Whether the engine's pod is there, asked of the API server itself.
pub async fn has_pod(ctx: &Context, key: &TaskKey) -> Result<bool, Error> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    ctx.take_turn().await;
    let pod = pods.get_metadata_opt(&engine_name(&key.name)).await.map_err(Error::at("looking for the engine's pod"))?;
    Ok(pod.is_some())
}

/// Gives the running engine a new plan, and makes its kubelet look at once.
pub async fn refresh(ctx: &Context, key: &TaskKey, built: &Built) -> Result<(), Error> {
    put_plan(ctx, key, built).await?;
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let name = built.pod.metadata.name.as_deref().unwrap_or_default();
    let patch = json!({"metadata": {"annotations": {ANNOTATION_PLAN: built.plan}}});
    ctx.take_turn().await;
    match pods.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(Error::at("announcing the plan to the engine's pod")(error)),
    }
}

async fn put_plan(ctx: &Context, key: &TaskKey, built: &Built) -> Result<(), Error> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let name = built.config_map.metadata.name.as_deref().unwrap_or_default();
    ctx.take_turn().await;
    maps.patch(name, &apply(), &Patch::Apply(&built.config_map)).await.map_err(Error::at("writing the engine's plan"))?;
    Ok(())
}

/// The plan that the engine works by.
pub async fn plan(ctx: &Context, key: &TaskKey, name: &str) -> Result<Option<EnginePlan>, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &key.namespace);
    ctx.take_turn().await;
    let map = maps.get_opt(name).await.map_err(Error::at("reading the engine's plan"))?;
    Ok(map.and_then(|map| map.data?.remove(PLAN_KEY)).and_then(|text| serde_json::from_str(&text).ok()))
}

/// Deletes this very pod, not one that has taken its name. `force`: without waiting for a node that is gone.
pub async fn delete_pod(ctx: &Context, key: &TaskKey, name: &str, uid: &str, force: bool) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let parameters = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        grace_period_seconds: force.then_some(0),
        ..DeleteParams::default()
    };
    ctx.take_turn().await;
    match pods.delete(name, &parameters).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(Error::at("deleting the engine's pod")(error)),
    }
}

/// Sets the finalizers, unless the task has changed meanwhile.
pub async fn finalizers(ctx: &Context, task: &MigrationTask, key: &TaskKey, finalizers: &[String]) -> Result<(), Error> {
    let api: Api<MigrationTask> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": task.metadata.resource_version}});
    ctx.take_turn().await;
    match api.patch_metadata(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(Error::at("writing finalizers")(error)),
    }
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Hands an event to who publishes them: no look waits for it. One that is lost loses nothing else.
pub fn event<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, note: &Note) {
    let event = Event {
        type_: if note.warning { EventType::Warning } else { EventType::Normal },
        reason: note.reason.clone(),
        note: Some(note.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if ctx.events.try_send((event, object.object_ref(&()))).is_err() {
        tracing::debug!(reason = note.reason, "more events than can be published; this one is left out");
    }
}

/// Tells that a task goes without its fence. The event is about the namespace: in one that ends no event can be made.
pub fn tell_unfenced(ctx: &Context, key: &TaskKey) {
    let message = format!(
        "MigrationTask {key} could not be fenced, because its namespace is being deleted: a task of the same namespace and name would go on where \
         it stood"
    );
    tracing::warn!(task = %key, message, "the task goes without its fence");
    if let Some(namespace) = ctx.caches.namespaces.get(&kube::runtime::reflector::ObjectRef::new(&key.namespace)) {
        event(ctx, &*namespace, &Note { warning: true, reason: "NotFenced".to_owned(), message });
    }
}

/// Publishes events, in their order, at the pace that the API server is given.
pub async fn publish(ctx: &Context, mut events: EventQueue) {
    while let Some((event, object)) = events.recv().await {
        ctx.take_turn().await;
        if let Err(error) = ctx.recorder.publish(&event, &object).await {
            tracing::debug!(%error, reason = event.reason, "the event could not be written");
        }
    }
}
