//! The report as it may be shown and as it can be read: whatever names, definitions, errors and values servers put into it.
//!
//! It is gone through as a document, so that no field can be forgotten. Texts are cut at [`TEXT`], and shorter where all of them together are
//! more than [`ALL`]: the operator reads 2 MiB, and a resource of more than 1.5 MiB finds no place in etcd.

use serde_json::Value;

use godwit_api::{MigrationTaskStatus, Phase};
use godwit_model::plain;
use godwit_model::text::MOST;

/// Bytes of a text, the longest first.
const TEXT: [usize; 4] = [MOST, 1 << 10, 256, 64];
/// Bytes of all texts.
const ALL: usize = 512 << 10;
/// A GTID set is printed by us and says nothing when a part is missing; one of this size is one of thousands of gaps.
const GTID_SET: &str = "gtidSet";
const LONGEST_GTID_SET: usize = 32 << 10;

/// The status, with every text in it as it may be shown.
pub(super) fn bounded(status: MigrationTaskStatus) -> MigrationTaskStatus {
    let Ok(mut document) = serde_json::to_value(&status) else { return status };
    let most = TEXT.into_iter().find(|most| size(&document, *most) <= ALL).unwrap_or(64);
    if !mend(&mut document, "", most) {
        return status;
    }
    serde_json::from_value(document).unwrap_or_else(|error| MigrationTaskStatus {
        phase: status.phase.or(Some(Phase::Pending)),
        message: Some(plain::said(&format!("the report cannot be made fit to be read: {error}"))),
        ..MigrationTaskStatus::default()
    })
}

fn limit(field: &str, most: usize) -> usize {
    if field == GTID_SET { LONGEST_GTID_SET } else { most }
}

/// Bytes of all texts, where each has at most `most`.
fn size(value: &Value, most: usize) -> usize {
    match value {
        Value::String(text) => text.len().min(most),
        Value::Array(list) => list.iter().map(|value| size(value, most)).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| size(value, limit(name, most))).sum(),
        _ => 0,
    }
}

/// Whether something was changed.
fn mend(value: &mut Value, field: &str, most: usize) -> bool {
    match value {
        Value::String(text) => match plain::bounded(text, limit(field, most)) {
            std::borrow::Cow::Borrowed(same) if same.len() == text.len() => false,
            other => {
                *text = other.into_owned();
                true
            }
        },
        Value::Array(list) => {
            let mut changed = false;
            for value in list {
                changed |= mend(value, field, most);
            }
            changed
        }
        Value::Object(fields) => {
            let mut changed = false;
            for (name, value) in fields {
                changed |= mend(value, name, most);
            }
            changed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_api::{PrecheckItem, PrecheckStatus, SchemaFailure, SchemaStatus, Verdict};

    fn hostile(length: usize) -> MigrationTaskStatus {
        let text = format!("\x1b]0;x\x07\u{202e}{}", "y".repeat(length));
        let item = PrecheckItem {
            name: "Views".into(),
            verdict: Verdict::Failed,
            ignored: false,
            seen: text.clone(),
            why: text.clone(),
            remedy: "one\ntwo".into(),
        };
        let failure = SchemaFailure { object: text.clone(), statement: text.clone(), error: text.clone() };
        MigrationTaskStatus {
            phase: Some(Phase::Failed),
            message: Some(text.clone()),
            precheck: Some(PrecheckStatus { items: vec![item; 60], ..PrecheckStatus::default() }),
            schema: Some(SchemaStatus { failed: vec![failure; 100], ..SchemaStatus::default() }),
            ..MigrationTaskStatus::default()
        }
    }

    #[test]
    fn no_text_makes_a_report_large_or_dangerous() {
        for length in [0, 100, 2_000, 100_000] {
            let status = bounded(hostile(length));
            let text = serde_json::to_string(&status).unwrap();
            assert!(text.len() < (1 << 20), "{} bytes", text.len());
            assert_eq!(plain::json(&text), text);
            // As they are printed, escapes of the document taken off.
            let message = status.message.clone().unwrap();
            assert!(message.starts_with("\\u{1b}]0;x\\u{7}\\u{202e}"), "{message}");
            assert_eq!(status.precheck.as_ref().unwrap().items[59].remedy, "one\ntwo");
            // Once more changes nothing.
            assert_eq!(bounded(status.clone()), status);
        }
        let harmless = MigrationTaskStatus { message: Some("größe\n".into()), ..MigrationTaskStatus::default() };
        assert_eq!(bounded(harmless.clone()), harmless);
    }
}
