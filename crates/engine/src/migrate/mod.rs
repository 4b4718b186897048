//! One attempt: from the record at the destination to the task's end, or to the first error. A new task begins ([`begin`]: precheck, and what
//! every later start needs is recorded), any other is resumed ([`resume`]); then it goes through its phases, whose order and conditions are a
//! table in [`phases`].

mod attempt;
mod begin;
mod end;
mod phases;
mod resume;

use self::end::End;
use tokio_util::sync::CancellationToken;

use super::checkpoint::Stage;
use super::computing;
use super::create::programs::put_back;
use super::destination::Records as _;
use super::evolve;
use super::precheck::finding::some;
use super::progress::Progress;
use super::task::{Far, Outcome, Task};
use godwit_api::Phase;
use godwit_api::manifest::{resume_changes, resume_fingerprint};
use godwit_model::error::{Context, Error, Result};

/// What is done while the claim fails.
const CLAIMING: &str = "claiming the task at the destination";

/// Ends a task for good: raises its epoch, so that no engine that still runs can write, and records that none may again.
///
/// # Errors
/// When the destination cannot be reached.
pub(crate) async fn stop(task: &Task, progress: &Progress) -> Result<Outcome> {
    let (_, far) = task.ends()?;
    let records = end::records(task, &far);
    let saved = records.load().await?;
    if saved.as_ref().is_some_and(|saved| saved.stage != Stage::Stopped) {
        let claim = records.claim(task.sizing.claimed_writers()).await.context(CLAIMING)?;
        records.set_stage(claim, Stage::Stopped).await?;
        // Until then an engine that does not know yet may write.
        tokio::time::sleep(far.zombie()).await;
    }
    // The fence stands; what follows is for the application, and is tried again as a whole where it may pass by itself.
    let guarded = match (&saved, &far) {
        (Some(_), Far::MySql(connector)) => put_back(connector, &task.record_database, &task.name()).await,
        _ => Ok(Vec::new()),
    };
    let guarded = match guarded {
        Ok(guarded) => guarded,
        Err(error) if error.is_retryable() => return Err(error.context("taking the guard from triggers")),
        Err(error) => vec![error.to_string()],
    };
    let ended = match saved {
        Some(_) => "ended for good as asked; a marker at the destination keeps the task from ever writing again",
        None => "ended for good as asked; the task has never written to the destination, so nothing is marked there",
    };
    progress.message(match guarded.is_empty() {
        true => ended.to_owned(),
        false => format!("{ended}. Triggers that fire for everybody but keep the task's guard in their text: {}", some(&guarded)),
    });
    progress.set_retrying(None);
    progress.set_phase(Phase::Stopped);
    Ok(Outcome::Stopped)
}

/// Runs one attempt.
///
/// # Errors
/// Of any class; see [`crate::run`].
pub(crate) async fn attempt(task: &Task, progress: &Progress, cancel: &CancellationToken) -> Result<Outcome> {
    loop {
        // After a definition statement the task goes on from its record, with the plan of the new definitions.
        if let Some(outcome) = once(task, progress, cancel).await? {
            return Ok(outcome);
        }
    }
}

async fn once(task: &Task, progress: &Progress, cancel: &CancellationToken) -> Result<Option<Outcome>> {
    let (source, far) = task.ends()?;
    progress.watch_links(std::iter::once(source.link()).chain(far.link()).collect());
    let records = end::records(task, &far);
    let now = resume_fingerprint(task.spec());
    let saved = match records.load().await {
        Ok(saved) => saved,
        Err(error) => {
            let first = !task.prechecked && progress.status().precheck.is_none() && !progress_has_started(progress);
            // A destination that cannot be reached, or lets nobody in, at the very first start is the precheck's to report.
            let closed = first && (error.is_retryable() || far.is_closed().await);
            if !closed {
                return Err(error.context("reading the task's record"));
            }
            None
        }
    };
    let mut attempt = match saved {
        Some(saved) => {
            if let Some(sentence) = resume_changes(&saved.fingerprint, &now) {
                return Err(Error::definite(sentence));
            }
            if saved.stage == Stage::Stopped {
                progress.set_phase(Phase::Stopped);
                return Err(Error::definite(
                    "the task was stopped for good (desiredState: Stopped) and can not be started again; start a new one under another name",
                ));
            }
            if saved.stage == Stage::Completed {
                progress.set_phase(Phase::Completed);
                progress.message("the task was completed in an earlier run");
                return Ok(Some(Outcome::Completed));
            }
            if let (Some(change), Far::MySql(connector)) = (&saved.change, &far) {
                let record = task.record(connector);
                let claim = record.claim(task.sizing.claimed_writers()).await.context(CLAIMING)?;
                let again = records.load().await?.and_then(|saved| saved.change);
                if let Some(change) = again.as_ref() {
                    tokio::select! {
                        done = evolve::finish(connector, &record, claim, change) => done?,
                        // The server goes on by itself, or is made to stop by whoever takes the task up; what happened is looked at then.
                        () = cancel.cancelled() => return Err(Error::cancelled()),
                    }
                }
                progress.message(format!("a definition statement was carried out: {}", change.shown));
                tracing::info!(statement = %change.shown, "a definition statement was carried out");
                return Ok(None);
            }
            resume::resume(task, progress, source, far, records, &saved).await?
        }
        None => match begin::begin(task, progress, source, far, records, &now).await? {
            Some(attempt) => attempt,
            None => return Ok(Some(Outcome::PrecheckFailed)),
        },
    };
    if let End::MySql { connector, .. } = &mut attempt.end {
        *connector = computing::like_source(&attempt.source, connector, &attempt.plan).await?;
    }
    progress.set_plan(&attempt.plan);
    progress.set_retrying(None);
    phases::work(&attempt, cancel).await
}

fn progress_has_started(progress: &Progress) -> bool {
    !matches!(progress.status().phase, None | Some(Phase::Pending | Phase::Prechecking | Phase::PrecheckFailed))
}
