//! What happens to pods, and that the task goes on.

use std::sync::Arc;

use godwit::api::engine::LABEL_MODE;
use kube::ResourceExt;
use kube::api::DeleteParams;

use crate::hollow::kubelet::Order;
use crate::support::fixtures::{Task, condition, message, running, stalls};
use crate::support::world::World;

/// The task runs in another pod, was admitted once, and prechecked once.
async fn goes_on(task: &Task, before: Option<String>) {
    let since = task.status().await.admission.map(|admission| admission.since);
    assert!(since.is_some(), "the units were given back");
    task.until_pod("another one that runs", |pod| {
        pod.is_some_and(|pod| {
            let ready = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
            pod.uid() != before && ready && pod.labels().get(LABEL_MODE).is_some_and(|mode| mode == "Run")
        })
    })
    .await;
    let status = task.until_in_sync().await;
    assert_eq!(status.admission.map(|admission| admission.since), since);
    assert_eq!((task.record().prechecks, task.record().runs), (1, 2));
}

pub async fn an_evicted_one_is_replaced(world: Arc<World>) {
    let (task, uid) = running(&world, "evicted").await;
    task.order(Order::Evict);
    goes_on(&task, uid).await;
}

pub async fn a_deleted_one_is_replaced(world: Arc<World>) {
    let (task, uid) = running(&world, "deleted").await;
    task.pods().delete(&task.engine(), &DeleteParams::default()).await.unwrap();
    goes_on(&task, uid).await;
}

pub async fn one_on_a_lost_node_is_replaced(world: Arc<World>) {
    let (task, uid) = running(&world, "lost").await;
    task.order(Order::Vanish);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    // The controllers delete the pods of a node that is gone, without its kubelet's word.
    task.pods().delete(&task.engine(), &DeleteParams::default().grace_period(0)).await.unwrap();
    goes_on(&task, uid).await;
}

pub async fn one_out_of_memory_goes_on_by_itself(world: Arc<World>) {
    let (task, uid) = running(&world, "memory").await;
    task.order(Order::Crash { code: 137, reason: "OOMKilled" });
    task.until_pod("started again", |pod| {
        let statuses = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
        statuses.is_some_and(|statuses| statuses[0].restart_count == 1 && statuses[0].ready)
    })
    .await;
    task.until_in_sync().await;
    assert_eq!(task.pod().await.unwrap().uid(), uid);
}

pub async fn one_that_never_gets_ready_is_told(world: Arc<World>) {
    let namespace = world.namespace("unready").await;
    let cases = [("unschedulable", "Unschedulable"), ("image-missing", "ImagePullBackOff"), ("crashes", "CrashLoopBackOff")];
    let mut tasks = Vec::new();
    for (script, _) in cases {
        tasks.push(Task::new(&world, &namespace, script).script(script).create().await);
    }
    for (task, (_, why)) in tasks.iter().zip(cases) {
        let status = task.until("stalled by its pod", |status| stalls(status, "EngineNotReady")).await;
        let text = message(&status, "Stalled");
        assert!(text.contains(why), "{text}");
        assert_eq!(message(&status, "Ready"), text);
    }
    for task in &tasks {
        task.set_script("normal").await;
    }
    for task in &tasks {
        let status = task.until_in_sync().await;
        assert_eq!(condition(&status, "Stalled"), "False");
    }
}

pub async fn one_that_does_not_answer_is_told(world: Arc<World>) {
    let namespace = world.namespace("mute").await;
    for (name, script) in [("hangs", crate::hollow::script::Script::Hangs), ("garbage", crate::hollow::script::Script::Garbage)] {
        let task = Task::new(&world, &namespace, name).create().await;
        task.until_in_sync().await;
        task.order(Order::Script(script));
        task.until("told to be mute", |status| condition(status, "Ready") != "True" || stalls(status, "EngineNotReady")).await;
        task.order(Order::Script(crate::hollow::script::Script::Normal));
        task.until_in_sync().await;
    }
}
