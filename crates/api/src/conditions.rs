//! The conditions of a task, computed from what is by one pure function.
//!
//! `Ready`, `Reconciling` and `Stalled` follow kstatus: Ready when the task does what its spec asks (in sync, completed, paused), Stalled
//! when nothing goes on until a person acts, Reconciling while work is going on towards what the spec asks.

use std::time::Duration;

use crate::condition::{
    COMPLETE, Condition, FULL_COPY_COMPLETE, IN_SYNC, PRECHECK_PASSED, READY, RECONCILING, SCHEMA_MIGRATED, STALLED, Time,
    VERIFIED,
};
use crate::{Phase, PrecheckItem, PrecheckStatus, Verdict, VerificationState, VerificationStatus};

/// A follower that is at most this far behind counts as in sync: on a busy source something is always on its way.
pub const IN_SYNC_WITHIN: Duration = Duration::from_secs(5);

/// Which parts the task consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub schema: bool,
    pub full: bool,
    pub incremental: bool,
}

/// What the conditions are computed from.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// What status shows: the stage, or that it is being retried, has failed, stands still.
    pub phase: Phase,
    /// How far the work has come, whatever interrupts it.
    pub stage: Phase,
    /// None until the task is planned.
    pub parts: Option<Parts>,
    /// None until the precheck has run.
    pub precheck_passed: Option<bool>,
    /// What it found, to name what stands in the way.
    pub precheck: Option<&'a PrecheckStatus>,
    /// Objects that could not be created.
    pub schema_failures: u64,
    /// None while it is not known.
    pub latency: Option<Duration>,
    pub verification: Option<&'a VerificationStatus>,
    /// The sentence that status shows.
    pub message: &'a str,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    True,
    False,
    Unknown,
}

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: &'static str,
    pub holds: Holds,
    pub reason: &'static str,
    pub message: String,
}

impl Finding {
    fn new(kind: &'static str, holds: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: if holds { Holds::True } else { Holds::False }, reason, message: message.into() }
    }

    fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, holds: Holds::Unknown, reason, message: message.into() }
    }
}

/// All conditions, in the order of status.
pub fn conditions(facts: &Facts<'_>) -> Vec<Finding> {
    let in_sync = in_sync(facts);
    let follows = facts.stage == Phase::Replicating && in_sync.holds == Holds::True;
    vec![
        ready(facts, follows),
        reconciling(facts, follows),
        stalled(facts),
        precheck_passed(facts),
        schema_migrated(facts),
        full_copy_complete(facts),
        in_sync,
        verified(facts),
        complete(facts),
    ]
}

fn ready(facts: &Facts<'_>, follows: bool) -> Finding {
    let holds = match facts.phase {
        Phase::Replicating => follows,
        Phase::Completed | Phase::Paused | Phase::Stopped => true,
        _ => false,
    };
    Finding::new(READY, holds, reason(facts.phase, follows), facts.message)
}

fn reconciling(facts: &Facts<'_>, follows: bool) -> Finding {
    let holds = match facts.phase {
        Phase::Replicating => !follows,
        Phase::Completed | Phase::Paused | Phase::Stopped | Phase::Failed | Phase::PrecheckFailed => false,
        _ => true,
    };
    Finding::new(RECONCILING, holds, reason(facts.phase, follows), facts.message)
}

fn stalled(facts: &Facts<'_>) -> Finding {
    match facts.phase {
        Phase::Failed | Phase::PrecheckFailed => Finding::new(STALLED, true, reason(facts.phase, false), facts.message),
        _ => Finding::new(STALLED, false, "NotStalled", "nothing waits for a person"),
    }
}

/// The reason behind Ready and Reconciling, in one CamelCase word.
fn reason(phase: Phase, follows: bool) -> &'static str {
    match phase {
        Phase::Replicating if follows => "InSync",
        Phase::Replicating => "CatchingUp",
        other => other.as_str(),
    }
}

/// Items of a failed precheck that are named where people look first; the rest is counted.
const NAMED: usize = 3;
/// Bytes of what was seen, and of the remedy, in that sentence.
const PART: usize = 240;

/// What stands in the way, with its remedy: the first items, and how many more there are.
pub fn precheck_sentence(precheck: Option<&PrecheckStatus>) -> String {
    let items: Vec<_> = precheck.into_iter().flat_map(|found| &found.items).filter(|item| item.stands_in_the_way()).collect();
    if items.is_empty() {
        return "the precheck failed; status.precheck has the items and their remedies".to_owned();
    }
    let named: Vec<String> = items.iter().take(NAMED).map(|item| item_sentence(item)).collect();
    let more = items.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!("; and {more} more in status.precheck") } else { String::new() };
    format!("the precheck failed: {}{rest}", named.join("; "))
}

fn item_sentence(item: &PrecheckItem) -> String {
    let mut text = item.name.clone();
    if !item.seen.is_empty() {
        text.push_str(&format!(": {}", part(&item.seen)));
    }
    if !item.remedy.is_empty() {
        text.push_str(&format!(" (to mend it: {})", part(&item.remedy)));
    }
    if item.verdict == Verdict::Warning {
        text.push_str(&format!(" (or ignore it: add {} to spec.precheck.ignore)", item.name));
    }
    text
}

/// A text of any length as a part of a sentence: on one line, and not too long.
fn part(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > PART {
        let end = (0..=PART).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line.trim_end_matches(';').to_owned()
}

fn precheck_passed(facts: &Facts<'_>) -> Finding {
    match facts.precheck_passed {
        Some(true) => Finding::new(PRECHECK_PASSED, true, "Passed", "every check passed or is ignored by name"),
        Some(false) => Finding::new(PRECHECK_PASSED, false, "ItemsFailed", precheck_sentence(facts.precheck)),
        None if past(facts.stage, Phase::PrecheckFailed) => {
            Finding::new(PRECHECK_PASSED, true, "PassedEarlier", "passed when the task first started")
        }
        None => Finding::unknown(PRECHECK_PASSED, "NotYet", "the precheck has not ended"),
    }
}

fn schema_migrated(facts: &Facts<'_>) -> Finding {
    match facts.parts {
        Some(parts) if !parts.schema => not_asked(SCHEMA_MIGRATED, "Schema"),
        Some(_) if past(facts.stage, Phase::MigratingSchema) && facts.schema_failures > 0 => {
            let message = format!("{} objects could not be created, see status.schema.failed", facts.schema_failures);
            Finding::new(SCHEMA_MIGRATED, false, "ObjectsFailed", message)
        }
        Some(_) if past(facts.stage, Phase::MigratingSchema) => {
            Finding::new(SCHEMA_MIGRATED, true, "Migrated", "every object stands at the destination")
        }
        _ => Finding::new(SCHEMA_MIGRATED, false, "NotYet", "the objects are not all created"),
    }
}

fn full_copy_complete(facts: &Facts<'_>) -> Finding {
    match facts.parts {
        Some(parts) if !parts.full => not_asked(FULL_COPY_COMPLETE, "Full"),
        Some(_) if past(facts.stage, Phase::Copying) => {
            Finding::new(FULL_COPY_COMPLETE, true, "Copied", "every row that the full copy owed is at the destination")
        }
        _ => Finding::new(FULL_COPY_COMPLETE, false, "NotYet", "rows are still to be copied"),
    }
}

fn in_sync(facts: &Facts<'_>) -> Finding {
    match (facts.parts, facts.latency) {
        (Some(parts), _) if !parts.incremental => not_asked(IN_SYNC, "Incremental"),
        _ if !past(facts.stage, Phase::Copying) => {
            Finding::new(IN_SYNC, false, "NotYet", "the binary log is not followed alone yet")
        }
        // What was true of the last moment is not true of now.
        _ if matches!(facts.phase, Phase::Failed | Phase::Paused | Phase::Stopped) => {
            Finding::unknown(IN_SYNC, "NotFollowing", "the binary log is not followed just now")
        }
        (_, Some(latency)) if latency <= IN_SYNC_WITHIN => {
            Finding::new(IN_SYNC, true, "CaughtUp", format!("within {} s of the source", IN_SYNC_WITHIN.as_secs()))
        }
        (_, Some(_)) => Finding::new(IN_SYNC, false, "CatchingUp", "changes of the source wait to be applied"),
        (_, None) => Finding::unknown(IN_SYNC, "LatencyUnknown", "how far the source is ahead is not known"),
    }
}

fn verified(facts: &Facts<'_>) -> Finding {
    let Some(verification) = facts.verification else {
        return Finding::unknown(VERIFIED, "NotVerified", "both sides were not compared");
    };
    match (verification.state, verification.equal) {
        (Some(VerificationState::Failed), _) => Finding::unknown(VERIFIED, "VerificationFailed", "the comparison itself failed"),
        (Some(VerificationState::TimedOut), _) => {
            Finding::unknown(VERIFIED, "TimedOut", "the comparison ended by maxHours before everything was compared")
        }
        (_, Some(false)) => {
            let message = format!(
                "{} rows missing, {} extra, {} different, {} definitions differ",
                verification.missing,
                verification.extra,
                verification.different,
                verification.schema.len()
            );
            Finding::new(VERIFIED, false, "Differences", message)
        }
        (Some(VerificationState::Finished | VerificationState::Following), Some(true)) => {
            Finding::new(VERIFIED, true, "Equal", format!("{} rows are equal on both sides", verification.rows_compared))
        }
        _ => Finding::unknown(VERIFIED, "Comparing", "both sides are being compared"),
    }
}

fn complete(facts: &Facts<'_>) -> Finding {
    if facts.phase.is_final() {
        Finding::new(COMPLETE, true, reason(facts.phase, false), facts.message)
    } else {
        Finding::new(COMPLETE, false, "NotYet", "the task has not ended")
    }
}

fn not_asked(kind: &'static str, part: &str) -> Finding {
    Finding::unknown(kind, "NotRequested", format!("spec.migrationTypes leaves out {part}"))
}

/// Whether the work has gone beyond `stage`; the phases stand in the order of the work.
fn past(now: Phase, stage: Phase) -> bool {
    now > stage
}

/// Adds the times: a condition that holds as before keeps the time of its last change.
pub fn with_times(findings: Vec<Finding>, previous: &[Condition], now: &Time) -> Vec<Condition> {
    findings
        .into_iter()
        .map(|finding| {
            let status = match finding.holds {
                Holds::True => "True",
                Holds::False => "False",
                Holds::Unknown => "Unknown",
            };
            let since = previous
                .iter()
                .find(|condition| condition.type_ == finding.kind && condition.status == status)
                .map_or_else(|| now.clone(), |condition| condition.last_transition_time.clone());
            Condition {
                type_: finding.kind.to_owned(),
                status: status.to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message,
                last_transition_time: since,
                observed_generation: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod examples;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ALL;

    const EVERYTHING: Parts = Parts { schema: true, full: true, incremental: true };

    fn facts(phase: Phase) -> Facts<'static> {
        Facts {
            phase,
            stage: phase,
            parts: Some(EVERYTHING),
            precheck_passed: Some(true),
            precheck: None,
            schema_failures: 0,
            latency: None,
            verification: None,
            message: "",
        }
    }

    /// The conditions that are True, and the reason of Ready.
    fn shown(facts: &Facts<'_>) -> (Vec<&'static str>, &'static str) {
        let findings = conditions(facts);
        assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), ALL);
        assert!(findings.iter().all(|f| !f.reason.is_empty() && f.reason.chars().all(|c| c.is_ascii_alphanumeric())));
        let ready = findings[0].reason;
        (findings.into_iter().filter(|f| f.holds == Holds::True).map(|f| f.kind).collect(), ready)
    }

    #[test]
    fn before_and_during_the_precheck() {
        let mut pending = facts(Phase::Pending);
        pending.parts = None;
        pending.precheck_passed = None;
        assert_eq!(shown(&pending), (vec![RECONCILING], "Pending"));
        pending.phase = Phase::Prechecking;
        pending.stage = Phase::Prechecking;
        assert_eq!(shown(&pending), (vec![RECONCILING], "Prechecking"));
    }

    #[test]
    fn a_failed_precheck_stalls() {
        let mut failed = facts(Phase::PrecheckFailed);
        failed.precheck_passed = Some(false);
        assert_eq!(shown(&failed), (vec![STALLED], "PrecheckFailed"));
    }

    #[test]
    fn schema_then_copy_then_log() {
        assert_eq!(shown(&facts(Phase::MigratingSchema)), (vec![RECONCILING, PRECHECK_PASSED], "MigratingSchema"));
        assert_eq!(shown(&facts(Phase::Copying)), (vec![RECONCILING, PRECHECK_PASSED, SCHEMA_MIGRATED], "Copying"));
        let mut behind = facts(Phase::Replicating);
        behind.latency = Some(Duration::from_secs(60));
        assert_eq!(shown(&behind), (vec![RECONCILING, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE], "CatchingUp"));
        behind.latency = None;
        assert_eq!(shown(&behind).1, "CatchingUp");
        behind.latency = Some(Duration::from_millis(40));
        assert_eq!(shown(&behind), (vec![READY, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE, IN_SYNC], "InSync"));
    }

    #[test]
    fn a_resumed_task_passed_its_precheck_earlier() {
        let mut resumed = facts(Phase::Copying);
        resumed.precheck_passed = None;
        assert!(shown(&resumed).0.contains(&PRECHECK_PASSED));
    }

    #[test]
    fn retrying_keeps_what_was_reached() {
        let mut retrying = facts(Phase::Replicating);
        retrying.phase = Phase::Retrying;
        assert_eq!(shown(&retrying), (vec![RECONCILING, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE], "Retrying"));
    }

    #[test]
    fn a_definite_error_stalls() {
        let mut failed = facts(Phase::Copying);
        failed.phase = Phase::Failed;
        assert_eq!(shown(&failed), (vec![STALLED, PRECHECK_PASSED, SCHEMA_MIGRATED], "Failed"));
        failed.stage = Phase::Replicating;
        failed.latency = Some(Duration::ZERO);
        assert_eq!(shown(&failed).0, [STALLED, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE]);
    }

    #[test]
    fn ends() {
        let mut completed = facts(Phase::Completed);
        completed.parts = Some(Parts { incremental: false, ..EVERYTHING });
        assert_eq!(shown(&completed), (vec![READY, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE, COMPLETE], "Completed"));
        let mut paused = facts(Phase::Copying);
        paused.phase = Phase::Paused;
        assert_eq!(shown(&paused), (vec![READY, PRECHECK_PASSED, SCHEMA_MIGRATED], "Paused"));
        paused.phase = Phase::Stopped;
        assert_eq!(shown(&paused), (vec![READY, PRECHECK_PASSED, SCHEMA_MIGRATED, COMPLETE], "Stopped"));
    }

    #[test]
    fn a_cut_over_is_not_ready_before_its_end() {
        assert_eq!(shown(&facts(Phase::CuttingOver)).0, vec![RECONCILING, PRECHECK_PASSED, SCHEMA_MIGRATED, FULL_COPY_COMPLETE]);
    }

    #[test]
    fn objects_that_failed_are_told() {
        let mut copying = facts(Phase::Copying);
        copying.schema_failures = 2;
        assert!(!shown(&copying).0.contains(&SCHEMA_MIGRATED));
    }

    #[test]
    fn parts_that_nobody_asked_for_are_unknown() {
        let mut following = facts(Phase::Replicating);
        following.parts = Some(Parts { schema: false, full: false, incremental: true });
        let findings = conditions(&following);
        assert!(findings.iter().filter(|f| f.reason == "NotRequested").all(|f| f.holds == Holds::Unknown));
        assert_eq!(findings.iter().filter(|f| f.reason == "NotRequested").count(), 2);
    }

    #[test]
    fn verification() {
        let mut status = VerificationStatus { state: Some(VerificationState::Comparing), ..VerificationStatus::default() };
        let verdict = |status: &VerificationStatus| {
            let facts = Facts { verification: Some(status), ..facts(Phase::Replicating) };
            verified(&facts).holds
        };
        assert_eq!(verdict(&status), Holds::Unknown);
        status.state = Some(VerificationState::Finished);
        status.equal = Some(true);
        assert_eq!(verdict(&status), Holds::True);
        status.equal = Some(false);
        assert_eq!(verdict(&status), Holds::False);
        status.state = Some(VerificationState::Failed);
        assert_eq!(verdict(&status), Holds::Unknown);
    }

    #[test]
    fn times_change_with_the_status_only() {
        let at = |second: i64| Time(jiff::Timestamp::from_second(second).unwrap());
        let first = with_times(conditions(&facts(Phase::Copying)), &[], &at(10));
        let mut failed = facts(Phase::Copying);
        failed.phase = Phase::Failed;
        let second = with_times(conditions(&failed), &first, &at(20));
        let time = |kind: &str| second.iter().find(|c| c.type_ == kind).unwrap().last_transition_time.clone();
        assert_eq!((time(READY), time(STALLED), time(RECONCILING)), (at(10), at(20), at(20)));
    }

    #[test]
    fn a_failed_precheck_names_its_first_items_with_their_remedies() {
        let item = |name: &str, verdict: Verdict, ignored: bool| PrecheckItem {
            name: name.into(),
            verdict,
            ignored,
            seen: format!("{name} is\noff"),
            why: String::new(),
            remedy: format!("SET GLOBAL {name} = ON;"),
        };
        let items = vec![
            item("fine", Verdict::Passed, false),
            item("ignored", Verdict::Warning, true),
            item("a", Verdict::Failed, false),
            item("b", Verdict::Warning, false),
            item("c", Verdict::Failed, false),
            item("d", Verdict::Failed, false),
            item("e", Verdict::Failed, false),
        ];
        let text = precheck_sentence(Some(&PrecheckStatus { items, ..PrecheckStatus::default() }));
        assert_eq!(
            text,
            "the precheck failed: a: a is off (to mend it: SET GLOBAL a = ON); b: b is off (to mend it: SET GLOBAL b = ON) (or ignore it: add b to \
             spec.precheck.ignore); c: c is off (to mend it: SET GLOBAL c = ON); and 2 more in status.precheck"
        );
        let long = PrecheckItem { seen: "ü".repeat(5000), ..item("a", Verdict::Failed, false) };
        let text = precheck_sentence(Some(&PrecheckStatus { items: vec![long], ..PrecheckStatus::default() }));
        assert!(text.len() < 400 && text.contains("ü…"), "{text}");
        assert!(precheck_sentence(None).contains("status.precheck"));
    }
}
