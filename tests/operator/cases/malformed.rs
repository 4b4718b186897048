//! A resource that an older version stored and this one cannot read.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::fixtures::{Task, eventually, manifest};
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

const CRD: &str = "migrationtasks.godwit.dev";

/// Lets `spec.desiredState` hold anything, or only what it may.
async fn relax(world: &World, desired_state: Value) {
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/desiredState";
    let patch = json!([{"op": "replace", "path": path, "value": desired_state}]).to_string();
    world.kubectl.out(&["patch", "crd", CRD, "--type=json", "-p", &patch]).await;
}

pub async fn one_resource_that_cannot_be_read_stops_nobody(world: Arc<World>) {
    let namespace = world.namespace("older").await;
    let crd: Value = serde_json::from_str(&world.kubectl.out(&["get", "crd", CRD, "-o", "json"]).await).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    relax(&world, json!({"type": "string"})).await;
    let mut old = manifest(&namespace, "old");
    old["spec"]["desiredState"] = json!("Hibernating");
    let stored = eventually("stored", || async {
        let said = world.kubectl.run_with(&["create", "-f", "-"], &old.to_string()).await;
        if said.success { Ok(()) } else { Err(said.err) }
    });
    stored.await;
    relax(&world, schema["desiredState"].clone()).await;

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
    assert!(told.pod().await.is_none());
    world.kubectl.out(&["delete", "mt", "old", "-n", &namespace]).await;
}
