//! What can be asked of the engine: run a task, check it, show its plan, compare both sides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::connection::Connector;
use super::plan::{self, Plan};
use super::progress::Progress;
use super::sizing::CHUNK_BYTES;
use super::task::{Far, Outcome, Task};
use super::verify::{self, Hooks, VerifyOptions};
use super::{migrate, precheck};
use godwit_api::{DesiredState, MigrationType, Phase, PrecheckReport, VerifyReport};
use godwit_model::error::{Class, Error, Result};

/// Pauses between attempts: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// An attempt that worked for this long ends a series of failures.
const SETTLED: Duration = Duration::from_secs(60);

/// After an attempt that lasted longer the pauses are short again: servers were there.
const REACHED: Duration = Duration::from_secs(3);

/// Runs a task to its end, to the stop that was asked for, or to an error that a person has to look at. What passes by
/// itself is tried again for `spec.retry`; every attempt begins from the record at the destination.
///
/// # Errors
/// Definite errors, and others that lasted longer than `spec.retry` allows.
pub async fn run(task: Task, progress: Progress, cancel: CancellationToken) -> Result<Outcome> {
    match task.spec().desired_state {
        DesiredState::Running => {}
        DesiredState::Paused => {
            progress.set_phase(Phase::Paused);
            progress.message("spec.desiredState is Paused; set it to Running to go on");
            return Ok(Outcome::Stopped);
        }
        DesiredState::Stopped => {
            return retrying(&task, &progress, &cancel, || async {
                tokio::select! {
                    stopped = migrate::stop(&task, &progress) => stopped,
                    () = cancel.cancelled() => Err(Error::cancelled()),
                }
            })
            .await;
        }
    }
    retrying(&task, &progress, &cancel, || migrate::attempt(&task, &progress, &cancel)).await
}

/// Tries again what passes by itself, for as long as the retry times of the moment allow.
async fn retrying<A>(task: &Task, progress: &Progress, cancel: &CancellationToken, attempt: impl Fn() -> A) -> Result<Outcome>
where
    A: Future<Output = Result<Outcome>>,
{
    let mut failing_since: Option<Instant> = None;
    let mut attempts = 0u32;
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let error = match attempt().await {
            Ok(outcome) => return Ok(outcome),
            Err(error) if error.class() == Class::Cancelled || cancel.is_cancelled() => return Ok(Outcome::Stopped),
            Err(error) => error.told(task.spec().diagnostics.row_values),
        };
        if started.elapsed() > SETTLED {
            failing_since = None;
            attempts = 0;
        }
        if started.elapsed() > REACHED {
            pause = FIRST_PAUSE;
        }
        let since = *failing_since.get_or_insert_with(Instant::now);
        attempts += 1;
        // A Secret that is rotated at the server first arrives in its folder a little later.
        let rotating = error.is_login_refused() && task.secrets_folder.is_some();
        if !(error.is_retryable() || rotating) || since.elapsed() > task.live.retried_for(error.class()) {
            progress.set_failed(error.to_string());
            return Err(error);
        }
        tracing::warn!(error = %error, attempt = attempts, "trying again");
        progress.set_retrying(Some((error.to_string(), attempts)));
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = cancel.cancelled() => {
                progress.set_phase(Phase::Paused);
                return Ok(Outcome::Stopped);
            }
        }
    }
}

/// Looks at both servers and puts the items into the report; changes nothing, so that the task is as it was: Pending, or
/// PrecheckFailed.
///
/// # Errors
/// Definite errors, and others that lasted longer than the retry times allow.
pub async fn check(task: Task, progress: Progress, cancel: CancellationToken) -> Result<Outcome> {
    let attempt = || async {
        progress.set_phase(Phase::Prechecking);
        let report = tokio::select! {
            report = precheck_only(task.clone(), progress.clone()) => report?,
            () = cancel.cancelled() => return Err(Error::cancelled()),
        };
        progress.set_retrying(None);
        if !precheck::passed(&report.precheck) {
            progress.set_phase(Phase::PrecheckFailed);
            return Ok(Outcome::PrecheckFailed);
        }
        progress.set_phase(Phase::Pending);
        progress.message("the precheck passed");
        Ok(Outcome::PrecheckPassed)
    };
    retrying(&task, &progress, &cancel, attempt).await
}

/// What would be done, for people and for programs.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: Plan,
    pub text: String,
    pub json: serde_json::Value,
}

/// Looks at both servers and at the manifest; changes nothing.
///
/// # Errors
/// When a connection is lost in the middle.
pub async fn precheck_only(task: Task, progress: Progress) -> Result<PrecheckReport> {
    let (source, far) = task.ends()?;
    let outcome = precheck::of(&task, &source, &far, precheck::Trials::Made).await?;
    progress.set_precheck(outcome.report.clone());
    Ok(outcome.report.into())
}

/// The task resolved against both servers.
async fn resolved(task: &Task, source: &Connector, far: &Far) -> Result<precheck::Resolved> {
    let outcome = precheck::of(task, source, far, precheck::Trials::LeftOut).await?;
    outcome.resolved.ok_or_else(|| {
        let failed: Vec<String> = outcome
            .report
            .items
            .iter()
            .filter(|item| item.verdict == godwit_api::Verdict::Failed)
            .map(|item| format!("{}: {}", item.name, item.seen))
            .collect();
        Error::definite(failed.join("; "))
    })
}

/// Resolves the task and says what it would do; changes nothing.
///
/// # Errors
/// When the task cannot be resolved, or a connection is lost.
pub async fn plan_only(task: Task) -> Result<Planned> {
    let (source, far) = task.ends()?;
    let resolved = resolved(&task, &source, &far).await?;
    let (source, destination) = (&resolved.source.info, resolved.destination.as_ref().map(|server| &server.info));
    let destination = destination.ok_or_else(|| {
        Error::definite("godwit plan shows tasks for servers of the MySQL family only, in this version; godwit precheck says what it would find")
    })?;
    let preview = plan::render::preview(task.spec(), &resolved.plan, source, destination, CHUNK_BYTES);
    let json = serde_json::to_value(&preview).map_err(|error| Error::definite(error.to_string()))?;
    Ok(Planned { text: preview.text(), json, plan: resolved.plan })
}

/// Compares both sides under the task's mapping and filters.
///
/// # Errors
/// When the task cannot be resolved, a server stays away, or on cancellation.
pub async fn verify_only(task: Task, repair: bool, _progress: Progress, cancel: CancellationToken) -> Result<VerifyReport> {
    let (source, destination) = task.connectors()?;
    let resolved = resolved(&task, &source, &Far::MySql(destination.clone())).await?;
    let spec = task.spec();
    let schema = spec.migrates(MigrationType::Schema);
    let hooks = Hooks { records: Some(Arc::new(task.record(&destination))), ..Hooks::default() };
    let options = VerifyOptions { repair, schema, ..VerifyOptions::of(&spec.verification) };
    verify::verify(&resolved.plan, &source, &destination, options, cancel, hooks).await
}
