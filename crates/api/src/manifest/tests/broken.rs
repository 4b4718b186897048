//! Mistakes that people make, each as a whole file in `broken/`, with what they are told in `broken/messages.txt`.
//! `GODWIT_BLESS=1 cargo test -p godwit-api --lib broken` writes the messages anew; read the difference.
//!
//! `tests/operator/cases/validation.rs` gives the same files to a real API server.

use std::fs;
use std::path::PathBuf;

use kube::core::cel::Validator;

use super::*;
use crate::crd;

/// Words with which a part of a message begins that says what to write instead.
const REMEDIES: [&str; 15] =
    ["add", "check", "choose", "complete", "did", "give", "keep", "leave", "list", "lower", "move", "name", "put", "set", "use"];

/// Whether some part of the message tells what to do.
fn tells_a_remedy(message: &str) -> bool {
    let parts = message.split([';', ',', ':', ')']).map(|part| part.trim_start().trim_start_matches("or "));
    parts.filter_map(|part| part.split(' ').next()).any(|word| REMEDIES.contains(&word))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/manifest/tests/broken")
}

/// Name and text of each file, by name.
fn files() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("broken").map(|entry| entry.expect("entry").path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        (path.file_name().expect("name").to_string_lossy().into_owned(), fs::read_to_string(path).expect("text"))
    };
    paths.iter().map(read).collect()
}

/// What `godwit run -f` and its siblings say of a file.
fn refusal(name: &str, text: &str) -> Vec<FieldError> {
    load(text, name).err().unwrap_or_else(|| panic!("{name} is accepted")).errors
}

#[test]
fn every_message_is_as_it_was_read() {
    let messages = files().into_iter().map(|(name, text)| {
        let lines: Vec<String> = refusal(&name, &text).iter().map(|error| format!("  {error}\n")).collect();
        let what = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        format!("{name}: {what}\n{}", lines.concat())
    });
    let told: String = messages.collect();
    let golden = folder().join("messages.txt");
    if std::env::var_os("GODWIT_BLESS").is_some() {
        fs::write(&golden, &told).expect("written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let changed = told.lines().zip(expected.lines()).find(|(told, expected)| told != expected);
    assert!(told == expected, "first difference: {changed:?}; GODWIT_BLESS=1 writes messages.txt anew");
}

#[test]
fn every_message_names_the_field_and_what_to_write() {
    let files = files();
    assert!(files.len() >= 40, "{}", files.len());
    for (name, text) in files {
        for error in refusal(&name, &text) {
            assert!(!error.path.is_empty(), "{name}: no field in {error}");
            assert!(!error.message.contains("p4ss"), "{name}: a password in {error}");
            assert!(tells_a_remedy(&error.message), "{name}: does not say what to write instead: {error}");
        }
    }
}

/// What the API server checks by schema and by CEL, it refuses here and there, and in the same words where the words are ours.
#[test]
fn the_api_server_agrees() {
    let (mut by_rules, schema) = (0, crd::crds().first().and_then(crd::open_api_schema).expect("schema"));
    for (name, text) in files() {
        let refuses = text.lines().nth(1) == Some("# The API server refuses it.");
        let Ok(documents) = serde_saphyr::from_multiple::<Value>(&text) else {
            assert!(!refuses, "{name} is not YAML");
            continue;
        };
        let errors = refusal(&name, &text);
        for document in documents.into_iter().filter(|document| document["kind"] == "MigrationTask") {
            let document = schema_check::without_nulls(document);
            let by_schema = schema_check::check(documents::task_schema().expect("schema"), &document, "");
            // Without a name, or of another version, it never comes to the rules.
            if document["apiVersion"] != API_VERSION || document["metadata"]["name"].is_null() || !by_schema.is_empty() {
                continue;
            }
            let rules =
                Validator::new().validate(&schema, &document, None).err().map(|errors| errors.into_vec()).unwrap_or_default();
            assert!(refuses || rules.is_empty(), "{name}: {rules:?}");
            for rule in rules {
                by_rules += 1;
                let same = errors.iter().any(|error| error.to_string().contains(&rule.message));
                assert!(same, "{name}: CEL says {:?}, we say {errors:?}", rule.message);
            }
        }
    }
    assert!(by_rules >= 9, "only {by_rules} rules of CEL are met");
}
