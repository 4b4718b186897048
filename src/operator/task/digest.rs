//! Digests by which the operator sees what has changed: of what needs a new pod, of what a running engine takes over, of what must stay.

use serde::Serialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use crate::api::{ANNOTATION_PRECHECK_AGAIN, ANNOTATION_RESTART, EngineMode, EnginePlan, MigrationTask, MigrationTaskSpec};
use crate::manifest::resume_fingerprint;

/// Fields that do not need a new pod: the operator's own business, and what a running engine takes over.
const NOT_IN_TEMPLATE: [&str; 6] = ["desiredState", "deletionPolicy", "cluster", "throttle", "retry", "alerts"];

/// Digest of all that can only change with a new pod of this mode: the spec without what is live, the Secrets, and the annotation that asks for
/// a new one. What the pool says (resources, placement) is left out: a pod keeps what it has.
pub fn template(task: &MigrationTask, mode: EngineMode, secrets: &str) -> String {
    let mut spec = serde_json::to_value(&task.spec).unwrap_or_default();
    if let Some(fields) = spec.as_object_mut() {
        for field in NOT_IN_TEMPLATE {
            fields.remove(field);
        }
        // What is ignored matters until the precheck has passed; a running engine does not look at it.
        if mode != EngineMode::Precheck {
            fields.remove("precheck");
        }
    }
    let annotation = match mode {
        EngineMode::Precheck => ANNOTATION_PRECHECK_AGAIN,
        EngineMode::Run | EngineMode::Stop => ANNOTATION_RESTART,
    };
    let asked = task.metadata.annotations.as_ref().and_then(|all| all.get(annotation));
    digest(&json!({"spec": spec, "secrets": secrets, "asked": asked}))
}

/// Digest of a plan. The generation is left out: it alone changes nothing for an engine.
pub fn plan(plan: &EnginePlan) -> String {
    let mut value = serde_json::to_value(plan).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("generation");
        // What only the operator acts upon must not reach into a running pod.
        if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
            for field in ["desiredState", "deletionPolicy", "cluster"] {
                spec.remove(field);
            }
        }
    }
    digest(&value)
}

/// Digest of the parts of a spec that must not change once rows are at the destination.
pub fn fingerprint(spec: &MigrationTaskSpec) -> String {
    digest(&resume_fingerprint(spec))
}

/// Digest of any value, by its JSON.
pub fn digest(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    format!("{:032x}", xxh3_128(&text))
}
