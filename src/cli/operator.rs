//! `godwit operator`: the Kubernetes controller. Everything else is in `crate::operator`.

use super::{Exit, Failure, LogArguments, signals};
use crate::operator::process;
use crate::operator::settings::Settings;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// Runs until a signal.
pub(super) fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
    log.start(false, None)?;
    super::block_on(async {
        let stop = signals::cancellation()?;
        process::run(arguments.settings, stop).await.map_err(|error| Failure::Operator(error.to_string()))?;
        Ok(Exit::Success)
    })
}
