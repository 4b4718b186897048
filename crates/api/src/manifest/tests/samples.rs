//! The files of config/samples are valid: against the CRDs' schemas, against Rust's rules and against the CEL rules.

use std::fs;
use std::path::PathBuf;

use kube::core::cel::Validator;

use super::*;
use crate::crd;

/// Name and text of every sample.
fn samples() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/samples");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("config/samples") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        if name.ends_with(".yaml") && name != "kustomization.yaml" {
            found.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
    found
}

fn documents_of(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).expect("YAML")
}

#[test]
fn every_sample_is_valid() {
    let samples = samples();
    assert_eq!(samples.len(), 6, "one for each task guide, and the minimal one");
    for (name, text) in &samples {
        let manifest = parse(text, name).unwrap_or_else(|error| panic!("{error}"));
        for secret in secrets_named(&manifest.task.spec) {
            assert!(text.contains(&format!("name: {secret}\n")), "{name} names the Secret {secret} and does not bring it");
        }
    }
}

/// The names behind every `secretName`.
fn secrets_named(spec: &MigrationTaskSpec) -> Vec<String> {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("secretName").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| walk(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::to_value(spec).expect("JSON"), &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn every_document_of_ours_passes_schema_and_cel() {
    let mut pools = 0;
    for (name, text) in samples() {
        for document in documents_of(&text) {
            let kind = document["kind"].as_str().expect("kind").to_owned();
            let Some(definition) = crd::crds().into_iter().find(|definition| definition.spec.names.kind == kind) else {
                continue;
            };
            pools += usize::from(kind == "DedicatedCluster");
            let mut schema = crd::open_api_schema(&definition).expect("schema");
            Validator::new().validate(&schema, &document, None).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
            for field in ["apiVersion", "kind", "metadata"] {
                schema["properties"][field] = json!({});
            }
            assert_eq!(schema_check::check(&schema, &document, ""), Vec::new(), "{name}");
        }
    }
    assert_eq!(pools, 1, "the sample of a dedicated cluster brings it");
}
