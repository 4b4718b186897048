//! `--status-file`: the report as JSON, rewritten at every change, at most four times a second, and always at the end.
//!
//! It is its owner's alone (0600), and in a folder that others write to as well nobody can have it written elsewhere: the new file has a name that
//! nobody can guess and is made by this process or not at all; a link in the place of the file is replaced, not followed.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::StatusReport;
use crate::engine::progress::Progress;
use crate::handshake;

/// Shortest time between two writes.
const SHORTEST: Duration = Duration::from_millis(250);
/// Rates fade without any event.
const LONGEST: Duration = Duration::from_secs(1);

/// Writes the file until it is told to stop.
#[derive(Debug)]
pub(super) struct StatusFile {
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
    pub(super) fn start(path: PathBuf, progress: Progress) -> std::io::Result<Self> {
        let first = text(&progress);
        write(&path, &first)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(rewrite(path.clone(), progress.clone(), first, stop.clone()));
        Ok(Self { path, progress, stop, task })
    }

    /// Writes the last report.
    pub(super) async fn finish(self) {
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
    let unknown = handshake::random().ok_or_else(|| std::io::Error::other("the system gives no random numbers for a name"))?;
    name.push(format!(".{unknown}.new"));
    let new = path.with_file_name(name);
    let written = write_new(&new, text).and_then(|()| std::fs::rename(&new, path));
    written.or_else(|error| {
        let _ = std::fs::remove_file(&new);
        // A mounted file cannot be replaced.
        let mounted =
            error.kind() == ErrorKind::ResourceBusy && std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if mounted { std::fs::write(path, text) } else { Err(error) }
    })
}

/// Writes a file that was not there before.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
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
    fn it_is_the_owners_alone_and_follows_no_link() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("status.json"), folder.path().join("other"));
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        write(&path, "{}").unwrap();
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file());
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        assert_eq!(
            (std::fs::read_to_string(&path).unwrap(), std::fs::read_to_string(&other).unwrap()),
            ("{}".into(), "precious".into())
        );
        // What lies where the new file would be is not written into.
        assert!(write_new(&other, "{}").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&folder.path().join("absent/status.json"), "{}").is_err());
        assert!(write(Path::new("/dev/null"), "{}").is_ok());
    }
}
