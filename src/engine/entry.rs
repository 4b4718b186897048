//! Placeholder of the engine's entry points; the engine's own file replaces it.

use tokio_util::sync::CancellationToken;

use super::error::{Error, Result};
use super::plan::Plan;
use super::progress::Progress;
use crate::api::{PrecheckReport, VerifyReport};
use crate::manifest::Manifest;

/// What to do.
#[derive(Debug, Clone)]
pub struct Task {
    pub manifest: Manifest,
    /// Ends once everything that was committed on the source when the copy had finished is applied.
    pub until_caught_up: bool,
    /// Database at the destination that holds the engine's own records.
    pub record_database: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    CaughtUp,
    Stopped,
    PrecheckFailed,
}

/// How to compare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Differences are repaired at the destination.
    pub repair: bool,
}

/// What would be done, for people and for programs.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: Plan,
    pub text: String,
    pub json: serde_json::Value,
}

fn missing<T>() -> Result<T> {
    Err(Error::definite("the engine is not built into this binary"))
}

pub async fn run(_task: Task, _progress: Progress, _cancel: CancellationToken) -> Result<Outcome> {
    missing()
}

pub async fn precheck_only(_task: Task, _progress: Progress) -> Result<PrecheckReport> {
    missing()
}

pub async fn plan_only(_task: Task) -> Result<Planned> {
    missing()
}

pub async fn verify_only(
    _task: Task,
    _options: VerifyOptions,
    _progress: Progress,
    _cancel: CancellationToken,
) -> Result<VerifyReport> {
    missing()
}
