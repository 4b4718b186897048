//! The objects of a task: its plan's ConfigMap and its engine's pod. Pure: the same input gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, HTTPGetAction, LocalObjectReference, Pod,
    PodSecurityContext, PodSpec, Probe, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;

use super::digest;
use super::observe::Secrets;
use crate::quantity;
use crate::settings::Settings;
use crate::view::{ANNOTATION_ASKED_PRECHECK, ANNOTATION_ASKED_RUN, ANNOTATION_GENERATION, CONTAINER};
use godwit_api::engine::{
    ANNOTATION_FINGERPRINT, ANNOTATION_IMAGE, ANNOTATION_PLAN, ANNOTATION_POD, ANNOTATION_TEMPLATE, ANNOTATION_TOKEN,
    LABEL_CLUSTER, LABEL_ENVIRONMENT, LABEL_MODE, LABEL_RESOURCE_GROUP, LABEL_TASK, LABEL_UNITS, PLAN_FOLDER, SECRETS_FOLDER,
    STATUS_PORT, engine_name, plan_map,
};
use godwit_api::manifest::secret_references;
use godwit_api::{
    API_VERSION, DesiredState, EngineMode, EnginePlan, EngineResources, EngineSecurityContext, EngineTemplate, MigrationTask,
    Placement, Retry, TaskIdentity, UnitResources,
};

/// What a precheck gets: it holds no units.
const PRECHECK_CPU_MILLIS: u64 = 100;
const PRECHECK_MEMORY: u64 = 128 << 20;
/// Time for a clean stop, after which the engine is killed (it then goes on from its record).
pub(crate) const GRACE_SECONDS: i64 = 30;

/// Seconds for which an engine stays on a node that does not report.
const LOST_NODE_SECONDS: i64 = 30;

/// What decides about a pod beyond the task itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub mode: EngineMode,
    /// Pool and units that the pod holds; 0 for a precheck or a stop.
    pub cluster: Option<String>,
    pub units: u32,
    pub unit_resources: UnitResources,
    pub overcommit_percent: u32,
    /// What the pod has that stands already; a plan for it says that and nothing else, whatever its pool gives by now.
    pub standing: Option<EngineResources>,
    pub placement: Placement,
    /// What the pool's pods carry beyond that.
    pub template: EngineTemplate,
    pub retry: Retry,
    pub secrets: Secrets,
    /// The plan's token.
    pub token: String,
}

/// Both objects.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub config_map: ConfigMap,
    pub pod: Pod,
    /// Digest of the plan.
    pub plan: String,
    /// Digest of what needs a new pod.
    pub template: String,
    /// Digest of the whole pod.
    pub whole: String,
}

/// The plan's ConfigMap and the engine's pod. `asked`: the task as its spec wants it, `task`: as it is accepted.
pub(crate) fn build(asked: &MigrationTask, task: &MigrationTask, frame: &Frame, settings: &Settings) -> Built {
    let plan = plan(task, frame);
    let plan_digest = digest::plan(&plan);
    let template = digest::template(task, frame.mode, &frame.secrets.hosts);
    let mut config_map = config_map(task, frame, &plan, &plan_digest, &template);
    for (name, mode) in [(ANNOTATION_ASKED_PRECHECK, EngineMode::Precheck), (ANNOTATION_ASKED_RUN, EngineMode::Run)] {
        let annotations = config_map.metadata.annotations.get_or_insert_default();
        annotations.insert(name.to_owned(), digest::asked(asked, mode, &frame.secrets));
    }
    let mut pod = pod(task, frame, &plan, settings, &plan_digest, &template);
    // What it runs, where and with how much: what a change of the pool or of the operator's settings makes different.
    let whole = digest::digest(&(&pod.spec, &pod.metadata.labels, &frame.template.annotations, &settings.engine_annotations));
    let annotations = [(ANNOTATION_POD.to_owned(), whole.clone()), (ANNOTATION_IMAGE.to_owned(), settings.image.clone())];
    pod.metadata.annotations.get_or_insert_default().extend(annotations);
    Built { config_map, pod, plan: plan_digest, template, whole }
}

fn plan(task: &MigrationTask, frame: &Frame) -> EnginePlan {
    let metadata = &task.metadata;
    let mut spec = task.spec.clone();
    // Pausing and stopping are the operator's: an engine that exists works.
    spec.desired_state = if frame.mode == EngineMode::Stop { DesiredState::Stopped } else { DesiredState::Running };
    EnginePlan {
        api_version: API_VERSION.to_owned(),
        mode: frame.mode,
        task: TaskIdentity {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
        },
        generation: metadata.generation.unwrap_or_default(),
        spec,
        retry: frame.retry.clone(),
        resources: frame.standing.unwrap_or_else(|| limits(frame)),
        secret_hosts: frame.secrets.hosts.clone(),
        token: frame.token.clone(),
    }
}

fn limits(frame: &Frame) -> EngineResources {
    let units = frame.units.max(1);
    EngineResources {
        units,
        cpu_millis: quantity::cpu_millis(&frame.unit_resources.cpu.0).saturating_mul(units.into()),
        memory_bytes: quantity::bytes(&frame.unit_resources.memory.0).saturating_mul(units.into()),
    }
}

fn metadata(task: &MigrationTask, frame: &Frame, plan: &str, template: &str) -> ObjectMeta {
    let name = task.metadata.name.clone().unwrap_or_default();
    let mut labels = BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "godwit".to_owned()),
        ("app.kubernetes.io/component".to_owned(), "engine".to_owned()),
        ("app.kubernetes.io/managed-by".to_owned(), "godwit".to_owned()),
        (LABEL_TASK.to_owned(), name.clone()),
        (LABEL_MODE.to_owned(), frame.mode.as_str().to_owned()),
    ]);
    let tags = [(LABEL_ENVIRONMENT, &task.spec.environment), (LABEL_RESOURCE_GROUP, &task.spec.resource_group)];
    for (label, value) in tags {
        if let Some(value) = value {
            labels.insert(label.to_owned(), value.clone());
        }
    }
    let annotations =
        BTreeMap::from([(ANNOTATION_PLAN.to_owned(), plan.to_owned()), (ANNOTATION_TEMPLATE.to_owned(), template.to_owned())]);
    ObjectMeta {
        name: Some(engine_name(&name)),
        namespace: task.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: Some(vec![owner(task)]),
        ..ObjectMeta::default()
    }
}

fn owner(task: &MigrationTask) -> OwnerReference {
    OwnerReference {
        api_version: MigrationTask::api_version(&()).into_owned(),
        kind: MigrationTask::kind(&()).into_owned(),
        name: task.metadata.name.clone().unwrap_or_default(),
        uid: task.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn config_map(task: &MigrationTask, frame: &Frame, plan: &EnginePlan, digest: &str, template: &str) -> ConfigMap {
    let mut metadata = metadata(task, frame, digest, template);
    if let Some(annotations) = &mut metadata.annotations {
        annotations.insert(ANNOTATION_FINGERPRINT.to_owned(), digest::fingerprint(&task.spec));
        annotations.insert(ANNOTATION_GENERATION.to_owned(), plan.generation.to_string());
        annotations.insert(ANNOTATION_TOKEN.to_owned(), plan.token.clone());
    }
    ConfigMap { metadata, ..plan_map(plan) }
}

fn pod(task: &MigrationTask, frame: &Frame, plan: &EnginePlan, settings: &Settings, digest: &str, template: &str) -> Pod {
    let mut metadata = metadata(task, frame, digest, template);
    if frame.mode == EngineMode::Run
        && let Some(labels) = &mut metadata.labels
    {
        labels.insert(LABEL_UNITS.to_owned(), frame.units.to_string());
        if let Some(cluster) = &frame.cluster {
            labels.insert(LABEL_CLUSTER.to_owned(), cluster.clone());
        }
    }
    carry(&mut metadata, frame, settings);
    let identity = identity(frame, settings);
    let (volumes, mounts) = volumes(task, identity.fs_group.is_some());
    let placement = &frame.placement;
    let some_text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let spec = PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("OnFailure".to_owned()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: identity.run_as_user,
            run_as_group: identity.run_as_group,
            fs_group: identity.fs_group,
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        image_pull_secrets: (!settings.image_pull_secrets.is_empty())
            .then(|| settings.image_pull_secrets.iter().map(|name| LocalObjectReference { name: name.clone() }).collect()),
        node_selector: (!placement.node_selector.is_empty()).then(|| placement.node_selector.clone()),
        tolerations: Some(tolerations(placement)),
        affinity: placement.affinity.clone(),
        priority_class_name: some_text(&placement.priority_class_name),
        runtime_class_name: some_text(&placement.runtime_class_name),
        volumes: Some(volumes),
        containers: vec![container(frame, plan, settings, mounts)],
        ..PodSpec::default()
    };
    Pod { metadata, spec: Some(spec), status: None }
}

/// Labels and annotations of the pool and of the operator's settings, the pool's first; those by which the operator knows its pods stay.
fn carry(metadata: &mut ObjectMeta, frame: &Frame, settings: &Settings) {
    let labels = settings.engine_labels.iter().cloned().chain(frame.template.labels.clone());
    let own = metadata.labels.take().unwrap_or_default();
    metadata.labels = Some(labels.chain(own).collect());
    let annotations = settings.engine_annotations.iter().cloned().chain(frame.template.annotations.clone());
    let own = metadata.annotations.take().unwrap_or_default();
    metadata.annotations = Some(annotations.chain(own).collect());
}

/// User and groups: the pool's, else those of the settings; none where the cluster is to decide.
fn identity(frame: &Frame, settings: &Settings) -> EngineSecurityContext {
    let pool = &frame.template.security_context;
    EngineSecurityContext {
        run_as_user: pool.run_as_user.or(settings.engine_user.0),
        run_as_group: pool.run_as_group.or(settings.engine_group.0),
        fs_group: pool.fs_group.or(settings.engine_group.0),
    }
}

/// Those of the pool, and what brings an engine off a lost node within half a minute instead of the five that are the default. The epoch at the
/// destination keeps the old engine from writing, so nothing is risked by haste.
fn tolerations(placement: &Placement) -> Vec<Toleration> {
    let lost = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].into_iter().map(|key| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(LOST_NODE_SECONDS),
        ..Toleration::default()
    });
    let chosen = |default: &Toleration| !placement.tolerations.iter().any(|own| own.key == default.key);
    placement.tolerations.iter().cloned().chain(lost.filter(chosen)).collect()
}

fn container(frame: &Frame, plan: &EnginePlan, settings: &Settings, mounts: Vec<VolumeMount>) -> Container {
    let probe = |path: &str, period, failures| Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("status".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Probe::default()
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(settings.image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        args: Some(vec!["engine".to_owned(), "--log-format".to_owned(), "json".to_owned()]),
        ports: Some(vec![ContainerPort {
            name: Some("status".to_owned()),
            container_port: STATUS_PORT.into(),
            ..ContainerPort::default()
        }]),
        // Ready: it answers. Alive: it answers as well, parked after an error or not; killed only after a minute of silence.
        readiness_probe: Some(probe("/livez", 2, 3)),
        liveness_probe: Some(probe("/livez", 10, 6)),
        resources: Some(resources(frame, plan)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// Limits are the units' worth; requests are less where the pool is overcommitted. The share of memory that has no request is what overcommit
/// risks: the kernel then ends the engine, which goes on from its record.
fn resources(frame: &Frame, plan: &EnginePlan) -> ResourceRequirements {
    let part = |whole: u64, percent: u64| u64::try_from(u128::from(whole) * 100 / u128::from(percent)).unwrap_or(whole);
    let (cpu, memory) = match frame.mode {
        EngineMode::Run => {
            let percent = u64::from(frame.overcommit_percent.max(100));
            (part(plan.resources.cpu_millis, percent), part(plan.resources.memory_bytes, percent))
        }
        EngineMode::Precheck | EngineMode::Stop => {
            (PRECHECK_CPU_MILLIS.min(plan.resources.cpu_millis), PRECHECK_MEMORY.min(plan.resources.memory_bytes))
        }
    };
    let list = |cpu: u64, memory: u64| {
        Some(BTreeMap::from([
            ("cpu".to_owned(), Quantity(format!("{cpu}m"))),
            ("memory".to_owned(), Quantity(memory.to_string())),
        ]))
    };
    ResourceRequirements {
        requests: list(cpu, memory),
        limits: list(plan.resources.cpu_millis, plan.resources.memory_bytes),
        ..ResourceRequirements::default()
    }
}

/// `grouped`: the pod has a group that owns its files.
fn volumes(task: &MigrationTask, grouped: bool) -> (Vec<Volume>, Vec<VolumeMount>) {
    let name = engine_name(task.metadata.name.as_deref().unwrap_or_default());
    let mut volumes = vec![Volume {
        name: "plan".to_owned(),
        config_map: Some(ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }];
    let mut mounts = vec![mount("plan", PLAN_FOLDER.to_owned())];
    let secrets: BTreeSet<String> = secret_references(&task.spec).into_iter().map(|(_, name)| name).collect();
    for (number, secret) in secrets.into_iter().enumerate() {
        // A Secret's name may be longer than a volume's.
        let volume = format!("secret-{number}");
        mounts.push(mount(&volume, format!("{SECRETS_FOLDER}/{secret}")));
        volumes.push(Volume {
            name: volume,
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret),
                // Readable for the engine's group, which fsGroup makes the owner, and for nobody else; without such a group the engine's user is
                // nobody in particular. Nothing else runs in the pod.
                default_mode: Some(if grouped { 0o440 } else { 0o444 }),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    (volumes, mounts)
}

fn mount(name: &str, path: String) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path, read_only: Some(true), ..VolumeMount::default() }
}
