//! How much the operator writes, by the API server's audit log.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::Phase;

use crate::support::audit::{Write, writes};
use crate::support::fixtures::Task;
use crate::support::world::{OPERATOR_USER, World};

/// What the operator has written in a namespace since byte `from`.
fn by_the_operator(world: &World, namespace: &str, from: u64) -> (Vec<Write>, u64) {
    let (mut found, end) = writes(&world.cluster.audit_log, from);
    found.retain(|write| write.user == OPERATOR_USER && write.what.contains(&format!(" {namespace}/")));
    (found, end)
}

pub async fn an_idle_task_causes_none(world: Arc<World>) {
    let namespace = world.namespace("idle").await;
    let tasks = [
        Task::new(&world, &namespace, "follows").create().await,
        Task::new(&world, &namespace, "ended").script("completes").create().await,
        Task::new(&world, &namespace, "paused").with(serde_json::json!({"spec": {"desiredState": "Paused"}})).create().await,
    ];
    tasks[0].until_in_sync().await;
    tasks[1].until_phase(Phase::Completed).await;
    tasks[2].until_phase(Phase::Paused).await;
    // Events and the last status may still be on their way, and a status may wait for its ten seconds.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (before, end) = by_the_operator(&world, &namespace, 0);
    assert!(!before.is_empty(), "the audit log does not know the operator");
    let conflicts: Vec<&Write> = before.iter().filter(|write| write.code == 403).collect();
    assert!(conflicts.is_empty(), "the chart's role does not suffice: {conflicts:#?}");
    tokio::time::sleep(Duration::from_secs(25)).await;
    let (after, _) = by_the_operator(&world, &namespace, end);
    assert!(after.is_empty(), "writes about idle tasks: {after:#?}");
    // A new task has its pod after two requests; its status comes behind.
    let first = before.iter().filter(|write| write.what.contains("/follows")).take(3);
    let first: Vec<String> = first.map(|write| format!("{} {} {}", write.verb, write.what, write.code)).collect();
    let wanted = [
        format!("create configmaps/ {namespace}/follows-engine 201"),
        format!("create pods/ {namespace}/follows-engine 201"),
        format!("patch migrationtasks/status {namespace}/follows 200"),
    ];
    assert_eq!(first, wanted);
    // From apply to in sync: the objects, and a status for each transition and little more.
    let about = |name: &str| before.iter().filter(|write| write.what.contains(&format!("/{name}"))).count();
    let statuses = before.iter().filter(|write| write.what == format!("migrationtasks/status {namespace}/follows")).count();
    assert!(statuses <= 10, "{statuses} statuses until the task was in sync: {before:#?}");
    assert!(about("follows") <= 24, "{} writes until the task was in sync: {before:#?}", about("follows"));
}

pub async fn a_busy_task_causes_one_in_ten_seconds(world: Arc<World>) {
    let namespace = world.namespace("busy").await;
    let task = Task::new(&world, &namespace, "shop").script("busy").create().await;
    task.until_phase(Phase::Replicating).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (_, end) = by_the_operator(&world, &namespace, 0);
    let before = task.status().await;
    tokio::time::sleep(Duration::from_secs(32)).await;
    let (found, _) = by_the_operator(&world, &namespace, end);
    // Of a task that is in sync they may come later still.
    assert!((1..=4).contains(&found.len()), "{} writes in 32 s: {found:#?}", found.len());
    assert_ne!(task.status().await.incremental, before.incremental);
}
