//! Compares what may not change once a task has started: position and progress at the destination mean something only
//! together with it. The parts themselves come from `manifest::resume_fingerprint`.

/// Field path and canonical value.
pub type Fingerprint = [(String, String)];

/// What changed since `recorded` was taken, as one sentence with the fields' paths; None: nothing.
///
/// A field that only one of them has counts as changed among `spec.objects[…]`, where it is a database that came or went;
/// elsewhere it came with another version of Godwit and counts as unchanged.
pub fn changed(recorded: &Fingerprint, now: &Fingerprint) -> Option<String> {
    let value = |list: &'_ Fingerprint, field: &str| list.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone());
    let mut fields: Vec<&str> = Vec::new();
    for (field, _) in recorded.iter().chain(now) {
        let (before, after) = (value(recorded, field), value(now, field));
        let one_sided = before.is_none() || after.is_none();
        let counts = !one_sided || field.starts_with("spec.objects[");
        if before != after && counts && !fields.contains(&field.as_str()) {
            fields.push(field);
        }
    }
    (!fields.is_empty()).then(|| {
        format!(
            "{} changed since this task was started; put it back, or stop this task and start a new one under another name",
            fields.join(", ")
        )
    })
}
