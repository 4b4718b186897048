//! What a change of the spec means to an engine that runs. One table for both sides: by it the operator decides whether a change takes a new pod or
//! a new plan, and the engine which changes of its plan it follows.

use serde_json::{Map, Value};

use super::engine::{EngineMode, EnginePlan};
use super::task::MigrationTaskSpec;

/// What a change of one field of the spec means while an engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing for the engine: the operator acts upon it, or it mattered before the engine began.
    Aside,
    /// The engine takes it over as it runs.
    Live,
    /// It takes a new pod.
    NewPod,
}

/// Every field of the spec. `cluster` is [`Effect::Aside`] because a pod's units are told by its labels, not by the spec.
const FIELDS: [(&str, Effect); 27] = [
    ("desiredState", Effect::Aside),
    ("deletionPolicy", Effect::Aside),
    ("migrationTypes", Effect::NewPod),
    ("cluster", Effect::Aside),
    // Both are labels of the pod.
    ("environment", Effect::NewPod),
    ("resourceGroup", Effect::NewPod),
    ("source", Effect::NewPod),
    ("destination", Effect::NewPod),
    ("objects", Effect::NewPod),
    ("excludeDatabases", Effect::NewPod),
    ("dml", Effect::NewPod),
    ("ddl", Effect::NewPod),
    ("conflictPolicy", Effect::NewPod),
    ("nameCase", Effect::NewPod),
    ("definer", Effect::NewPod),
    ("triggers", Effect::NewPod),
    ("accounts", Effect::NewPod),
    ("floatPrecision", Effect::NewPod),
    ("onlineDdl", Effect::NewPod),
    // What is ignored matters until the precheck has passed: see `effect`.
    ("precheck", Effect::Aside),
    ("throttle", Effect::Live),
    ("retry", Effect::Live),
    ("heartbeat", Effect::NewPod),
    ("diagnostics", Effect::NewPod),
    ("verification", Effect::NewPod),
    ("alerts", Effect::Live),
    ("cutover", Effect::NewPod),
];

/// What a change of `field`, a field of the spec by its name in JSON, means to an engine of this mode. What is not known takes a new pod.
pub fn effect(field: &str, mode: EngineMode) -> Effect {
    if field == "precheck" && mode == EngineMode::Precheck {
        return Effect::NewPod;
    }
    FIELDS.iter().find(|(name, _)| *name == field).map_or(Effect::NewPod, |(_, effect)| *effect)
}

/// The fields of a spec with one of these effects, as JSON.
pub fn fields(spec: &MigrationTaskSpec, mode: EngineMode, effects: &[Effect]) -> Map<String, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(spec) else { return Map::new() };
    fields.retain(|name, _| effects.contains(&effect(name, mode)));
    fields
}

impl EnginePlan {
    /// Whether `new` asks an engine that runs by this plan to end its work and to mark the task as stopped, whatever else it says.
    pub fn fences(&self, new: &Self) -> bool {
        self.mode == EngineMode::Run
            && new.mode == EngineMode::Stop
            && self.task == new.task
            && self.api_version == new.api_version
    }

    /// Paths of what differs in `new` and takes a new pod; empty: an engine that runs by this plan follows the new one. `resources` are left out: they
    /// tell what the pod has, and an engine has taken its share of it when it began.
    pub fn needs_new_pod(&self, new: &Self) -> Vec<String> {
        let whole = [
            ("apiVersion", self.api_version != new.api_version),
            ("mode", self.mode != new.mode),
            ("task", self.task != new.task),
            ("secretHosts", self.secret_hosts != new.secret_hosts),
        ];
        let mut found: Vec<String> = whole.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect();
        let of = |plan: &Self| fields(&plan.spec, self.mode, &[Effect::NewPod]);
        let (before, after) = (of(self), of(new));
        let mut names: Vec<&String> =
            before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
        names.sort();
        names.dedup();
        found.extend(names.into_iter().map(|name| format!("spec.{name}")));
        found
    }
}

/// For tests: every field of the spec with a value that is not its default, by the CRD's schema. A field that is added later is missed by name.
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests")]
pub mod sample {
    use serde_json::{Value, json};

    use super::{FIELDS, MigrationTaskSpec};
    use crate::crd::{crds, open_api_schema};

    /// A spec to start from.
    pub fn spec() -> Value {
        let end = json!({"mysql": {"host": "db", "credentials": {"secretName": "login"}}});
        json!({"source": end, "destination": end})
    }

    fn other(field: &str) -> Value {
        match field {
            "desiredState" => json!("Paused"),
            "deletionPolicy" => json!("Fence"),
            "migrationTypes" => json!(["Full"]),
            "cluster" => json!({"name": "prod", "units": 4, "priority": 7}),
            "environment" | "resourceGroup" => json!("Other"),
            "source" | "destination" => json!({"mysql": {"host": "other", "credentials": {"secretName": "login"}}}),
            "objects" => json!([{"database": "shop"}]),
            "excludeDatabases" => json!(["a"]),
            "dml" | "ddl" => json!([]),
            "conflictPolicy" => json!("IgnoreErrorsAndProceed"),
            "nameCase" => json!("Lower"),
            "definer" => json!("Keep"),
            "triggers" => json!("Manual"),
            "accounts" => json!({"migrate": true}),
            "floatPrecision" => json!({"float": 3}),
            "onlineDdl" => json!({"mode": "GhOst"}),
            "precheck" => json!({"ignore": ["SourceRetention"]}),
            "throttle" => json!({"full": {"rowsPerSecond": 5}}),
            "retry" => json!({"connectionMinutes": 99}),
            "heartbeat" => json!({"enabled": true}),
            "diagnostics" => json!({"rowValues": true}),
            "verification" => json!({"schema": true}),
            "alerts" => json!({"latencySeconds": 7}),
            "cutover" => json!({"requested": true}),
            unknown => panic!("spec.{unknown} is new: say in api::change what its change means, and give it a value here"),
        }
    }

    /// Name of each field, and the spec of [`spec`] with this field changed.
    pub fn changes() -> Vec<(String, MigrationTaskSpec)> {
        let schema = crds().first().and_then(open_api_schema).unwrap();
        let known = schema.pointer("/properties/spec/properties").and_then(Value::as_object).unwrap();
        let mut names: Vec<&str> = known.keys().map(String::as_str).collect();
        let mut classified: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        classified.sort_unstable();
        assert_eq!(names, classified, "every field of the spec is classified in api::change, once");
        let changed = |name: &str| {
            let mut spec = spec();
            spec[name] = other(name);
            (name.to_owned(), serde_json::from_value(spec).unwrap())
        };
        names.into_iter().map(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineResources, Retry, TaskIdentity};

    #[test]
    fn every_field_is_followed_or_takes_a_new_pod() {
        let plan = |spec: MigrationTaskSpec| EnginePlan {
            api_version: crate::API_VERSION.into(),
            mode: EngineMode::Run,
            task: TaskIdentity::default(),
            generation: 1,
            spec,
            retry: Retry::default(),
            resources: EngineResources::default(),
            secret_hosts: std::collections::BTreeMap::new(),
            token: String::new(),
        };
        let before: MigrationTaskSpec = serde_json::from_value(sample::spec()).unwrap();
        let mut counts = [0; 3];
        for (name, changed) in sample::changes() {
            assert_ne!(before, changed, "{name}");
            let found = plan(before.clone()).needs_new_pod(&plan(changed));
            let effect = effect(&name, EngineMode::Run);
            counts[effect as usize] += 1;
            assert_eq!(found, if effect == Effect::NewPod { vec![format!("spec.{name}")] } else { vec![] }, "{name}");
        }
        assert!(counts.iter().all(|count| *count > 2), "{counts:?}");
        assert_eq!(effect("precheck", EngineMode::Precheck), Effect::NewPod);
        assert_eq!(effect("never heard of", EngineMode::Run), Effect::NewPod);
    }

    #[test]
    fn what_a_plan_is_for_takes_a_new_pod() {
        let plan = EnginePlan {
            api_version: crate::API_VERSION.into(),
            mode: EngineMode::Run,
            task: TaskIdentity::default(),
            generation: 1,
            spec: serde_json::from_value(sample::spec()).unwrap(),
            retry: Retry::default(),
            resources: EngineResources::default(),
            secret_hosts: std::collections::BTreeMap::new(),
            token: String::new(),
        };
        let resources = EngineResources { units: 8, cpu_millis: 4000, memory_bytes: 4 << 30 };
        let later =
            EnginePlan { generation: 2, resources, retry: Retry { other_minutes: 1, ..Retry::default() }, ..plan.clone() };
        assert!(plan.needs_new_pod(&later).is_empty());
        let task = TaskIdentity { uid: "other".into(), ..TaskIdentity::default() };
        let other = EnginePlan { api_version: "v9".into(), mode: EngineMode::Stop, task, ..plan.clone() };
        assert_eq!(plan.needs_new_pod(&other), ["apiVersion", "mode", "task"]);
    }
}
