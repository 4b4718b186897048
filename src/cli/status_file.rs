//! `--status-file`: the report as JSON, rewritten at every change, at most four times a second, and always at the end.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::StatusReport;
use crate::engine::progress::Progress;

/// Shortest time between two writes.
const SHORTEST: Duration = Duration::from_millis(250);
/// Rates fade without any event.
const LONGEST: Duration = Duration::from_secs(1);

/// Writes the file until it is told to stop.
#[derive(Debug)]
pub struct StatusFile {
    path: PathBuf,
    progress: Progress,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl StatusFile {
    /// Writes the first report, so that a path that cannot be written is known at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start(path: PathBuf, progress: Progress) -> std::io::Result<Self> {
        let first = text(&progress);
        write(&path, &first)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(rewrite(path.clone(), progress.clone(), first, stop.clone()));
        Ok(Self { path, progress, stop, task })
    }

    /// Writes the last report.
    pub async fn finish(self) {
        self.stop.cancel();
        let _ = self.task.await;
        report_failure(&self.path, write(&self.path, &text(&self.progress)));
    }
}

async fn rewrite(path: PathBuf, progress: Progress, mut written: String, stop: CancellationToken) {
    let mut changes = progress.changed();
    let mut failed = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tokio::time::timeout(LONGEST, changes.changed()) => {}
        }
        let report = text(&progress);
        if report != written {
            let result = write(&path, &report);
            // A full disk is told once, not four times a second.
            if !std::mem::replace(&mut failed, result.is_err()) {
                report_failure(&path, result);
            }
            written = report;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SHORTEST) => {}
        }
    }
}

fn report_failure(path: &Path, result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(path = %path.display(), %error, "the status file could not be written");
    }
}

fn text(progress: &Progress) -> String {
    let report = StatusReport::from(progress.status());
    let mut text = serde_json::to_string_pretty(&report).unwrap_or_default();
    text.push('\n');
    text
}

/// Replaces the file as a whole: a reader sees the old report or the new one. What is no file of its own (a device, a mounted file) is
/// written in place.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let in_place = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
    if in_place {
        return std::fs::write(path, text);
    }
    let mut name = path.file_name().ok_or(ErrorKind::InvalidFilename)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path).or_else(|error| {
        let _ = std::fs::remove_file(&new);
        if error.kind() == ErrorKind::ResourceBusy { std::fs::write(path, text) } else { Err(error) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Phase;

    #[tokio::test]
    async fn follows_the_progress_and_ends_with_the_last_report() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        let file = StatusFile::start(path.clone(), progress.clone()).unwrap();
        let read = || serde_json::from_str::<StatusReport>(&std::fs::read_to_string(&path).unwrap()).unwrap().status;
        assert_eq!(read().phase, Some(Phase::Pending));
        progress.set_phase(Phase::Prechecking);
        tokio::time::timeout(Duration::from_secs(10), async {
            while read().phase != Some(Phase::Prechecking) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
        progress.set_phase(Phase::Completed);
        file.finish().await;
        assert_eq!(read().phase, Some(Phase::Completed));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("absent/status.json"), "{}").is_err());
        assert!(write(Path::new("/dev/null"), "{}").is_ok());
    }
}
