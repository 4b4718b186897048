//! `godwit crd`.

use super::{Exit, Failure};
use crate::api::crd;

#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Prints the CRDs.
pub fn run(_: Arguments) -> Result<Exit, Failure> {
    super::print(&crd::crd_yaml())?;
    Ok(Exit::Success)
}
