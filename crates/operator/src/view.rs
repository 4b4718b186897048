//! What is kept of pods and plans: as much of each as decisions need.

use k8s_openapi::api::core::v1::{Container, ContainerState, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use super::ledger::PoolKey;
use super::quantity;
use godwit_api::engine::{
    ANNOTATION_FINGERPRINT, ANNOTATION_IMAGE, ANNOTATION_PLAN, ANNOTATION_POD, ANNOTATION_TEMPLATE, ANNOTATION_TOKEN,
    LABEL_CLUSTER, LABEL_MODE, LABEL_UNITS,
};
use godwit_api::{EngineMode, EngineResources};

/// Annotation of a plan's ConfigMap: the generation of the spec that it was made from.
pub(crate) const ANNOTATION_GENERATION: &str = "godwit.dev/generation";
/// Annotations of a plan's ConfigMap: digests of what was asked for when it was made, of a precheck and of a run. They differ from the template's
/// where what was asked for is refused.
pub(crate) const ANNOTATION_ASKED_PRECHECK: &str = "godwit.dev/asked-precheck";
pub(crate) const ANNOTATION_ASKED_RUN: &str = "godwit.dev/asked-run";
/// Name of the engine's container. Webhooks put others beside it.
pub(crate) const CONTAINER: &str = "engine";

/// The engine's pod, as far as decisions need it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PodView {
    pub uid: String,
    /// It carries our label, and this very task owns it.
    pub ours: bool,
    pub mode: Option<EngineMode>,
    pub template: String,
    pub plan: String,
    /// Digest of the pod as it was built.
    pub whole: String,
    pub cluster: Option<String>,
    pub units: u32,
    /// The limits that its container really has.
    pub limits: Option<EngineResources>,
    pub phase: PodPhase,
    pub ready: bool,
    /// Since when it is not ready.
    pub not_ready_since: Option<Timestamp>,
    /// Address that the engine answers at.
    pub address: Option<String>,
    /// The image that it was made with.
    pub image: String,
    pub created: Option<Timestamp>,
    /// When it was told to go.
    pub deleting: Option<Timestamp>,
    /// Its node is gone or does not report.
    pub node_lost: bool,
    /// Why it does not run or ended, as Kubernetes says it.
    pub trouble: Option<(String, String)>,
    /// What the engine left in its termination log.
    pub last_words: Option<String>,
}

impl PodView {
    /// Pool and units that it uses, if it is that of an engine that runs a task.
    pub(crate) fn uses(&self) -> Option<(PoolKey, u32)> {
        (self.mode == Some(EngineMode::Run)).then(|| (self.cluster.clone(), self.units))
    }

    /// Whether its container ran at least once; before, nothing is lost with the pod.
    pub(crate) fn started(&self) -> bool {
        self.phase != PodPhase::Pending
    }
}

/// Phase of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodPhase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

/// The plan's ConfigMap, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanView {
    pub mode: Option<EngineMode>,
    pub template: String,
    pub plan: String,
    pub fingerprint: String,
    /// What was asked for when it was made, accepted or not: digests of the template of a precheck and of a run.
    pub asked: [String; 2],
    /// The generation of the spec that the plan was made from.
    pub generation: i64,
    pub token: String,
}

/// The pod, for nobody yet: whose it is, and whether its node is lost, is found out in each look.
pub(crate) fn pod_view(pod: &Pod) -> PodView {
    let metadata = &pod.metadata;
    let label = |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
    let annotation = |name: &str| metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned().unwrap_or_default();
    let status = pod.status.as_ref();
    // Others may have put containers beside it, and in front of it.
    let engine = status.and_then(|status| status.container_statuses.as_ref()?.iter().find(|status| status.name == CONTAINER));
    let over = engine.and_then(|engine| engine.state.as_ref()?.terminated.as_ref()).is_some_and(|ended| ended.exit_code == 0);
    let condition = status.and_then(|status| status.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready"));
    let ready = condition.is_some_and(|condition| condition.status == "True");
    let since = condition.and_then(|condition| condition.last_transition_time.as_ref()).or(metadata.creation_timestamp.as_ref());
    let ended = engine.and_then(|engine| {
        engine.state.as_ref().and_then(|s| s.terminated.clone()).or_else(|| engine.last_state.as_ref()?.terminated.clone())
    });
    let image = container(pod).and_then(|container| container.image.clone());
    let units = label(LABEL_UNITS).and_then(|units| units.parse().ok()).unwrap_or(0);
    PodView {
        uid: metadata.uid.clone().unwrap_or_default(),
        ours: false,
        mode: label(LABEL_MODE).as_deref().and_then(mode),
        template: annotation(ANNOTATION_TEMPLATE),
        plan: annotation(ANNOTATION_PLAN),
        whole: annotation(ANNOTATION_POD),
        cluster: label(LABEL_CLUSTER),
        units,
        limits: limits(pod, units),
        phase: match phase(status.and_then(|status| status.phase.as_deref())) {
            // Its work is done; a container beside it that runs on does not count.
            PodPhase::Running if over => PodPhase::Succeeded,
            phase => phase,
        },
        ready,
        not_ready_since: since.filter(|_| !ready).map(|time| time.0),
        address: status.and_then(|status| status.pod_ip.clone()),
        image: Some(annotation(ANNOTATION_IMAGE)).filter(|image| !image.is_empty()).or(image).unwrap_or_default(),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0),
        deleting: metadata.deletion_timestamp.as_ref().map(|time| time.0),
        node_lost: false,
        trouble: trouble(pod),
        last_words: ended.and_then(|ended| ended.message),
    }
}

/// The engine's container.
fn container(pod: &Pod) -> Option<&Container> {
    pod.spec.as_ref()?.containers.iter().find(|container| container.name == CONTAINER)
}

/// What the pod was given: by us, or by who changed it on its way (a LimitRange, a webhook, a resize).
fn limits(pod: &Pod, units: u32) -> Option<EngineResources> {
    let limits = container(pod)?.resources.as_ref()?.limits.as_ref()?;
    let of = |name: &str| limits.get(name).map(|quantity| quantity.0.as_str());
    Some(EngineResources {
        units: units.max(1),
        cpu_millis: quantity::cpu_millis(of("cpu")?),
        memory_bytes: quantity::bytes(of("memory")?),
    })
}

/// Whether a node reports itself ready.
pub(crate) fn node_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

/// Why a pod does not run, from the most telling place: its own reason, its container, its scheduling.
fn trouble(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref()?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    if status.reason.is_some() {
        return Some((text(&status.reason), text(&status.message)));
    }
    let state = |state: &Option<ContainerState>| {
        let state = state.as_ref()?;
        if let Some(waiting) = &state.waiting {
            let starting = matches!(waiting.reason.as_deref(), None | Some("ContainerCreating" | "PodInitializing"));
            return (!starting).then(|| (text(&waiting.reason), text(&waiting.message)));
        }
        let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
        Some((text(&ended.reason), format!("exit code {}", ended.exit_code)))
    };
    // What keeps the engine's own container from running comes first, then what keeps one beside it, or in front of it.
    let of = |own: bool| {
        let statuses = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        statuses.filter(|status| (status.name == CONTAINER) == own).find_map(|status| {
            let (reason, message) = state(&status.state)?;
            Some((reason, if own { message } else { format!("container {}: {message}", status.name) }))
        })
    };
    of(true).or_else(|| of(false)).or_else(|| {
        let unscheduled = |c: &&k8s_openapi::api::core::v1::PodCondition| c.type_ == "PodScheduled" && c.status == "False";
        let condition = status.conditions.iter().flatten().find(unscheduled)?;
        Some((text(&condition.reason), text(&condition.message)))
    })
}

/// A plan, by the metadata of its ConfigMap.
pub(crate) fn plan_view(metadata: &ObjectMeta) -> PlanView {
    let annotation = |name: &str| metadata.annotations.as_ref().and_then(|all| all.get(name)).cloned().unwrap_or_default();
    PlanView {
        mode: metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_MODE)).and_then(|text| mode(text)),
        template: annotation(ANNOTATION_TEMPLATE),
        plan: annotation(ANNOTATION_PLAN),
        fingerprint: annotation(ANNOTATION_FINGERPRINT),
        asked: [annotation(ANNOTATION_ASKED_PRECHECK), annotation(ANNOTATION_ASKED_RUN)],
        generation: annotation(ANNOTATION_GENERATION).parse().unwrap_or_default(),
        token: annotation(ANNOTATION_TOKEN),
    }
}

fn mode(text: &str) -> Option<EngineMode> {
    [EngineMode::Precheck, EngineMode::Run, EngineMode::Stop].into_iter().find(|mode| mode.as_str() == text)
}

fn phase(text: Option<&str>) -> PodPhase {
    match text {
        Some("Running") => PodPhase::Running,
        Some("Succeeded") => PodPhase::Succeeded,
        Some("Failed") => PodPhase::Failed,
        // Unknown: the node does not report; what it runs may go on.
        Some("Unknown") => PodPhase::Running,
        _ => PodPhase::Pending,
    }
}
