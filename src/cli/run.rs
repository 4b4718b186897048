//! `godwit run`: a task to its end. The engine does the work; this shows it, serves its reports, and turns signals into a clean stop.

use std::future::Future;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::input::{self, ManifestFile};
use super::show::{Mode, Show, View, summary};
use super::status_file::StatusFile;
use super::{Exit, Failure, LogArguments, precheck, signals};
use crate::api::Phase;
use crate::engine::error::{Class, Error, Result as EngineResult};
use crate::engine::progress::Progress;
use crate::engine::{self, Outcome};
use crate::http::Server;
use crate::manifest::Manifest;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    manifest: ManifestFile,
    /// End once everything is applied that the source had committed when the copy ended (on a resume: when this run started)
    #[arg(long)]
    until_caught_up: bool,
    /// Keep the report as JSON in this file, replaced at every change
    #[arg(long, value_name = "FILE")]
    status_file: Option<PathBuf>,
    /// Serve /status, /metrics and /healthz at this address, for example 127.0.0.1:8080 or :8080
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    listen: Option<String>,
    /// Show neither progress bars nor progress lines
    #[arg(long)]
    no_progress: bool,
}

/// `HOST:PORT`; without a host every address of the machine.
fn listen_address(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').ok_or("write it as HOST:PORT, or :PORT for every address of the machine")?;
    port.parse::<u16>().map_err(|_| format!("'{port}' is not a port; use 0 to 65535"))?;
    Ok(if host.is_empty() { format!("[::]:{port}") } else { text.to_owned() })
}

/// Runs the task.
pub fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
    let manifest = arguments.manifest.load()?;
    let mode = Mode::choose(arguments.no_progress);
    log.start(!matches!(mode, Mode::Nothing), mode.bars())?;
    for ignored in &manifest.ignored {
        tracing::info!(document = %ignored, "means nothing without Kubernetes and is left aside");
    }
    super::block_on(supervise(arguments, manifest, mode))
}

async fn supervise(arguments: Arguments, manifest: Manifest, mode: Mode) -> Result<Exit, Failure> {
    let progress = input::progress(&manifest)?;
    let cancel = signals::cancellation()?;
    let server = match &arguments.listen {
        Some(address) => Some(listen(address, &progress).await?),
        None => None,
    };
    let status_file = match arguments.status_file {
        Some(path) => {
            let name = path.display().to_string();
            let file = StatusFile::start(path, progress.clone());
            Some(file.map_err(|error| Failure::Usage(format!("--status-file {name}: {error}")))?)
        }
        None => None,
    };
    let show = Show::start(mode, progress.clone());
    let task = input::task(manifest, arguments.until_caught_up);
    let result = drive(engine::run(task, progress.clone(), cancel.clone()), &progress, &cancel).await;
    show.finish().await;
    if let Some(file) = status_file {
        file.finish().await;
    }
    if let Some(server) = server {
        server.stop().await;
    }
    conclude(result, &progress, &arguments.manifest.argument())
}

async fn listen(address: &str, progress: &Progress) -> Result<Server, Failure> {
    let server = Server::start(address, progress.clone()).await;
    let server = server.map_err(|error| Failure::Usage(format!("--listen {address}: {error}")))?;
    tracing::info!(address = %server.address(), "serving /status, /metrics and /healthz");
    Ok(server)
}

/// Runs the engine and puts how it ended into the report. A panic of the engine is a failure like any other.
async fn drive<F>(engine: F, progress: &Progress, cancel: &CancellationToken) -> EngineResult<Outcome>
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
        Ok(Outcome::Stopped | Outcome::CaughtUp) => {}
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

fn conclude(result: EngineResult<Outcome>, progress: &Progress, file: &str) -> Result<Exit, Failure> {
    let outcome = result?;
    let view = View::of(progress);
    if outcome == Outcome::PrecheckFailed {
        if let Some(precheck) = &view.status.precheck {
            super::print(&precheck::render(precheck, false));
        }
        super::complain(&format!("the precheck failed; mend what is named above, then run it again: godwit run -f {file}"));
        return Ok(Exit::PrecheckFailed);
    }
    super::print(&summary::summary(&view, outcome, file));
    Ok(Exit::Success)
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
        assert!(matches!(conclude(Ok(Outcome::Stopped), &progress, "task.yaml"), Ok(Exit::Success)));
    }

    #[tokio::test]
    async fn failures_and_panics_are_told() {
        let (progress, cancel) = (progress(), CancellationToken::new());
        let engine = async { Err(Error::fenced("another engine took over")) };
        let result = drive(engine, &progress, &cancel).await;
        assert_eq!(shown(&progress), (Some(Phase::Failed), "another engine took over".into()));
        assert_eq!(conclude(result, &progress, "task.yaml").unwrap_err().exit(), Exit::Failed);
        let working = super::tests::progress();
        let panics = async move {
            assert!(working.snapshot().phase() == Phase::Failed, "index 7");
            Ok(Outcome::Completed)
        };
        let result = drive(panics, &progress, &cancel).await;
        assert!(result.unwrap_err().to_string().contains("a bug: index 7"));
    }

    #[tokio::test]
    async fn a_failed_precheck_has_its_own_code() {
        let (progress, cancel) = (progress(), CancellationToken::new());
        let result = drive(async { Ok(Outcome::PrecheckFailed) }, &progress, &cancel).await;
        assert_eq!(shown(&progress).0, Some(Phase::PrecheckFailed));
        assert!(matches!(conclude(result, &progress, "task.yaml"), Ok(Exit::PrecheckFailed)));
    }

    #[test]
    fn addresses() {
        assert_eq!(listen_address(":8080").unwrap(), "[::]:8080");
        assert_eq!(listen_address("localhost:0").unwrap(), "localhost:0");
        assert!(listen_address("8080").is_err() && listen_address("localhost:http").is_err());
    }
}
