//! The parts of a spec that may not change between two runs of one task, because what was done under the old value would not fit the new one.
//!
//! Left out on purpose: credentials, TLS, addresses (a failover or a new alias changes them; that it is the same server follows from its GTID set or
//! UUID, and at the destination from the records themselves), operations (`dml`, `ddl`: they hold from the change on), throttling, retries, precheck,
//! verification, alerts, heartbeat, diagnostics, cut-over, cluster, tags, online schema change mode.

use serde::Serialize;
use serde_json::Value;

use crate::MigrationTaskSpec;

/// Field path and canonical value (JSON with sorted keys) of everything that must stay. Databases stand one by one, as `spec.objects[shop]`, in the
/// order of their names, so that a comparison can say which one changed.
pub fn resume_fingerprint(spec: &MigrationTaskSpec) -> Vec<(String, String)> {
    let mut parts = vec![
        ("spec.migrationTypes".to_owned(), {
            let mut types = spec.migration_types.clone();
            types.sort();
            canonical(&types)
        }),
        ("spec.destination".to_owned(), destination(spec)),
        ("spec.excludeDatabases".to_owned(), sorted(&spec.exclude_databases)),
        ("spec.conflictPolicy".to_owned(), canonical(&spec.conflict_policy)),
        ("spec.nameCase".to_owned(), canonical(&spec.name_case)),
        ("spec.definer".to_owned(), canonical(&spec.definer)),
        ("spec.triggers".to_owned(), canonical(&spec.triggers)),
        ("spec.floatPrecision".to_owned(), canonical(&spec.float_precision)),
    ];
    // The order of patterns decides which one wins, so it belongs to the fingerprint; an exact name wins wherever it stands.
    let is_pattern = |name: &str| name.contains(['*', '?']);
    let patterns: Vec<&str> =
        spec.objects.iter().map(|database| database.database.as_str()).filter(|name| is_pattern(name)).collect();
    parts.push(("spec.objects".to_owned(), canonical(&patterns)));
    let mut databases: Vec<_> = spec.objects.iter().collect();
    databases.sort_by(|left, right| left.database.cmp(&right.database));
    for database in databases {
        let mut value = serde_json::to_value(database).unwrap_or_default();
        remove_operations(&mut value);
        parts.push((format!("spec.objects[{}]", database.database), value.to_string()));
    }
    parts
}

fn destination(spec: &MigrationTaskSpec) -> String {
    let destination = &spec.destination;
    let mysql = destination.mysql.as_ref().map(|mysql| serde_json::json!({"tableEngine": mysql.table_engine}));
    let tablestore = destination.tablestore.as_ref().map(|tablestore| {
        serde_json::json!({"endpoint": tablestore.endpoint.trim_end_matches('/'), "instance": tablestore.instance, "rowWriteMode": tablestore.row_write_mode})
    });
    canonical(&serde_json::json!({"mysql": mysql, "tablestore": tablestore, "recordsDatabase": destination.records_database}))
}

/// `dml` and `ddl` of a database and of its tables hold from the change on, like the task's own.
fn remove_operations(database: &mut Value) {
    let tables = database.get_mut("tables").and_then(Value::as_array_mut);
    for table in tables.into_iter().flatten() {
        drop_keys(table);
    }
    drop_keys(database);
}

fn drop_keys(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("dml");
        fields.remove("ddl");
    }
}

fn sorted(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort();
    canonical(&names)
}

/// JSON with sorted keys: through `Value`, whose maps are ordered.
fn canonical(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap_or_default().to_string()
}

/// What changed between two fingerprints, as one sentence with the fields' paths; None: nothing.
///
/// A field that only one of them has counts as changed among `spec.objects[…]`, where it is a database that came or went;
/// elsewhere it came with another version of Godwit and counts as unchanged.
pub fn resume_changes(recorded: &[(String, String)], now: &[(String, String)]) -> Option<String> {
    let value =
        |list: &[(String, String)], field: &str| list.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone());
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
