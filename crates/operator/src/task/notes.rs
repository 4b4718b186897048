//! What of a status is told as an event, how long its sentences may be, and which statuses are written at once. Pure.

use super::decide;
use crate::events::Note;
use godwit_api::condition::{READY, STALLED};
use godwit_api::{MigrationTaskStatus, Phase};

/// Events for what changed between two statuses: transitions only, never numbers.
pub(crate) fn notes(before: &MigrationTaskStatus, after: &MigrationTaskStatus) -> Vec<Note> {
    let ready = |status: &MigrationTaskStatus| decide::find(status, READY).map(|c| (c.status.clone(), c.reason.clone()));
    let stalled = decide::find(after, STALLED).is_some_and(|c| c.status == "True");
    let (was, is) = (ready(before), ready(after));
    if before.phase == after.phase && was == is {
        return Vec::new();
    }
    let reason = is.map_or_else(|| "Changed".to_owned(), |(_, reason)| reason);
    let retrying = after.phase == Some(Phase::Retrying);
    vec![note(stalled || retrying, reason, after.message.clone().unwrap_or_default())]
}

/// The event about looks that fail.
pub(crate) fn failure(failures: u32, cause: &str) -> Note {
    note(true, "ReconcileError".to_owned(), format!("{failures} times in a row, tried again with growing pauses: {cause}"))
}

/// Bytes of an event's note: the API server takes 1024.
const NOTE: usize = 1000;
/// Bytes of a sentence in status. An engine may quote a statement of any length, and the API server refuses a status with a condition of more than
/// 32,768 characters, or an object of more than 1.5 MiB.
const SENTENCE: usize = 4000;
/// Bytes of the statements that mend what a precheck found, which are there to be copied.
const REMEDY: usize = 16_000;

/// Shortens every text of a status whose length nobody knows.
pub(super) fn bound(status: &mut MigrationTaskStatus) {
    let sentences = status.message.iter_mut().chain(status.conditions.iter_mut().map(|condition| &mut condition.message));
    let sentences = sentences.chain(status.retry.iter_mut().map(|retry| &mut retry.error));
    let failed = status.schema.iter_mut().flat_map(|schema| &mut schema.failed).map(|failure| &mut failure.error);
    sentences.chain(failed).for_each(|text| cut(text, SENTENCE));
    for item in status.precheck.iter_mut().flat_map(|precheck| precheck.items.iter_mut().chain(&mut precheck.assessment)) {
        cut(&mut item.seen, SENTENCE);
        cut(&mut item.why, SENTENCE);
        cut(&mut item.remedy, REMEDY);
    }
}

fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

fn note(warning: bool, reason: String, mut message: String) -> Note {
    cut(&mut message, NOTE);
    Note { warning, reason, message }
}

/// Whether two statuses differ in more than numbers: phase, or status or reason of a condition, or what only changes with a transition.
pub(crate) fn is_transition(before: &MigrationTaskStatus, after: &MigrationTaskStatus) -> bool {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Two bytes a letter, so that a limit falls into the middle of one.
    fn long() -> String {
        format!("x{}", "ü".repeat(50_000))
    }

    #[test]
    fn texts_of_any_length_fit_into_a_status_and_an_event() {
        let mut status: MigrationTaskStatus = serde_json::from_value(json!({
            "phase": "Failed", "message": long(),
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "Failed", "message": long(), "lastTransitionTime": "2026-01-01T00:00:00Z"
            }],
            "retry": {"error": long(), "attempts": 1},
            "precheck": {"successRate": "0%", "items": [
                {"name": "SourceBinlogFormat", "verdict": "Failed", "seen": long(), "why": long(), "remedy": long()}
            ]},
            "schema": {"failed": [{"object": "shop.orders", "statement": "CREATE TABLE", "error": long()}]}
        }))
        .unwrap();
        let [told] = &*notes(&MigrationTaskStatus::default(), &status) else { panic!("one event") };
        assert!(told.message.len() <= 1024 && told.message.ends_with("ü…"), "{}", told.message.len());
        assert!(failure(3, &long()).message.len() <= 1024);
        bound(&mut status);
        let all = serde_json::to_string(&status).unwrap();
        let longest = all.split('"').map(str::len).max().unwrap();
        assert!(longest <= REMEDY + '…'.len_utf8(), "{longest}");
        assert_eq!(all.matches("ü…").count(), 7);
        // What is short stays as it is.
        let mut short = MigrationTaskStatus { message: Some("all is well".to_owned()), ..MigrationTaskStatus::default() };
        bound(&mut short);
        assert_eq!(short.message.as_deref(), Some("all is well"));
    }
}
