//! The heartbeat on the source (`spec.heartbeat`): a row that is updated once in a while, so that latency can be told while nobody writes.
//!
//! [`writer`] updates the row over a connection of its own, `listener` finds the change again in the log that is followed, and a beat is
//! applied when everything that was dispatched before it is. All three share [`Beats`]. Times are this process's own monotonic clock: neither
//! server's clock has a part in them.
//!
//! A heartbeat is never the reason that a task fails. What stands in its way is reported and tried again. Nothing here outlives an attempt;
//! the next one takes the row over.

mod listener;
mod table;
mod writer;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

pub(crate) use listener::Listener;
pub(crate) use table::HeartbeatTable;
pub(crate) use writer::Writer;

/// Beats that are remembered until they are applied. While more of them wait (more than an hour of the shortest interval) new ones are not
/// timed; the oldest one, which counts, is.
const REMEMBERED: usize = 4096;

/// The beats of one attempt; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Beats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Tells the beats of this attempt from those of other engines, and of other attempts, in the same table.
    run: u64,
    /// The last beat that came along in the log.
    seen: watch::Sender<u64>,
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    waiting: VecDeque<Beat>,
    /// From the sending of the newest applied beat to the moment when everything before it was applied.
    last: Option<Duration>,
}

#[derive(Debug)]
struct Beat {
    number: u64,
    sent: Instant,
    /// The source has confirmed it. Its log may bring it before that.
    committed: bool,
}

impl Beats {
    /// `task`: the task's name; with time and process it makes the run's number one that no other run has.
    pub(crate) fn new(task: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let run = xxhash_rust::xxh3::xxh3_64(format!("{task} {now} {}", std::process::id()).as_bytes());
        Self(Arc::new(Inner { run, seen: watch::Sender::new(0), times: Mutex::default() }))
    }

    /// The number of the run that the beats belong to.
    pub(crate) fn run(&self) -> u64 {
        self.0.run
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A beat is on its way to the source.
    fn sent(&self, number: u64, at: Instant) {
        let mut times = self.times();
        if times.waiting.len() < REMEMBERED {
            times.waiting.push_back(Beat { number, sent: at, committed: false });
        }
    }

    /// The source has committed it.
    fn committed(&self, number: u64) {
        if let Some(beat) = self.times().waiting.iter_mut().find(|beat| beat.number == number) {
            beat.committed = true;
        }
    }

    /// It was not committed, or nobody knows.
    fn lost(&self, number: u64) {
        self.times().waiting.retain(|beat| beat.number != number);
    }

    /// The log brought a change of the row. Beats of other runs are none of ours.
    fn arrived(&self, run: u64, number: u64) {
        if run == self.0.run {
            self.0.seen.send_replace(number);
        }
    }

    /// Everything up to this beat is applied.
    fn applied(&self, number: u64, at: Instant) {
        let mut times = self.times();
        while times.waiting.front().is_some_and(|beat| beat.number <= number) {
            let Some(beat) = times.waiting.pop_front() else { break };
            times.last = Some(at.saturating_duration_since(beat.sent));
        }
    }

    /// How long ago the oldest beat was sent that the source has committed and that is not applied here; zero: there is none. At
    /// least so far behind is the destination.
    fn outstanding(&self, now: Instant) -> Duration {
        let times = self.times();
        let oldest = times.waiting.iter().find(|beat| beat.committed);
        oldest.map_or(Duration::ZERO, |beat| now.saturating_duration_since(beat.sent))
    }

    /// What the newest applied beat took, or what the oldest outstanding one has taken so far, if that is more.
    fn latency(&self, now: Instant) -> Option<Duration> {
        let outstanding = self.outstanding(now);
        let last = self.times().last;
        last.map(|last| last.max(outstanding)).or((!outstanding.is_zero()).then_some(outstanding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_and_not_applied_counts() {
        let beats = Beats::new("data/shop");
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        assert_eq!((beats.outstanding(at(0)), beats.latency(at(0))), (Duration::ZERO, None));
        beats.sent(1, at(0));
        // Not confirmed: the source may hang, which says nothing about the destination.
        assert_eq!((beats.outstanding(at(5000)), beats.latency(at(5000))), (Duration::ZERO, None));
        beats.committed(1);
        assert_eq!(beats.outstanding(at(5000)), Duration::from_secs(5));
        beats.sent(2, at(1000));
        beats.committed(2);
        beats.applied(1, at(5000));
        assert_eq!(beats.outstanding(at(5000)), Duration::from_secs(4));
        beats.applied(2, at(5200));
        assert_eq!((beats.outstanding(at(9000)), beats.latency(at(9000))), (Duration::ZERO, Some(Duration::from_millis(4200))));
        // The log may be quicker than the source's answer, which then counts for nothing.
        beats.sent(3, at(9000));
        beats.applied(3, at(9010));
        beats.committed(3);
        assert_eq!((beats.outstanding(at(60_000)), beats.latency(at(60_000))), (Duration::ZERO, Some(Duration::from_millis(10))));
    }

    #[test]
    fn a_beat_that_was_lost_is_waited_for_by_nobody() {
        let beats = Beats::new("data/shop");
        let now = Instant::now();
        beats.sent(1, now);
        beats.committed(1);
        beats.lost(1);
        assert_eq!(beats.outstanding(now + Duration::from_secs(9)), Duration::ZERO);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_counts() {
        let beats = Beats::new("data/shop");
        let now = Instant::now();
        for number in 0..3 * REMEMBERED as u64 {
            beats.sent(number, now + Duration::from_secs(number));
            beats.committed(number);
        }
        assert_eq!(beats.times().waiting.len(), REMEMBERED);
        assert_eq!(beats.outstanding(now + Duration::from_secs(99_999)), Duration::from_secs(99_999));
        beats.applied(u64::MAX, now);
        assert!(beats.times().waiting.is_empty());
    }

    #[test]
    fn other_runs_are_not_heard() {
        let (mine, other) = (Beats::new("data/shop"), Beats::new("data/shop"));
        assert_ne!(mine.run(), other.run());
        mine.arrived(other.run(), 7);
        assert_eq!(*mine.0.seen.borrow(), 0);
        mine.arrived(mine.run(), 8);
        assert_eq!(*mine.0.seen.borrow(), 8);
    }
}
