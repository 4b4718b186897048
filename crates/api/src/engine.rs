//! The contract between the operator and an engine's pod: what is mounted, where the engine answers, how objects are named.
//!
//! Operator to engine: an [`EnginePlan`], key [`PLAN_KEY`] of the ConfigMap [`engine_name`], mounted as a file; the kubelet replaces the file when
//! the plan changes. A long plan is compressed, under [`PLAN_KEY_PACKED`] instead. Secrets are mounted as folders below [`SECRETS_FOLDER`], one file a key. Engine to operator: [`super::StatusReport`] at
//! `GET /status` on [`STATUS_PORT`], to who proves to know the plan's token (`godwit_service::handshake`), and the last report in [`TERMINATION_LOG`].
//! Neither asks the other for anything else.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::options::Retry;
use super::task::MigrationTaskSpec;

/// Key of the plan in its ConfigMap, and name of the mounted file.
pub const PLAN_KEY: &str = "plan.json";
/// Key of a plan that is too long to stand in its ConfigMap as it is: the same, compressed with zstd.
pub const PLAN_KEY_PACKED: &str = "plan.json.zst";
/// Bytes from which on a plan is compressed; a ConfigMap holds 1 MiB, and people like to read short ones.
const PLAN_PACKED_FROM: usize = 128 << 10;
/// A plan is no larger than that when it is unpacked: etcd takes tasks of up to 1.5 MiB.
const PLAN_LIMIT: usize = 16 << 20;
/// Folder in the pod where the plan's ConfigMap is mounted.
pub const PLAN_FOLDER: &str = "/etc/godwit/plan";
/// Folder in the pod below which each Secret is mounted in a folder of its own name.
pub const SECRETS_FOLDER: &str = "/etc/godwit/secrets";
/// Where the kubelet takes the last report from.
pub const TERMINATION_LOG: &str = "/dev/termination-log";
/// TCP port of `/status`, `/metrics`, `/healthz` and `/livez` in the pod.
pub const STATUS_PORT: u16 = 8080;

/// Label of everything that belongs to a task: its name. (Its namespace is the object's own.)
pub const LABEL_TASK: &str = "godwit.dev/task";
/// Label of a pod: the [`EngineMode`] it was made for.
pub const LABEL_MODE: &str = "godwit.dev/mode";
/// Label of a pod: the pool whose units it holds; missing for the shared default.
pub const LABEL_CLUSTER: &str = "godwit.dev/cluster";
/// Label of a pod: units that it holds.
pub const LABEL_UNITS: &str = "godwit.dev/units";
/// Label made from `spec.environment`.
pub const LABEL_ENVIRONMENT: &str = "godwit.dev/environment";
/// Label made from `spec.resourceGroup`.
pub const LABEL_RESOURCE_GROUP: &str = "godwit.dev/resource-group";
/// Annotation of a pod and of its plan's ConfigMap: a digest of all that can only change with a new pod.
pub const ANNOTATION_TEMPLATE: &str = "godwit.dev/template";
/// Annotation of a plan's ConfigMap: digest of the parts of the spec that must not change once rows are at the destination.
pub const ANNOTATION_FINGERPRINT: &str = "godwit.dev/fingerprint";
/// Annotation of a pod and of its plan's ConfigMap: digest of the plan that it should have by now. Changing it on the pod makes the kubelet look at the mounted plan at once instead of
/// within a minute.
pub const ANNOTATION_PLAN: &str = "godwit.dev/plan";

/// Annotation of a plan's ConfigMap: the plan's token, so that an operator finds it again.
pub const ANNOTATION_TOKEN: &str = "godwit.dev/report-token";

/// Annotation of a pod: the image that it was made with, which a webhook may have written differently into the pod.
pub const ANNOTATION_IMAGE: &str = "godwit.dev/image";
/// Annotation of a pod: digest of the pod as it was built. One that has not started is made anew when it would be built differently by now.
pub const ANNOTATION_POD: &str = "godwit.dev/pod";

/// Name of a task's engine pod and of its plan's ConfigMap: one name, so that there is at most one of each, also across delete and re-create.
pub fn engine_name(task: &str) -> String {
    format!("{task}-engine")
}

/// What an engine is started for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EngineMode {
    /// Checks both ends and ends with exit code 0 whatever the verdict, after the report stands in the termination log. Holds no units.
    Precheck,
    /// Runs the task.
    #[default]
    Run,
    /// Marks the task as stopped at the destination, so that it can never write again, and ends.
    Stop,
}

impl EngineMode {
    /// The name in labels and plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Precheck => "Precheck",
            Self::Run => "Run",
            Self::Stop => "Stop",
        }
    }
}

/// What the operator hands to an engine. No secret ever stands in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnginePlan {
    /// Version of the document: [`super::API_VERSION`].
    pub api_version: String,
    /// What the engine is started for.
    pub mode: EngineMode,
    /// The task.
    pub task: TaskIdentity,
    /// The generation of the spec below; the engine reports it back as `observedGeneration` once it works by it.
    pub generation: i64,
    /// What the task shall do. `retry` in it is the task's own wish; the one below holds.
    pub spec: MigrationTaskSpec,
    /// The retry times that hold.
    pub retry: Retry,
    /// What the pod has.
    pub resources: EngineResources,
    /// Secrets that are not for every host, each with the list of those it is for (annotation `godwit.dev/hosts`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_hosts: BTreeMap<String, String>,
    /// By which operator and engine know each other (`godwit_service::handshake`). It opens nothing but this task's report, which whoever may read
    /// plans may read anyway.
    #[serde(default)]
    pub token: String,
}

/// Which task an engine works for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskIdentity {
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub name: String,
    /// The resource's uid.
    pub uid: String,
}

/// The pod's limits, from which the engine derives how much it does at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineResources {
    /// Data transmission units.
    pub units: u32,
    /// CPU limit in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory limit in bytes.
    pub memory_bytes: u64,
}

/// The data of a plan's ConfigMap.
pub fn plan_map(plan: &EnginePlan) -> ConfigMap {
    let text = serde_json::to_string_pretty(plan).unwrap_or_default();
    if text.len() < PLAN_PACKED_FROM {
        return ConfigMap { data: Some(BTreeMap::from([(PLAN_KEY.to_owned(), text)])), ..ConfigMap::default() };
    }
    let text = serde_json::to_vec(plan).unwrap_or_default();
    // It does not fail on memory that is there; an empty plan would be refused by the engine, by name.
    let packed = ByteString(zstd::bulk::compress(&text, 9).unwrap_or_default());
    ConfigMap { binary_data: Some(BTreeMap::from([(PLAN_KEY_PACKED.to_owned(), packed)])), ..ConfigMap::default() }
}

/// The plan's text in its ConfigMap, compressed or not.
///
/// # Errors
/// When it cannot be unpacked.
pub fn plan_text(map: &ConfigMap) -> Option<Result<String, String>> {
    if let Some(text) = map.data.as_ref().and_then(|data| data.get(PLAN_KEY)) {
        return Some(Ok(text.clone()));
    }
    map.binary_data.as_ref().and_then(|data| data.get(PLAN_KEY_PACKED)).map(|packed| unpack(&packed.0))
}

/// Text of a compressed plan.
///
/// # Errors
/// When it is none.
pub fn unpack(packed: &[u8]) -> Result<String, String> {
    let text = zstd::bulk::decompress(packed, PLAN_LIMIT).map_err(|error| format!("cannot be unpacked: {error}"))?;
    String::from_utf8(text).map_err(|error| format!("is no text: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_of_any_length_fits_into_its_config_map() {
        let plan = |tables: usize| -> EnginePlan {
            let end = json!({"mysql": {"host": "db", "credentials": {"secretName": "login"}}});
            let tables: Vec<_> = (0..tables)
                .map(|number| {
                    let columns: BTreeMap<String, String> =
                        (0..3).map(|column| (format!("column_{column}"), format!("renamed_{number}_{column}"))).collect();
                    json!({"table": format!("table_{number}"), "renameTo": format!("new_{number}"), "columns": {"rename": columns}})
                })
                .collect();
            let spec = json!({"source": end, "destination": end, "objects": [{"database": "shop", "tables": tables}]});
            EnginePlan {
                api_version: crate::API_VERSION.into(),
                mode: EngineMode::Run,
                task: TaskIdentity::default(),
                generation: 1,
                spec: serde_json::from_value(spec).unwrap(),
                retry: Retry::default(),
                resources: EngineResources::default(),
                secret_hosts: BTreeMap::new(),
                token: "token".into(),
            }
        };
        for (tables, packed) in [(1, false), (8000, true)] {
            let plan = plan(tables);
            let map = plan_map(&plan);
            assert_eq!(map.binary_data.is_some(), packed);
            let size = serde_json::to_string(&map).unwrap().len();
            assert!(size < 500_000, "{size} bytes");
            let text = plan_text(&map).unwrap().unwrap();
            assert_eq!(serde_json::from_str::<EnginePlan>(&text).unwrap(), plan);
        }
        assert!(plan_text(&ConfigMap::default()).is_none());
        assert!(unpack(b"no plan").is_err());
    }
}
