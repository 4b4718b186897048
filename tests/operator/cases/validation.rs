//! What the API server refuses, with the message that a person gets; nothing of it reaches the operator.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::support::fixtures::{Task, manifest, merge};
use crate::support::world::World;

/// A manifest's change, and part of the message with which it is refused.
type Refusal = (Value, &'static str);

fn tablestore(patch: Value) -> Value {
    let mut destination = json!({"mysql": null, "tablestore": {
        "endpoint": "https://shop.cn-hangzhou.ots.aliyuncs.com", "instance": "shop", "credentials": {"secretName": "ots"}
    }});
    merge(&mut destination, &patch);
    json!({"destination": destination})
}

/// What the API server has said, of all cases.
static SAID: Mutex<String> = Mutex::new(String::new());

/// Remembers a refusal.
fn remember(message: &str) {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push_str(message);
}

/// Refusals on creation, one for each rule.
fn refusals() -> Vec<Refusal> {
    let mut accounts = tablestore(json!({}));
    merge(&mut accounts, &json!({"accounts": {"migrate": true}}));
    let mut two = tablestore(json!({}));
    merge(&mut two, &json!({"objects": [{"database": "a"}, {"database": "b"}]}));
    vec![
        (
            json!({"source": {"mysql": {"host": null, "credentials": null, "username": "u"}}}),
            "host: set it, or set credentials.secretName to a Secret that has the key host",
        ),
        (
            json!({"source": {"mysql": {"credentials": null}}}),
            "username: set it, or set credentials.secretName to a Secret that has the key username",
        ),
        (
            json!({"destination": {"mysql": {"host": null, "credentials": null, "username": "u"}}}),
            "host: set it, or set credentials",
        ),
        (json!({"destination": {"mysql": {"credentials": null}}}), "username: set it, or set credentials"),
        (json!({"destination": {"mysql": null}}), "spec.destination: set exactly one of mysql and tablestore"),
        (
            tablestore(json!({"mysql": {"host": "h", "username": "u"}})),
            "spec.destination: set exactly one of mysql and tablestore",
        ),
        (
            tablestore(json!({"tablestore": {"concurrency": 2, "buckets": 3}})),
            "spec.destination.tablestore.buckets: must not be larger than concurrency, or some buckets could never send",
        ),
        (two, "spec.objects: a Tablestore destination takes exactly one source database per task; list that one database"),
        (accounts, "spec.accounts.migrate: a Tablestore destination has no database accounts; set it to false"),
        (
            json!({"retry": {"connectionMinutes": 10, "otherMinutes": 10}}),
            "spec.retry.otherMinutes: must be smaller than connectionMinutes",
        ),
        (
            json!({"verification": {"repair": true}}),
            "spec.verification.repair: only rows that are compared can be repaired; set full or incremental",
        ),
        (
            json!({"migrationTypes": ["Full"], "accounts": {"migrate": true}}),
            "spec.accounts.migrate: accounts are migrated with the schema; add Schema to spec.migrationTypes",
        ),
        (
            json!({"migrationTypes": ["Schema", "Full"], "verification": {"incremental": true}}),
            "spec.verification.incremental: nothing is followed without Incremental; add it to spec.migrationTypes",
        ),
        (
            json!({"migrationTypes": ["Schema", "Full"], "cutover": {"requested": true}}),
            "spec.cutover.requested: a cut-over needs the binary log to be followed; add Incremental to spec.migrationTypes",
        ),
    ]
}

/// What the schemas of the CRDs refuse, field by field.
fn schema_cases() -> Vec<Refusal> {
    vec![
        (json!({"sorce": {}}), "unknown field \"spec.sorce\""),
        (json!({"desiredState": "Halted"}), "spec.desiredState: Unsupported value: \"Halted\""),
        (json!({"migrationTypes": []}), "spec.migrationTypes: Invalid value"),
        (json!({"migrationTypes": ["Full", "Full"]}), "Duplicate value: \"Full\""),
        (json!({"cluster": {"units": 0}}), "spec.cluster.units"),
        (json!({"cluster": {"units": 1001}}), "spec.cluster.units"),
        (json!({"cluster": {"priority": 1_000_001}}), "spec.cluster.priority"),
        (json!({"cluster": {"name": "Prod"}}), "spec.cluster.name"),
        (json!({"environment": "not a label"}), "spec.environment"),
        (json!({"objects": [{"database": "a"}, {"database": "a"}]}), "Duplicate value"),
        (json!({"source": {"mysql": {"host": "db:3306"}}}), "spec.source.mysql.host"),
        (json!({"source": {"mysql": {"port": 0}}}), "spec.source.mysql.port"),
        (json!({"source": {"mysql": {"port": 65536}}}), "spec.source.mysql.port"),
        (json!({"source": {"mysql": {"tls": {"mode": "Sometimes"}}}}), "spec.source.mysql.tls.mode: Unsupported value"),
        (json!({"source": {"mysql": {"tls": {"mode": "VerifyCA"}}}}), "VerifyCA takes every certificate of the authority"),
        (json!({"source": null}), "spec.source: Required value"),
    ]
}

async fn refused(world: &World, object: &Value) -> String {
    let answer = world.kubectl.run_with(&["create", "-f", "-"], &object.to_string()).await;
    assert!(!answer.success, "was accepted: {object}");
    remember(&answer.err);
    answer.err
}

pub async fn rules_refuse_with_their_message(world: Arc<World>) {
    let namespace = world.namespace("rules").await;
    for (number, (patch, expected)) in refusals().into_iter().enumerate() {
        let mut object = manifest(&namespace, &format!("task-{number}"));
        merge(&mut object, &json!({"spec": patch}));
        let message = refused(&world, &object).await;
        assert!(message.contains(expected), "{object}\nexpected: {expected}\nsaid: {message}");
    }
}

/// After the cases about creation, updates, names and pools: there is no rule that none of them was refused by.
pub async fn every_rule_has_refused(_world: Arc<World>) {
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if !parts.is_empty() && !parts.iter().any(|part| "validation::".starts_with(part)) {
        println!("not all cases ran: which rules have refused something was not looked at");
        return;
    }
    let seen = SAID.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let unused: Vec<String> = messages_of_the_rules().into_iter().filter(|rule| !seen.contains(rule)).collect();
    assert!(unused.is_empty(), "no case is refused by the rules: {unused:#?}");
}

/// The messages of every `x-kubernetes-validations` of both CRDs.
fn messages_of_the_rules() -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                    found.insert(rule["message"].as_str().expect("a rule has a message").to_owned());
                }
                fields.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        collect(&serde_saphyr::from_str(&text).unwrap(), &mut found);
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

pub async fn names_of_56_letters_are_the_longest(world: Arc<World>) {
    let namespace = world.namespace("names").await;
    let expected = "metadata.name: use at most 56 characters, because pods and labels are named after it";
    let message = refused(&world, &manifest(&namespace, &"n".repeat(57))).await;
    assert!(message.contains(expected), "{message}");
    let pool = |name: String| json!({"apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": name}, "spec": {"units": 1}});
    let message = refused(&world, &pool("p".repeat(57))).await;
    assert!(message.contains(expected), "{message}");
    let longest = manifest(&namespace, &"n".repeat(56));
    let said = world.kubectl.run_with(&["create", "--dry-run=server", "-f", "-"], &longest.to_string()).await;
    assert!(said.success, "{}", said.err);
}

pub async fn updates_that_cannot_be(world: Arc<World>) {
    let namespace = world.namespace("updates").await;
    let task = Task::new(&world, &namespace, "final").with(json!({"spec": {"desiredState": "Stopped"}})).create().await;
    let cases = [
        (r#"{"spec":{"desiredState":"Running"}}"#, "spec.desiredState: Stopped is final, the task is fenced at the destination"),
        (
            r#"{"spec":{"destination":{"recordsDatabase":"elsewhere"}}}"#,
            "spec.destination.recordsDatabase: the task's progress lives there, it cannot change; create a new task instead",
        ),
    ];
    for (patch, expected) in cases {
        let answer = world.kubectl.run(&["patch", "mt", &task.name, "-n", &namespace, "--type=merge", "-p", patch]).await;
        remember(&answer.err);
        assert!(!answer.success && answer.err.contains(expected), "{patch}: {} {}", answer.out, answer.err);
    }
    endpoints_stay_once_started(&world, &namespace).await;
}

async fn endpoints_stay_once_started(world: &Arc<World>, namespace: &str) {
    // Paused, so that nothing else writes when it started.
    let task = Task::new(world, namespace, "ends").with(json!({"spec": {"desiredState": "Paused"}})).create().await;
    let patch = |patch: &'static str, more: &'static [&'static str]| {
        let arguments = [&["patch", "mt", &*task.name, "-n", namespace, "--type=merge", "-p", patch], more].concat();
        async move { world.kubectl.run(&arguments).await }
    };
    let other = r#"{"spec":{"source":{"mysql":{"host":"other.example.com"}}}}"#;
    let said = patch(other, &[]).await;
    assert!(said.success, "before the start: {}", said.err);
    let said = patch(r#"{"status":{"startedAt":"2026-01-01T00:00:00Z"}}"#, &["--subresource=status"]).await;
    assert!(said.success, "{}", said.err);
    for (change, expected) in [
        (
            r#"{"spec":{"source":{"mysql":{"host":"again.example.com"}}}}"#,
            "spec.source: the endpoint cannot change once the task has started",
        ),
        (
            r#"{"spec":{"destination":{"mysql":{"port":3399}}}}"#,
            "spec.destination: the endpoint cannot change once the task has started",
        ),
    ] {
        let answer = patch(change, &[]).await;
        remember(&answer.err);
        assert!(!answer.success && answer.err.contains(expected), "{change}: {} {}", answer.out, answer.err);
    }
}

pub async fn schema_refusals(world: Arc<World>) {
    let namespace = world.namespace("schema").await;
    for (number, (patch, expected)) in schema_cases().into_iter().enumerate() {
        let mut object = manifest(&namespace, &format!("task-{number}"));
        merge(&mut object, &json!({"spec": patch}));
        let message = refused(&world, &object).await;
        assert!(message.contains(expected), "{object}\nexpected: {expected}\nsaid: {message}");
    }
    for (patch, expected) in [
        (json!({"overcommitPercent": 99}), "spec.overcommitPercent"),
        (json!({"units": 100_001}), "spec.units"),
        (json!({"unitResources": {"cpu": "much"}}), "spec.unitResources.cpu"),
        (json!({"unitResources": {"cpu": 0}}), "spec.unitResources.cpu: must be 10m or more"),
        (json!({"unitResources": {"cpu": "1m"}}), "spec.unitResources.cpu: must be 10m or more"),
        (json!({"unitResources": {"memory": 512}}), "spec.unitResources.memory: must be 64Mi or more"),
        (json!({"unitResources": {"memory": "512m"}}), "spec.unitResources.memory: must be 64Mi or more"),
        (json!({"unitResources": {"memory": "0"}}), "spec.unitResources.memory: must be 64Mi or more"),
        (json!({"template": {"labels": {"godwit.dev/task": "x"}}}), "spec.template.labels: names that begin with godwit.dev/"),
        (
            json!({"template": {"annotations": {"godwit.dev/pod": "x"}}}),
            "spec.template.annotations: names that begin with godwit.dev/",
        ),
        (json!({"template": {"securityContext": {"runAsUser": 0}}}), "spec.template.securityContext.runAsUser"),
        (
            json!({"template": {"securityContext": {"privileged": true}}}),
            "unknown field \"spec.template.securityContext.privileged\"",
        ),
        (json!({"retrySharing": "Everybody"}), "spec.retrySharing: Unsupported value"),
        (json!({"priorityCeilings": [{"priority": 5}]}), "spec.priorityCeilings[0].namespaces: Required value"),
        (json!({"placement": {"nodeName": "a"}}), "unknown field \"spec.placement.nodeName\""),
    ] {
        let mut object = json!({"apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": "p"}, "spec": {"units": 1}});
        merge(&mut object, &json!({"spec": patch}));
        let message = refused(&world, &object).await;
        assert!(message.contains(expected), "{object}\nexpected: {expected}\nsaid: {message}");
    }
}

/// The files of the manifest's own tests, each with what its author says of the API server, and with the fields that the command line names.
fn broken_manifests() -> Vec<(String, String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(BROKEN);
    let messages = std::fs::read_to_string(folder.join("messages.txt")).unwrap();
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    for line in messages.lines() {
        if let Some(told) = line.strip_prefix("  ") {
            let path = told.split(": ").next().unwrap();
            // A resource's name may stand in front.
            let path = path.rsplit_once(' ').map_or(path, |(_, path)| path);
            found.last_mut().unwrap().2.push(path.trim_start_matches("prod.").to_owned());
        } else {
            let name = line.split(": ").next().unwrap();
            found.push((name.to_owned(), std::fs::read_to_string(folder.join(name)).unwrap(), Vec::new()));
        }
    }
    found
}

const BROKEN: &str = "crates/api/src/manifest/tests/broken";

/// The command line's tests hold what it says of these files; the API server names the same field, and takes what they say that it takes.
pub async fn broken_manifests_are_judged_alike(world: Arc<World>) {
    let namespace = world.namespace("broken").await;
    let (mut refused, mut taken) = (0, 0);
    for (name, text, fields) in broken_manifests() {
        let ours = |document: &&str| document.contains("apiVersion: godwit.dev/");
        let text = text.replace("namespace: data", &format!("namespace: {namespace}"));
        let documents = text.split("---\n").filter(ours).collect::<Vec<_>>().join("---\n");
        let said = world.kubectl.run_with(&["create", "--dry-run=server", "-f", "-"], &documents).await;
        match text.lines().nth(1).unwrap() {
            "# The API server refuses it." => {
                refused += 1;
                let same = fields.iter().any(|field| {
                    // Of an entry that stands twice it names the entry, not its key.
                    let entry = field.rsplit_once("].").map_or(field.clone(), |(entry, _)| format!("{entry}]: Duplicate value"));
                    said.err.contains(field) || said.err.contains(&entry)
                });
                assert!(!said.success && same, "{name}: {fields:?}\n{}{}", said.out, said.err);
            }
            "# The API server takes it." => {
                taken += 1;
                assert!(said.success || documents.is_empty(), "{name}: {}", said.err);
            }
            _ => {}
        }
    }
    assert!(refused > 35 && taken > 10, "{refused} and {taken}");
}

pub async fn kubectl_explain_reads(world: Arc<World>) {
    for (path, expected) in [
        ("mt.spec.cutover", "The switch of the application to the destination"),
        ("mt.spec.cluster.units", "The task waits as Queued until that many are free"),
        ("mt.spec.source.mysql.credentials", "Secret"),
        ("mt.status.phase", "What the task is doing, in one word"),
        ("dc.spec.overcommitPercent", "Units that are handed out, in percent of units"),
        ("dc.status.nodeAddresses", "allow list"),
    ] {
        // Lines are broken where they happen to end.
        let text = world.kubectl.out(&["explain", path]).await.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("DESCRIPTION:") && text.contains(expected), "{path}: {text}");
    }
}
