//! Rates over a sliding window: samples of the counters, kept for [`WINDOW`], and the slope between the oldest and the newest.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back a rate looks: long enough to be calm, short enough to show a change soon.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Samples are at least this far apart.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

/// The counters at one moment. They count what this process did: a resume does not show as speed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    /// Since the process started.
    pub at: Duration,
    pub rows: u64,
    pub bytes: u64,
    /// Work done, in the unit of the time that is left (estimated bytes).
    pub work: u64,
    pub applied: u64,
    pub log_bytes: u64,
    /// Rows of the tables that are being copied, by table id.
    pub tables: Vec<(u32, u64)>,
}

/// Rates per second.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rates {
    pub rows: f64,
    pub bytes: f64,
    pub work: f64,
    pub applied: f64,
    pub log_bytes: f64,
    pub tables: Vec<(u32, f64)>,
}

/// The samples of the last [`WINDOW`].
#[derive(Debug, Default)]
pub(super) struct Window {
    samples: VecDeque<Sample>,
}

impl Window {
    /// Takes a sample; one that comes too soon after the last is left out.
    pub(super) fn push(&mut self, sample: Sample) {
        if self.samples.back().is_some_and(|last| sample.at < last.at + INTERVAL) {
            return;
        }
        // One sample at or before the window's start stays, so that the window is always covered.
        while self.samples.len() > 1 && self.samples[1].at + WINDOW <= sample.at {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// What was before says nothing of what comes.
    pub(super) fn restart(&mut self, now: Sample) {
        self.samples.clear();
        self.samples.push_back(now);
    }

    /// The slopes from the window's start to `now`.
    pub(super) fn rates(&self, now: &Sample) -> Rates {
        let Some(start) = self.samples.iter().rev().find(|s| s.at + WINDOW <= now.at).or(self.samples.front()) else {
            return Rates::default();
        };
        let seconds = now.at.saturating_sub(start.at).as_secs_f64();
        if seconds < 0.2 {
            return Rates::default();
        }
        let slope = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        let table = |&(id, rows): &(u32, u64)| {
            let before = start.tables.iter().find(|(other, _)| *other == id).map_or(0, |(_, rows)| *rows);
            (id, slope(before, rows))
        };
        Rates {
            rows: slope(start.rows, now.rows),
            bytes: slope(start.bytes, now.bytes),
            work: slope(start.work, now.work),
            applied: slope(start.applied, now.applied),
            log_bytes: slope(start.log_bytes, now.log_bytes),
            tables: now.tables.iter().map(table).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: u64, rows: u64) -> Sample {
        Sample { at: Duration::from_secs(seconds), rows, ..Sample::default() }
    }

    #[test]
    fn the_rate_forgets_what_is_older_than_the_window() {
        let mut window = Window::default();
        for second in 0..=20 {
            window.push(sample(second, 1000 * second));
        }
        assert!((window.rates(&sample(20, 20_000)).rows - 1000.0).abs() < 1e-9);
        for second in 21..=40 {
            window.push(sample(second, 20_000));
        }
        assert!(window.rates(&sample(40, 20_000)).rows.abs() < 1e-9);
        assert!(window.samples.len() <= 12);
    }

    #[test]
    fn without_samples_there_is_no_rate() {
        assert_eq!(Window::default().rates(&sample(5, 100)), Rates::default());
    }
}
