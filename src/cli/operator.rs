//! `godwit operator`: not available in this version, and says so.

use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Refuses.
pub fn run(_: Arguments) -> Result<Exit, Failure> {
    Err(Failure::Usage(
        "the command operator is not available in this version; run a task without Kubernetes with `godwit run -f task.yaml`"
            .into(),
    ))
}
