//! SIGTERM and SIGINT: the first asks the engine to stop cleanly, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure};
use crate::model::error::Error;

/// A token that the first signal cancels. Call within the runtime.
pub(super) fn cancellation() -> Result<CancellationToken, Failure> {
    let catch = |kind| signal(kind).map_err(|error| Error::transient(format!("catching signals: {error}")));
    let signals = Signals { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? };
    let token = CancellationToken::new();
    tokio::spawn(watch(signals, token.clone()));
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn watch(mut signals: Signals, token: CancellationToken) {
    signals.next().await;
    tracing::warn!("stopping: what is in flight is being finished; the same signal again ends the process at once");
    token.cancel();
    signals.next().await;
    // Nothing is lost: position and data commit together, and whatever was not committed is done again by the next run.
    super::complain("ended at once on a second signal; start it again to go on");
    std::process::exit(Exit::Failed as i32);
}
