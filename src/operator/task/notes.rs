//! What of a status is told as an event, and which statuses are written at once. Pure.

use super::decide;
use crate::api::condition::{READY, STALLED};
use crate::api::{MigrationTaskStatus, Phase};

/// What is told as a Kubernetes event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub warning: bool,
    pub reason: String,
    pub message: String,
}

/// Events for what changed between two statuses: transitions only, never numbers.
pub fn notes(before: &MigrationTaskStatus, after: &MigrationTaskStatus) -> Vec<Note> {
    let ready = |status: &MigrationTaskStatus| decide::find(status, READY).map(|c| (c.status.clone(), c.reason.clone()));
    let stalled = decide::find(after, STALLED).is_some_and(|c| c.status == "True");
    let (was, is) = (ready(before), ready(after));
    if before.phase == after.phase && was == is {
        return Vec::new();
    }
    let reason = is.map_or_else(|| "Changed".to_owned(), |(_, reason)| reason);
    let retrying = after.phase == Some(Phase::Retrying);
    vec![Note { warning: stalled || retrying, reason, message: cut(after.message.as_deref().unwrap_or_default()) }]
}

/// The API server takes notes of at most 1024 bytes.
fn cut(message: &str) -> String {
    let mut text = message.to_owned();
    if text.len() > 1000 {
        let end = (0..=1000).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether two statuses differ in more than numbers: phase, or status or reason of a condition, or what only changes with a transition.
pub fn is_transition(before: &MigrationTaskStatus, after: &MigrationTaskStatus) -> bool {
    let conditions = |status: &MigrationTaskStatus| -> Vec<(String, String, String)> {
        status.conditions.iter().map(|c| (c.type_.clone(), c.status.clone(), c.reason.clone())).collect()
    };
    before.phase != after.phase
        || before.observed_generation != after.observed_generation
        || before.admission != after.admission
        || before.started_at != after.started_at
        || before.effective_retry != after.effective_retry
        || before.precheck.is_some() != after.precheck.is_some()
        || conditions(before) != conditions(after)
}
