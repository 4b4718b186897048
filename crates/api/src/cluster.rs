//! `DedicatedCluster`: a pool of capacity in which tasks run.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::schema;
use super::status::Phase;

/// How much capacity a pool has, for whom, and where its pods run.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::duplicated_attributes, reason = "kube wants the same keys in every printcolumn")]
#[kube(
    group = "godwit.dev",
    version = "v1alpha1",
    kind = "DedicatedCluster",
    plural = "dedicatedclusters",
    singular = "dedicatedcluster",
    shortname = "dc",
    category = "godwit",
    status = "ClusterStatus",
    derive = "PartialEq",
    doc = "DedicatedCluster is a pool of data transmission units (DU) in which migration tasks run.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether tasks can run in the pool"
    ),
    printcolumn(
        name = "Units",
        type_ = "integer",
        json_path = ".status.units.total",
        description = "Units in all, overcommit included"
    ),
    printcolumn(name = "Used", type_ = "integer", json_path = ".status.units.used", description = "Units that tasks hold"),
    printcolumn(name = "Free", type_ = "integer", json_path = ".status.units.free", description = "Units that a task could get"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.tasks.running", description = "Tasks that hold units"),
    printcolumn(
        name = "Queued",
        type_ = "integer",
        json_path = ".status.tasks.queued",
        description = "Tasks that wait for units"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Overcommit",
        type_ = "integer",
        json_path = ".spec.overcommitPercent",
        description = "Tasks on the same requests, in percent",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DedicatedClusterSpec {
    /// Data transmission units (DU) in all. It may grow and shrink at any time; tasks that run keep what they have.
    #[schemars(range(max = 100000))]
    pub units: u32,
    /// Units that are handed out, in percent of units: 200 lets twice as many tasks share the same requests.
    #[serde(default = "no_overcommit")]
    #[schemars(range(min = 100, max = 1000))]
    pub overcommit_percent: u32,
    /// What one unit is worth.
    #[serde(default)]
    pub unit_resources: UnitResources,
    /// Namespaces whose tasks may use the pool, by their labels. Left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub namespaces: Option<LabelSelector>,
    /// Where the pods run.
    #[serde(default)]
    pub placement: Placement,
    /// What the pods carry beyond what an engine needs.
    #[serde(default)]
    pub template: EngineTemplate,
    /// Whose retry times hold where tasks work with the same server. Namespace: tasks of one namespace share them. Cluster: all tasks of this cluster
    /// do as well, and status names the task whose time holds, whatever its namespace.
    #[serde(default)]
    pub retry_sharing: RetrySharing,
    /// The highest priority that counts, by namespace; the first entry whose selector selects the namespace holds. Left out: no ceiling. With entries,
    /// a namespace that none selects has the ceiling 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub priority_ceilings: Vec<PriorityCeiling>,
}

/// Which tasks share retry times where they work with the same server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RetrySharing {
    /// Those of one namespace.
    #[default]
    Namespace,
    /// Those of one namespace, and all of the cluster.
    Cluster,
}

/// How high priorities of some namespaces count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriorityCeiling {
    /// Namespaces by their labels.
    #[schemars(schema_with = "schema::label_selector")]
    pub namespaces: LabelSelector,
    /// A higher spec.cluster.priority counts as this one.
    #[schemars(range(min = -1000000, max = 1000000))]
    pub priority: i32,
}

/// What engine pods carry beyond what an engine needs. Names below godwit.dev and app.kubernetes.io are the operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.labels) || self.labels.all(key, !key.startsWith('godwit.dev/') && !key.startsWith('app.kubernetes.io/'))",
        "message": "spec.template.labels: names that begin with godwit.dev/ or app.kubernetes.io/ are set by the operator; leave them out",
        "fieldPath": ".labels"
    },
    {
        "rule": "!has(self.annotations) || self.annotations.all(key, !key.startsWith('godwit.dev/'))",
        "message": "spec.template.annotations: names that begin with godwit.dev/ are set by the operator; leave them out",
        "fieldPath": ".annotations"
    }
]))]
pub struct EngineTemplate {
    /// Labels of the pods, over those of the operator's settings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pods, over those of the operator's settings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    pub annotations: BTreeMap<String, String>,
    /// Users and groups of the pods, over those of the operator's settings. Everything else that the Pod Security level restricted asks for stays.
    pub security_context: EngineSecurityContext,
}

/// Users and groups of a pod, as in its security context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EngineSecurityContext {
    /// User of the engine; never root.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 1, max = 4294967294_i64))]
    pub run_as_user: Option<i64>,
    /// Group of the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0, max = 4294967294_i64))]
    pub run_as_group: Option<i64>,
    /// Group that owns the mounted files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64", range(min = 0, max = 4294967294_i64))]
    pub fs_group: Option<i64>,
}

fn no_overcommit() -> u32 {
    100
}

/// What the CPU of one unit must at least be, in thousandths of a core: with less an engine does not get to answer its probes.
pub const UNIT_LEAST_CPU_MILLIS: u64 = 10;
/// What the memory of one unit must at least be, in bytes.
pub const UNIT_LEAST_MEMORY: u64 = 64 << 20;
/// How a smaller CPU is refused.
pub const UNIT_CPU_RULE: &str = "spec.unitResources.cpu: must be 10m or more";
/// How a smaller memory is refused.
pub const UNIT_MEMORY_RULE: &str =
    "spec.unitResources.memory: must be 64Mi or more; mind the suffix, m are thousandths of a byte";

/// CPU and memory of one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct UnitResources {
    /// CPU of one unit, 10m or more.
    #[schemars(schema_with = "schema::unit_cpu")]
    pub cpu: Quantity,
    /// Memory of one unit, 64Mi or more.
    #[schemars(schema_with = "schema::unit_memory")]
    pub memory: Quantity,
}

impl Default for UnitResources {
    fn default() -> Self {
        Self { cpu: Quantity("500m".to_owned()), memory: Quantity("512Mi".to_owned()) }
    }
}

/// Where pods run, with the meaning that the same fields have in a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Placement {
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods put up with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Nodes that are preferred or required, and pods to be near to or away from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::affinity")]
    pub affinity: Option<Affinity>,
    /// Name of the pods' PriorityClass. Empty: the cluster's default.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub priority_class_name: String,
    /// Name of the pods' RuntimeClass. Empty: the cluster's default.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub runtime_class_name: String,
}

/// State of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,
    /// The pool's state in one sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub message: Option<String>,
    /// Units, overcommit included.
    pub units: ClusterUnits,
    /// Tasks of the pool.
    pub tasks: ClusterTasks,
    /// Addresses of the nodes on which tasks may run: what a database administrator puts on an allow list. At most 1000; message says where there
    /// are more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub node_addresses: Vec<String>,
    /// Ready, Reconciling, Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Units of a pool, overcommit included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterUnits {
    /// Units in all.
    pub total: u64,
    /// Units that tasks hold.
    pub used: u64,
    /// Units that a task could get; 0 while more is held than the pool has, after it shrank.
    pub free: u64,
}

/// Tasks of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterTasks {
    /// Tasks that hold units.
    pub running: u64,
    /// Tasks that wait for units.
    pub queued: u64,
    /// The first 100 of them: those that run, then those that wait, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ClusterTask>,
}

/// One task of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterTask {
    /// The task's namespace.
    pub namespace: String,
    /// The task's name.
    pub name: String,
    /// What the task is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,
    /// Units that the task asks for or holds.
    #[serde(default)]
    pub units: u64,
    /// Seconds between a commit on the source and its visibility at the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub latency_seconds: Option<u64>,
}
