//! The CustomResourceDefinitions, generated from the types.
//!
//! What kube's derive gives is changed in four places, each for the API server's sake: `nullable` goes (a null then counts as left out, so that a
//! blank `tables:` gets its default instead of being a value), unsigned formats become signed ones (the API server warns of formats that it does
//! not know), status gets no defaults (they would show numbers that nobody measured), and the rule on the resource's name is added.

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
    });
    if let Some(status) = root.pointer_mut("/properties/status") {
        walk(status, &|schema| {
            schema.remove("default");
        });
    }
    if let Some(schema) = root.as_object_mut() {
        let rule = format!("size(self.metadata.name) <= {NAME_LIMIT}");
        let message = format!("metadata.name: at most {NAME_LIMIT} characters, because pods and labels are named after it");
        schema.insert("x-kubernetes-validations".to_owned(), json!([{"rule": rule, "message": message}]));
    }
    serde_json::from_value(value).unwrap_or(crd)
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
