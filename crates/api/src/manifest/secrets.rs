//! Secrets of a manifest file. Values are wrapped so that no `Debug`, log line or error can show them; the only way out is `expose`.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use serde_json::{Map, Value};

use super::error::FieldError;
use super::hosts::{HOSTS_ANNOTATION, HostLimits};
use super::schema_check::unknown_name;

/// A secret text. It has no `Display` and no `Serialize`; its `Debug` prints stars.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: hand it to the protocol, and to nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Secrets by name, each a map from key to bytes. `Debug` prints names and keys only.
#[derive(Clone, Default)]
pub struct Secrets {
    by_name: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Those that are not for every host.
    limits: HostLimits,
    pub(super) origin: Origin,
}

/// Where Secrets were read from: decides what an error tells a person to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// Documents of the manifest file.
    #[default]
    File,
    /// Folders that the kubelet mounts into an engine's pod.
    Mounted,
}

impl Secrets {
    /// No Secrets yet, of those that the kubelet mounts.
    pub(super) fn mounted() -> Self {
        Self { origin: Origin::Mounted, ..Self::default() }
    }

    /// Adds a Secret without keys, unless it is there.
    pub(super) fn add(&mut self, name: impl Into<String>) {
        self.by_name.entry(name.into()).or_default();
    }

    /// The bytes of a key, or nothing if the Secret or the key is missing.
    pub fn get(&self, name: &str, key: &str) -> Option<&[u8]> {
        self.by_name.get(name)?.get(key).map(Vec::as_slice)
    }

    /// Whether there is a Secret of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Names of all Secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Keys of a Secret.
    pub fn keys(&self, name: &str) -> impl Iterator<Item = &str> {
        self.by_name.get(name).into_iter().flat_map(|keys| keys.keys().map(String::as_str))
    }

    /// Adds a key, for example from a mounted file.
    pub fn insert(&mut self, name: impl Into<String>, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.by_name.entry(name.into()).or_default().insert(key.into(), value.into());
    }

    /// Says which hosts Secrets are for.
    pub fn with_limits(mut self, limits: &HostLimits) -> Self {
        self.limits.extend(limits.clone());
        self
    }

    /// Which Secrets are not for every host.
    pub(super) fn limits(&self) -> &HostLimits {
        &self.limits
    }

    /// Adds the Secret of a YAML document, whose place in the file is `path`.
    pub(super) fn add_document(&mut self, name: &str, document: &Map<String, Value>, path: &str) -> Vec<FieldError> {
        if self.contains(name) {
            return vec![FieldError::new(path, format!("Secret \"{name}\" appears twice in the file; keep one of them"))];
        }
        let annotations = document.get("metadata").and_then(|metadata| metadata.get("annotations"));
        if let Some(list) = annotations.and_then(|all| all.get(HOSTS_ANNOTATION)).and_then(Value::as_str) {
            self.limits.insert(name.to_owned(), list.to_owned());
        }
        let keys = self.by_name.entry(name.to_owned()).or_default();
        let mut errors: Vec<FieldError> = document
            .keys()
            .filter(|field| !FIELDS.contains(&field.as_str()))
            .map(|field| FieldError::new(format!("{path}.{field}"), unknown_name(field, || FIELDS.iter().copied())))
            .collect();
        // stringData wins over data, as on the API server.
        for (field, decode) in [("data", decode_base64 as fn(&str) -> Option<Vec<u8>>), ("stringData", plain)] {
            let field_path = format!("{path}.{field}");
            let entries = match document.get(field) {
                None | Some(Value::Null) => continue,
                Some(Value::Object(entries)) => entries,
                Some(_) => {
                    errors.push(FieldError::new(field_path, "expected a mapping; use lines of key: value"));
                    continue;
                }
            };
            for (key, value) in entries {
                let key_path = format!("{field_path}.{key}");
                let Some(text) = value.as_str() else {
                    errors.push(FieldError::new(key_path, "expected a text; put the value in quotes"));
                    continue;
                };
                match decode(text) {
                    Some(bytes) => {
                        keys.insert(key.clone(), bytes);
                    }
                    None => errors.push(FieldError::new(
                        key_path,
                        "is not valid base64; encode the value, or move the key to stringData, which takes plain text",
                    )),
                }
            }
        }
        errors
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names_and_keys = self.by_name.iter().map(|(name, keys)| (name, keys.keys().collect::<Vec<_>>()));
        f.debug_map().entries(names_and_keys).finish()
    }
}

/// Of a Secret on the API server.
const FIELDS: [&str; 7] = ["apiVersion", "data", "immutable", "kind", "metadata", "stringData", "type"];

fn plain(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// Base64 as Kubernetes takes it: standard alphabet with padding, line breaks allowed.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let joined: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    serde_json::from_value::<ByteString>(Value::String(joined)).ok().map(|bytes| bytes.0)
}
