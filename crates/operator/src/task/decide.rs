//! What shall be done next about a task. Pure: from an [`Observed`] to a [`Goal`], and from that to one [`Step`] at its pod.
//!
//! A goal is where the task should be by its spec, its state and the world around it; a step is the one thing to do towards it now. After each
//! step the world changes and the task is looked at again, so that a step that was lost (an operator that died) is simply decided anew.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::build::GRACE_SECONDS;
use super::digest;
use super::observe::{Observed, PoolFacts};
use crate::ledger::Standing;
use crate::trouble::Trouble;
use crate::view::{PodPhase, PodView};
use godwit_api::condition::{self, Condition};
use godwit_api::manifest::refused_of_spec;
use godwit_api::{DeletionPolicy, DesiredState, EngineMode, MigrationTaskStatus, Phase};

/// Finalizer of a task that shall be fenced before it goes.
pub(crate) const FENCE_FINALIZER: &str = "godwit.dev/fence";

/// Where a task should be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Goal {
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

/// The one thing to do at the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
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

/// A task whose engine has worked for so long is well again: what fails after that is a new failure, with its own pauses and days.
const WELL_AFTER: SignedDuration = SignedDuration::from_hours(6);

/// Where the task should be.
pub(crate) fn goal(observed: &Observed) -> Goal {
    let task = &observed.task;
    let phase = observed.status.phase;
    if task.metadata.deletion_timestamp.is_some() {
        // In a namespace that is being deleted no engine can be made that fences; the namespace must not wait for it for ever.
        return if to_fence(observed) && !observed.namespace_ends { Goal::Stop } else { Goal::Leave };
    }
    if phase.is_some_and(Phase::is_final) {
        return Goal::Ended;
    }
    match task.spec.desired_state {
        DesiredState::Stopped if begun(observed) => return Goal::Stop,
        // Nothing was ever written, so there is nothing to fence.
        DesiredState::Stopped => return Goal::Ended,
        DesiredState::Paused => return Goal::Rest,
        DesiredState::Running => {}
    }
    if let Some(trouble) = missing_secret(observed).or_else(|| secret_for_others(observed)).or_else(|| pool_trouble(observed)) {
        return Goal::Blocked(trouble);
    }
    if phase == Some(Phase::Failed)
        && let Some(wait) = pause(observed, EngineMode::Run)
    {
        return wait;
    }
    if begun(observed) {
        return Goal::Run;
    }
    if phase == Some(Phase::PrecheckFailed)
        && let Some(wait) = pause(observed, EngineMode::Precheck)
    {
        return wait;
    }
    if passed(&observed.status) && change(observed, EngineMode::Precheck) == Change::None { Goal::Run } else { Goal::Precheck }
}

/// The pause after a failure, if it is not over. A changed spec ends it; so does a Secret that was written, but not before the first pause is over: there
/// are those who write them every few seconds.
fn pause(observed: &Observed, mode: EngineMode) -> Option<Goal> {
    let status = &observed.status;
    if !waits(status, observed.now) {
        return None;
    }
    match change(observed, mode) {
        Change::None => Some(Goal::Wait(next_try(status))),
        Change::Secrets => {
            let pauses = if mode == EngineMode::Precheck { PRECHECK_BACKOFF } else { FAILED_BACKOFF };
            let attempts = status.retry.as_ref().map_or(0, |retry| retry.attempts);
            let skipped = SignedDuration::try_from(backoff(pauses.0, pauses.1, attempts).saturating_sub(pauses.0)).ok()?;
            let at = next_try(status)?.checked_sub(skipped).ok()?;
            (at > observed.now).then_some(Goal::Wait(Some(at)))
        }
        Change::Spec => None,
    }
}

/// Pauses between prechecks that fail.
pub(crate) const PRECHECK_BACKOFF: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));
/// Pauses between starts of a task that failed, and between engines that fail to fence it.
pub(crate) const FAILED_BACKOFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Whether a task that is being deleted is yet to be fenced.
pub(crate) fn to_fence(observed: &Observed) -> bool {
    let task = &observed.task;
    let fenced = task.metadata.finalizers.iter().flatten().any(|name| name == FENCE_FINALIZER);
    let asked = task.spec.deletion_policy == DeletionPolicy::Fence;
    fenced && asked && begun(observed) && observed.status.phase.is_none_or(|phase| !phase.is_final())
}

/// Whether an engine may have written for this task. Status says so before the engine is made; where status is lost, pod and plan tell. An engine
/// whose precheck failed has not written, though its pod and its plan may still be there.
pub(crate) fn begun(observed: &Observed) -> bool {
    let ran = observed.plan.as_ref().is_some_and(|plan| plan.mode == Some(EngineMode::Run));
    let runs = observed.pod.as_ref().is_some_and(|pod| pod.ours && pod.mode == Some(EngineMode::Run));
    observed.status.started_at.is_some() || observed.status.phase.is_none() && (runs || ran)
}

/// What has changed since the last pod was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// The values of a Secret were written, or it is another one.
    Secrets,
    /// The spec, an annotation that asks for something, or for which hosts a Secret is.
    Spec,
}

/// What of what was asked for when the last pod was made is no longer so. A change is a reason to try again.
fn change(observed: &Observed, mode: EngineMode) -> Change {
    let Some(plan) = &observed.plan else { return Change::Spec };
    let (asked, made) = match mode {
        EngineMode::Precheck => (EngineMode::Precheck, &plan.asked[0]),
        EngineMode::Run | EngineMode::Stop if plan.mode != Some(mode) => return Change::Spec,
        EngineMode::Run | EngineMode::Stop => (EngineMode::Run, &plan.asked[1]),
    };
    let now = digest::asked(&observed.task, asked, &observed.secrets);
    let spec = |asked: &str| asked.split('.').next().map(str::to_owned);
    match () {
        () if *made == now => Change::None,
        () if spec(made) == spec(&now) => Change::Secrets,
        () => Change::Spec,
    }
}

/// How long an engine that runs may take to fence its task, before one that is made for that takes its place.
const FENCES_WITHIN: Duration = Duration::from_secs(30);

/// Whether the engine that runs is asked to fence the task: it has the credentials, whatever has become of the Secrets meanwhile. Who deletes a task
/// often deletes its Secrets a moment before or after.
pub(crate) fn fences_live(observed: &Observed) -> bool {
    let in_time = observed.fencing_for < FENCES_WITHIN || !observed.missing_secrets.is_empty();
    observed.pod.as_ref().is_some_and(|pod| {
        let stands = pod.ours && pod.deleting.is_none() && !pod.node_lost;
        stands && pod.mode == Some(EngineMode::Run) && pod.phase == PodPhase::Running && pod.ready && in_time
    })
}

/// Whether the plan of the engine that ran says that it is to fence.
fn told_to_fence(observed: &Observed) -> bool {
    let told = observed.plan.as_ref().is_some_and(|plan| plan.mode == Some(EngineMode::Stop));
    told && observed.pod.as_ref().is_some_and(|pod| pod.mode == Some(EngineMode::Run))
}

/// Whether an engine that was to fence has failed, and the time of the next one has not come.
pub(crate) fn fence_waits(observed: &Observed) -> bool {
    change(observed, EngineMode::Stop) == Change::None && next_try(&observed.status).is_some_and(|at| at > observed.now)
}

fn waits(status: &MigrationTaskStatus, now: Timestamp) -> bool {
    next_try(status).is_none_or(|at| at > now)
}

/// When a failed task is tried again; None: not by itself.
pub(crate) fn next_try(status: &MigrationTaskStatus) -> Option<Timestamp> {
    status.retry.as_ref()?.next_at.as_ref().map(|time| time.0)
}

fn passed(status: &MigrationTaskStatus) -> bool {
    find(status, condition::PRECHECK_PASSED).is_some_and(|c| c.status == "True")
}

/// A condition of a status.
pub(crate) fn find<'a>(status: &'a MigrationTaskStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

pub(crate) fn missing_secret(observed: &Observed) -> Option<Trouble> {
    let missing = &observed.missing_secrets;
    if missing.is_empty() {
        return None;
    }
    let names: Vec<String> = missing.iter().map(|(path, name)| format!("{path}: Secret \"{name}\"")).collect();
    let namespace = observed.task.metadata.namespace.as_deref().unwrap_or_default();
    let message = format!("{} is not in namespace {namespace}; create it, the task goes on by itself", names.join(", "));
    Some(Trouble { reason: "SecretMissing", message })
}

/// A Secret whose owner keeps it from the host that the spec names. Of hosts that stand in Secrets the engine says it.
fn secret_for_others(observed: &Observed) -> Option<Trouble> {
    let refused = refused_of_spec(&observed.task.spec, &observed.secrets.hosts);
    let sentences: Vec<String> = refused.iter().map(ToString::to_string).collect();
    (!sentences.is_empty()).then(|| Trouble { reason: "SecretNotForHost", message: sentences.join("; ") })
}

fn pool_trouble(observed: &Observed) -> Option<Trouble> {
    let cluster = &observed.task.spec.cluster;
    let name = cluster.name.as_deref().unwrap_or("the shared default");
    let namespace = observed.task.metadata.namespace.as_deref().unwrap_or_default();
    let (reason, message) = match &observed.pool {
        PoolFacts::Fine(_) | PoolFacts::Beyond { .. } => return None,
        PoolFacts::Missing => (
            "ClusterNotFound",
            format!("spec.cluster.name: there is no DedicatedCluster \"{name}\"; create it, or name another one"),
        ),
        PoolFacts::Malformed => (
            "ClusterMalformed",
            format!(
                "spec.cluster.name: DedicatedCluster \"{name}\" cannot be read by this version; correct it (its events name the field), or name \
                 another one"
            ),
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
        PoolFacts::TooSmall { total } => (UNITS_EXCEED, units_exceed(observed, *total)),
    };
    Some(Trouble { reason, message })
}

/// Reason of a task that asks for more units than its pool has in all.
const UNITS_EXCEED: &str = "UnitsExceedCluster";

fn units_exceed(observed: &Observed, total: u64) -> String {
    let cluster = &observed.task.spec.cluster;
    let name = cluster.name.as_deref().unwrap_or("the shared default");
    format!("spec.cluster.units: {} are asked for, {name} has {total} in all; ask for fewer, or enlarge it", cluster.units)
}

/// What a person has to change though the task runs: it goes on with the units it has.
pub(crate) fn running_trouble(observed: &Observed) -> Option<Trouble> {
    let PoolFacts::Beyond { total, .. } = &observed.pool else { return None };
    let message = format!("{}; the task goes on with those it has", units_exceed(observed, *total));
    Some(Trouble { reason: UNITS_EXCEED, message })
}

/// Whether what failed before is over and done with, by what the engine reports: the task is in sync or has ended, its engine has long worked, or
/// works at all where only prechecks had failed.
pub(crate) fn well(observed: &Observed, status: &MigrationTaskStatus) -> bool {
    let in_sync = find(status, condition::IN_SYNC).is_some_and(|c| c.status == "True");
    let works = matches!(status.phase, Some(Phase::MigratingSchema | Phase::Copying | Phase::Replicating | Phase::CuttingOver));
    let made = observed.pod.as_ref().and_then(|pod| pod.created);
    let long = made.is_some_and(|at| observed.now.duration_since(at) > WELL_AFTER);
    let only_prechecks = observed.status.retry.as_ref().is_some_and(|retry| retry.since.is_none());
    in_sync || status.phase.is_some_and(Phase::is_final) || works && (long || only_prechecks)
}

/// The one thing to do at the pod for this goal.
pub(crate) fn step(observed: &Observed, goal: &Goal, standing: Option<&Standing>) -> Step {
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
        Goal::Stop if fences_live(observed) => return Step::Ask,
        // It was told to, and has ended: its last words say whether it did.
        Goal::Stop if told_to_fence(observed) && pod.phase == PodPhase::Succeeded && pod.last_words.is_some() => {
            return Step::Conclude;
        }
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
        // Without its Secrets it could not start.
        (Goal::Stop, _) if fence_waits(observed) || !observed.missing_secrets.is_empty() => Step::Nothing,
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
    if matches!(goal, Goal::Blocked(_)) || !observed.missing_secrets.is_empty() {
        return Step::Ask;
    }
    if pod.template != digest::template(&observed.task, mode, &observed.secrets.hosts) && !refused_change(observed) {
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
pub(crate) fn refused_change(observed: &Observed) -> bool {
    let Some(plan) = &observed.plan else { return false };
    let running = plan.mode == Some(EngineMode::Run) && begun(observed);
    running && !plan.fingerprint.is_empty() && plan.fingerprint != digest::fingerprint(&observed.task.spec)
}

/// Pause before the next try after `attempts` failures: the first, doubled each time, up to the longest.
pub(crate) fn backoff(first: Duration, longest: Duration, attempts: u64) -> Duration {
    let doubled = u32::try_from(attempts.saturating_sub(1).min(20)).unwrap_or(20);
    first.saturating_mul(1 << doubled).min(longest)
}
