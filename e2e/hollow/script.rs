//! What a hollow engine pretends to do, as a function of the time that was worked on the task.

use std::time::Duration;

use godwit::api::condition::Time;
use godwit::api::{
    EngineMode, EnginePlan, FullStatus, IncrementalStatus, MigrationTaskStatus, MigrationType, Phase, Position, PrecheckItem,
    PrecheckStatus, RetryStatus, SchemaStatus, Verdict,
};
use godwit::conditions::{Facts, Parts, conditions, with_times};

/// Annotation of a `MigrationTask` that names its script.
pub const ANNOTATION_SCRIPT: &str = "hollow.godwit.dev/script";

/// How long the precheck takes.
const PRECHECK: Duration = Duration::from_millis(500);
/// How long the schema takes.
const SCHEMA: Duration = Duration::from_millis(300);
/// How long the full copy takes.
const COPY: Duration = Duration::from_secs(2);
/// With [`Script::SlowCopy`].
const SLOW_COPY: Duration = Duration::from_secs(120);
/// Time for which an engine that has ended still answers.
pub const LINGER: Duration = Duration::from_millis(300);

/// What happens to a task and its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Script {
    /// Prechecks, creates, copies, follows in sync.
    #[default]
    Normal,
    /// The precheck finds something.
    PrecheckFails,
    /// The precheck's pod ends before anybody could ask it; only the termination log tells.
    PrecheckQuick,
    /// The precheck does not come to an end.
    PrecheckHangs,
    /// The precheck passes, and the engine that runs finds something.
    RunPrecheckFails,
    /// The engine that is to mark the task as stopped gives up.
    StopFails,
    /// The engine that is to mark the task as stopped cannot reach the destination, and goes on trying.
    StopRetries,
    /// Something that needs a person happens in the middle of the copy.
    DefiniteError,
    /// As before, with the whole of a long statement in the message.
    LongError,
    /// The task ends by itself after the copy.
    Completes,
    /// As before, but its pod ends before anybody could ask it.
    CompletesQuick,
    /// Something that may pass happens while the log is followed.
    Retrying,
    /// Follows a source that changes all the time.
    Busy,
    /// Copies for two minutes.
    SlowCopy,
    /// Accepts connections and never answers.
    Hangs,
    /// Answers what is no report.
    Garbage,
    /// No node takes the pod.
    Unschedulable,
    /// The image cannot be pulled.
    ImageMissing,
    /// The process ends with exit code 1 at once, again and again.
    Crashes,
    /// Takes two seconds to end when asked.
    SlowStop,
}

impl Script {
    /// By its name in the annotation.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "normal" => Self::Normal,
            "precheck-fails" => Self::PrecheckFails,
            "precheck-quick" => Self::PrecheckQuick,
            "precheck-hangs" => Self::PrecheckHangs,
            "run-precheck-fails" => Self::RunPrecheckFails,
            "stop-fails" => Self::StopFails,
            "stop-retries" => Self::StopRetries,
            "definite-error" => Self::DefiniteError,
            "long-error" => Self::LongError,
            "completes" => Self::Completes,
            "completes-quick" => Self::CompletesQuick,
            "retrying" => Self::Retrying,
            "busy" => Self::Busy,
            "slow-copy" => Self::SlowCopy,
            "hangs" => Self::Hangs,
            "garbage" => Self::Garbage,
            "unschedulable" => Self::Unschedulable,
            "image-missing" => Self::ImageMissing,
            "crashes" => Self::Crashes,
            "slow-stop" => Self::SlowStop,
            _ => return None,
        })
    }

    /// Whether the pod is seen at work only in its termination log.
    pub fn is_deaf(self, mode: EngineMode) -> bool {
        matches!((self, mode), (Self::PrecheckQuick, EngineMode::Precheck) | (Self::CompletesQuick, EngineMode::Run))
    }

    fn copy(self) -> Duration {
        if self == Self::SlowCopy { SLOW_COPY } else { COPY }
    }
}

/// What an engine has seen so far.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// Since this engine started.
    pub up: Duration,
    /// That engines have worked on the task, this one included.
    pub worked: Duration,
    /// The destination says that the task was stopped for good.
    pub fenced: bool,
    /// The destination has a record of the task.
    pub recorded: bool,
}

/// What the engine reports now.
pub fn report(script: Script, plan: &EnginePlan, course: Course, since: &Time, now: &Time) -> MigrationTaskStatus {
    let mut status = match plan.mode {
        EngineMode::Precheck => precheck(script, course),
        EngineMode::Stop => stop(script, course),
        EngineMode::Run => run(script, plan, course, since, now),
    };
    status.observed_generation = Some(plan.generation);
    let source = plan.spec.source.mysql.host.clone().unwrap_or_else(|| "from-secret".into());
    status.source = Some(format!("{source}:{}", plan.spec.source.mysql.port.unwrap_or(3306)));
    let destination = plan.spec.destination.mysql.as_ref();
    let host = destination.and_then(|mysql| mysql.host.clone()).unwrap_or_else(|| "from-secret".into());
    status.destination = Some(format!("{host}:{}", destination.and_then(|mysql| mysql.port).unwrap_or(3306)));
    add_conditions(&mut status, plan, course, script, since);
    status
}

/// Whether the engine is done: it ends by itself with exit code 0 a moment later.
pub fn is_done(status: &MigrationTaskStatus, mode: EngineMode) -> bool {
    match mode {
        EngineMode::Precheck => status.precheck.is_some(),
        EngineMode::Run | EngineMode::Stop => status.phase.is_some_and(Phase::is_final),
    }
}

fn precheck(script: Script, course: Course) -> MigrationTaskStatus {
    if course.up < PRECHECK || script == Script::PrecheckHangs {
        return phase(Phase::Prechecking, "checks both ends");
    }
    let failed = script == Script::PrecheckFails;
    let item = |name: &str, failed: bool| PrecheckItem {
        name: name.into(),
        verdict: if failed { Verdict::Failed } else { Verdict::Passed },
        ignored: false,
        seen: if failed { "ROW is off".into() } else { String::new() },
        why: if failed { "changes could not be followed".into() } else { String::new() },
        remedy: if failed { "SET GLOBAL binlog_format = 'ROW'".into() } else { String::new() },
    };
    let mut status = if failed {
        phase(Phase::PrecheckFailed, "1 of 2 checks failed: SourceBinlogFormat")
    } else {
        phase(Phase::Pending, "the precheck passed")
    };
    status.precheck = Some(PrecheckStatus {
        success_rate: if failed { "50%".into() } else { "100%".into() },
        items: vec![item("SourceConnection", false), item("SourceBinlogFormat", failed)],
        ..PrecheckStatus::default()
    });
    status
}

fn stop(script: Script, course: Course) -> MigrationTaskStatus {
    if script == Script::StopFails {
        phase(Phase::Failed, "the destination does not answer")
    } else if script == Script::StopRetries {
        phase(Phase::Retrying, "connecting to the destination: connection refused")
    } else if course.up < Duration::from_millis(300) {
        phase(Phase::Replicating, "marks the task as stopped")
    } else if course.recorded {
        phase(Phase::Stopped, "ended for good as asked; a marker at the destination keeps the task from ever writing again")
    } else {
        phase(
            Phase::Stopped,
            "ended for good as asked; the task has never written to the destination, so nothing is marked there",
        )
    }
}

fn run(script: Script, plan: &EnginePlan, course: Course, since: &Time, now: &Time) -> MigrationTaskStatus {
    if course.fenced {
        return phase(Phase::Failed, "the destination says that the task was stopped for good");
    }
    if script == Script::RunPrecheckFails {
        return phase(Phase::PrecheckFailed, "1 of 2 checks failed: DestinationEmpty");
    }
    if course.worked < SCHEMA {
        return phase(Phase::MigratingSchema, "creates the objects");
    }
    let fails = matches!(script, Script::DefiniteError | Script::LongError);
    let most = if fails { 0.31 } else { 1.0 };
    let copied = (course.worked - SCHEMA).div_duration_f64(script.copy()).min(most);
    let mut status = if copied < 1.0 {
        if fails && copied > 0.3 {
            let statement =
                if script == Script::LongError { format!("; SELECT {}", "1, ".repeat(20_000)) } else { String::new() };
            phase(Phase::Failed, &format!("copying shop.orders: the table was dropped on the source{statement}"))
        } else {
            phase(Phase::Copying, "copies rows")
        }
    } else {
        after_copy(script, plan, course, since, now)
    };
    progress(&mut status, copied);
    if script == Script::Busy {
        let changes = u64::try_from(course.worked.as_millis()).unwrap_or(u64::MAX);
        status.incremental = Some(IncrementalStatus { transactions: changes, inserts: changes, ..IncrementalStatus::default() });
        status.position = Some(Position { offset: Some(changes), ..position() });
    }
    status
}

fn after_copy(script: Script, plan: &EnginePlan, course: Course, since: &Time, now: &Time) -> MigrationTaskStatus {
    let follows = plan.spec.migrates(MigrationType::Incremental);
    if !follows || matches!(script, Script::Completes | Script::CompletesQuick) {
        let mut status = phase(Phase::Completed, "everything is migrated");
        status.completed_at = Some(now.clone());
        return status;
    }
    let mut status = if script == Script::Retrying {
        let mut status = phase(Phase::Retrying, "the source does not answer");
        status.retry = Some(RetryStatus {
            error: "connecting to the source: connection refused".into(),
            attempts: course.up.as_secs() / 5,
            since: Some(since.clone()),
            ..RetryStatus::default()
        });
        return status;
    } else {
        phase(Phase::Replicating, "in sync with the source")
    };
    status.latency_seconds = Some(0);
    status.position = Some(position());
    status.incremental = Some(IncrementalStatus::default());
    status
}

fn position() -> Position {
    Position { gtid_set: None, file: Some("binlog.000042".into()), offset: Some(1234) }
}

fn progress(status: &mut MigrationTaskStatus, copied: f64) {
    let rows = (copied * 100.0).floor();
    status.progress = Some(format!("{rows:.1}%"));
    status.schema = Some(SchemaStatus { databases: 1, tables: 1, ..SchemaStatus::default() });
    status.full = Some(FullStatus {
        tables_total: 1,
        tables_done: u64::from(copied >= 1.0),
        rows_total: 100,
        rows_copied: rows as u64,
        ..FullStatus::default()
    });
}

fn phase(phase: Phase, message: &str) -> MigrationTaskStatus {
    MigrationTaskStatus { phase: Some(phase), message: Some(message.into()), ..MigrationTaskStatus::default() }
}

/// As the engine does: from the same function.
fn add_conditions(status: &mut MigrationTaskStatus, plan: &EnginePlan, course: Course, script: Script, since: &Time) {
    let shown = status.phase.unwrap_or(Phase::Pending);
    let stage = match shown {
        Phase::Retrying => Phase::Replicating,
        Phase::Failed if matches!(script, Script::DefiniteError | Script::LongError) && !course.fenced => Phase::Copying,
        other => other,
    };
    let parts = Parts {
        schema: plan.spec.migrates(MigrationType::Schema),
        full: plan.spec.migrates(MigrationType::Full),
        incremental: plan.spec.migrates(MigrationType::Incremental),
    };
    let precheck_passed = status.precheck.as_ref().map(|precheck| precheck.success_rate == "100%");
    let findings = conditions(&Facts {
        phase: shown,
        stage,
        parts: (plan.mode == EngineMode::Run).then_some(parts),
        precheck_passed,
        precheck: status.precheck.as_ref(),
        schema_failures: 0,
        latency: status.latency_seconds.map(Duration::from_secs),
        verification: None,
        message: status.message.as_deref().unwrap_or_default(),
    });
    status.conditions = with_times(findings, &[], since);
}
