//! The CustomResourceDefinitions, generated from the types.
//!
//! What kube's derive gives is changed in five places, each for the API server's sake: `nullable` goes (a null then counts as left out, so that a
//! blank `tables:` gets its default instead of being a value), unsigned formats become signed ones (the API server warns of formats that it does
//! not know), status gets no defaults (they would show numbers that nobody measured), descriptions become one line, and the rules on the whole
//! resource (its name, its endpoints once it has started) are added.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{DedicatedCluster, MigrationTask};

/// Longest name of a task or a cluster: with `-engine` behind it, it is still a DNS label, and by itself a label's value.
pub const NAME_LIMIT: usize = 56;

/// Both CRDs: `MigrationTask`, `DedicatedCluster`.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [MigrationTask::crd(), DedicatedCluster::crd()].into_iter().map(adapt).collect()
}

/// Both CRDs as YAML documents, ready for `kubectl apply`.
pub fn crd_yaml() -> String {
    crds().iter().map(to_yaml).collect::<Vec<_>>().join("---\n")
}

/// One CRD as a YAML document; empty only if the serializer failed, which a test rules out.
pub fn to_yaml(crd: &CustomResourceDefinition) -> String {
    serde_saphyr::to_string(crd).unwrap_or_default()
}

/// The OpenAPI schema of one of our kinds, as the API server applies it.
pub fn open_api_schema(crd: &CustomResourceDefinition) -> Option<Value> {
    let version = crd.spec.versions.first()?;
    let schema = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
    serde_json::to_value(schema).ok()
}

fn adapt(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let Ok(mut value) = serde_json::to_value(&crd) else { return crd };
    let Some(root) = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") else { return crd };
    walk(root, &|schema| {
        schema.remove("nullable");
        sign_format(schema);
        join_lines(schema);
    });
    if let Some(status) = root.pointer_mut("/properties/status") {
        walk(status, &|schema| {
            schema.remove("default");
        });
    }
    if let Some(schema) = root.as_object_mut() {
        let rule = format!("size(self.metadata.name) <= {NAME_LIMIT}");
        let message = format!("metadata.name: use at most {NAME_LIMIT} characters, because pods and labels are named after it");
        let mut rules = vec![json!({"rule": rule, "message": message})];
        if crd.spec.names.kind == "MigrationTask" {
            rules.extend(endpoints_stay());
        }
        schema.insert("x-kubernetes-validations".to_owned(), json!(rules));
    }
    serde_json::from_value(value).unwrap_or(crd)
}

/// Once a task has started, its progress means something only between these two ends. Rules of the whole resource, because they look at status too.
/// A failover is no change of endpoint: a name is pointed elsewhere, or the Secret that holds host and port.
fn endpoints_stay() -> [Value; 2] {
    let same =
        |path: &str| format!("has(self.{path}) == has(oldSelf.{path}) && (!has(self.{path}) || self.{path} == oldSelf.{path})");
    let started = "!has(oldSelf.status) || !has(oldSelf.status.startedAt)";
    let rule = |checks: &[String], field: &str, hint: &str| {
        json!({
            "rule": format!("{started} || ({})", checks.join(" && ")),
            "message": format!(
                "spec.{field}: the endpoint cannot change once the task has started; create a new task, {hint}"
            ),
        })
    };
    let elsewhere = "or, after a failover, let the host's name or the Secret with host and port lead to the new server";
    let mysql = |side: &str| ["host", "port", "flavor"].map(|field| same(&format!("spec.{side}.mysql.{field}")));
    let destination = [
        "has(self.spec.destination.mysql) == has(oldSelf.spec.destination.mysql)".to_owned(),
        format!("(!has(self.spec.destination.mysql) || ({}))", mysql("destination").join(" && ")),
        "(!has(self.spec.destination.tablestore) || (self.spec.destination.tablestore.endpoint == \
         oldSelf.spec.destination.tablestore.endpoint && self.spec.destination.tablestore.instance == \
         oldSelf.spec.destination.tablestore.instance))"
            .to_owned(),
    ];
    [rule(&mysql("source"), "source", elsewhere), rule(&destination, "destination", elsewhere)]
}

/// Calls `change` for `schema` and every schema below it.
fn walk(schema: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    let Some(object) = schema.as_object_mut() else { return };
    change(object);
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| walk(property, change));
    }
    for below in ["items", "additionalProperties"] {
        if let Some(value) = object.get_mut(below) {
            walk(value, change);
        }
    }
}

/// OpenAPI knows int32 and int64 only; the limits stand in minimum and maximum.
fn sign_format(schema: &mut Map<String, Value>) {
    let signed = match schema.get("format").and_then(Value::as_str) {
        Some("uint8" | "uint16" | "int8" | "int16") => "int32",
        Some("uint32" | "uint64" | "uint") => "int64",
        _ => return,
    };
    schema.insert("format".to_owned(), json!(signed));
}

/// Doc comments are wrapped for the source's width; `kubectl explain` wraps for the reader's.
fn join_lines(schema: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that hold the CRDs, beside Cargo.toml. `GODWIT_BLESS=1 cargo test --lib crd::` writes them anew.
    #[test]
    fn files_are_what_the_types_say() {
        for crd in crds() {
            let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("../../crds/godwit.dev_{}.yaml", crd.spec.names.plural));
            let generated =
                format!("# Generated from crates/api; GODWIT_BLESS=1 cargo test --lib crd:: writes it anew.\n{}", to_yaml(&crd));
            if std::env::var_os("GODWIT_BLESS").is_some() {
                std::fs::write(&file, &generated).expect("writes the file");
            }
            let written = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(
                written == generated,
                "{} differs from the types; run GODWIT_BLESS=1 cargo test --lib api::crd",
                file.display()
            );
        }
    }

    #[test]
    fn yaml_reads_back_as_the_same_crds() {
        let read: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&crd_yaml()).expect("is YAML");
        assert_eq!(read, crds());
    }

    /// Every schema with its path, the CRDs' own and all below.
    fn every_schema() -> Vec<(String, Value)> {
        fn collect(schema: &Value, path: String, found: &mut Vec<(String, Value)>) {
            for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                collect(property, format!("{path}.{name}"), found);
            }
            for below in ["items", "additionalProperties"] {
                if let Some(value) = schema.get(below) {
                    collect(value, format!("{path}[{below}]"), found);
                }
            }
            found.push((path, schema.clone()));
        }
        let mut found = Vec::new();
        for crd in crds() {
            collect(&open_api_schema(&crd).expect("schema"), crd.spec.names.kind.clone(), &mut found);
        }
        found
    }

    #[test]
    fn every_field_is_described_on_one_line() {
        for (path, schema) in every_schema().iter().filter(|(path, _)| !path.ends_with(']')) {
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            assert!(description.len() > 3, "{path} has no description");
            assert!(!description.contains('\n'), "{path}: {description}");
        }
    }

    #[test]
    fn schemas_are_as_the_api_server_likes_them() {
        for (path, schema) in every_schema() {
            assert!(schema.get("nullable").is_none(), "{path} is nullable");
            for combined in ["anyOf", "oneOf", "allOf"] {
                let allowed = schema.get("x-kubernetes-int-or-string").is_some() && combined == "anyOf";
                assert!(allowed || schema.get(combined).is_none(), "{path} has {combined}");
            }
            let format = schema.get("format").and_then(Value::as_str).unwrap_or("int64");
            assert!(["int32", "int64", "date-time"].contains(&format), "{path} has the format {format}");
            if path.contains(".status.") {
                assert!(schema.get("default").is_none(), "{path} has a default");
            }
            if path.contains(".spec.") {
                let bounded = match schema.get("type").and_then(Value::as_str) {
                    Some("array") => schema.get("maxItems").is_some(),
                    Some("string") => schema.get("maxLength").or_else(|| schema.get("enum")).is_some(),
                    _ => schema.get("additionalProperties").is_none() || schema.get("maxProperties").is_some(),
                };
                assert!(bounded, "{path} has no limit");
            }
        }
    }

    #[test]
    fn columns_are_the_documented_ones() {
        let columns = |index: usize, wide: bool| -> Vec<String> {
            let crd = &crds()[index];
            let columns = crd.spec.versions[0].additional_printer_columns.clone().unwrap_or_default();
            columns.into_iter().filter(|column| (column.priority == Some(1)) == wide).map(|column| column.name).collect()
        };
        assert_eq!(columns(0, false), ["Phase", "Ready", "Progress", "Latency", "Cluster", "Units", "Age"]);
        assert_eq!(columns(0, true), ["Source", "Destination", "Message"]);
        assert_eq!(columns(1, false), ["Ready", "Units", "Used", "Free", "Running", "Queued", "Age"]);
        let names: Vec<_> = crds().into_iter().flat_map(|crd| crd.spec.names.short_names.unwrap_or_default()).collect();
        assert_eq!(names, ["mt", "dc"]);
    }
}
