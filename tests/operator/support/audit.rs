//! The API server's audit log: who wrote what.

use std::path::Path;

use serde_json::Value;

/// One request that changes something.
#[derive(Debug, Clone)]
pub struct Write {
    pub verb: String,
    pub user: String,
    /// As `resource/subresource namespace/name`.
    pub what: String,
    pub code: u64,
}

/// Writes after byte `from` of the log, and where it ends now.
pub fn writes(log: &Path, from: u64) -> (Vec<Write>, u64) {
    let text = std::fs::read(log).unwrap();
    let start = usize::try_from(from).unwrap().min(text.len());
    // The last line may be half written.
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(start, |at| at + 1).max(start);
    let lines = text[start..end].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let found = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok()).filter_map(|event| write(&event)).collect();
    (found, end as u64)
}

fn write(event: &Value) -> Option<Write> {
    let verb = event["verb"].as_str()?;
    let writes = matches!(verb, "create" | "update" | "patch" | "delete" | "deletecollection");
    if !writes || event["stage"] != "ResponseComplete" {
        return None;
    }
    let object = &event["objectRef"];
    let part = |field: &str| object[field].as_str().unwrap_or_default();
    Some(Write {
        verb: verb.into(),
        user: event["user"]["username"].as_str()?.into(),
        what: format!("{}/{} {}/{}", part("resource"), part("subresource"), part("namespace"), part("name")),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
    })
}
