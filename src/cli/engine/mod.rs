//! `godwit engine`: what runs inside an engine's pod. `api::engine` is the contract with the operator, docs/design.md tells the pod's life.
//!
//! The process ends by itself only when there is nothing left to do, and then with 0, so that the kubelet does not start it again. What a person has to
//! look at parks it: it goes on answering `/status` until it is told to go. A plan that cannot be read parks it, too. The kubelet starts it again after a
//! crash; it then goes on from its record at the destination.

mod last_report;
mod plan_file;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, LogArguments, drive, input, signals};
use crate::api::engine::{EngineMode, EnginePlan, PLAN_FOLDER, PLAN_KEY, SECRETS_FOLDER, STATUS_PORT, TERMINATION_LOG};
use crate::api::{DesiredState, Phase};
use crate::engine::progress::Progress;
use crate::engine::sizing::worker_threads;
use crate::engine::{self, Outcome, Task};
use crate::http::Access;
use crate::manifest::mounted_secrets;
use crate::model::error::{Error, Result as EngineResult};
use crate::telemetry::LogFormat;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plan: what to do, and for which task
    #[arg(long, value_name = "FILE", default_value_os_t = plan_path())]
    plan: PathBuf,
    /// Folder that holds a folder for each Secret, with a file for each key
    #[arg(long, value_name = "DIR", default_value = SECRETS_FOLDER)]
    secrets: PathBuf,
    /// Serve /status, /metrics, /healthz and /livez at this address
    #[arg(long, value_name = "ADDRESS", default_value_t = default_address(), value_parser = crate::listen::address)]
    listen: String,
    /// Write the last report, as JSON, to this file
    #[arg(long, value_name = "FILE", default_value = TERMINATION_LOG)]
    termination_log: PathBuf,
}

fn plan_path() -> PathBuf {
    PathBuf::from(PLAN_FOLDER).join(PLAN_KEY)
}

fn default_address() -> String {
    format!("[::]:{STATUS_PORT}")
}

/// After its end the process answers for so long, so that the whole report can be fetched.
const LINGER: Duration = Duration::from_secs(30);

/// A stop that was asked for takes no longer; what is not committed by then is done again by the next run.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// How often the phase is looked at for the log.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Works by the plan.
pub(super) fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
    log.or(LogFormat::Json).start(false, None)?;
    let plan = plan_file::load(&arguments.plan);
    let threads = plan.as_ref().ok().and_then(|plan| worker_threads(&plan.resources));
    super::block_on_threads(threads, supervise(arguments, plan))
}

async fn supervise(arguments: Arguments, plan: EngineResult<EnginePlan>) -> Result<Exit, Failure> {
    let progress = Progress::new(String::new(), String::new());
    let cancel = signals::cancellation()?;
    // Of a plan that cannot be understood, too: the operator is to be told so.
    let access = Access::operator(&plan_file::token(&arguments.plan).unwrap_or_default());
    let server = match drive::listen(&arguments.listen, &progress, access.clone()).await {
        Ok(server) => server,
        Err(failure) => {
            progress.set_failed(failure.to_string());
            last_report::write(&arguments.termination_log, &progress);
            return Err(failure);
        }
    };
    let phases = tokio::spawn(log_phases(progress.clone()));
    let mut watch = None;
    let (mode, work) = match plan {
        Ok(plan) => {
            let (work, watching) = begin(plan.clone(), &arguments, &progress, &access, &cancel);
            watch = watching;
            (plan.mode, work)
        }
        Err(error) => (EngineMode::Run, std::future::ready(Err(error)).boxed()),
    };
    let rest = attend(work, mode, &progress, &cancel, STOP_WITHIN).await;
    last_report::write(&arguments.termination_log, &progress);
    rest.take(LINGER, &cancel).await;
    for task in [Some(phases), watch].into_iter().flatten() {
        task.abort();
    }
    server.stop().await;
    Ok(Exit::Success)
}

type Work = BoxFuture<'static, EngineResult<Outcome>>;
type Watch = tokio::task::JoinHandle<()>;

/// What the plan asks for, and who looks for changes of the plan meanwhile.
fn begin(
    plan: EnginePlan,
    arguments: &Arguments,
    progress: &Progress,
    access: &Access,
    cancel: &CancellationToken,
) -> (Work, Option<Watch>) {
    progress.set_generation(plan.generation);
    progress.set_task(plan.task.clone());
    // What is missing there is an error of the work itself, which says so.
    let ends = mounted_secrets(&arguments.secrets).ok().and_then(|secrets| input::ends(&plan.spec, &secrets).ok());
    if let Some((source, destination)) = ends {
        progress.set_ends(source, destination);
    }
    tracing::info!(
        namespace = plan.task.namespace,
        task = plan.task.name,
        mode = plan.mode.as_str(),
        generation = plan.generation,
        units = plan.resources.units,
        version = env!("CARGO_PKG_VERSION"),
        "an engine starts"
    );
    let mut task = plan_file::task(&plan, arguments.secrets.clone());
    let (progress, cancel) = (progress.clone(), cancel.clone());
    match plan.mode {
        EngineMode::Precheck => (engine::check(task, progress, cancel).boxed(), None),
        EngineMode::Stop => {
            task.manifest.task.spec.desired_state = DesiredState::Stopped;
            (engine::run(task, progress, cancel).boxed(), None)
        }
        EngineMode::Run => {
            task.manifest.task.spec.desired_state = DesiredState::Running;
            task.prechecked = true;
            let fence = CancellationToken::new();
            let followers = plan_file::Followers {
                live: task.live.clone(),
                progress: progress.clone(),
                access: access.clone(),
                fence: fence.clone(),
            };
            let mut fencing = plan_file::task(&plan, arguments.secrets.clone());
            fencing.manifest.task.spec.desired_state = DesiredState::Stopped;
            let work = run_until_fenced(task, fencing, fence, progress, cancel);
            let watch = plan_file::watch(arguments.plan.clone(), plan_file::LOOK_EVERY, plan, followers);
            (work.boxed(), Some(tokio::spawn(watch)))
        }
    }
}

/// Runs the task; when it is to be fenced, ends the work and marks the record by `fencing`, the same task as one that is to stop, with the Secrets that
/// this pod has.
async fn run_until_fenced(
    task: Task,
    fencing: Task,
    fence: CancellationToken,
    progress: Progress,
    cancel: CancellationToken,
) -> EngineResult<Outcome> {
    let run_cancel = cancel.child_token();
    let mut run = engine::run(task, progress.clone(), run_cancel.clone()).boxed();
    tokio::select! {
        result = &mut run => return result,
        () = fence.cancelled() => {}
    }
    run_cancel.cancel();
    let ended = tokio::time::timeout(STOP_WITHIN, &mut run).await;
    // What it has not committed by then goes with its connections; the epoch that the fence raises keeps it from writing in any case.
    drop(run);
    if let Ok(Ok(Outcome::Completed)) = ended {
        return Ok(Outcome::Completed);
    }
    progress.set_retrying(None);
    progress.message("marking the task as stopped at the destination");
    engine::run(fencing, progress, cancel).await
}

/// What the process does after its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It was told to go.
    Leave,
    /// It has done everything: it answers for a while.
    Linger,
    /// A person has to look at it: it answers until it is told to go.
    Park,
}

impl Rest {
    async fn take(self, linger: Duration, cancel: &CancellationToken) {
        match self {
            Self::Leave => {}
            Self::Linger => tokio::select! {
                () = tokio::time::sleep(linger) => {}
                () = cancel.cancelled() => {}
            },
            Self::Park => cancel.cancelled().await,
        }
    }
}

/// Does the work and puts its end into the report.
async fn attend(work: Work, mode: EngineMode, progress: &Progress, cancel: &CancellationToken, stop_within: Duration) -> Rest {
    let stop = cancel.clone();
    let bounded = async move {
        tokio::select! {
            result = work => result,
            () = too_late(stop, stop_within) => Err(Error::cancelled()),
        }
    };
    let result = drive::drive(bounded, progress, cancel).await;
    if let Err(error) = &result {
        tracing::error!(%error, mode = mode.as_str(), "gave up");
    }
    if mode == EngineMode::Precheck && matches!(result, Ok(Outcome::Stopped)) {
        // It was interrupted; the task is where it was.
        progress.set_phase(Phase::Pending);
    }
    match result {
        _ if cancel.is_cancelled() => Rest::Leave,
        // Its verdict is the result, whatever it is.
        _ if mode == EngineMode::Precheck => Rest::Linger,
        Err(_) | Ok(Outcome::PrecheckFailed) => Rest::Park,
        Ok(Outcome::Completed | Outcome::CaughtUp | Outcome::Stopped | Outcome::PrecheckPassed) => Rest::Linger,
    }
}

/// Over when a stop that was asked for has taken too long.
async fn too_late(cancel: CancellationToken, stop_within: Duration) {
    cancel.cancelled().await;
    tokio::time::sleep(stop_within).await;
    tracing::warn!("the stop takes too long; what is not committed is done again by the next run");
}

/// One log line a phase.
async fn log_phases(progress: Progress) {
    let mut last = None;
    loop {
        let snapshot = progress.snapshot();
        let phase = snapshot.phase();
        if last != Some(phase) {
            let message = snapshot.report().message.unwrap_or_default();
            tracing::info!(phase = phase.as_str(), detail = message, "phase");
            if phase == Phase::PrecheckFailed {
                log_failed_items(&progress);
            }
            last = Some(phase);
        }
        tokio::time::sleep(LOG_EVERY).await;
    }
}

fn log_failed_items(progress: &Progress) {
    let precheck = progress.snapshot().report().precheck.unwrap_or_default();
    for item in precheck.items.iter().filter(|item| item.stands_in_the_way()) {
        tracing::warn!(item = item.name, seen = item.seen, remedy = item.remedy, "precheck");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        progress.set_phase(Phase::Copying);
        progress
    }

    async fn end(result: EngineResult<Outcome>, mode: EngineMode) -> (Rest, Phase) {
        let progress = progress();
        let rest = attend(std::future::ready(result).boxed(), mode, &progress, &CancellationToken::new(), STOP_WITHIN).await;
        (rest, progress.snapshot().phase())
    }

    #[tokio::test]
    async fn what_a_person_has_to_look_at_parks() {
        let definite = || Err(Error::definite("no such table"));
        assert_eq!(end(definite(), EngineMode::Run).await, (Rest::Park, Phase::Failed));
        assert_eq!(end(definite(), EngineMode::Stop).await, (Rest::Park, Phase::Failed));
        assert_eq!(end(definite(), EngineMode::Precheck).await, (Rest::Linger, Phase::Failed));
        assert_eq!(end(Err(Error::fenced("taken over")), EngineMode::Run).await, (Rest::Park, Phase::Failed));
        assert_eq!(end(Ok(Outcome::PrecheckFailed), EngineMode::Run).await, (Rest::Park, Phase::PrecheckFailed));
        assert_eq!(end(Ok(Outcome::PrecheckFailed), EngineMode::Precheck).await, (Rest::Linger, Phase::PrecheckFailed));
        assert_eq!(end(Ok(Outcome::Completed), EngineMode::Run).await, (Rest::Linger, Phase::Completed));
    }

    #[tokio::test]
    async fn a_parked_engine_answers_until_it_is_told_to_go() {
        let cancel = CancellationToken::new();
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(600));
        Rest::Linger.take(short, &cancel).await;
        let parked = tokio::spawn({
            let cancel = cancel.clone();
            async move { Rest::Park.take(short, &cancel).await }
        });
        tokio::time::sleep(short * 5).await;
        assert!(!parked.is_finished());
        cancel.cancel();
        parked.await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), Rest::Linger.take(long, &cancel)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), Rest::Leave.take(long, &CancellationToken::new())).await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_is_bounded() {
        assert!(STOP_WITHIN < Duration::from_secs(10));
        let (progress, cancel) = (progress(), CancellationToken::new());
        cancel.cancel();
        let endless = std::future::pending().boxed();
        let rest = attend(endless, EngineMode::Run, &progress, &cancel, Duration::from_millis(20)).await;
        assert_eq!((rest, progress.snapshot().phase()), (Rest::Leave, Phase::Paused));
    }

    #[tokio::test]
    async fn an_interrupted_precheck_changes_nothing() {
        let (progress, cancel) = (progress(), CancellationToken::new());
        cancel.cancel();
        progress.set_phase(Phase::Prechecking);
        let work = std::future::ready(Err(Error::cancelled())).boxed();
        assert_eq!(attend(work, EngineMode::Precheck, &progress, &cancel, STOP_WITHIN).await, Rest::Leave);
        assert_eq!(progress.snapshot().phase(), Phase::Pending);
    }
}
