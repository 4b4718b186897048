//! `godwit plan`: what would be done.

use super::input::{self, ManifestFile};
use super::{Exit, Failure, LogArguments, Output};
use crate::engine;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    manifest: ManifestFile,
    /// How the plan is printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Prints the plan.
pub(super) fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
    let manifest = arguments.manifest.load()?;
    log.start(true, None)?;
    let planned = super::block_on(async { Ok(engine::plan_only(input::task(manifest, false)).await?) })?;
    match arguments.output {
        Output::Text => super::print(&planned.text)?,
        Output::Json => super::print_json(&planned.json)?,
    }
    Ok(Exit::Success)
}
