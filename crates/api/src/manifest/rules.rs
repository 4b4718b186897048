//! Rules that go across fields. The first part of [`check_spec`] says in Rust what the CRD says in CEL (`crates/api`; a test runs both over the same bad
//! manifests); the second part refuses what CEL cannot reach.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::FieldError;
use super::{documents, patterns, schema_check};
use crate::crd::NAME_LIMIT;
use crate::{
    DatabaseSelection, Destination, MigrationTask, MigrationTaskSpec, MigrationType, MysqlEndpoint, TableSelection,
    TablestoreType, TlsMode,
};

/// Refuses everything that the API server refuses, and what it cannot see.
pub fn validate(task: &MigrationTask) -> Result<(), Vec<FieldError>> {
    let document = serde_json::to_value(task).unwrap_or_default();
    let mut errors = check_metadata(document.get("metadata"));
    if let Some(schema) = documents::task_schema() {
        errors.extend(schema_check::check(schema, &document, ""));
    }
    errors.extend(check_spec(&task.spec));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The part of metadata that the CRD's schema leaves to the API server.
pub(super) fn check_metadata(metadata: Option<&Value>) -> Vec<FieldError> {
    let path = "metadata.name";
    let error = |message: String| vec![FieldError::new(path, message)];
    match metadata.and_then(|metadata| metadata.get("name")) {
        None => error("is missing; set it to a name for the task".to_owned()),
        Some(Value::String(name)) if name.len() > NAME_LIMIT => {
            error(format!("use at most {NAME_LIMIT} characters, because pods and labels are named after it"))
        }
        Some(Value::String(name)) if !patterns::is_object_name(name) => {
            error("is not a valid name; use lower-case letters, digits, - and ., first and last a letter or a digit".to_owned())
        }
        Some(Value::String(_)) => Vec::new(),
        Some(_) => error("expected a text; put it in quotes".to_owned()),
    }
}

/// Rules of the spec that go across fields.
pub(super) fn check_spec(spec: &MigrationTaskSpec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut refuse = |broken: bool, path: &str, message: &str| {
        if broken {
            errors.push(FieldError::new(path, message));
        }
    };

    // As the CRD's CEL rules.
    let incremental = spec.migrates(MigrationType::Incremental);
    refuse(
        spec.destination.mysql.is_some() == spec.destination.tablestore.is_some(),
        "spec.destination",
        "set exactly one of mysql and tablestore",
    );
    refuse(
        spec.retry.other_minutes >= spec.retry.connection_minutes,
        "spec.retry.otherMinutes",
        &format!(
            "must be smaller than connectionMinutes; lower it, or raise connectionMinutes (they are {} and {})",
            spec.retry.other_minutes, spec.retry.connection_minutes
        ),
    );
    refuse(
        spec.verification.repair && spec.verification.full.is_none() && !spec.verification.incremental,
        "spec.verification.repair",
        "only rows that are compared can be repaired; set full or incremental",
    );
    refuse(
        spec.verification.incremental && !incremental,
        "spec.verification.incremental",
        "nothing is followed without Incremental; add it to spec.migrationTypes",
    );
    refuse(
        spec.cutover.requested && !incremental,
        "spec.cutover.requested",
        "a cut-over needs the binary log to be followed; add Incremental to spec.migrationTypes",
    );
    refuse(
        spec.accounts.migrate && !spec.migrates(MigrationType::Schema),
        "spec.accounts.migrate",
        "accounts are migrated with the schema; add Schema to spec.migrationTypes",
    );
    if let Some(tablestore) = &spec.destination.tablestore {
        refuse(
            tablestore.buckets > tablestore.concurrency,
            "spec.destination.tablestore.buckets",
            &format!(
                "must not be larger than concurrency, or some buckets could never send; lower it, or raise concurrency (they are {} and {})",
                tablestore.buckets, tablestore.concurrency
            ),
        );
        refuse(
            spec.objects.len() != 1,
            "spec.objects",
            "a Tablestore destination takes exactly one source database per task; list that one database",
        );
        refuse(
            spec.accounts.migrate,
            "spec.accounts.migrate",
            "a Tablestore destination has no database accounts; set it to false",
        );
    }
    errors.extend(check_endpoint(&spec.source.mysql, "spec.source.mysql"));
    if let Some(mysql) = &spec.destination.mysql {
        errors.extend(check_endpoint(&mysql.endpoint(), "spec.destination.mysql"));
    }

    // Beyond CEL's reach: lists too long for its cost limits.
    for (index, database) in spec.objects.iter().enumerate() {
        errors.extend(check_database(database, &spec.destination, &format!("spec.objects[{index}]")));
    }
    errors
}

fn check_endpoint(endpoint: &MysqlEndpoint, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if endpoint.tls.mode == TlsMode::VerifyCA && endpoint.tls.ca.is_none() {
        errors.push(FieldError::new(
            format!("{path}.tls.ca"),
            "VerifyCA takes every certificate of the authority, whatever its name, so it must be an authority of your own; set ca, or \
             VerifyIdentity",
        ));
    }
    if endpoint.credentials.is_some() {
        return errors;
    }
    let given = [("host", endpoint.host.is_some()), ("username", endpoint.username.is_some())];
    let missing = given.into_iter().filter(|(_, is_given)| !is_given);
    errors.extend(missing.map(|(field, _)| {
        FieldError::new(
            format!("{path}.{field}"),
            format!("set it, or set credentials.secretName to a Secret that has the key {field}"),
        )
    }));
    errors
}

fn check_database(database: &DatabaseSelection, destination: &Destination, path: &str) -> Vec<FieldError> {
    let mut errors = check_rename(&database.database, database.rename_to.as_deref(), &format!("{path}.renameTo"))
        .into_iter()
        .collect::<Vec<_>>();
    let mut targets = BTreeMap::new();
    for (index, table) in database.tables.iter().flatten().enumerate() {
        let path = format!("{path}.tables[{index}]");
        errors.extend(check_table(table, destination, &path));
        if wildcards(&table.table) > 0 {
            continue;
        }
        let target = table.rename_to.as_ref().unwrap_or(&table.table);
        if let Some(other) = targets.insert(target, &table.table).filter(|other| **other != table.table) {
            let message = format!("table {other:?} gets the name {target:?} as well; give each a name of its own");
            errors.push(FieldError::new(format!("{path}.renameTo"), message));
        }
    }
    errors
}

fn check_table(table: &TableSelection, destination: &Destination, path: &str) -> Vec<FieldError> {
    let mut errors =
        check_rename(&table.table, table.rename_to.as_deref(), &format!("{path}.renameTo")).into_iter().collect::<Vec<_>>();
    if destination.tablestore.is_none() {
        let only = "is for a Tablestore destination; leave it out, a MySQL destination takes it from the source";
        if !table.primary_key.is_empty() {
            errors.push(FieldError::new(format!("{path}.primaryKey"), only));
        }
        if !table.column_types.is_empty() {
            errors.push(FieldError::new(format!("{path}.columnTypes"), only));
        }
    }
    for column in &table.primary_key {
        if matches!(table.column_types.get(column), Some(TablestoreType::Double | TablestoreType::Boolean)) {
            let message = "a primary-key column is STRING, INTEGER or BINARY; choose one of them";
            errors.push(FieldError::new(format!("{path}.columnTypes[{column:?}]"), message));
        }
    }
    if let Some(columns) = &table.columns {
        for (from, to) in &columns.rename {
            errors.extend(check_rename(from, Some(to), &format!("{path}.columns.rename[{from:?}]")));
        }
        let mut targets = BTreeSet::new();
        for (from, to) in columns.rename.iter().filter(|(from, _)| wildcards(from) == 0) {
            // Column names are compared without case on every server.
            if !targets.insert(to.to_lowercase()) {
                let message = format!("another column is renamed to {to:?} as well; give each its own name");
                errors.push(FieldError::new(format!("{path}.columns.rename[{from:?}]"), message));
            }
        }
    }
    if let Some(etl) = &table.etl {
        let dropped: BTreeSet<String> = etl.drop.iter().map(|column| column.to_lowercase()).collect();
        for column in etl.set.keys().filter(|column| dropped.contains(&column.to_lowercase())) {
            let message = "is dropped by etl.drop as well; keep one of them";
            errors.push(FieldError::new(format!("{path}.etl.set[{column:?}]"), message));
        }
        for column in etl.types.keys().filter(|column| !etl.set.contains_key(*column)) {
            let message = "defines a column that etl.set does not add; add it there or leave it out";
            errors.push(FieldError::new(format!("{path}.etl.types[{column:?}]"), message));
        }
    }
    errors
}

/// A new name may use `$1` … for what the pattern's wildcards matched, and no more than there are.
fn check_rename(pattern: &str, rename_to: Option<&str>, path: &str) -> Option<FieldError> {
    let rename_to = rename_to?;
    let groups = wildcards(pattern);
    let highest = references(rename_to).into_iter().max().unwrap_or(0);
    if references(rename_to).contains(&0) {
        return Some(FieldError::new(path, "$0 stands for nothing; use $1 for what the first * or ? matched"));
    }
    if highest > groups {
        let message = match groups {
            0 => format!("${highest} stands for what a * or ? matched, and {pattern:?} has none; use a plain name"),
            _ => format!("${highest} is used, but {pattern:?} has only {groups} of * and ?; use at most ${groups}"),
        };
        return Some(FieldError::new(path, message));
    }
    if groups > 0 && highest == 0 {
        let message = format!("every match of {pattern:?} would get the same name; use $1 … for what the * and ? matched");
        return Some(FieldError::new(path, message));
    }
    None
}

fn wildcards(pattern: &str) -> usize {
    pattern.chars().filter(|character| matches!(character, '*' | '?')).count()
}

/// The numbers after `$` in a new name. `$` without a digit behind it is a plain character of the name.
fn references(rename_to: &str) -> Vec<usize> {
    rename_to
        .split('$')
        .skip(1)
        .filter_map(|rest| {
            let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok()
        })
        .collect()
}
