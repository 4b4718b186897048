//! `godwit crd`.

use super::{Exit, Failure};
use crate::api::crd;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

/// Prints the CRDs.
pub(super) fn run(_: Arguments) -> Result<Exit, Failure> {
    super::print(&crd::crd_yaml())?;
    Ok(Exit::Success)
}
