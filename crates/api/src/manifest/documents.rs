//! Splits the file into documents and tells them apart by kind.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::error::FieldError;
use super::{Manifest, Secrets, patterns, rules, schema_check};
use crate::{API_VERSION, MigrationTask, crd};

/// Kinds that may stand in the file. A DedicatedCluster and a Namespace mean nothing without Kubernetes.
const KINDS: [(&str, &str); 4] =
    [("MigrationTask", API_VERSION), ("Secret", "v1"), ("DedicatedCluster", API_VERSION), ("Namespace", "v1")];

/// Reads all documents of a file.
pub(super) fn parse(text: &str) -> Result<Manifest, Vec<FieldError>> {
    let documents = read_yaml(text).map_err(|error| vec![error])?;
    let mut tasks = Vec::new();
    let mut secret_documents = Vec::new();
    let mut ignored = Vec::new();
    let mut errors = Vec::new();
    let mut places = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let place = format!("document {}", index + 1);
        match Document::read(document, &place) {
            Ok(Document::Task(fields)) => {
                tasks.push(fields);
                places.push(place);
            }
            Ok(Document::Secret(fields)) => secret_documents.push((place, fields)),
            Ok(Document::Pool(fields)) => {
                errors.extend(check_pool(&fields));
                ignored.push(format!("DedicatedCluster/{}", name(&fields)));
            }
            Ok(Document::Ignored(name)) => ignored.push(name),
            Err(error) => errors.push(error),
        }
    }
    let task_fields = match tasks.len() {
        1 => tasks.pop(),
        0 => {
            // A document that was refused may have been meant as the task; its own error says more.
            if errors.is_empty() {
                let remedy = format!("no document of the file is a MigrationTask; add one with apiVersion: {API_VERSION}");
                errors.push(FieldError::new("kind", remedy));
            }
            None
        }
        _ => {
            let remedy = format!("{} has a MigrationTask already; put each into a file of its own", places[0]);
            errors.push(FieldError::new(format!("{}.kind", places[1]), remedy));
            None
        }
    };
    let task_namespace = task_fields.as_ref().and_then(|fields| namespace(fields)).map(str::to_owned);
    let mut secrets = Secrets::default();
    for (place, fields) in &secret_documents {
        errors.extend(read_secret(fields, place, task_namespace.as_deref(), &mut secrets));
    }
    let task = task_fields.and_then(|fields| read_task(fields).map_err(|task_errors| errors.extend(task_errors)).ok());
    match task {
        Some(task) if errors.is_empty() => Ok(Manifest { task, secrets, ignored }),
        _ => Err(errors),
    }
}

enum Document {
    Task(Map<String, Value>),
    Secret(Map<String, Value>),
    Pool(Map<String, Value>),
    Ignored(String),
}

impl Document {
    fn read(document: Value, place: &str) -> Result<Self, FieldError> {
        let Value::Object(fields) = schema_check::without_nulls(document) else {
            return Err(FieldError::new(place, "is not a Kubernetes resource; use one with apiVersion, kind, metadata and spec"));
        };
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let Some((known, version)) = KINDS.into_iter().find(|(known, _)| *known == kind) else {
            return Err(FieldError::new(format!("{place}.kind"), unknown_kind(&kind, &api_version)));
        };
        if api_version != version {
            let message = match api_version.as_str() {
                "" => format!("is missing; use {version}"),
                other => format!("{other:?} is not known for {kind}; use {version}"),
            };
            return Err(FieldError::new(format!("{place}.apiVersion"), message));
        }
        Ok(match known {
            "MigrationTask" => Self::Task(fields),
            "Secret" => Self::Secret(fields),
            "DedicatedCluster" => Self::Pool(fields),
            _ => Self::Ignored(format!("{kind}/{}", name(&fields))),
        })
    }
}

fn unknown_kind(kind: &str, api_version: &str) -> String {
    if kind.is_empty() {
        return "is missing; use MigrationTask or Secret".to_owned();
    }
    let names = KINDS.map(|(name, _)| name);
    match schema_check::nearest(kind, names.into_iter()) {
        Some(near) => format!("{kind} is not known; did you mean {near}?"),
        None => format!("{kind} ({api_version}) is not known here; keep only the MigrationTask and its Secrets in the file"),
    }
}

fn name(fields: &Map<String, Value>) -> &str {
    fields.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str).unwrap_or_default()
}

fn namespace(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("metadata")?.get("namespace")?.as_str()
}

fn read_secret(fields: &Map<String, Value>, place: &str, task_namespace: Option<&str>, secrets: &mut Secrets) -> Vec<FieldError> {
    let secret_name = name(fields);
    if !patterns::is_object_name(secret_name) {
        let remedy = "set it to the Secret's name: lower-case letters, digits, - and .";
        return vec![FieldError::new(format!("{place}.metadata.name"), remedy)];
    }
    if let (Some(own), Some(task)) = (namespace(fields), task_namespace)
        && own != task
    {
        let remedy = format!(
            "Secret \"{secret_name}\" is in {own:?}, the task in {task:?}; a task sees only the Secrets of its own namespace; set it to that"
        );
        return vec![FieldError::new(format!("{place}.metadata.namespace"), remedy)];
    }
    secrets.add_document(secret_name, fields, &format!("Secret {secret_name}"))
}

/// A pool is nothing to a run without Kubernetes, but whoever checks a file wants to know of its mistakes.
fn check_pool(fields: &Map<String, Value>) -> Vec<FieldError> {
    let path = format!("DedicatedCluster {}", name(fields));
    let Some(schema) = whole_schema(1) else { return Vec::new() };
    schema_check::check(&schema, &Value::Object(fields.clone()), path.trim_end())
}

/// Checks a task against its schema, reads it, and checks it against the rules that go across fields.
fn read_task(fields: Map<String, Value>) -> Result<MigrationTask, Vec<FieldError>> {
    let document = Value::Object(fields);
    let mut errors = rules::check_metadata(document.get("metadata"));
    if let Some(schema) = task_schema() {
        errors.extend(schema_check::check(schema, &document, ""));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let task: MigrationTask = serde_path_to_error::deserialize(document).map_err(|error| {
        // The schema has let it through, so this says only what the schema cannot.
        let path = error.path().to_string();
        vec![FieldError::new(path, error.into_inner().to_string())]
    })?;
    let rule_errors = rules::check_spec(&task.spec);
    if rule_errors.is_empty() { Ok(task) } else { Err(rule_errors) }
}

/// The schema of a whole MigrationTask document. The API server adds apiVersion, kind and metadata by itself; here they stand in it.
pub(super) fn task_schema() -> Option<&'static Value> {
    static SCHEMA: OnceLock<Option<Value>> = OnceLock::new();
    SCHEMA.get_or_init(|| whole_schema(0)).as_ref()
}

fn whole_schema(kind: usize) -> Option<Value> {
    let mut schema = crd::crds().get(kind).and_then(crd::open_api_schema)?;
    let properties = schema.get_mut("properties")?.as_object_mut()?;
    for (field, open) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        properties.insert(field.to_owned(), serde_json::json!({"type": open}));
    }
    // What stands under status of a file is the server's business: kubectl apply ignores it too.
    properties.insert("status".to_owned(), serde_json::json!({"type": "object"}));
    Some(schema)
}

fn read_yaml(text: &str) -> Result<Vec<Value>, FieldError> {
    // Strict booleans: `yes` in a password or a name stays a text. No snippet: it would print lines of Secrets.
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location().map(|location| format!("line {}, column {}", location.line(), location.column()));
        let tab = error.location().is_some_and(|location| indented_by_tab(text, location.line() as usize));
        let message = if tab { TAB.to_owned() } else { syntax_message(&error) };
        FieldError::new(place.unwrap_or_else(|| "the file".to_owned()), message)
    })
}

const TAB: &str = "a tab stands in the indentation, which YAML does not allow; use spaces";

/// Whether the line at which the reader stopped, or the one before, is indented by a tab.
fn indented_by_tab(text: &str, line: usize) -> bool {
    let indentation =
        |line: &str| line.chars().take_while(|character| character.is_whitespace()).any(|character| character == '\t');
    text.lines().skip(line.saturating_sub(2)).take(2).any(indentation)
}

/// What is wrong with the YAML, in words that cannot hold a value of the file.
fn syntax_message(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("field {key} stands here twice; keep one of them")
        }
        serde_saphyr::Error::Eof { .. } => "the file ends in the middle of something; complete it".to_owned(),
        serde_saphyr::Error::ExternalMessage { msg, .. } if !msg.contains(['\'', '"', '`']) => {
            format!("not valid YAML: {msg}; check the indentation and the quotes")
        }
        _ => "not valid YAML; check the indentation, and put texts with special characters in quotes".to_owned(),
    }
}
