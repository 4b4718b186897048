//! Runs the engine for a command: its end stands in the report, a panic is a failure like any other.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::api::Phase;
use crate::engine::Outcome;
use crate::engine::progress::Progress;
use crate::http::{Access, Server};
use crate::model::error::{Class, Error, Result as EngineResult};

/// Serves the reports at an address, to whom `access` says.
pub(super) async fn listen(address: &str, progress: &Progress, access: Access) -> Result<Server, Failure> {
    let server = Server::start(address, progress.clone(), access).await;
    let server = server.map_err(|error| Failure::Usage(format!("--listen {address}: {error}")))?;
    tracing::info!(address = %server.address(), "serving /status, /metrics, /healthz and /livez");
    Ok(server)
}

/// Runs the engine and puts how it ended into the report. A panic of the engine is a failure like any other.
pub(super) async fn drive<F>(engine: F, progress: &Progress, cancel: &CancellationToken) -> EngineResult<Outcome>
where
    F: Future<Output = EngineResult<Outcome>> + Send + 'static,
{
    let result = tokio::spawn(engine).await.unwrap_or_else(|panic| {
        let what = panic.try_into_panic().map(|payload| panic_message(&*payload)).unwrap_or_default();
        Err(Error::definite(format!("the engine ended unexpectedly, which is a bug{what}; what was committed is safe")))
    });
    let result = match result {
        Err(error) if error.class() == Class::Cancelled && cancel.is_cancelled() => Ok(Outcome::Stopped),
        other => other,
    };
    match &result {
        Ok(Outcome::Completed) => progress.set_phase(Phase::Completed),
        Ok(Outcome::PrecheckFailed) => progress.set_phase(Phase::PrecheckFailed),
        Ok(Outcome::Stopped) if !progress.snapshot().phase().is_final() => {
            progress.set_retrying(None);
            progress.set_phase(Phase::Paused);
            progress.message("stopped on request; started again, it goes on from here");
        }
        Ok(Outcome::Stopped | Outcome::CaughtUp | Outcome::PrecheckPassed) => {}
        Err(error) => progress.set_failed(error.to_string()),
    }
    result
}

/// What a panic said, after a colon.
fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let formatted = payload.downcast_ref::<String>().map(String::as_str);
    let message = formatted.or_else(|| payload.downcast_ref::<&str>().copied());
    message.map(|text| format!(": {text}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        progress.set_phase(Phase::Copying);
        progress
    }

    fn shown(progress: &Progress) -> (Option<Phase>, String) {
        let status = progress.status();
        (status.phase, status.message.unwrap_or_default())
    }

    #[tokio::test]
    async fn a_signal_ends_in_a_resumable_pause() {
        let (progress, cancel) = (progress(), CancellationToken::new());
        cancel.cancel();
        let stop = cancel.clone();
        let engine = async move {
            stop.cancelled().await;
            Err(Error::cancelled())
        };
        assert_eq!(drive(engine, &progress, &cancel).await.unwrap(), Outcome::Stopped);
        assert_eq!(shown(&progress).0, Some(Phase::Paused));
    }

    #[tokio::test]
    async fn failures_and_panics_are_told() {
        let (progress, cancel) = (progress(), CancellationToken::new());
        let engine = async { Err(Error::fenced("another engine took over")) };
        drive(engine, &progress, &cancel).await.unwrap_err();
        assert_eq!(shown(&progress), (Some(Phase::Failed), "another engine took over".into()));
        let working = super::tests::progress();
        let panics = async move {
            assert!(working.snapshot().phase() == Phase::Failed, "index 7");
            Ok(Outcome::Completed)
        };
        let result = drive(panics, &progress, &cancel).await;
        assert!(result.unwrap_err().to_string().contains("a bug: index 7"));
    }

    #[tokio::test]
    async fn a_failed_precheck_is_a_phase() {
        let (progress, cancel) = (progress(), CancellationToken::new());
        let outcome = drive(async { Ok(Outcome::PrecheckFailed) }, &progress, &cancel).await;
        assert_eq!((outcome.unwrap(), shown(&progress).0), (Outcome::PrecheckFailed, Some(Phase::PrecheckFailed)));
    }
}
