//! What shall be done next about a task. Pure: from an [`Observed`] to a [`Goal`], and from that to one [`Step`] at its pod.
//!
//! A goal is where the task should be by its spec, its state and the world around it; a step is the one thing to do towards it now. After each
//! step the world changes and the task is looked at again, so that a step that was lost (an operator that died) is simply decided anew.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::build::GRACE_SECONDS;
use super::digest;
use super::observe::{Observed, PodPhase, PodView, PoolFacts};
use crate::api::condition::{self, Condition};
use crate::api::{DeletionPolicy, DesiredState, EngineMode, MigrationTaskStatus, Phase};
use crate::operator::ledger::Standing;

/// Finalizer of a task that shall be fenced before it goes.
pub const FENCE_FINALIZER: &str = "godwit.dev/fence";

/// Where a task should be.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// Being deleted, and nothing is left to do for us.
    Leave,
    /// Completed or stopped: no pod, no units.
    Ended,
    /// Something outside stands in the way. A pod that runs goes on running.
    Blocked(Trouble),
    /// Paused.
    Rest,
    /// To be fenced at the destination: by desiredState, or before the resource goes.
    Stop,
    /// After a failure: nothing before this moment; None: not before something changes.
    Wait(Option<Timestamp>),
    /// To be checked, without units.
    Precheck,
    /// To be run, as soon as the units are there.
    Run,
}

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: &'static str,
    pub message: String,
}

/// The one thing to do at the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing: no pod is there and none is wanted, or units are waited for.
    Nothing,
    /// A pod that goes is waited for.
    AwaitEnd,
    /// The pod goes; `force`: without waiting for its node.
    Delete { force: bool, why: &'static str },
    /// A pod is made.
    Create(EngineMode),
    /// The running engine gets a new plan.
    Refresh,
    /// The pod stands or starts; the engine is asked how it is doing.
    Ask,
    /// The pod ended by itself; its last words count.
    Conclude,
}

/// A pod that only just came up and failed, or ended without a word, is not replaced at once.
const RECREATE_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// Beyond its grace, a pod on a node that is gone gets this long before it is forced.
const LOST_AFTER: SignedDuration = SignedDuration::from_secs(GRACE_SECONDS + 15);

/// Where the task should be.
pub fn goal(observed: &Observed) -> Goal {
    let task = &observed.task;
    let phase = observed.status.phase;
    if task.metadata.deletion_timestamp.is_some() {
        let fenced = task.metadata.finalizers.iter().flatten().any(|name| name == FENCE_FINALIZER);
        let asked = task.spec.deletion_policy == DeletionPolicy::Fence;
        let open = begun(observed) && phase.is_none_or(|phase| !phase.is_final());
        return if fenced && asked && open { Goal::Stop } else { Goal::Leave };
    }
    if phase.is_some_and(Phase::is_final) {
        return Goal::Ended;
    }
    match task.spec.desired_state {
        DesiredState::Stopped if begun(observed) => return missing_secret(observed).map_or(Goal::Stop, Goal::Blocked),
        // Nothing was ever written, so there is nothing to fence.
        DesiredState::Stopped => return Goal::Ended,
        DesiredState::Paused => return Goal::Rest,
        DesiredState::Running => {}
    }
    if let Some(trouble) = missing_secret(observed).or_else(|| pool_trouble(observed)) {
        return Goal::Blocked(trouble);
    }
    if phase == Some(Phase::Failed) && unchanged(observed, EngineMode::Run) && waits(&observed.status, observed.now) {
        return Goal::Wait(next_try(&observed.status));
    }
    if begun(observed) {
        return Goal::Run;
    }
    if phase == Some(Phase::PrecheckFailed) && unchanged(observed, EngineMode::Precheck) && waits(&observed.status, observed.now)
    {
        return Goal::Wait(next_try(&observed.status));
    }
    if passed(&observed.status) && unchanged(observed, EngineMode::Precheck) { Goal::Run } else { Goal::Precheck }
}

/// Whether an engine may have written for this task.
pub fn begun(observed: &Observed) -> bool {
    let ran = observed.plan.as_ref().is_some_and(|plan| plan.mode == Some(EngineMode::Run));
    let runs = observed.pod.as_ref().is_some_and(|pod| pod.ours && pod.mode == Some(EngineMode::Run));
    observed.status.started_at.is_some() || runs || ran && observed.status.phase != Some(Phase::PrecheckFailed)
}

/// Whether what the last pod of this mode was made from is still so. A change is a reason to try again at once.
fn unchanged(observed: &Observed, mode: EngineMode) -> bool {
    let now = digest::template(&observed.task, mode, &observed.secrets);
    observed.plan.as_ref().is_some_and(|plan| plan.mode == Some(mode) && plan.template == now)
}

fn waits(status: &MigrationTaskStatus, now: Timestamp) -> bool {
    next_try(status).is_none_or(|at| at > now)
}

/// When a failed task is tried again; None: not by itself.
pub fn next_try(status: &MigrationTaskStatus) -> Option<Timestamp> {
    status.retry.as_ref()?.next_at.as_ref().map(|time| time.0)
}

fn passed(status: &MigrationTaskStatus) -> bool {
    find(status, condition::PRECHECK_PASSED).is_some_and(|c| c.status == "True")
}

/// A condition of a status.
pub fn find<'a>(status: &'a MigrationTaskStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn missing_secret(observed: &Observed) -> Option<Trouble> {
    let missing = &observed.missing_secrets;
    if missing.is_empty() {
        return None;
    }
    let names: Vec<String> = missing.iter().map(|(path, name)| format!("{path}: Secret \"{name}\"")).collect();
    let namespace = observed.task.metadata.namespace.as_deref().unwrap_or_default();
    let message = format!("{} is not in namespace {namespace}; create it, the task goes on by itself", names.join(", "));
    Some(Trouble { reason: "SecretMissing", message })
}

fn pool_trouble(observed: &Observed) -> Option<Trouble> {
    let cluster = &observed.task.spec.cluster;
    let name = cluster.name.as_deref().unwrap_or("the shared default");
    let namespace = observed.task.metadata.namespace.as_deref().unwrap_or_default();
    let (reason, message) = match &observed.pool {
        PoolFacts::Fine(_) => return None,
        PoolFacts::Missing => (
            "ClusterNotFound",
            format!("spec.cluster.name: there is no DedicatedCluster \"{name}\"; create it, or name another one"),
        ),
        PoolFacts::Leaving => {
            ("ClusterDeleting", format!("spec.cluster.name: DedicatedCluster \"{name}\" is being deleted; name another one"))
        }
        PoolFacts::NamespaceNotAllowed => (
            "NamespaceNotAllowed",
            format!(
                "spec.cluster.name: DedicatedCluster \"{name}\" does not admit namespace {namespace}; \
                 give the namespace the labels of its spec.namespaces, or name another cluster"
            ),
        ),
        PoolFacts::Worthless(rule) => {
            ("UnitResourcesTooSmall", format!("DedicatedCluster \"{name}\": {rule}; correct it, or name another cluster"))
        }
        PoolFacts::TooSmall { total } => (
            "UnitsExceedCluster",
            format!(
                "spec.cluster.units: {} are asked for, {name} has {total} in all; ask for fewer, or enlarge it",
                cluster.units
            ),
        ),
    };
    Some(Trouble { reason, message })
}

/// The one thing to do at the pod for this goal.
pub fn step(observed: &Observed, goal: &Goal, standing: Option<&Standing>) -> Step {
    let Some(pod) = &observed.pod else { return without_pod(observed, goal, standing) };
    if pod.deleting.is_some() {
        return going(pod, observed.now);
    }
    if !pod.ours {
        // Of an earlier task of the same name: it must not go on under this one's. Strangers are told in status, not touched.
        return if pod.mode.is_some() { delete("belongs to an earlier task of this name") } else { Step::AwaitEnd };
    }
    let wanted = match goal {
        Goal::Leave | Goal::Ended => return delete("the task has ended"),
        Goal::Rest => return delete("the task is paused"),
        Goal::Wait(_) => return delete("the task has failed"),
        Goal::Blocked(_) => match pod.mode {
            Some(EngineMode::Run) => EngineMode::Run,
            _ => return delete("something stands in the way"),
        },
        Goal::Stop => EngineMode::Stop,
        Goal::Precheck => EngineMode::Precheck,
        Goal::Run if matches!(standing, Some(Standing::Waits { .. })) && observed.status.admission.is_none() => {
            return delete("units are waited for");
        }
        Goal::Run => EngineMode::Run,
    };
    if pod.mode != Some(wanted) {
        return delete("another kind of engine is wanted");
    }
    with_pod(observed, goal, pod, wanted)
}

fn delete(why: &'static str) -> Step {
    Step::Delete { force: false, why }
}

fn without_pod(observed: &Observed, goal: &Goal, standing: Option<&Standing>) -> Step {
    // Who waits for more units goes on with those it has.
    let holds = *goal == Goal::Run && (standing == Some(&Standing::Holds) || observed.status.admission.is_some());
    match (goal, standing) {
        (Goal::Stop, _) => Step::Create(EngineMode::Stop),
        (Goal::Precheck, _) => Step::Create(EngineMode::Precheck),
        (Goal::Run, _) if holds => Step::Create(EngineMode::Run),
        _ => Step::Nothing,
    }
}

fn going(pod: &PodView, now: Timestamp) -> Step {
    let lost = pod.node_lost && pod.deleting.is_some_and(|since| now.duration_since(since) > LOST_AFTER);
    if lost { Step::Delete { force: true, why: "its node is gone" } } else { Step::AwaitEnd }
}

fn with_pod(observed: &Observed, goal: &Goal, pod: &PodView, mode: EngineMode) -> Step {
    let young = pod.created.is_some_and(|at| observed.now.duration_since(at) < RECREATE_AFTER);
    match pod.phase {
        // It said nothing, so it was no engine: an image that ends at once must not be started in a loop.
        PodPhase::Succeeded if young && pod.last_words.is_none() => return Step::Nothing,
        PodPhase::Succeeded => return Step::Conclude,
        PodPhase::Failed => return if young { Step::Nothing } else { delete("it failed") },
        PodPhase::Pending | PodPhase::Running => {}
    }
    // While something stands in the way no new pod could be made: what runs is left alone.
    if matches!(goal, Goal::Blocked(_)) {
        return Step::Ask;
    }
    if pod.template != digest::template(&observed.task, mode, &observed.secrets) && !refused_change(observed) {
        return delete("what it was made from has changed");
    }
    if mode == EngineMode::Run && other_units(observed, pod) {
        return delete("it holds other units than the task");
    }
    Step::Ask
}

fn other_units(observed: &Observed, pod: &PodView) -> bool {
    observed.status.admission.as_ref().is_some_and(|admission| admission.units != pod.units || admission.cluster != pod.cluster)
}

/// Whether the spec changed in a way that cannot be taken over once rows are at the destination.
pub fn refused_change(observed: &Observed) -> bool {
    let Some(plan) = &observed.plan else { return false };
    let running = plan.mode == Some(EngineMode::Run) && begun(observed);
    running && !plan.fingerprint.is_empty() && plan.fingerprint != digest::fingerprint(&observed.task.spec)
}

/// Pause before the next try after `attempts` failures: the first, doubled each time, up to the longest.
pub fn backoff(first: Duration, longest: Duration, attempts: u64) -> Duration {
    let doubled = u32::try_from(attempts.saturating_sub(1).min(20)).unwrap_or(20);
    first.saturating_mul(1 << doubled).min(longest)
}
