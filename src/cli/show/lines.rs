//! Plain lines where there is no terminal: one when the phase changes, else at most one a second, and only when there is something new.

use std::time::Duration;

use super::View;
use crate::api::{MigrationTaskStatus, Phase};
use crate::cli::text;

/// A phase that goes on for long is told of less often: a log that runs for days is not made of progress.
const PACE: [(Duration, Duration); 3] = [
    (Duration::from_secs(30), Duration::from_secs(1)),
    (Duration::from_secs(600), Duration::from_secs(10)),
    (Duration::MAX, Duration::from_secs(60)),
];

/// Decides what is worth a line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    phase: Phase,
    phase_since: Duration,
    at: Duration,
    text: String,
}

impl Lines {
    /// The line that is due now.
    pub(super) fn next(&mut self, view: &View) -> Option<String> {
        let phase = view.status.phase.unwrap_or(Phase::Pending);
        // An error has its own line on standard error.
        if phase == Phase::Failed {
            return None;
        }
        let now = view.running_for;
        let text = line(view);
        let phase_since = match &self.last {
            Some(last) if last.phase == phase => {
                if text == last.text || now < last.at + pace(now.saturating_sub(last.phase_since)) {
                    return None;
                }
                last.phase_since
            }
            _ => now,
        };
        self.last = Some(Last { phase, phase_since, at: now, text: text.clone() });
        Some(text)
    }
}

fn pace(phase_age: Duration) -> Duration {
    PACE.iter().find(|(until, _)| phase_age <= *until).map_or(Duration::from_secs(60), |(_, pace)| *pace)
}

/// What is going on, in one line.
fn line(view: &View) -> String {
    let status = &view.status;
    let phase = status.phase.unwrap_or(Phase::Pending);
    let mut parts = Vec::new();
    match (&status.full, phase) {
        (Some(full), Phase::Copying) => {
            parts.push(status.progress.clone().unwrap_or_default());
            parts.push(format!("{} of {} tables", full.tables_done, full.tables_total));
            parts.push(text::counted(full.rows_copied, "row", "rows"));
            parts.push(format!("{} rows/s", text::count(full.rows_per_second)));
            parts.push(format!("{}/s", text::bytes(full.bytes_per_second)));
            parts.extend(full.eta_seconds.map(|seconds| format!("{} left", text::time(Duration::from_secs(seconds)))));
        }
        (_, Phase::Replicating) => {
            let behind = view.latency.map(|latency| format!("{} behind", text::time(latency)));
            parts.push(behind.unwrap_or_else(|| "latency not known yet".into()));
            let rate = status.incremental.as_ref().map_or(0, |incremental| incremental.rows_per_second);
            parts.push(format!("{} changes/s", text::count(rate)));
            parts.push(format!("{} applied", text::count(view.counters.applied())));
            parts.extend(position(status).map(|at| format!("at {at}")));
        }
        _ => parts.extend(status.message.clone()),
    }
    format!("{phase}: {}", parts.join(", "))
}

/// Where in the source's binary log: file and offset, else the GTID set, shortened.
pub(super) fn position(status: &MigrationTaskStatus) -> Option<String> {
    let position = status.position.as_ref()?;
    match (&position.file, position.offset, &position.gtid_set) {
        (Some(file), Some(offset), _) => Some(format!("{file}:{offset}")),
        (_, _, Some(gtid)) => Some(text::fit(gtid, 60)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_a_line_says() {
        let mut view = samples::copying();
        assert_eq!(line(&view), "Copying: 73.4%, 9 of 12 tables, 1,234,567 rows, 210,000 rows/s, 48 MB/s, 1 m 12 s left");
        view.status.phase = Some(Phase::Replicating);
        assert_eq!(line(&view), "Replicating: 0.2 s behind, 1,200 changes/s, 34 applied, at binlog.000042:1234");
    }

    #[test]
    fn lines_come_on_change_and_not_too_often() {
        let mut lines = Lines::default();
        let mut view = samples::copying();
        let mut at = |second: f64, rows: u64, phase: Phase| {
            view.running_for = Duration::from_secs_f64(second);
            view.status.phase = Some(phase);
            if let Some(full) = &mut view.status.full {
                full.rows_copied = rows;
            }
            lines.next(&view).is_some()
        };
        assert!(at(0.0, 1, Phase::Copying));
        assert!(!at(0.5, 2, Phase::Copying), "too soon");
        assert!(at(1.0, 3, Phase::Copying));
        assert!(!at(5.0, 3, Phase::Copying), "nothing new");
        assert!(at(5.1, 3, Phase::Replicating), "a new phase at once");
        assert!(at(5.2, 3, Phase::Copying), "a new phase at once");
        assert!(at(50.0, 4, Phase::Copying));
        assert!(!at(55.0, 5, Phase::Copying), "a long phase: every ten seconds");
        assert!(at(60.0, 6, Phase::Copying));
    }
}
