//! A resource that an older version stored and this one cannot read.

use std::sync::Arc;

use godwit::api::Phase;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::fixtures::{Task, eventually, manifest, pool, pools};
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

pub async fn units_of_one_that_cannot_be_read_count(world: Arc<World>) {
    let namespace = world.namespace("unread").await;
    let pool = pool(&world, "unread", json!({"units": 1})).await;
    let mut operator = Operator::start(&world, Options::named("unread-1")).await;
    let old = Task::new(&world, &namespace, "old").pool(&pool, 1).create().await;
    old.until_in_sync().await;
    operator.kill();
    let crd: Value = serde_json::from_str(&world.kubectl.out(&["get", "crd", CRD, "-o", "json"]).await).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    relax(&world, json!({"type": "string"})).await;
    let patch = r#"{"spec":{"desiredState":"Hibernating"}}"#;
    let patched = eventually("changed", || async {
        let said = world.kubectl.run_with(&["patch", "mt", "old", "-n", &namespace, "--type=merge", "-p", patch], "").await;
        if said.success { Ok(()) } else { Err(said.err) }
    });
    patched.await;
    relax(&world, schema["desiredState"].clone()).await;

    let _operator = Operator::start(&world, Options::named("unread-2")).await;
    let task = Task::new(&world, &namespace, "new").pool(&pool, 1).create().await;
    task.until("in the queue", |status| status.queue.as_ref().is_some_and(|queue| queue.free_units == 0)).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(task.status().await.phase, Some(Phase::Queued));
    // Its pod keeps the pool, and gives back its units when it goes.
    world.kubectl.out(&["delete", "mt", "new", "-n", &namespace]).await;
    pools(&world).delete(&pool, &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(pools(&world).get_opt(&pool).await.unwrap().is_some(), "the pool went while a pod used its units");
    world.kubectl.out(&["delete", "mt", "old", "-n", &namespace]).await;
    eventually("gone", || async { pools(&world).get_opt(&pool).await.unwrap().map_or(Ok(()), Err) }).await;
}
