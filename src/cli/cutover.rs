//! `godwit cutover`: not available in this version, and says so.

use super::input::ManifestFile;
use super::{Exit, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    manifest: ManifestFile,
}

/// Refuses; the manifest is checked all the same.
pub(super) fn run(arguments: Arguments) -> Result<Exit, Failure> {
    arguments.manifest.load()?;
    Err(Failure::Usage(
        "the command cutover is not available in this version; nothing was changed: stop the application's writes, let \
         `godwit run --until-caught-up` apply what is left, compare with `godwit verify`, then point the application to the destination"
            .into(),
    ))
}
