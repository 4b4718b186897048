//! Writes what was decided. Every call is idempotent: what an operator that died had done already is found done.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource};
use serde_json::{Value, json};

use super::Error;
use super::build::Built;
use super::report;
use crate::cached::Packed;
use crate::context::Context;
use crate::events::{self, Note};
use crate::ledger::TaskKey;
use crate::metrics::Kind;
use crate::trouble::Trouble;
use godwit_api::condition::Condition;
use godwit_api::engine::{
    ANNOTATION_PLAN, ANNOTATION_TEMPLATE, LABEL_ENVIRONMENT, LABEL_RESOURCE_GROUP, LABEL_TASK, PLAN_KEY, PLAN_KEY_PACKED,
    engine_name, plan_text,
};
use godwit_api::{API_VERSION, EnginePlan, GROUP, MigrationTask, MigrationTaskStatus};

/// Name under which the operator owns fields.
pub(crate) const MANAGER: &str = "godwit-operator";

fn apply() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

/// Writes the status, and remembers it with the resourceVersion that the task has by it.
pub(crate) async fn status(
    ctx: &Context,
    task: &MigrationTask,
    key: &TaskKey,
    status: &MigrationTaskStatus,
) -> Result<(), Error> {
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
        memory.written = Some((Packed::new(status), version));
        memory.written_at = Some(std::time::Instant::now());
    });
    Ok(())
}

/// Tells in the conditions of a resource, whose spec need not be readable for that, why it cannot be read. What else stands in its status stays. True:
/// it was news.
pub(crate) async fn malformed<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    api: &Api<DynamicObject>,
    raw: &K,
    name: &str,
    error: &str,
) -> Result<bool, Error> {
    ctx.take_turn().await;
    let Some(object) = api.get_opt(name).await.map_err(Error::at("reading a resource that cannot be understood"))? else {
        return Ok(false);
    };
    let status = object.data.get("status").cloned().unwrap_or_default();
    let before: Vec<Condition> =
        status.get("conditions").cloned().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    let generation = object.metadata.generation;
    let (conditions, message) = report::malformed(&before, error, generation, Timestamp::now());
    if conditions == before {
        return Ok(false);
    }
    // The version keeps it from one that was corrected meanwhile.
    let patch = json!({
        "metadata": {"resourceVersion": object.metadata.resource_version},
        "status": {"observedGeneration": generation, "message": message, "conditions": conditions},
    });
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    ctx.take_turn().await;
    match api.patch_status(name, &parameters, &Patch::Merge(&patch)).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => return Ok(false),
        Err(error) => return Err(Error::at("writing the status of a resource that cannot be understood")(error)),
    }
    events::tell(ctx, raw, &Note { warning: true, reason: report::MALFORMED.to_owned(), message });
    Ok(true)
}

/// Puts the plan in place, then makes the pod: a pod never finds an older plan. `known`: the plan's ConfigMap is there and the task's own.
pub(crate) async fn create(ctx: &Context, key: &TaskKey, built: &Built, known: bool) -> Result<(), Error> {
    put_plan(ctx, key, built, known).await?;
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let name = built.pod.metadata.name.as_deref().unwrap_or_default();
    ctx.take_turn().await;
    match pods.create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, &built.pod).await {
        Ok(_) => Ok(()),
        // Made by a predecessor, or one that is on its way out; the cache will tell. A stranger never comes into the cache.
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            ctx.take_turn().await;
            let there =
                pods.get_metadata_opt(name).await.map_err(Error::at("looking whose pod stands under the engine's name"))?;
            match there {
                Some(pod) if !belongs(&pod.metadata, key) => Err(Error::Refused(pod_name_taken(name))),
                _ => Ok(()),
            }
        }
        Err(error) => Err(refusal("PodRefused", "creating the engine's pod", error)),
    }
}

/// Whether the engine's pod is there, asked of the API server itself.
pub(crate) async fn has_pod(ctx: &Context, key: &TaskKey) -> Result<bool, Error> {
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    ctx.take_turn().await;
    let pod = pods.get_metadata_opt(&engine_name(&key.name)).await.map_err(Error::at("looking for the engine's pod"))?;
    Ok(pod.is_some())
}

/// Gives the running engine a new plan, and makes its kubelet look at once. `known` as for [`create`].
pub(crate) async fn refresh(ctx: &Context, key: &TaskKey, built: &Built, known: bool) -> Result<(), Error> {
    put_plan(ctx, key, built, known).await?;
    let pods: Api<Pod> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let name = built.pod.metadata.name.as_deref().unwrap_or_default();
    let patch = json!({"metadata": {"annotations": {ANNOTATION_PLAN: built.plan}}});
    ctx.take_turn().await;
    match pods.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) => Err(refusal("PlanRefused", "announcing the plan to the engine's pod", error)),
    }
}

async fn put_plan(ctx: &Context, key: &TaskKey, built: &Built, known: bool) -> Result<(), Error> {
    // One that has gone meanwhile is made anew.
    if known && change_plan(ctx, key, built).await? {
        return Ok(());
    }
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let name = built.config_map.metadata.name.as_deref().unwrap_or_default();
    ctx.take_turn().await;
    match maps.create(&PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }, &built.config_map).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
        result => return result.map(drop).map_err(|error| refusal("PlanRefused", "writing the engine's plan", error)),
    }
    // What an app keeps under this name must neither be overwritten nor go with the task.
    ctx.take_turn().await;
    let there = maps.get_metadata_opt(name).await.map_err(Error::at("looking whose ConfigMap stands under the plan's name"))?;
    if there.is_some_and(|map| !belongs(&map.metadata, key)) {
        return Err(Error::Refused(plan_name_taken(name)));
    }
    change_plan(ctx, key, built).await.map(drop)
}

/// Writes the plan over the one that stands; false: there is none.
async fn change_plan(ctx: &Context, key: &TaskKey, built: &Built) -> Result<bool, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &key.namespace);
    let patch = plan_patch(&built.config_map);
    let name = built.config_map.metadata.name.as_deref().unwrap_or_default();
    let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    ctx.take_turn().await;
    match maps.patch(name, &parameters, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(refusal("PlanRefused", "writing the engine's plan", error)),
    }
}

/// The plan as a merge, which leaves alone what it does not name: labels that the spec does not ask for any more are.
fn plan_patch(map: &ConfigMap) -> Value {
    let mut patch = json!(map);
    for (place, key) in [("data", PLAN_KEY), ("binaryData", PLAN_KEY_PACKED)] {
        if patch[place].get(key).is_none() {
            patch[place] = json!({key: null});
        }
    }
    for label in [LABEL_ENVIRONMENT, LABEL_RESOURCE_GROUP] {
        if let Some(labels) = patch.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
            labels.entry(label).or_insert(Value::Null);
        }
    }
    patch
}

/// Whether an object was made for a task of this name, be it an earlier one. One whose task was deleted with `--cascade=orphan` has no owner any more;
/// what the operator alone writes shows whose it is.
fn belongs(metadata: &ObjectMeta, key: &TaskKey) -> bool {
    let labelled = metadata.labels.as_ref().is_some_and(|labels| labels.get(LABEL_TASK) == Some(&key.name));
    let ours = |owner: &OwnerReference| owner.kind == MigrationTask::kind(&()) && owner.api_version.starts_with(GROUP);
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let marked = metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ANNOTATION_TEMPLATE));
    labelled && (owners.iter().any(|owner| ours(owner) && owner.name == key.name) || owners.is_empty() && marked)
}

/// A pod that the operator did not make has the engine's name.
pub(crate) fn pod_name_taken(name: &str) -> Trouble {
    let message = format!("a pod that is not the task's own stands under the name of its engine, {name}; remove or rename it");
    Trouble { reason: "PodNameTaken", message }
}

fn plan_name_taken(name: &str) -> Trouble {
    let message =
        format!("a ConfigMap that is not the task's own stands under the name of its engine's plan, {name}; remove or rename it");
    Trouble { reason: "PlanNameTaken", message }
}

/// An error of the API server; a refusal, in its words, where it will go on refusing until somebody changes something: a quota, a LimitRange, Pod
/// Security, a webhook. The objects that are refused hold no secret, so its words hold none.
fn refusal(reason: &'static str, doing: &'static str, error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) if refuses(status.code, &status.message) => {
            let words: String = status.message.chars().take(2000).collect();
            Error::Refused(Trouble { reason, message: format!("{doing}: the API server refuses it: {words}; it is tried again") })
        }
        error => Error::at(doing)(error),
    }
}

/// A webhook that cannot be asked is told as an error of the server (`apiserver/pkg/admission/plugin/webhook`).
fn refuses(code: u16, message: &str) -> bool {
    matches!(code, 400 | 403 | 405 | 413 | 422) || code >= 500 && message.contains("webhook")
}

/// The plan that the engine works by.
pub(crate) async fn plan(ctx: &Context, key: &TaskKey, name: &str) -> Result<Option<EnginePlan>, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), &key.namespace);
    ctx.take_turn().await;
    let map = maps.get_opt(name).await.map_err(Error::at("reading the engine's plan"))?;
    Ok(map.as_ref().and_then(plan_text).and_then(Result::ok).and_then(|text| serde_json::from_str(&text).ok()))
}

/// Deletes this very pod, not one that has taken its name. `force`: without waiting for a node that is gone.
pub(crate) async fn delete_pod(ctx: &Context, key: &TaskKey, name: &str, uid: &str, force: bool) -> Result<(), Error> {
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
pub(crate) async fn finalizers(ctx: &Context, task: &MigrationTask, key: &TaskKey, finalizers: &[String]) -> Result<(), Error> {
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

/// Tells that a task goes without its fence. The event is about the namespace: in one that ends no event can be made.
pub(crate) fn tell_unfenced(ctx: &Context, key: &TaskKey) {
    let message = format!(
        "MigrationTask {key} could not be fenced, because its namespace is being deleted: a task of the same namespace and name would go on where \
         it stood"
    );
    tracing::warn!(task = %key, message, "the task goes without its fence");
    if let Some(namespace) = ctx.caches.namespaces.get(&kube::runtime::reflector::ObjectRef::new(&key.namespace)) {
        events::tell(ctx, &*namespace, &Note { warning: true, reason: "NotFenced".to_owned(), message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_told_apart_from_what_went_wrong() {
        let refused = [
            (403, "pods \"shop-engine\" is forbidden: exceeded quota: small"),
            (422, "Pod \"shop-engine\" is invalid"),
            (400, "admission webhook \"policy.example.com\" denied the request: no"),
            (500, "Internal error occurred: failed calling webhook \"policy.example.com\": connection refused"),
        ];
        for (code, words) in refused {
            assert!(refuses(code, words), "{words}");
        }
        for (code, words) in
            [(500, "etcdserver: request timed out"), (429, "too many requests"), (409, "conflict"), (404, "not found")]
        {
            assert!(!refuses(code, words), "{words}");
        }
    }

    #[test]
    fn labels_that_are_not_asked_for_any_more_go() {
        let labels = [(LABEL_TASK.to_owned(), "shop".to_owned()), (LABEL_ENVIRONMENT.to_owned(), "Production".to_owned())];
        let metadata = ObjectMeta { labels: Some(labels.into()), ..ObjectMeta::default() };
        let patch = plan_patch(&ConfigMap { metadata, ..ConfigMap::default() });
        let wanted = json!({LABEL_TASK: "shop", LABEL_ENVIRONMENT: "Production", LABEL_RESOURCE_GROUP: null});
        assert_eq!(patch["metadata"]["labels"], wanted);
    }

    #[test]
    fn only_what_a_task_of_the_name_owns_belongs_to_it() {
        let key = TaskKey::new("data", "shop");
        let owner = |api_version: &str, kind: &str, name: &str| OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
            ..OwnerReference::default()
        };
        let object = |owners: Vec<OwnerReference>, labelled: bool| ObjectMeta {
            labels: labelled.then(|| [(LABEL_TASK.to_owned(), "shop".to_owned())].into()),
            owner_references: Some(owners),
            ..ObjectMeta::default()
        };
        let task = || owner("godwit.dev/v1alpha1", "MigrationTask", "shop");
        assert!(belongs(&object(vec![task()], true), &key));
        assert!(!belongs(&object(vec![task()], false), &key));
        assert!(!belongs(&object(vec![], true), &key));
        let orphan = ObjectMeta {
            annotations: Some([(ANNOTATION_TEMPLATE.to_owned(), "digest".to_owned())].into()),
            ..object(vec![], true)
        };
        assert!(belongs(&orphan, &key) && !belongs(&orphan, &TaskKey::new("data", "other")));
        assert!(!belongs(&object(vec![owner("apps/v1", "ReplicaSet", "shop")], true), &key));
        assert!(!belongs(&object(vec![owner("godwit.dev/v1alpha1", "MigrationTask", "other")], true), &key));
    }
}
