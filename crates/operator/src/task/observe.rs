//! What is known of one task at one moment, taken from the caches. Everything after this stage is decided from an [`Observed`] alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMeta;

use super::digest;
use crate::cached::DATA_SET_AT;
use crate::ledger::PoolKey;
use crate::quantity;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::view::{PlanView, PodView};
use godwit_api::manifest::{HOSTS_ANNOTATION, HostLimits, secret_references};
use godwit_api::{
    DedicatedCluster, EffectiveRetry, EngineTemplate, MigrationTask, MigrationTaskStatus, Placement, UnitResources,
};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub task: Arc<MigrationTask>,
    /// The newest status that is known: the cached one, or what was written since.
    pub status: MigrationTaskStatus,
    pub now: Timestamp,
    pub pod: Option<PodView>,
    pub plan: Option<PlanView>,
    /// Secrets that the spec names and that are not there: field path and name.
    pub missing_secrets: Vec<(String, String)>,
    /// Those that are there.
    pub secrets: Secrets,
    pub pool: PoolFacts,
    /// The highest priority that counts in the pool for the task's namespace.
    pub ceiling: Option<i32>,
    /// The namespace is being deleted: nothing new can be made in it.
    pub namespace_ends: bool,
    pub retry: EffectiveRetry,
    pub ready_within: Duration,
    /// Why the present spec cannot be taken over, when it cannot: names the field.
    pub refused: Option<String>,
    /// For how long the engine that runs has been asked to fence the task.
    pub fencing_for: Duration,
    /// By which the engine knows the operator, and the operator its engine.
    pub token: String,
    /// What kept the last step from being taken, if something did.
    pub unable: Option<Trouble>,
}

/// The Secrets that a spec names and that are there, by their metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Secrets {
    /// Digest of which they are and when their values were written last.
    pub data: String,
    /// Those that are not for every host.
    pub hosts: HostLimits,
}

/// The pool that the spec names, looked at for this task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PoolFacts {
    Missing,
    /// Being deleted.
    Leaving,
    NamespaceNotAllowed,
    /// This version cannot read it.
    Malformed,
    /// More units are asked for than the pool has.
    TooSmall {
        total: u64,
    },
    /// The task has units of it, and asks for more than it has in all.
    Beyond {
        total: u64,
        offer: Box<PoolOffer>,
    },
    /// One unit is worth nothing, in a pool that an older version let through; names the field.
    Worthless(String),
    Fine(Box<PoolOffer>),
}

impl PoolFacts {
    /// What the pool gives to the task's pod, if it may have one.
    pub(crate) fn offer(&self) -> Option<&PoolOffer> {
        match self {
            Self::Fine(offer) | Self::Beyond { offer, .. } => Some(offer),
            _ => None,
        }
    }
}

/// What a pool gives to a pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoolOffer {
    pub unit_resources: UnitResources,
    pub overcommit_percent: u32,
    pub placement: Placement,
    pub template: EngineTemplate,
}

impl PoolOffer {
    /// What the shared default gives.
    pub(crate) fn default_pool(settings: &Settings) -> Self {
        Self {
            unit_resources: settings.default_resources(),
            overcommit_percent: 100,
            placement: Placement::default(),
            template: EngineTemplate::default(),
        }
    }
}

/// The highest priority that counts in a pool for a namespace with these labels; None: any does.
pub(crate) fn ceiling(pool: Option<&DedicatedCluster>, labels: Option<&BTreeMap<String, String>>) -> Option<i32> {
    let ceilings = &pool?.spec.priority_ceilings;
    let empty = BTreeMap::new();
    let first = ceilings.iter().find(|ceiling| selects(&ceiling.namespaces, labels.unwrap_or(&empty)));
    (!ceilings.is_empty()).then(|| first.map_or(0, |ceiling| ceiling.priority))
}

/// Units that a pool can hand out.
pub(crate) fn capacity(pool: &DedicatedCluster) -> u64 {
    u64::from(pool.spec.units) * u64::from(pool.spec.overcommit_percent.max(100)) / 100
}

/// What the pool means for a task. `labels`: of the task's namespace. Who has units of it (`held`) keeps them, whatever became of the pool.
pub(crate) fn pool_facts(
    key: &PoolKey,
    pool: Option<&DedicatedCluster>,
    labels: Option<&BTreeMap<String, String>>,
    units: u32,
    held: Option<u32>,
    settings: &Settings,
) -> PoolFacts {
    let room = |total: Option<u64>, offer: PoolOffer| {
        let offer = Box::new(offer);
        match (total.filter(|total| u64::from(units) > *total), held) {
            (Some(total), None) => PoolFacts::TooSmall { total },
            (Some(total), Some(held)) if units > held => PoolFacts::Beyond { total, offer },
            _ => PoolFacts::Fine(offer),
        }
    };
    if key.is_none() {
        return room(settings.default_capacity(), PoolOffer::default_pool(settings));
    }
    let Some(pool) = pool else { return PoolFacts::Missing };
    let empty = BTreeMap::new();
    if held.is_none() {
        if pool.metadata.deletion_timestamp.is_some() {
            return PoolFacts::Leaving;
        }
        if pool.spec.namespaces.as_ref().is_some_and(|selector| !selects(selector, labels.unwrap_or(&empty))) {
            return PoolFacts::NamespaceNotAllowed;
        }
    }
    let offer = PoolOffer {
        unit_resources: pool.spec.unit_resources.clone(),
        overcommit_percent: pool.spec.overcommit_percent,
        placement: pool.spec.placement.clone(),
        template: pool.spec.template.clone(),
    };
    if held.is_none()
        && let Err(rule) = quantity::check_unit(&offer.unit_resources)
    {
        return PoolFacts::Worthless(rule);
    }
    room(Some(capacity(pool)), offer)
}

/// Whether a label selector selects (Kubernetes: all requirements, an empty selector selects everything).
pub(crate) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact && selector.match_expressions.iter().flatten().all(|requirement| meets(requirement, labels))
}

fn meets(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let found = labels.get(&requirement.key);
    let listed = found.is_some_and(|value| requirement.values.iter().flatten().any(|wanted| wanted == value));
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        // The API server knows no other; an unknown one selects nothing.
        _ => false,
    }
}

/// The Secrets that a spec names: field path and name of those that are missing, and the others.
pub(crate) fn secrets(
    task: &MigrationTask,
    find: impl Fn(&str) -> Option<Arc<PartialObjectMeta<k8s_openapi::api::core::v1::Secret>>>,
) -> (Vec<(String, String)>, Secrets) {
    let (mut missing, mut secrets, mut there) = (Vec::new(), Secrets::default(), BTreeMap::new());
    for (path, name) in secret_references(&task.spec) {
        match find(&name) {
            Some(secret) => {
                let annotation = |key: &str| secret.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
                if let Some(list) = annotation(HOSTS_ANNOTATION) {
                    secrets.hosts.insert(name.clone(), list);
                }
                let written = annotation(DATA_SET_AT).or_else(|| secret.metadata.resource_version.clone());
                there.insert(name, (secret.metadata.uid.clone(), written));
            }
            None => missing.push((path, name)),
        }
    }
    secrets.data = digest::digest(&there);
    (missing, secrets)
}
