//! What the kubelet mounts into an engine's pod, checked against the contract of `godwit::api::engine`.

use godwit::api::engine::{LABEL_MODE, LABEL_TASK, PLAN_FOLDER, PLAN_KEY, SECRETS_FOLDER, engine_name, plan_text};
use godwit::api::{EngineMode, EnginePlan};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Volume};
use kube::{Api, ResourceExt};

use super::kubelet::Shared;

/// Why a pod cannot start.
#[derive(Debug)]
pub enum Missing {
    /// An object that is not there yet: the kubelet tries again.
    Object(String),
    /// Something that can never work.
    Contract(String),
    /// The API server did not answer.
    Api(kube::Error),
}

impl From<kube::Error> for Missing {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

/// Looks at every volume and reads the plan.
pub async fn mount(shared: &Shared, pod: &Pod) -> Result<EnginePlan, Missing> {
    let namespace = pod.namespace().unwrap_or_default();
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    for volume in volumes {
        if let Some(secret) = volume.secret.as_ref().filter(|secret| secret.optional != Some(true)) {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            if !shared.has_seen_secret(&namespace, name) {
                exists::<Secret>(shared, &namespace, name, "secret").await?;
                shared.note_secret(&namespace, name);
            }
            let folder = format!("{SECRETS_FOLDER}/{name}");
            if mounted_at(pod, volume).as_deref() != Some(&folder) {
                return Err(Missing::Contract(format!("Secret {name} is not mounted at {folder}")));
            }
        }
    }
    plan(shared, &namespace, pod, volumes).await
}

/// Reads the plan again. What was mounted of Secrets stays, whatever has become of them.
pub async fn changed_plan(shared: &Shared, pod: &Pod) -> Result<EnginePlan, Missing> {
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
    plan(shared, &pod.namespace().unwrap_or_default(), pod, volumes).await
}

async fn plan(shared: &Shared, namespace: &str, pod: &Pod, volumes: &[Volume]) -> Result<EnginePlan, Missing> {
    let contract = |text: String| Err(Missing::Contract(text));
    let task = pod.labels().get(LABEL_TASK).cloned().unwrap_or_default();
    let wanted = engine_name(&task);
    if pod.name_any() != wanted {
        return contract(format!("the pod of {task} is not called {wanted}"));
    }
    let Some(volume) = volumes.iter().find(|volume| volume.config_map.as_ref().is_some_and(|map| map.name == wanted)) else {
        return contract(format!("{wanted} does not mount the ConfigMap of its plan"));
    };
    if mounted_at(pod, volume).as_deref() != Some(PLAN_FOLDER) {
        return contract(format!("the plan of {wanted} is not mounted at {PLAN_FOLDER}"));
    }
    let map = exists::<ConfigMap>(shared, namespace, &wanted, "configmap").await?;
    let text = match plan_text(&map) {
        Some(Ok(text)) => text,
        Some(Err(problem)) => return contract(format!("the plan of {wanted} {problem}")),
        None => return contract(format!("ConfigMap {wanted} has no plan")),
    };
    let plan: EnginePlan = match serde_json::from_str(&text) {
        Ok(plan) => plan,
        Err(error) => return contract(format!("{PLAN_KEY} of {wanted}: {error}")),
    };
    let mode = pod.labels().get(LABEL_MODE).map(String::as_str);
    // An engine that runs is told to fence by a plan of that mode.
    let told = mode == Some("Run") && plan.mode == EngineMode::Stop;
    if plan.task.namespace != namespace || plan.task.name != task || mode != Some(plan.mode.as_str()) && !told {
        return contract(format!("{wanted} has mode {mode:?} and the plan of {:?} in mode {:?}", plan.task, plan.mode));
    }
    Ok(plan)
}

async fn exists<K>(shared: &Shared, namespace: &str, name: &str, kind: &str) -> Result<K, Missing>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let _turn = shared.turn().await;
    let found = Api::<K>::namespaced(shared.client.clone(), namespace).get_opt(name).await?;
    found.ok_or_else(|| Missing::Object(format!("MountVolume.SetUp failed: {kind} \"{name}\" not found")))
}

fn mounted_at(pod: &Pod, volume: &Volume) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    let mounts = containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
    mounts.filter(|mount| mount.name == volume.name).map(|mount| mount.mount_path.trim_end_matches('/').to_owned()).next()
}
