//! What happens to pods, and that the task goes on.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::engine::LABEL_MODE;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::hollow::kubelet::Order;
use crate::support::fixtures::{Task, condition, eventually, message, pool, pools, running, stalls};
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

pub async fn a_strangers_objects_are_left_alone(world: Arc<World>) {
    let namespace = world.namespace("stranger").await;
    let manifests = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-engine", "namespace": namespace}, "data": {"app": "settings"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-engine", "namespace": namespace},
         "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    ]});
    world.kubectl.apply(&manifests.to_string()).await;
    let (shop, web) = (Task::new(&world, &namespace, "shop"), Task::new(&world, &namespace, "web"));
    let (map, pod) = (shop.plan_map().await.unwrap(), web.pod().await.unwrap());
    let (shop, web) = (shop.create().await, web.create().await);
    let status = shop.until("told whose ConfigMap it is", |status| stalls(status, "PlanNameTaken")).await;
    assert!(message(&status, "Stalled").contains("shop-engine"));
    let status = web.until("told whose pod it is", |status| stalls(status, "PodNameTaken")).await;
    assert!(message(&status, "Stalled").contains("web-engine"));
    let told = |events: Vec<String>, reason: &str| {
        events.iter().filter(|event| event.starts_with(&format!("Warning {reason}: "))).count()
    };
    eventually("an event each", || async {
        let found = (told(shop.events().await, "PlanNameTaken"), told(web.events().await, "PodNameTaken"));
        if found.0 == 0 || found.1 == 0 { Err(found) } else { Ok(()) }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Neither is touched.
    let after = shop.plan_map().await.unwrap();
    assert_eq!((after.uid(), after.resource_version(), after.data), (map.uid(), map.resource_version(), map.data));
    assert_eq!(web.pod().await.unwrap().metadata, pod.metadata);
    assert_eq!((told(shop.events().await, "PlanNameTaken"), told(web.events().await, "PodNameTaken")), (1, 1));
    // Once they are gone, the tasks go on by themselves.
    Api::<ConfigMap>::namespaced(world.client.clone(), &namespace).delete("shop-engine", &DeleteParams::default()).await.unwrap();
    web.pods().delete("web-engine", &DeleteParams::default().grace_period(0)).await.unwrap();
    shop.until_in_sync().await;
    web.until_in_sync().await;
}

pub async fn a_refused_one_is_told_and_made_when_it_may_be(world: Arc<World>) {
    let namespace = world.namespace("quota").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": namespace}, "spec": {"hard": {"pods": "0"}}
    });
    world.kubectl.apply(&quota.to_string()).await;
    let quotas = Api::<ResourceQuota>::namespaced(world.client.clone(), &namespace);
    eventually("counted", || async {
        let quota = quotas.get("none").await.unwrap();
        quota.status.clone().and_then(|status| status.hard).map(drop).ok_or(quota)
    })
    .await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    let status = task.until("told to be refused", |status| stalls(status, "PodRefused")).await;
    let text = message(&status, "Stalled");
    assert!(text.contains("exceeded quota: none"), "{text}");
    assert_eq!(message(&status, "Ready"), text);
    // It is told once, however often it is tried.
    let refused = |event: &str| event.starts_with("Warning PodRefused: ");
    task.until_told("told in an event", refused).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let told = task.until_told("told in an event", refused).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("exceeded quota: none"), "{told:?}");
    quotas.delete("none", &DeleteParams::default()).await.unwrap();
    let status = task.until_in_sync().await;
    assert_eq!(condition(&status, "Stalled"), "False");
}

pub async fn one_that_cannot_start_follows_its_pool(world: Arc<World>) {
    let pool = pool(&world, "mended", json!({"units": 2, "placement": {"nodeSelector": {"pool": "nowhere"}}})).await;
    let namespace = world.namespace("mended").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until("unschedulable", |status| message(status, "Ready").contains("Unschedulable")).await;
    let mended = json!({"spec": {"placement": {"nodeSelector": {"pool": "special"}}}});
    pools(&world).patch(&pool, &PatchParams::default(), &Patch::Merge(mended)).await.unwrap();
    task.until_in_sync().await;
    let pod = task.pod().await.unwrap();
    assert_eq!(pod.spec.as_ref().unwrap().node_name.as_deref(), Some("hollow-2"));
    // One that runs goes on as it was made.
    let other = json!({"spec": {"placement": {"nodeSelector": {"pool": "nowhere"}}, "unitResources": {"cpu": "1"}}});
    pools(&world).patch(&pool, &PatchParams::default(), &Patch::Merge(other)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    task.until_in_sync().await;
    assert_eq!((task.pod().await.unwrap().uid(), task.record().runs), (pod.uid(), 1));
}
