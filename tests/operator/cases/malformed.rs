//! A resource that an older version stored and this one cannot read.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::fixtures::{Task, condition, eventually, manifest};
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

/// The schema of a field of the spec in a CRD.
async fn schema(world: &World, crd: &str, field: &str) -> Value {
    let crd: Value = serde_json::from_str(&world.kubectl.out(&["get", "crd", crd, "-o", "json"]).await).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field].clone()
}

/// Lets a field of the spec hold anything, or only what it may.
async fn relax(world: &World, crd: &str, field: &str, schema: Value) {
    let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{field}");
    let patch = json!([{"op": "replace", "path": path, "value": schema}]).to_string();
    world.kubectl.out(&["patch", "crd", crd, "--type=json", "-p", &patch]).await;
}

/// Stores an object that the schema as it is would not let through.
async fn store(world: &World, crd: &str, field: &str, loose: Value, object: &Value) {
    let strict = schema(world, crd, field).await;
    relax(world, crd, field, loose).await;
    eventually("stored", || async {
        let said = world.kubectl.run_with(&["create", "-f", "-"], &object.to_string()).await;
        if said.success { Ok(()) } else { Err(said.err) }
    })
    .await;
    relax(world, crd, field, strict).await;
}

/// Waits until an object says that it cannot be read, and why.
async fn until_malformed(world: &World, object: &[&str], why: &str) {
    let arguments: Vec<&str> = ["get"].iter().chain(object).chain(&["-o", "json"]).copied().collect();
    eventually("told in its conditions", || async {
        let object: Value = serde_json::from_str(&world.kubectl.out(&arguments).await).unwrap();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let holds = |kind: &str, status: &str| {
            conditions.iter().any(|condition| {
                condition["type"] == kind
                    && condition["status"] == status
                    && condition["reason"] == "Malformed"
                    && condition["message"].as_str().unwrap().contains(why)
            })
        };
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if current && holds("Ready", "False") && holds("Stalled", "True") { Ok(()) } else { Err(object["status"].clone()) }
    })
    .await;
}

pub async fn one_resource_that_cannot_be_read_stops_nobody(world: Arc<World>) {
    let namespace = world.namespace("older").await;
    let mut old = manifest(&namespace, "old");
    old["spec"]["desiredState"] = json!("Hibernating");
    store(&world, "migrationtasks.godwit.dev", "desiredState", json!({"type": "string"}), &old).await;
    let pool = world.unique("older");
    let old_pool = json!({
        "apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": pool},
        "spec": {"units": 3, "overcommitPercent": -5}
    });
    store(&world, "dedicatedclusters.godwit.dev", "overcommitPercent", json!({"type": "integer", "default": 100}), &old_pool)
        .await;

    let operator = Operator::start(&world, Options::named("older")).await;
    let task = Task::new(&world, &namespace, "new").create().await;
    task.until_in_sync().await;
    assert!(operator.is_ready().await);
    let told = Task::new(&world, &namespace, "old");
    eventually("told", || async {
        let events = world.kubectl.out(&["get", "events", "-n", &namespace, "-o", "json"]).await;
        let told = events.contains("Hibernating") && events.contains("\"old\"");
        if told && operator.logged().contains("Hibernating") { Ok(()) } else { Err(events) }
    })
    .await;
    until_malformed(&world, &["mt", "old", "-n", &namespace], "Hibernating").await;
    until_malformed(&world, &["dc", &pool], "-5").await;
    assert!(told.pod().await.is_none());
    // Corrected, both are well by themselves.
    world.kubectl.out(&["patch", "dc", &pool, "--type=merge", "-p", "{\"spec\":{\"overcommitPercent\":100}}"]).await;
    crate::support::fixtures::until_pool(&world, &pool, "well", |status| {
        status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True" && c.reason == "Available")
    })
    .await;
    world
        .kubectl
        .out(&["patch", "mt", "old", "-n", &namespace, "--type=merge", "-p", "{\"spec\":{\"desiredState\":\"Running\"}}"])
        .await;
    let status = told.until_in_sync().await;
    assert_eq!(condition(&status, "Stalled"), "False");
    world.kubectl.out(&["delete", "mt", "old", "-n", &namespace]).await;
    world.kubectl.out(&["delete", "dc", &pool]).await;
}
