//! `godwit run`: a task to its end. The engine does the work; this shows it, serves its reports, and turns signals into a clean stop.

use std::path::PathBuf;

use super::input::{self, ManifestFile};
use super::show::{Mode, Show, View, summary};
use super::status_file::StatusFile;
use super::{Exit, Failure, LogArguments, drive, precheck, signals};
use crate::engine::progress::Progress;
use crate::engine::{self, Outcome};
use crate::http::Access;
use crate::manifest::Manifest;
use crate::model::error::Result as EngineResult;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    manifest: ManifestFile,
    /// End once everything is applied that the source had committed when the copy ended (on a resume: when this run started)
    #[arg(long)]
    until_caught_up: bool,
    /// Keep the report as JSON in this file, replaced at every change
    #[arg(long, value_name = "FILE")]
    status_file: Option<PathBuf>,
    /// Serve /status, /metrics, /healthz and /livez at this address, for example 127.0.0.1:8080 or :8080
    #[arg(long, value_name = "ADDRESS", value_parser = crate::listen::address)]
    listen: Option<String>,
    /// Show neither progress bars nor progress lines
    #[arg(long)]
    no_progress: bool,
}

/// Runs the task.
pub(super) fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
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
        Some(address) => Some(drive::listen(address, &progress, Access::everybody()).await?),
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
    let verifiable = manifest.task.spec.destination.mysql.is_some();
    let task = input::task(manifest, arguments.until_caught_up);
    let result = drive::drive(engine::run(task, progress.clone(), cancel.clone()), &progress, &cancel).await;
    show.finish().await;
    if let Some(file) = status_file {
        file.finish().await;
    }
    if let Some(server) = server {
        server.stop().await;
    }
    conclude(result, &progress, &arguments.manifest.argument(), verifiable)
}

fn conclude(result: EngineResult<Outcome>, progress: &Progress, file: &str, verifiable: bool) -> Result<Exit, Failure> {
    let outcome = result?;
    let view = View { verifiable, ..View::of(progress) };
    if outcome == Outcome::PrecheckFailed {
        if let Some(precheck) = &view.status.precheck {
            let _ = super::print(&precheck::render(precheck, false));
        }
        super::complain(&format!("the precheck failed; mend what is named above, then run it again: godwit run -f {file}"));
        return Ok(Exit::PrecheckFailed);
    }
    // The task is as it is whether that can be told or not.
    let _ = super::print(&summary::summary(&view, outcome, file));
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Error;

    #[test]
    fn every_end_has_its_code() {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        let exit = |result| conclude(result, &progress, "task.yaml", true);
        assert!(matches!(exit(Ok(Outcome::Stopped)), Ok(Exit::Success)));
        assert!(matches!(exit(Ok(Outcome::PrecheckFailed)), Ok(Exit::PrecheckFailed)));
        assert_eq!(exit(Err(Error::fenced("another engine took over"))).unwrap_err().exit(), Exit::Failed);
    }
}
