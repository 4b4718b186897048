//! Status, from what was observed, what was decided and what the engine says. Pure, and the only place that status comes from.
//!
//! While an engine answers, status is its report. Where there is none, or something of Kubernetes matters more, an [`Overlay`] says phase, reason
//! and sentence, and the milestones that were reached (precheck, schema, copy) stay as they were.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::apply::pod_name_taken;
use super::decide::{self, FAILED_BACKOFF, Goal, PRECHECK_BACKOFF, Step};
use super::observe::Observed;
use crate::ledger::{PoolKey, Standing};
use crate::trouble::Trouble;
use crate::view::PodPhase;
use godwit_api::condition::{
    ALL, COMPLETE, Condition, FULL_COPY_COMPLETE, IN_SYNC, PRECHECK_PASSED, READY, RECONCILING, SCHEMA_MIGRATED, STALLED, Time,
};
use godwit_api::conditions::{self, Facts, Parts, precheck_sentence};
use godwit_api::engine::engine_name;
use godwit_api::{
    AdmissionStatus, EngineMode, MigrationTaskStatus, MigrationType, Phase, QueueStatus, RetryStatus, StatusReport,
};

use super::notes::bound;
pub(crate) use super::notes::{failure, is_transition, notes};

/// For what is tried again as long as it is wanted.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);
/// Reason of a task that could not be fenced yet.
const FENCE_FAILED: &str = "FenceFailed";

/// What an engine answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Report(Box<StatusReport>),
    /// It does not answer, and why.
    Silent(String),
}

/// What is said beside the engine, or instead of it.
#[derive(Debug, Clone)]
struct Overlay {
    phase: Phase,
    reason: &'static str,
    message: String,
    health: Health,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Ready,
    Working,
    Stalled,
}

fn overlay(phase: Phase, health: Health, reason: &'static str, message: impl Into<String>) -> Overlay {
    Overlay { phase, reason, message: message.into(), health }
}

/// What the stages before this one came to.
#[derive(Debug, Clone)]
pub(crate) struct Decided<'a> {
    pub goal: &'a Goal,
    pub standing: Option<&'a Standing>,
    pub step: &'a Step,
    pub reply: Option<&'a Reply>,
    /// Units that the task holds by the ledger.
    pub holding: Option<(PoolKey, u32)>,
}

/// The status that should stand.
pub(crate) fn report(observed: &Observed, decided: &Decided<'_>) -> MigrationTaskStatus {
    let mut status = match decided.goal {
        Goal::Leave => return observed.status.clone(),
        Goal::Ended => ended(observed),
        Goal::Wait(_) => kept(observed),
        Goal::Rest => rest(observed),
        Goal::Stop => stop(observed, decided),
        Goal::Precheck => precheck(observed, decided),
        Goal::Blocked(trouble) => {
            let phase = engine_phase(observed, decided);
            let base = answered(decided).map(|report| merged(observed, report)).unwrap_or_else(|| base(observed));
            with(observed, base, overlay(phase, Health::Stalled, trouble.reason, trouble.message.clone()))
        }
        Goal::Run => run(observed, decided),
    };
    if let (Some(unable), Step::Create(_) | Step::Refresh) = (&observed.unable, decided.step) {
        let phase = status.phase.unwrap_or(Phase::Pending);
        status = with(observed, status, overlay(phase, Health::Stalled, unable.reason, unable.message.clone()));
    }
    finish(observed, decided, &mut status);
    status
}

/// What stands in every status, whoever it comes from.
fn finish(observed: &Observed, decided: &Decided<'_>, status: &mut MigrationTaskStatus) {
    let task = &observed.task;
    status.observed_generation =
        if takes_over(observed, decided) { observed.status.observed_generation } else { task.metadata.generation };
    for condition in &mut status.conditions {
        condition.observed_generation = status.observed_generation;
    }
    let spec = &task.spec;
    let address = |host: Option<&String>, port: Option<u16>| host.map(|host| format!("{host}:{}", port.unwrap_or(3306)));
    // Hosts that stand in Secrets only an engine knows; what it told last stays.
    let told = answered(decided).is_some();
    if !told || status.source.is_none() {
        status.source = address(spec.source.mysql.host.as_ref(), spec.source.mysql.port).or(status.source.take());
    }
    if !told || status.destination.is_none() {
        let mysql = spec.destination.mysql.as_ref().and_then(|mysql| address(mysql.host.as_ref(), mysql.port));
        let named = mysql.or_else(|| spec.destination.tablestore.as_ref().map(|store| store.instance.clone()));
        status.destination = named.or(status.destination.take());
    }
    status.effective_retry = observed.retry.set_by.is_some().then(|| observed.retry.clone());
    let gives_back =
        status.phase.is_some_and(|phase| phase.is_final() || phase == Phase::Failed || phase == Phase::PrecheckFailed);
    let holding = decided.holding.as_ref().filter(|_| !gives_back);
    status.admission = holding.map(|(cluster, units)| {
        let before = observed.status.admission.as_ref().filter(|before| before.cluster == *cluster && before.units == *units);
        let since = before.and_then(|before| before.since.clone()).unwrap_or_else(|| whole_second(observed.now));
        AdmissionStatus { cluster: cluster.clone(), units: *units, since: Some(since) }
    });
    status.queue = match decided.standing {
        Some(Standing::Waits { place, free, .. }) if status.admission.is_none() => {
            Some(QueueStatus { place: *place, units: spec.cluster.units.into(), free_units: *free })
        }
        _ => None,
    };
    status.started_at = match status.phase {
        Some(Phase::PrecheckFailed) => None,
        _ if observed.status.started_at.is_some() => observed.status.started_at.clone(),
        _ if *decided.step == Step::Create(EngineMode::Run) || decide::begun(observed) => Some(whole_second(observed.now)),
        _ => None,
    };
    if status.phase.is_some_and(Phase::is_final) {
        status.completed_at = observed.status.completed_at.clone().or_else(|| Some(whole_second(observed.now)));
    } else {
        status.completed_at = None;
    }
    bound(status);
}

/// Whether the engine has yet to take over what changed: until then status is about the spec before, and whoever waits for the change waits on.
fn takes_over(observed: &Observed, decided: &Decided<'_>) -> bool {
    let Some(report) = answered(decided) else { return false };
    let older = |generation: i64| observed.plan.as_ref().is_some_and(|plan| generation < plan.generation);
    observed.status.observed_generation.is_some()
        && (*decided.step == Step::Refresh || report.status.observed_generation.is_some_and(older))
}

fn whole_second(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// The report, if the engine gave one.
fn answered<'a>(decided: &Decided<'a>) -> Option<&'a StatusReport> {
    match decided.reply {
        Some(Reply::Report(report)) => Some(report),
        _ => None,
    }
}

/// The phase to show where something else is told than what the engine does: that of the work, as far as it is known.
fn engine_phase(observed: &Observed, decided: &Decided<'_>) -> Phase {
    if let Some(phase) = answered(decided).and_then(|report| report.status.phase)
        && decide::begun(observed)
    {
        return phase;
    }
    work_phase(observed)
}

/// The last phase of the work itself.
fn work_phase(observed: &Observed) -> Phase {
    let known = observed
        .status
        .phase
        .filter(|phase| matches!(phase, Phase::MigratingSchema | Phase::Copying | Phase::Replicating | Phase::CuttingOver));
    let reached = |kind: &str| decide::find(&observed.status, kind).is_some_and(|c| c.status == "True");
    match known {
        Some(phase) => phase,
        None if !decide::begun(observed) => Phase::Pending,
        None if reached(FULL_COPY_COMPLETE) && observed.task.spec.migrates(MigrationType::Incremental) => Phase::Replicating,
        None if reached(SCHEMA_MIGRATED) => Phase::Copying,
        None => Phase::Pending,
    }
}

/// The status before, or the first one.
fn base(observed: &Observed) -> MigrationTaskStatus {
    let mut status = observed.status.clone();
    if ALL.iter().any(|kind| decide::find(&status, kind).is_none()) {
        let spec = &observed.task.spec;
        let facts = Facts {
            phase: Phase::Pending,
            stage: Phase::Pending,
            parts: Some(Parts {
                schema: spec.migrates(MigrationType::Schema),
                full: spec.migrates(MigrationType::Full),
                incremental: spec.migrates(MigrationType::Incremental),
            }),
            precheck_passed: None,
            precheck: None,
            schema_failures: 0,
            latency: None,
            verification: None,
            message: "seen, nothing is done yet",
        };
        let first = conditions::with_times(conditions::conditions(&facts), &[], &whole_second(observed.now));
        let known = |condition: Condition| decide::find(&observed.status, &condition.type_).cloned().unwrap_or(condition);
        status.conditions = first.into_iter().map(known).collect();
    }
    status
}

/// The engine's report, with what an engine that just started does not know any more.
fn merged(observed: &Observed, report: &StatusReport) -> MigrationTaskStatus {
    let before = &observed.status;
    let mut status = report.status.clone();
    status.precheck = status.precheck.or_else(|| before.precheck.clone());
    status.schema = status.schema.or_else(|| before.schema.clone());
    status.full = status.full.or_else(|| before.full.clone());
    status.verification = status.verification.or_else(|| before.verification.clone());
    status.position = status.position.or_else(|| before.position.clone());
    if status.retry.is_none() && !decide::well(observed, &status) {
        // What failed before is told, and counts, until the task is well again.
        status.retry = before.retry.clone().map(|retry| RetryStatus { next_at: None, ..retry });
    }
    let fresh = matches!(status.phase, None | Some(Phase::Pending | Phase::Prechecking));
    for condition in &mut status.conditions {
        let Some(known) = decide::find(before, &condition.type_) else { continue };
        let milestone = [PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE].contains(&condition.type_.as_str());
        let forgotten = condition.status == "Unknown" || fresh;
        if milestone && forgotten && known.status == "True" {
            *condition = known.clone();
        } else if condition.status == known.status {
            condition.last_transition_time = known.last_transition_time.clone();
        }
    }
    status
}

/// Puts an overlay over a status.
fn with(observed: &Observed, mut status: MigrationTaskStatus, overlay: Overlay) -> MigrationTaskStatus {
    let base = base(observed);
    if status.conditions.is_empty() {
        status.conditions = base.conditions;
    }
    status.phase = Some(overlay.phase);
    status.message = Some(overlay.message.clone());
    let now = whole_second(observed.now);
    let mut set = |kind: &str, holds: &str, reason: &str, message: &str| {
        let since = decide::find(&observed.status, kind).filter(|known| known.status == holds);
        let since = since.map_or_else(|| now.clone(), |known| known.last_transition_time.clone());
        let fresh = Condition {
            type_: kind.to_owned(),
            status: holds.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: since,
            observed_generation: None,
        };
        if let Some(place) = status.conditions.iter_mut().find(|condition| condition.type_ == kind) {
            *place = fresh;
        }
    };
    let is = |health: Health| if overlay.health == health { "True" } else { "False" };
    set(READY, is(Health::Ready), overlay.reason, &overlay.message);
    set(RECONCILING, is(Health::Working), overlay.reason, &overlay.message);
    if overlay.health == Health::Stalled {
        set(STALLED, "True", overlay.reason, &overlay.message);
    } else {
        set(STALLED, "False", "NotStalled", "nothing waits for a person");
    }
    if overlay.phase.is_final() {
        set(COMPLETE, "True", overlay.reason, &overlay.message);
    }
    if !matches!(overlay.phase, Phase::Replicating | Phase::Completed) || ["Starting", "Pausing"].contains(&overlay.reason) {
        set(IN_SYNC, "Unknown", "NotFollowing", "the binary log is not followed just now");
        status.latency_seconds = None;
    }
    status
}

fn ended(observed: &Observed) -> MigrationTaskStatus {
    if let Some(phase) = observed.status.phase.filter(|phase| phase.is_final()) {
        if let Some(fields) = &observed.refused {
            let message = format!(
                "{fields}: changed after the task had ended ({phase}), and not carried out; create a new task for it, or take the change back"
            );
            return with(observed, base(observed), overlay(phase, Health::Stalled, REFUSED, message));
        }
        return kept(observed);
    }
    let status = MigrationTaskStatus { retry: None, ..base(observed) };
    with(observed, status, overlay(Phase::Stopped, Health::Ready, "Stopped", "ended before it began, as asked"))
}

fn rest(observed: &Observed) -> MigrationTaskStatus {
    let status = MigrationTaskStatus { retry: None, ..base(observed) };
    if observed.pod.is_some() {
        return with(observed, status, overlay(work_phase(observed), Health::Working, "Pausing", "the engine is being stopped"));
    }
    let message = "stands still as asked; set spec.desiredState to Running to go on";
    with(observed, status, overlay(Phase::Paused, Health::Ready, "Paused", message))
}

fn stop(observed: &Observed, decided: &Decided<'_>) -> MigrationTaskStatus {
    let stopped = answered(decided).is_some_and(|report| report.status.phase == Some(Phase::Stopped));
    let live = matches!(decided.step, Step::Ask | Step::Refresh) && decide::fences_live(observed);
    let mut status = base(observed);
    // What failed before it was to be fenced is over.
    let fencing = observed.plan.as_ref().is_some_and(|plan| plan.mode == Some(EngineMode::Stop));
    status.retry = status.retry.filter(|_| fencing && !stopped);
    if stopped {
        // Whether there was something to mark, only the engine knows.
        let told = answered(decided).and_then(|report| report.status.message.clone());
        let message = told.unwrap_or_else(|| "ended for good as asked".to_owned());
        return with(observed, status, overlay(Phase::Stopped, Health::Ready, "Stopped", message));
    }
    let waits = decide::fence_waits(observed);
    status.retry = status.retry.map(|retry| RetryStatus { next_at: retry.next_at.filter(|_| waits), ..retry });
    let phase = work_phase(observed);
    let doing = "the task is being fenced at the destination";
    let Some(report) = answered(decided) else {
        let pod = observed.pod.as_ref().filter(|pod| live || pod.mode.is_none() || pod.mode == Some(EngineMode::Stop));
        if let (None, Some(trouble)) = (pod, decide::missing_secret(observed)) {
            let out = if observed.task.metadata.deletion_timestamp.is_some() { WAY_OUT } else { "" };
            let message = format!(
                "the engine is stopped; the task is fenced at the destination when this is mended: {}{out}",
                trouble.message
            );
            return with(observed, status, overlay(phase, Health::Stalled, trouble.reason, message));
        }
        if waits {
            let message = status.message.clone().unwrap_or_default();
            return with(observed, status, overlay(phase, Health::Stalled, FENCE_FAILED, message));
        }
        let (health, reason, message) = match pod {
            Some(_) => starting(observed, decided, "Stopping", doing),
            None => (Health::Working, "Stopping", doing.to_owned()),
        };
        return with(observed, status, overlay(phase, health, reason, message));
    };
    let told = report.status.message.clone().unwrap_or_else(|| doing.to_owned());
    if report.status.phase == Some(Phase::Failed) {
        let retry = next_retry(observed, &told, FAILED_BACKOFF, FOR_EVER);
        let out = if observed.task.metadata.deletion_timestamp.is_some() { WAY_OUT } else { "" };
        let message = format!("the task could not be fenced at the destination and is tried again: {told}{out}");
        let status = MigrationTaskStatus { retry: Some(retry), ..status };
        return with(observed, status, overlay(phase, Health::Stalled, FENCE_FAILED, message));
    }
    // One that runs may still be busy with what it did before.
    let fences = !live || observed.fencing_for > HEARD_WITHIN;
    if fences && report.status.phase == Some(Phase::Retrying) {
        // At once, not when it has given up: a person may be waiting for the deletion.
        let out = if observed.task.metadata.deletion_timestamp.is_some() { WAY_OUT } else { "" };
        let message = format!("{doing}, which does not work yet: {told}{out}");
        return with(observed, status, overlay(phase, Health::Stalled, FENCE_RETRIED, message));
    }
    let told = if live { doing.to_owned() } else { told };
    with(observed, status, overlay(phase, Health::Working, "Stopping", told))
}

/// What who waits for a deletion may do when the fence cannot be had.
const WAY_OUT: &str = "; to let the task go without its fence, set spec.deletionPolicy to Release";
/// By then an engine that runs has read its plan.
const HEARD_WITHIN: Duration = Duration::from_secs(15);
/// Reason of a task that is yet to be fenced, while its engine cannot reach what it has to.
const FENCE_RETRIED: &str = "FenceRetried";

/// Whether a status says that the engine which was to fence has given up.
pub(crate) fn fence_failed(status: &MigrationTaskStatus) -> bool {
    decide::find(status, STALLED).is_some_and(|condition| condition.status == "True" && condition.reason == FENCE_FAILED)
}

fn precheck(observed: &Observed, decided: &Decided<'_>) -> MigrationTaskStatus {
    let Some(report) = answered(decided) else {
        let (health, reason, message) = starting(observed, decided, "Prechecking", "both ends are being checked");
        let before = MigrationTaskStatus { precheck: None, ..base(observed) };
        let mut status = with(observed, before, overlay(Phase::Prechecking, health, reason, message));
        set_precheck(observed, &mut status, "Unknown", "NotYet", "the precheck has not ended");
        return status;
    };
    let engine = &report.status;
    let passed = decide::find(engine, PRECHECK_PASSED).map(|condition| condition.status.as_str());
    let failed = matches!(engine.phase, Some(Phase::PrecheckFailed | Phase::Failed)) || passed == Some("False");
    let mut status = MigrationTaskStatus {
        // What was found before is not what this one finds.
        precheck: engine.precheck.clone(),
        source: engine.source.clone(),
        destination: engine.destination.clone(),
        ..base(observed)
    };
    if failed {
        let message = engine.message.clone().unwrap_or_else(|| precheck_sentence(engine.precheck.as_ref()));
        return precheck_failed(observed, status, message);
    }
    if passed == Some("True") && engine.phase != Some(Phase::Prechecking) {
        // How often it failed counts until an engine works: that may fail at the same check again.
        status.retry = status.retry.map(|retry| RetryStatus { next_at: None, since: None, until: None, ..retry });
        let queued = overlay(Phase::Queued, Health::Working, "Queued", "the precheck passed; waiting for units");
        let mut status = with(observed, status, queued);
        set_precheck(observed, &mut status, "True", "Passed", "every check passed or is ignored by name");
        return status;
    }
    let message = engine.message.clone().unwrap_or_else(|| "both ends are being checked".to_owned());
    let mut status = with(observed, status, overlay(Phase::Prechecking, Health::Working, "Prechecking", message));
    set_precheck(observed, &mut status, "Unknown", "NotYet", "the precheck has not ended");
    status
}

fn precheck_failed(observed: &Observed, mut status: MigrationTaskStatus, message: String) -> MigrationTaskStatus {
    status.retry = Some(next_retry(observed, &message, PRECHECK_BACKOFF, FOR_EVER));
    let mut status = with(observed, status, overlay(Phase::PrecheckFailed, Health::Stalled, "PrecheckFailed", message));
    let items = precheck_sentence(status.precheck.as_ref());
    set_precheck(observed, &mut status, "False", "ItemsFailed", &items);
    status
}

fn set_precheck(observed: &Observed, status: &mut MigrationTaskStatus, holds: &str, reason: &str, message: &str) {
    let known = decide::find(&observed.status, PRECHECK_PASSED).filter(|known| known.status == holds).cloned();
    if let Some(condition) = status.conditions.iter_mut().find(|condition| condition.type_ == PRECHECK_PASSED) {
        condition.last_transition_time = known.map_or_else(|| whole_second(observed.now), |known| known.last_transition_time);
        condition.status = holds.to_owned();
        condition.reason = reason.to_owned();
        condition.message = message.to_owned();
    }
}

/// The failure with the time of the next try. `within`: how long after the first failure it is still tried again.
fn next_retry(observed: &Observed, error: &str, backoff: (Duration, Duration), within: Duration) -> RetryStatus {
    let before = observed.status.retry.as_ref();
    let attempts = before.map_or(0, |retry| retry.attempts) + 1;
    let since = before.and_then(|retry| retry.since.clone()).unwrap_or_else(|| whole_second(observed.now));
    let later =
        |at: Timestamp, by: Duration| SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).map(whole_second);
    let next_at = later(observed.now, decide::backoff(backoff.0, backoff.1, attempts));
    let until = later(since.0, within);
    let in_time = |at: &Time| until.as_ref().is_none_or(|until| at.0 <= until.0);
    RetryStatus { error: error.to_owned(), attempts, next_at: next_at.filter(in_time), until, since: Some(since) }
}

fn run(observed: &Observed, decided: &Decided<'_>) -> MigrationTaskStatus {
    if let (Some(Standing::Waits { place, .. }), None) = (decided.standing, &observed.status.admission)
        && decided.holding.is_none()
    {
        let units = observed.task.spec.cluster.units;
        let lowered = observed.ceiling.filter(|ceiling| *ceiling < observed.task.spec.cluster.priority);
        let lowered =
            lowered.map(|ceiling| format!("; its priority counts as {ceiling}, the ceiling of its namespace in this cluster"));
        let message = format!("waits for {units} free units, at place {place} of the queue{}", lowered.unwrap_or_default());
        return with(observed, base(observed), overlay(Phase::Queued, Health::Working, "Queued", message));
    }
    let Some(report) = answered(decided) else {
        let (mut health, mut reason, mut message) = starting(observed, decided, "Starting", "the engine is being started");
        if let Some(trouble) = trouble(observed).filter(|_| health == Health::Working) {
            (health, reason, message) = (Health::Stalled, trouble.reason, trouble.message);
        }
        return with(observed, base(observed), overlay(work_phase(observed), health, reason, message));
    };
    let status = merged(observed, report);
    match status.phase {
        Some(Phase::Failed) => failed(observed, status),
        Some(Phase::PrecheckFailed) => {
            let message = status.message.clone().unwrap_or_default();
            precheck_failed(observed, status, message)
        }
        // It only just came up, or was told to stop by somebody else than us and comes up again.
        None | Some(Phase::Pending | Phase::Paused | Phase::Queued | Phase::Stopped) => {
            with(observed, status, overlay(work_phase(observed), Health::Working, "Starting", "the engine is starting"))
        }
        Some(phase) => running(observed, decided, status, phase),
    }
}

/// Reason of a task whose spec changed in what must stay.
const REFUSED: &str = "SpecChangeRefused";

/// What a person has to change though the task works.
fn trouble(observed: &Observed) -> Option<Trouble> {
    let refusal = |field: &String| format!("{field}; the task goes on by the spec that it began with");
    let refused = observed.refused.as_ref().map(|field| Trouble { reason: REFUSED, message: refusal(field) });
    refused.or_else(|| decide::running_trouble(observed))
}

fn running(observed: &Observed, decided: &Decided<'_>, status: MigrationTaskStatus, phase: Phase) -> MigrationTaskStatus {
    if let Some(trouble) = trouble(observed) {
        return with(observed, status, overlay(phase, Health::Stalled, trouble.reason, trouble.message));
    }
    if let Some(Standing::Waits { place, aside, .. }) = decided.standing {
        let mut message = format!(
            "waits for {} units of {}, at place {place} of the queue, and goes on with those it has",
            observed.task.spec.cluster.units,
            observed.task.spec.cluster.name.as_deref().unwrap_or("the shared default")
        );
        if *aside {
            message.push_str(
                "; other tasks that want more as well have what it waits for: ask for fewer units, or enlarge the cluster",
            );
        }
        return with(observed, status, overlay(phase, Health::Working, "WaitingForUnits", message));
    }
    status
}

fn failed(observed: &Observed, mut status: MigrationTaskStatus) -> MigrationTaskStatus {
    let message = status.message.clone().unwrap_or_default();
    let days = observed.task.spec.retry.failed_task_days;
    let within = Duration::from_secs(u64::from(days) * 24 * 3600);
    status.retry = Some(next_retry(observed, &message, FAILED_BACKOFF, within));
    with(observed, status, overlay(Phase::Failed, Health::Stalled, "Failed", message))
}

/// Health, reason and sentence while a pod comes up or is not heard of.
fn starting(observed: &Observed, decided: &Decided<'_>, reason: &'static str, doing: &str) -> (Health, &'static str, String) {
    let Some(pod) = &observed.pod else { return (Health::Working, reason, doing.to_owned()) };
    if !pod.ours && pod.mode.is_none() {
        let taken = pod_name_taken(&engine_name(observed.task.metadata.name.as_deref().unwrap_or_default()));
        return (Health::Stalled, taken.reason, taken.message);
    }
    let trouble = pod.trouble.as_ref().map(|(reason, message)| format!("{reason}: {message}"));
    let overdue = pod.deleting.is_none()
        && pod.phase != PodPhase::Succeeded
        && pod.not_ready_since.is_some_and(|since| {
            SignedDuration::try_from(observed.ready_within).is_ok_and(|within| observed.now.duration_since(since) > within)
        });
    let silence = match decided.reply {
        Some(Reply::Silent(why)) => Some(format!("the engine does not answer: {why}")),
        _ => None,
    };
    if overdue {
        let what = trouble.or(silence).unwrap_or_else(|| "its pod does not become ready".to_owned());
        return (Health::Stalled, "EngineNotReady", format!("the engine does not come up: {what}"));
    }
    let message = trouble.map(|what| format!("{doing} ({what})")).or(silence.filter(|_| pod.ready));
    (Health::Working, reason, message.unwrap_or_else(|| doing.to_owned()))
}

/// Reason of a resource that cannot be read.
pub(crate) const MALFORMED: &str = "Malformed";

/// The conditions of a resource that cannot be read, and the sentence about it: what stood there before stays, but for health.
pub(crate) fn malformed(before: &[Condition], error: &str, generation: Option<i64>, now: Timestamp) -> (Vec<Condition>, String) {
    let words: String = error.chars().take(2000).collect();
    let message = format!("the resource cannot be read by this version: {words}; correct the field, nothing is done meanwhile");
    let mut conditions = before.to_vec();
    for (kind, status, reason, message) in [
        (READY, "False", MALFORMED, message.as_str()),
        (RECONCILING, "False", MALFORMED, message.as_str()),
        (STALLED, "True", MALFORMED, message.as_str()),
    ] {
        let since = before.iter().find(|known| known.type_ == kind && known.status == status);
        let fresh = Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: since.map_or_else(|| whole_second(now), |known| known.last_transition_time.clone()),
            observed_generation: generation,
        };
        match conditions.iter_mut().find(|known| known.type_ == kind) {
            Some(known) => *known = fresh,
            None => conditions.push(fresh),
        }
    }
    (conditions, message)
}

/// A status of a task that waits or has ended, which is kept as it stands, without the mark of a time when it could not be read or asked for what
/// could not be done.
fn kept(observed: &Observed) -> MigrationTaskStatus {
    let status = observed.status.clone();
    let over = |reason: &str| reason == MALFORMED || reason == REFUSED;
    let marked = decide::find(&status, STALLED).is_some_and(|stalled| stalled.status == "True" && over(&stalled.reason));
    let Some(phase) = status.phase.filter(|_| marked) else { return status };
    let (health, message) = match phase {
        Phase::Failed | Phase::PrecheckFailed => (Health::Stalled, status.retry.as_ref().map(|retry| retry.error.clone())),
        _ => (Health::Ready, Some("the task has ended".to_owned())),
    };
    with(observed, base(observed), overlay(phase, health, phase.as_str(), message.unwrap_or_default()))
}
