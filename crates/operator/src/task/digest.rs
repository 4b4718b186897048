//! Digests by which the operator sees what has changed: of what needs a new pod, of what a running engine takes over, of what must stay.

use serde::Serialize;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_128;

use super::observe::Secrets;
use godwit_api::change::{Effect, fields};
use godwit_api::manifest::{HostLimits, resume_fingerprint};
use godwit_api::{ANNOTATION_PRECHECK_AGAIN, ANNOTATION_RESTART, EngineMode, EnginePlan, MigrationTask, MigrationTaskSpec};

/// Digest of all that can only change with a new pod of this mode: the spec without what is live, for which hosts the Secrets are, and the annotation
/// that asks for a new one. What the pool says (resources, placement) is left out: a pod that runs keeps what it has. So is what stands in the
/// Secrets: the kubelet brings it, and the engine reads it when it connects anew.
pub(crate) fn template(task: &MigrationTask, mode: EngineMode, hosts: &HostLimits) -> String {
    let spec = fields(&task.spec, mode, &[Effect::NewPod]);
    let annotation = match mode {
        EngineMode::Precheck => ANNOTATION_PRECHECK_AGAIN,
        EngineMode::Run | EngineMode::Stop => ANNOTATION_RESTART,
    };
    let asked = task.metadata.annotations.as_ref().and_then(|all| all.get(annotation));
    digest(&json!({"spec": spec, "secrets": hosts, "asked": asked}))
}

/// What a try was made with, the Secrets' values behind the point: another one is a reason to try again what has failed.
pub(crate) fn asked(task: &MigrationTask, mode: EngineMode, secrets: &Secrets) -> String {
    format!("{}.{}", template(task, mode, &secrets.hosts), secrets.data)
}

/// Digest of a plan, as far as it means something to its engine: what only the operator acts upon must not reach into a running pod, and the
/// generation alone changes nothing.
pub(crate) fn plan(plan: &EnginePlan) -> String {
    let EnginePlan { api_version, mode, task, generation: _, spec, retry, resources, secret_hosts, token } = plan;
    let spec = fields(spec, *mode, &[Effect::NewPod, Effect::Live]);
    digest(&json!({
        "apiVersion": api_version, "mode": mode, "task": task, "spec": spec, "retry": retry, "resources": resources,
        "secretHosts": secret_hosts, "token": token,
    }))
}

/// Digest of the parts of a spec that must not change once rows are at the destination.
pub(crate) fn fingerprint(spec: &MigrationTaskSpec) -> String {
    digest(&resume_fingerprint(spec))
}

/// Digest of any value, by its JSON.
pub(crate) fn digest(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    format!("{:032x}", xxh3_128(&text))
}
