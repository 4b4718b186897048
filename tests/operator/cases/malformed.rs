//! A resource that an older version stored and this one cannot read.

use std::sync::Arc;

use godwit::api::Phase;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::fixtures::{Task, eventually, manifest, message, pool, pools, stalls};
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

const TASKS: &str = "migrationtasks.godwit.dev";
const POOLS: &str = "dedicatedclusters.godwit.dev";

/// Lets a field of the spec be as this schema says, and gives the schema that it had.
async fn relax(world: &World, crd: &str, field: &str, schema: Value) -> Value {
    let stored: Value = serde_json::from_str(&world.kubectl.out(&["get", "crd", crd, "-o", "json"]).await).unwrap();
    let before = stored["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][field].clone();
    let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{field}");
    let patch = json!([{"op": "replace", "path": path, "value": schema}]).to_string();
    world.kubectl.out(&["patch", "crd", crd, "--type=json", "-p", &patch]).await;
    before
}

/// Changes an object as soon as the API server takes it: a schema that was relaxed counts a moment later.
async fn patch(world: &World, object: &[&str], patch: &str) {
    let arguments = [&["patch", "--type=merge", "-p", patch], object].concat();
    let changed = eventually("changed", || async {
        let said = world.kubectl.run_with(&arguments, "").await;
        if said.success { Ok(()) } else { Err(said.err) }
    });
    changed.await;
}

pub async fn one_resource_that_cannot_be_read_stops_nobody(world: Arc<World>) {
    let namespace = world.namespace("older").await;
    let strict = relax(&world, TASKS, "desiredState", json!({"type": "string"})).await;
    let mut old = manifest(&namespace, "old");
    old["spec"]["desiredState"] = json!("Hibernating");
    let stored = eventually("stored", || async {
        let said = world.kubectl.run_with(&["create", "-f", "-"], &old.to_string()).await;
        if said.success { Ok(()) } else { Err(said.err) }
    });
    stored.await;
    relax(&world, TASKS, "desiredState", strict).await;

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
    let strict = relax(&world, TASKS, "desiredState", json!({"type": "string"})).await;
    patch(&world, &["mt", "old", "-n", &namespace], r#"{"spec":{"desiredState":"Hibernating"}}"#).await;
    relax(&world, TASKS, "desiredState", strict).await;

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

pub async fn a_pool_that_cannot_be_read_is_called_that(world: Arc<World>) {
    let namespace = world.namespace("unreadable").await;
    let pool = pool(&world, "unreadable", json!({"units": 1})).await;
    let _operator = Operator::start(&world, Options::named("unreadable")).await;
    let strict = relax(&world, POOLS, "overcommitPercent", json!({"x-kubernetes-preserve-unknown-fields": true})).await;
    patch(&world, &["dedicatedcluster", &pool], r#"{"spec":{"overcommitPercent":"much"}}"#).await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    let status = task.until("stalled", |status| stalls(status, "ClusterMalformed")).await;
    assert!(message(&status, "Stalled").contains(&pool));
    patch(&world, &["dedicatedcluster", &pool], r#"{"spec":{"overcommitPercent":100}}"#).await;
    relax(&world, POOLS, "overcommitPercent", strict).await;
    task.until_in_sync().await;
}
