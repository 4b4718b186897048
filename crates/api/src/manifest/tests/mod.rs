//! Tests of the manifest: a full file, Secrets, errors; bad manifests stand in [`bad`] and, as whole files, in [`broken`]; the API server's view of
//! them in [`cel`].

mod bad;
mod broken;
mod cel;
mod fingerprint;
mod samples;
mod secrets;

use serde_json::{Value, json};

use super::*;
use crate::*;

const SHOP: &str = include_str!("shop.yaml");

/// A small valid task document, with `changes` set at their JSON pointers; `Null` removes.
fn task_document(changes: &[(&str, Value)]) -> Value {
    let endpoint = json!({"host": "a.example.com", "username": "mover", "credentials": {"secretName": "login"}});
    let mut document = json!({
        "apiVersion": "godwit.dev/v1alpha1",
        "kind": "MigrationTask",
        "metadata": {"name": "shop"},
        "spec": {"source": {"mysql": endpoint.clone()}, "destination": {"mysql": endpoint}}
    });
    for (pointer, value) in changes {
        set(&mut document, pointer, value.clone());
    }
    document
}

fn set(document: &mut Value, pointer: &str, value: Value) {
    let mut place = document;
    for step in pointer.trim_start_matches('/').split('/') {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value;
}

/// The document and the Secret it names, as a file; JSON is YAML.
fn file(document: &Value) -> String {
    format!(
        "{document}\n---\n{}",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"password": "p"}})
    )
}

fn errors_of(text: &str) -> String {
    load(text, "task.yaml").expect_err("is refused").to_string()
}

fn spec_with(changes: &[(&str, Value)]) -> MigrationTaskSpec {
    load(&file(&task_document(changes)), "task.yaml").expect("is accepted").task.spec
}

#[test]
fn the_documented_manifest_is_read() {
    let manifest = load(SHOP, "shop.yaml").expect("is accepted");
    assert_eq!(manifest.ignored, ["DedicatedCluster/prod"]);
    let spec = &manifest.task.spec;
    assert_eq!(spec.cluster, ClusterReference { name: Some("prod".into()), units: 2, priority: 0 });
    let orders = &spec.objects[0].tables.as_ref().expect("tables")[0];
    assert_eq!(orders.row_filter.as_deref(), Some("created_at >= '2025-01-01' AND state <> 'draft'"));
    assert_eq!(orders.ddl.as_deref(), Some(&[DdlOperation::AlterTable, DdlOperation::TruncateTable][..]));
    assert_eq!(orders.etl.as_ref().expect("etl").drop, ["password"]);
    assert_eq!(spec.name_case, NameCase::AsSource);
    assert_eq!(spec.online_ddl.mode, OnlineDdlMode::GhOst);
    assert!(spec.cutover.reverse);
    assert_eq!(validate(&manifest.task), Ok(()));

    let source = resolve_endpoint(&spec.source.mysql, &manifest.secrets, "spec.source.mysql").expect("resolves");
    assert_eq!((source.host.as_str(), source.port, source.username.as_str()), ("shop-db.example.com", 3306, "reader"));
    assert_eq!(source.password.expose(), "s3cr3t-source");
    assert_eq!(source.tls.mode, TlsMode::VerifyIdentity);
    assert!(source.tls.ca_pem.is_some() && source.tls.client_cert.is_some());
    let mysql = spec.destination.mysql.as_ref().expect("mysql").endpoint();
    let destination = resolve_endpoint(&mysql, &manifest.secrets, "spec.destination.mysql").expect("resolves");
    assert_eq!((destination.username.as_str(), destination.password.expose()), ("writer", "s3cr3t-destination"));
    let webhook = resolve_webhook(spec.alerts.webhook.as_ref().expect("webhook"), &manifest.secrets, "spec.alerts.webhook");
    assert_eq!(webhook.expect("resolves").expose(), "https://hooks.example.com/t0k3n");
}

#[test]
fn what_is_left_out_gets_the_documented_defaults() {
    let spec = spec_with(&[]);
    assert_eq!(spec, {
        let mut expected = MigrationTaskSpec::new(spec.source.clone(), spec.destination.clone());
        expected.objects = Vec::new();
        expected
    });
    assert_eq!(spec.migration_types, [MigrationType::Schema, MigrationType::Full, MigrationType::Incremental]);
    assert_eq!(spec.retry, Retry { connection_minutes: 720, other_minutes: 10, failed_task_days: 7 });
    assert_eq!(spec.source.mysql.tls.mode, TlsMode::Preferred);
    assert_eq!(spec.destination.records_database, "godwit");
    assert_eq!(spec.destination.mysql.as_ref().expect("mysql").table_engine, TableEngine::InnoDB);
    assert_eq!((spec.name_case, spec.definer, spec.triggers), (NameCase::Default, DefinerMode::Invoker, TriggerMode::Automatic));
    assert_eq!(spec.conflict_policy, ConflictPolicy::PrecheckAndReportErrors);
    let partly = spec_with(&[("/spec/retry/connectionMinutes", json!(60)), ("/spec/verification/full/samplePercent", json!(50))]);
    assert_eq!((partly.retry.connection_minutes, partly.retry.other_minutes), (60, 10));
    assert_eq!(partly.verification.full.expect("full"), FullVerification { sample_percent: 50, ..FullVerification::default() });
}

#[test]
fn rust_defaults_are_the_crds_defaults() {
    let schema = documents::task_schema().expect("schema");
    let written = serde_json::to_value(spec_with(&[])).expect("serializes");
    let properties = schema.pointer("/properties/spec/properties").and_then(Value::as_object).expect("properties");
    let mut compared = 0;
    for (name, property) in properties {
        if let Some(default) = property.get("default") {
            assert_eq!(Some(default), written.get(name), "spec.{name}");
            compared += 1;
        }
    }
    assert!(compared > 15, "only {compared} defaults stand in the schema");
}

#[test]
fn a_blank_field_counts_as_left_out() {
    let text =
        file(&task_document(&[("/spec/retry", Value::Null), ("/spec/objects", json!([{"database": "shop", "tables": null}]))]));
    let spec = load(&text, "task.yaml").expect("is accepted").task.spec;
    assert_eq!(spec.retry, Retry::default());
    assert_eq!(spec.objects, [DatabaseSelection::whole("shop")]);
}

#[test]
fn a_file_must_hold_exactly_one_task() {
    assert_eq!(
        errors_of("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"),
        "task.yaml: kind: no document of the file is a MigrationTask; add one with apiVersion: godwit.dev/v1alpha1"
    );
    assert_eq!(
        errors_of(""),
        "task.yaml: kind: no document of the file is a MigrationTask; add one with apiVersion: godwit.dev/v1alpha1"
    );
    let task = task_document(&[]);
    assert_eq!(
        errors_of(&format!("{task}\n---\n{task}")),
        "task.yaml: document 2.kind: document 1 has a MigrationTask already; put each into a file of its own"
    );
}

#[test]
fn other_kinds_are_refused_by_name() {
    let with = |document: Value| errors_of(&format!("{}\n---\n{document}", file(&task_document(&[]))));
    assert_eq!(
        with(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}})),
        "task.yaml: document 3.kind: Deployment (apps/v1) is not known here; keep only the MigrationTask and its Secrets in the file"
    );
    assert_eq!(with(json!({"metadata": {}})), "task.yaml: document 3.kind: is missing; use MigrationTask or Secret");
    assert_eq!(
        with(json!(["a"])),
        "task.yaml: document 3: is not a Kubernetes resource; use one with apiVersion, kind, metadata and spec"
    );
    assert_eq!(
        with(json!({"apiVersion": "godwit.dev/v1", "kind": "MigrationTask"})),
        "task.yaml: document 3.apiVersion: \"godwit.dev/v1\" is not known for MigrationTask; use godwit.dev/v1alpha1"
    );
    let both = file(&task_document(&[])) + "\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: data}\n";
    assert_eq!(load(&both, "task.yaml").expect("is accepted").ignored, ["Namespace/data"]);
}

#[test]
fn several_problems_are_reported_at_once() {
    let text = file(&task_document(&[("/spec/retry/otherMinutes", json!("ten")), ("/spec/nameCas", json!("Lower"))]));
    assert_eq!(
        errors_of(&text),
        "task.yaml: spec.nameCas: unknown field; did you mean nameCase?\n\
         task.yaml: spec.retry.otherMinutes: expected a whole number, found a text; leave out quotes and units"
    );
}

#[test]
fn status_and_ten_thousand_tables_are_no_problem() {
    let tables: Vec<Value> =
        (0..10_000).map(|number| json!({"table": format!("table_{number}"), "renameTo": format!("t{number}")})).collect();
    let document = task_document(&[
        ("/spec/objects", json!([{"database": "shop", "tables": tables}])),
        ("/status", json!({"phase": "Copying"})),
    ]);
    let manifest = load(&file(&document), "task.yaml").expect("is accepted");
    assert_eq!(manifest.task.spec.objects[0].tables.as_ref().map(Vec::len), Some(10_000));
}
