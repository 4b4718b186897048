//! The API server's view: the CRD's CEL rules over the same bad manifests, so that Rust and CEL cannot drift apart.

use std::collections::BTreeSet;

use kube::core::cel::{ErrorKind, Validator, compile_schema};

use super::bad::{Refuser, cases};
use super::*;
use crate::{crd, patterns as patterns_of_api};

fn schema() -> Value {
    crd::crds().first().and_then(crd::open_api_schema).expect("schema")
}

/// Messages of the rules that refuse `document`, after defaulting.
fn refusals(document: &Value, old: Option<&Value>) -> Vec<String> {
    let document = schema_check::without_nulls(document.clone());
    match Validator::new().validate(&schema(), &document, old) {
        Ok(()) => Vec::new(),
        Err(errors) => {
            let errors = errors.into_vec();
            for error in &errors {
                assert_eq!(error.kind, ErrorKind::ValidationFailure, "a rule does not even run: {error:?}");
            }
            errors.into_iter().map(|error| error.message).collect()
        }
    }
}

/// All `x-kubernetes-validations` of a schema.
fn rules(schema: &Value, found: &mut Vec<(String, String)>) {
    match schema {
        Value::Object(fields) => {
            for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                found.push((text("rule"), text("message")));
            }
            fields.values().for_each(|value| rules(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| rules(item, found)),
        _ => {}
    }
}

#[test]
fn cel_refuses_what_rust_refuses_across_fields() {
    let mut used = BTreeSet::new();
    for case in cases() {
        let refused = refusals_where_schema_fits(&case);
        match case.refuser {
            Refuser::Cel => assert!(!refused.is_empty(), "CEL lets through: {:?} ({})", case.changes, case.error),
            Refuser::Nobody => assert_eq!(refused, Vec::<String>::new(), "{:?}", case.changes),
            Refuser::Schema => {}
        }
        used.extend(refused);
    }
    let mut all = Vec::new();
    rules(&schema(), &mut all);
    assert!(all.len() > 12, "only {} rules", all.len());
    for (rule, message) in all.iter().filter(|(rule, _)| !rule.contains("oldSelf")) {
        assert!(used.contains(message), "no bad manifest shows the rule {rule}");
    }
}

/// A rule is only evaluated where the schema holds, as on the API server.
fn refusals_where_schema_fits(case: &super::bad::Case) -> Vec<String> {
    if case.refuser == Refuser::Schema {
        return Vec::new();
    }
    let document = task_document(&case.changes);
    let schema_errors =
        schema_check::check(documents::task_schema().expect("schema"), &schema_check::without_nulls(document.clone()), "");
    assert_eq!(schema_errors, Vec::new(), "{:?} is the schema's to refuse", case.changes);
    refusals(&document, None)
}

#[test]
fn schema_cases_are_refused_by_the_schema_alone() {
    for case in cases().into_iter().filter(|case| case.refuser == Refuser::Schema && !case.error.starts_with("metadata")) {
        let document = schema_check::without_nulls(task_document(&case.changes));
        let errors = schema_check::check(documents::task_schema().expect("schema"), &document, "");
        assert!(!errors.is_empty(), "{:?}", case.changes);
    }
}

#[test]
fn good_manifests_pass_cel() {
    assert_eq!(refusals(&task_document(&[]), None), Vec::<String>::new());
    let shop = serde_json::to_value(load(SHOP, "shop.yaml").expect("is accepted").task).expect("serializes");
    assert_eq!(refusals(&shop, None), Vec::<String>::new());
    assert_eq!(refusals(&shop, Some(&shop)), Vec::<String>::new());
}

#[test]
fn what_is_final_stays() {
    let running = serde_json::to_value(load(SHOP, "shop.yaml").expect("is accepted").task).expect("serializes");
    let mut stopped = running.clone();
    set(&mut stopped, "/spec/desiredState", json!("Stopped"));
    assert_eq!(refusals(&stopped, Some(&running)), Vec::<String>::new());
    let refused = refusals(&running, Some(&stopped));
    assert!(refused.len() == 1 && refused[0].starts_with("spec.desiredState: Stopped is final"), "{refused:?}");
    let mut moved = running.clone();
    set(&mut moved, "/spec/destination/recordsDatabase", json!("elsewhere"));
    let refused = refusals(&moved, Some(&running));
    assert!(refused.len() == 1 && refused[0].starts_with("spec.destination.recordsDatabase:"), "{refused:?}");
}

#[test]
fn endpoints_stay_once_a_task_has_started() {
    let fresh = serde_json::to_value(load(SHOP, "shop.yaml").expect("is accepted").task).expect("serializes");
    let mut started = fresh.clone();
    started["status"] = json!({"startedAt": "2026-01-01T00:00:00Z"});
    let changes = [
        ("/spec/source/mysql/host", json!("other.example.com"), Some("spec.source:")),
        ("/spec/source/mysql/port", json!(3307), Some("spec.source:")),
        ("/spec/destination/mysql/host", json!("other.example.com"), Some("spec.destination:")),
        ("/spec/destination/mysql/flavor", json!("MariaDB"), Some("spec.destination:")),
        ("/spec/source/mysql/credentials", json!({"secretName": "other"}), None),
        ("/spec/throttle", json!({"full": {"rowsPerSecond": 5}}), None),
    ];
    for (path, value, refused) in changes {
        let mut changed = started.clone();
        set(&mut changed, path, value.clone());
        let found = refusals(&changed, Some(&started));
        match refused {
            Some(start) => assert!(found.len() == 1 && found[0].starts_with(start), "{path}: {found:?}"),
            None => assert_eq!(found, Vec::<String>::new(), "{path}"),
        }
        let mut early = fresh.clone();
        set(&mut early, path, value);
        assert_eq!(refusals(&early, Some(&fresh)), Vec::<String>::new(), "{path} before the start");
    }
}

#[test]
fn every_rule_compiles_and_names_its_field() {
    for definition in crd::crds() {
        let schema = crd::open_api_schema(&definition).expect("schema");
        assert!(!compile_schema(&schema).has_errors(), "{}", definition.spec.names.kind);
        let mut all = Vec::new();
        rules(&schema, &mut all);
        for (rule, message) in all {
            assert!(message.contains(": "), "the message of {rule} does not name its field: {message}");
        }
    }
}

#[test]
fn every_pattern_of_the_crds_is_known_without_a_regular_expression_engine() {
    fn walk(schema: &Value, count: &mut usize) {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            assert!(
                crate::manifest::patterns::check(pattern, "x").is_some(),
                "{pattern} is not known to crate::manifest::patterns"
            );
            *count += 1;
        }
        match schema {
            Value::Object(fields) => fields.values().for_each(|value| walk(value, count)),
            Value::Array(items) => items.iter().for_each(|item| walk(item, count)),
            _ => {}
        }
    }
    let mut count = 0;
    crd::crds().iter().filter_map(crd::open_api_schema).for_each(|schema| walk(&schema, &mut count));
    assert!(count > 20, "only {count} patterns");
}

#[test]
fn the_small_functions_match_what_the_patterns_match() {
    let schema = json!({"type": "object", "properties": {"pattern": {"type": "string"}, "text": {"type": "string"}},
        "x-kubernetes-validations": [{"rule": "self.text.matches(self.pattern)", "message": "no match"}]});
    let texts = [
        "",
        "a",
        "A",
        "0",
        "-",
        "_",
        ".",
        "a-b",
        "a.b",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "_a",
        "a b",
        "a\n",
        "\u{e9}",
        "tls.crt",
        "Source1",
        "a:b",
        "::1",
        "10.0.0.1",
        "db/x",
        "db:3306",
        "::1",
        "fe80::1:2",
        "::ffff:10.0.0.1",
        "a:b",
        ":",
        "1",
        "1.5",
        "1.",
        ".5",
        "500m",
        "512Mi",
        "1mm",
        "1.5.2",
        "2KiB",
        "1e3",
        "http://a",
        "https://a.b:1/",
        "https://a//",
        "https://",
        "ftp://a",
        "https://a b",
        "https://a/b",
        "HTTPS://a",
    ];
    let patterns = [
        patterns_of_api::DNS_LABEL,
        patterns_of_api::DNS_SUBDOMAIN,
        patterns_of_api::SECRET_KEY,
        patterns_of_api::LABEL_VALUE,
        patterns_of_api::HOST,
        patterns_of_api::HTTP_URL,
        patterns_of_api::PLAIN_NAME,
        patterns_of_api::TABLESTORE_INSTANCE,
        patterns_of_api::ITEM_NAME,
        patterns_of_api::QUANTITY,
    ];
    for pattern in patterns {
        for text in texts {
            let by_regex = Validator::new().validate(&schema, &json!({"pattern": pattern, "text": text}), None).is_ok();
            let by_function = crate::manifest::patterns::check(pattern, text).expect("is known").is_ok();
            assert_eq!(by_function, by_regex, "{pattern} and {text:?}");
        }
    }
}
