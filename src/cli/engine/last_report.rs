//! The last report, for the kubelet to keep: the container's termination message. It is whole JSON whatever it has to leave out.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::api::{MigrationTaskStatus, PrecheckItem, PrecheckStatus, StatusReport};
use crate::engine::progress::Progress;

/// The kubelet keeps no more of the file.
const LIMIT: usize = 4096;

/// Texts are cut after so many characters: as long as they can be, then shorter until the report fits.
const TEXTS: [usize; 6] = [1_000, 500, 250, 100, 30, 0];

/// Texts of items that failed.
const ITEM_TEXTS: [usize; 3] = [1_000, 300, 100];

/// Writes the report. A file that cannot be written is told to the log; the report still stands at `/status`.
pub(super) fn write(path: &Path, progress: &Progress) {
    let text = compact(&progress.status());
    // Not created anew: the kubelet mounts this very file.
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        tracing::warn!(file = %path.display(), %error, "the last report cannot be written");
    }
}

/// The status as JSON of at most [`LIMIT`] bytes: phase, message, conditions, and the failing items that find room.
fn compact(status: &MigrationTaskStatus) -> String {
    let mut report = TEXTS.iter().map(|limit| shortened(status, *limit)).find(|report| size(report) <= LIMIT).unwrap_or_default();
    let failing = status.precheck.iter().flat_map(|precheck| &precheck.items).filter(|item| item.stands_in_the_way());
    for item in failing {
        let fits = ITEM_TEXTS.iter().map(|limit| with_item(&report, item, *limit)).find(|report| size(report) <= LIMIT);
        // What is named first is the most important.
        let Some(longer) = fits else { break };
        report = longer;
    }
    json(&report)
}

fn json(status: &MigrationTaskStatus) -> String {
    serde_json::to_string(&StatusReport::from(status.clone())).unwrap_or_default()
}

fn size(status: &MigrationTaskStatus) -> usize {
    json(status).len()
}

/// Without lists, numbers and items.
fn shortened(status: &MigrationTaskStatus, limit: usize) -> MigrationTaskStatus {
    let mut conditions = status.conditions.clone();
    for condition in &mut conditions {
        // Ready and its like repeat the message above.
        condition.message =
            if Some(&condition.message) == status.message.as_ref() { String::new() } else { cut(&condition.message, limit / 5) };
    }
    MigrationTaskStatus {
        phase: status.phase,
        message: status.message.as_deref().map(|message| cut(message, limit)),
        observed_generation: status.observed_generation,
        started_at: status.started_at.clone(),
        completed_at: status.completed_at.clone(),
        precheck: status.precheck.as_ref().map(|precheck| PrecheckStatus {
            success_rate: precheck.success_rate.clone(),
            checked_at: precheck.checked_at.clone(),
            ..PrecheckStatus::default()
        }),
        conditions,
        ..MigrationTaskStatus::default()
    }
}

fn with_item(report: &MigrationTaskStatus, item: &PrecheckItem, limit: usize) -> MigrationTaskStatus {
    let mut report = report.clone();
    let item =
        PrecheckItem { seen: cut(&item.seen, limit), remedy: cut(&item.remedy, limit), why: String::new(), ..item.clone() };
    report.precheck.get_or_insert_default().items.push(item);
    report
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Phase, Verdict};

    fn item(name: &str, verdict: Verdict, text: &str) -> PrecheckItem {
        let text = text.to_owned();
        PrecheckItem { name: name.into(), verdict, ignored: false, seen: text.clone(), why: text.clone(), remedy: text }
    }

    fn read(text: &str) -> MigrationTaskStatus {
        assert!(text.len() <= LIMIT, "{} bytes", text.len());
        serde_json::from_str::<StatusReport>(text).unwrap().status
    }

    #[test]
    fn what_is_short_is_whole() {
        let progress = Progress::new("a:3306".into(), "b:3306".into());
        progress.set_generation(7);
        progress.set_precheck(PrecheckStatus {
            success_rate: "50%".into(),
            items: vec![item("BinaryLog", Verdict::Failed, "OFF"), item("GtidMode", Verdict::Passed, "ON")],
            ..PrecheckStatus::default()
        });
        progress.set_phase(Phase::PrecheckFailed);
        let status = read(&compact(&progress.status()));
        assert_eq!((status.phase, status.observed_generation), (Some(Phase::PrecheckFailed), Some(7)));
        assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(7)));
        let precheck = status.precheck.unwrap();
        assert_eq!((precheck.success_rate.as_str(), precheck.items.len()), ("50%", 1));
        assert_eq!((precheck.items[0].name.as_str(), precheck.items[0].remedy.as_str()), ("BinaryLog", "OFF"));
    }

    #[test]
    fn what_is_long_is_cut_and_still_json() {
        // The longest there is in JSON: each becomes six bytes.
        for text in ["\u{1}", "ö", "\"", "x"] {
            let long = text.repeat(20_000);
            let progress = Progress::new("a:3306".into(), "b:3306".into());
            let items: Vec<_> = (0..40).map(|number| item(&format!("Item{number}"), Verdict::Failed, &long)).collect();
            progress.set_precheck(PrecheckStatus { success_rate: "0%".into(), items, ..PrecheckStatus::default() });
            progress.set_failed(long);
            let status = read(&compact(&progress.status()));
            assert_eq!((status.phase, status.conditions.len()), (Some(Phase::Failed), 9));
            assert!(!status.message.unwrap().is_empty());
        }
    }

    #[test]
    fn the_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("termination-log");
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        write(&path, &Progress::new("a:3306".into(), "b:3306".into()));
        assert_eq!(read(&std::fs::read_to_string(&path).unwrap()).phase, Some(Phase::Pending));
        // No panic where nobody mounted one.
        write(&folder.path().join("no/such/folder"), &Progress::new(String::new(), String::new()));
    }
}
