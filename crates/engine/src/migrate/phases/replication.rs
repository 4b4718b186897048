//! The log alone.

use std::time::{Duration, Instant};

use super::Run;
use crate::connection::Role;
use crate::replicate::dispatch::Dispatcher;
use crate::source::visibility;
use crate::task::Outcome;
use godwit_api::Phase;
use godwit_model::error::{Context, Error, Result};

/// How often the log's end is asked for.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// Follows the log: measures how far behind the destination is, until stopped or, if asked, until caught up.
pub(super) async fn run(run: &Run<'_>, dispatcher: &Dispatcher) -> Result<Outcome> {
    let (attempt, cancel) = (run.attempt, &run.cancel);
    attempt.progress.set_phase(Phase::Replicating);
    let mut conn = attempt.source.connect(Role::Metadata).await?;
    let mut first = true;
    loop {
        let asked = Instant::now();
        // What an earlier attempt did not get to has waited since then.
        let waits_since = attempt.progress.synced_at().filter(|_| first).unwrap_or(asked);
        let read = dispatcher.position();
        let end = visibility::log_end(&mut conn, &attempt.source_info).await.context("asking the source for its log's end")?;
        if read.compare_places(&end.0, end.1).is_gt() {
            // The next attempt looks at it more closely.
            return Err(Error::connection(format!(
                "the source's binary log ends at {}:{}, and was read up to {}:{} before: it was reset",
                end.0, end.1, read.file, read.offset
            )));
        }
        let reached = async {
            dispatcher.wait_passed(&end.0, end.1).await;
            dispatcher.drain().await;
        };
        tokio::pin!(reached);
        loop {
            tokio::select! {
                () = &mut reached => break,
                () = tokio::time::sleep(PROBE_EVERY) => attempt.progress.set_latency(Some(waits_since.elapsed())),
                () = cancel.cancelled() => return Ok(Outcome::Stopped),
            }
        }
        let behind = asked.elapsed();
        attempt.progress.set_synced_at(asked);
        // Applied within the time that asking takes: nothing is outstanding.
        attempt.progress.set_latency(Some(if behind < Duration::from_secs(1) { Duration::ZERO } else { behind }));
        if first && attempt.task.until_caught_up {
            return Ok(Outcome::CaughtUp);
        }
        first = false;
        tokio::select! {
            () = tokio::time::sleep(PROBE_EVERY) => {}
            () = cancel.cancelled() => return Ok(Outcome::Stopped),
        }
    }
}
