//! Limits on how fast rows are read or written, changed while work goes on.
//!
//! A caller takes first and then waits until the debt is paid off, so one huge row passes and is paid for
//! afterwards. All callers of one [`Throttle`] share its rate. Holds no data; nothing survives a restart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// The longest sleep at once: a raised limit is felt this soon.
const SLICE: Duration = Duration::from_millis(250);

/// A second's worth divided by this may be used at once after a pause.
const BURST_DIVISOR: f64 = 10.0;

/// Units per second; 0: no limit.
#[derive(Debug, Default)]
pub(crate) struct Rate(AtomicU64);

/// Rows and bytes per second.
#[derive(Debug)]
pub struct Throttle {
    rows: Rate,
    bytes: Rate,
    debts: Mutex<Debts>,
}

#[derive(Debug)]
struct Debts {
    at: Instant,
    rows: f64,
    bytes: f64,
}

impl Rate {
    fn get(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64
    }

    /// What remains of `debt` after `seconds`, and what is added to it. Without a limit there is no debt: one that is set later does not charge for
    /// what went before.
    fn pay(&self, debt: f64, seconds: f64, added: u64) -> f64 {
        let rate = self.get();
        if rate == 0.0 { 0.0 } else { (debt - seconds * rate).max(-rate / BURST_DIVISOR) + added as f64 }
    }

    /// Takes another rate; gives the factor that turns an old debt into one of as many seconds.
    fn change(&self, rate: u64) -> f64 {
        let before = self.0.swap(rate, Ordering::Relaxed);
        if before == 0 { 0.0 } else { rate as f64 / before as f64 }
    }

    /// Seconds until `debt` is paid.
    fn wait(&self, debt: f64) -> f64 {
        let rate = self.get();
        if rate == 0.0 { 0.0 } else { (debt / rate).max(0.0) }
    }
}

impl Throttle {
    /// Limits per second; 0: none.
    pub fn new(rows: u64, bytes: u64) -> Self {
        let debts = Debts { at: Instant::now(), rows: 0.0, bytes: 0.0 };
        Self { rows: Rate(rows.into()), bytes: Rate(bytes.into()), debts: Mutex::new(debts) }
    }

    /// Changes the limits; who waits now feels it within a quarter of a second. What is owed was taken at the old rate and is paid off in the same
    /// time, so that a limit that is lowered a thousandfold does not stop the work for an hour.
    pub fn set(&self, rows: u64, bytes: u64) {
        let mut debts = self.lock();
        self.charge_to(&mut debts, 0, 0);
        debts.rows *= self.rows.change(rows);
        debts.bytes *= self.bytes.change(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Debts> {
        self.debts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Rows and bytes per second; 0: no limit.
    pub fn limits(&self) -> (u64, u64) {
        (self.rows.0.load(Ordering::Relaxed), self.bytes.0.load(Ordering::Relaxed))
    }

    /// Adds to the debts, after paying for the time since; gives what is still to be waited for.
    fn charge(&self, rows: u64, bytes: u64) -> Duration {
        let mut debts = self.lock();
        self.charge_to(&mut debts, rows, bytes);
        let wait = self.rows.wait(debts.rows).max(self.bytes.wait(debts.bytes));
        Duration::from_secs_f64(wait.min(SLICE.as_secs_f64()))
    }

    fn charge_to(&self, debts: &mut Debts, rows: u64, bytes: u64) {
        let now = Instant::now();
        let seconds = now.duration_since(debts.at).as_secs_f64();
        debts.at = now;
        debts.rows = self.rows.pay(debts.rows, seconds, rows);
        debts.bytes = self.bytes.pay(debts.bytes, seconds, bytes);
    }

    /// Takes rows and bytes, then waits until the rates allow them. Dropped while waiting: they stay taken.
    pub async fn acquire(&self, rows: u64, bytes: u64) {
        let mut wait = self.charge(rows, bytes);
        while !wait.is_zero() {
            tokio::time::sleep(wait).await;
            wait = self.charge(0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rate_is_kept() {
        let throttle = Throttle::new(2_000, 0);
        let start = std::time::Instant::now();
        for _ in 0..10 {
            throttle.acquire(100, 1 << 40).await;
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!((0.4..1.5).contains(&seconds), "{seconds}");
    }

    #[tokio::test]
    async fn a_new_limit_does_not_charge_for_what_went_before() {
        let throttle = Throttle::new(0, 0);
        throttle.acquire(1 << 40, 1 << 40).await;
        throttle.set(1_000, 1_000_000);
        let start = std::time::Instant::now();
        throttle.acquire(1, 1).await;
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_lowered_limit_is_no_standstill() {
        let throttle = Throttle::new(1_000_000, 0);
        let debt = throttle.charge(300_000, 0);
        assert_eq!(debt, SLICE);
        throttle.set(10, 0);
        let start = std::time::Instant::now();
        throttle.acquire(0, 0).await;
        let seconds = start.elapsed().as_secs_f64();
        assert!((0.1..2.0).contains(&seconds), "{seconds}");
    }

    #[tokio::test]
    async fn no_limit_never_waits_and_a_raised_one_frees() {
        let throttle = std::sync::Arc::new(Throttle::new(1, 0));
        let waiting = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.acquire(3_600, 0).await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        throttle.set(0, 0);
        tokio::time::timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
        let start = std::time::Instant::now();
        throttle.acquire(1 << 50, 1 << 50).await;
        assert!(start.elapsed() < Duration::from_millis(100));
    }
}
