//! When an operation is sent again, and after which pause.

use std::time::{Duration, Instant};

/// How long the client goes on. The pause doubles from attempt to attempt, and each is drawn between its half and its whole, so that clients
/// that failed together do not come back together.
#[derive(Clone, Debug)]
pub struct Retry {
    /// The time from the first attempt in which another one may begin. Zero: nothing is tried again.
    pub within: Duration,
    /// The first pause after a failure.
    pub first_pause: Duration,
    /// The first pause after the service asked for fewer requests.
    pub first_pause_throttled: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retry {
    /// One minute, with pauses from 0.1 s (throttled: 0.25 s) to 3 s.
    fn default() -> Self {
        Self {
            within: Duration::from_secs(60),
            first_pause: Duration::from_millis(100),
            first_pause_throttled: Duration::from_millis(250),
            longest_pause: Duration::from_secs(3),
        }
    }
}

impl Retry {
    /// Nothing is tried again.
    #[must_use]
    pub fn never() -> Self {
        Self { within: Duration::ZERO, ..Self::default() }
    }

    /// The pause before the attempt after `failed` ones, or None when it would begin too late.
    pub(crate) fn pause(&self, failed: u32, throttled: bool, began: Instant) -> Option<Duration> {
        let first = if throttled { self.first_pause_throttled } else { self.first_pause };
        let doubled = first.saturating_mul(1 << failed.saturating_sub(1).min(16));
        let pause = doubled.min(self.longest_pause).mul_f64(0.5 + fastrand::f64() / 2.0);
        (began.elapsed() + pause < self.within).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_time() {
        let retry = Retry { within: Duration::from_secs(600), ..Retry::default() };
        for (failed, whole) in [(1, 100), (2, 200), (3, 400), (6, 3000), (4_000_000_000, 3000)] {
            let pause = retry.pause(failed, false, Instant::now()).unwrap();
            let whole = Duration::from_millis(whole);
            assert!(pause >= whole / 2 && pause <= whole, "{failed}: {pause:?}");
        }
        assert!(retry.pause(1, true, Instant::now()).unwrap() >= Duration::from_millis(125));
        assert_eq!(Retry::never().pause(1, false, Instant::now()), None);
    }
}
