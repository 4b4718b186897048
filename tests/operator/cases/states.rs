//! What the user asks for: paused, stopped, restarted, deleted; and a failure that needs a person.

use std::sync::Arc;
use std::time::{Duration, Instant};

use godwit::api::engine::LABEL_MODE;
use godwit::api::{MigrationTaskStatus, Phase};
use kube::ResourceExt;
use serde_json::json;

use crate::hollow::kubelet::Order;
use crate::hollow::script::Script;
use crate::support::fixtures::{Task, condition, eventually, pool, reason, stalls};
use crate::support::world::World;

/// Waits until it stands still; before that it says that it is being stopped.
async fn paused(task: &Task) -> MigrationTaskStatus {
    task.until("paused", |status| status.phase == Some(Phase::Paused) && reason(status, "Ready") == "Paused").await
}

pub async fn paused_and_resumed(world: Arc<World>) {
    let namespace = world.namespace("pause").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    task.desire("Paused").await;
    let status = paused(&task).await;
    assert_eq!(condition(&status, "Ready"), "True");
    assert_eq!((condition(&status, "Reconciling"), condition(&status, "Stalled")), ("False", "False"));
    task.until_pod("deleted", |pod| pod.is_none()).await;
    task.until("without units", |status| status.admission.is_none()).await;
    // What was reached stays visible.
    assert_eq!(task.status().await.progress.as_deref(), Some("100.0%"));
    task.desire("Running").await;
    task.until_in_sync().await;
    // The second run goes on; it is not checked anew.
    let record = task.record();
    assert_eq!((record.prechecks, record.runs), (1, 2));
}

pub async fn paused_from_the_start(world: Arc<World>) {
    let namespace = world.namespace("paused").await;
    let task = Task::new(&world, &namespace, "shop").with(json!({"spec": {"desiredState": "Paused"}})).create().await;
    paused(&task).await;
    assert!(task.pod().await.is_none());
    task.desire("Running").await;
    task.until_in_sync().await;
}

pub async fn a_pause_ends_gracefully(world: Arc<World>) {
    let namespace = world.namespace("slow").await;
    let task = Task::new(&world, &namespace, "shop").script("slow-stop").create().await;
    task.until_in_sync().await;
    task.desire("Paused").await;
    // Not before the engine has ended: it may still write.
    let began = Instant::now();
    paused(&task).await;
    assert!(began.elapsed() > Duration::from_millis(1800), "Paused after {:?}, while the engine still ran", began.elapsed());
    assert!(task.pod().await.is_none());
}

pub async fn stopped_for_good(world: Arc<World>) {
    let namespace = world.namespace("stop").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    task.desire("Stopped").await;
    let status = task.until_phase(Phase::Stopped).await;
    assert_eq!((condition(&status, "Complete"), condition(&status, "Ready")), ("True", "True"));
    assert!(status.completed_at.is_some() && status.admission.is_none(), "{status:?}");
    task.until_fenced().await;
    task.until_pod("deleted", |pod| pod.is_none()).await;
}

pub async fn a_definite_error_parks_the_task(world: Arc<World>) {
    let namespace = world.namespace("definite").await;
    let task = Task::new(&world, &namespace, "shop").script("definite-error").create().await;
    let status = task.until_phase(Phase::Failed).await;
    assert!(stalls(&status, "Failed"), "{status:?}");
    let text = status.message.unwrap_or_default();
    assert!(text.contains("the table was dropped on the source"), "{text}");
    task.until_pod("deleted", |pod| pod.is_none()).await;
    let status = task.until("without units", |status| status.admission.is_none()).await;
    assert_eq!(status.phase, Some(Phase::Failed));
    let retry = status.retry.expect("it is tried again by itself");
    assert!(retry.error.contains("the table was dropped"), "{retry:?}");
    let seconds = retry.next_at.unwrap().0.as_second() - k8s_openapi::jiff::Timestamp::now().as_second();
    assert!((40..=61).contains(&seconds), "the next try is in {seconds} s");
    // A person has mended it and does not want to wait.
    task.set_script("normal").await;
    task.patch(json!({"metadata": {"annotations": {"godwit.dev/restart": "1"}}})).await;
    let status = task.until_in_sync().await;
    assert!(status.retry.is_none(), "{:?}", status.retry);
    task.until_told("told in an event", |event| event.starts_with("Warning") && event.contains("dropped on the source")).await;
}

pub async fn an_error_of_any_length_is_told(world: Arc<World>) {
    let namespace = world.namespace("long").await;
    let task = Task::new(&world, &namespace, "shop").script("long-error").create().await;
    let status = task.until_phase(Phase::Failed).await;
    assert!(stalls(&status, "Failed"), "{status:?}");
    let text = status.message.unwrap_or_default();
    assert!(text.contains("the table was dropped on the source; SELECT 1, 1") && text.ends_with('…'), "{text}");
    task.until_told("told in an event", |event| event.starts_with("Warning") && event.contains("dropped on the source")).await;
}

pub async fn restarted_when_asked(world: Arc<World>) {
    let namespace = world.namespace("restart").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    let before = task.pod().await.unwrap().uid();
    task.patch(json!({"metadata": {"annotations": {"godwit.dev/restart": "now"}}})).await;
    task.until_pod("another one", |pod| pod.is_some_and(|pod| pod.uid() != before)).await;
    task.until_in_sync().await;
    assert_eq!(task.record().runs, 2);
}

pub async fn released_when_deleted(world: Arc<World>) {
    let namespace = world.namespace("release").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    assert!(task.get().await.finalizers().is_empty(), "Release needs no finalizer");
    task.delete().await;
    task.until_pod("collected", |pod| pod.is_none()).await;
    eventually("collected", || async { task.plan_map().await.map_or(Ok(()), Err) }).await;
    assert!(!task.record().fenced);
    // The same name goes on where it stood.
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    assert_eq!(task.record().runs, 2);
}

pub async fn fenced_when_deleted(world: Arc<World>) {
    let namespace = world.namespace("fence").await;
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let task = Task::new(&world, &namespace, "shop").with(fence).create().await;
    task.until_in_sync().await;
    assert_eq!(task.get().await.finalizers(), ["godwit.dev/fence"]);
    task.delete().await;
    eventually("gone", || async { task.api().get_opt(&task.name).await.unwrap().map_or(Ok(()), Err) }).await;
    task.until_fenced().await;
    task.until_pod("collected", |pod| pod.is_none()).await;
}

pub async fn a_policy_that_changes_takes_its_finalizer_along(world: Arc<World>) {
    let namespace = world.namespace("policy").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    for (policy, finalizers) in [("Fence", &["godwit.dev/fence"][..]), ("Release", &[])] {
        task.patch(json!({"spec": {"deletionPolicy": policy}})).await;
        eventually("changed", || async {
            let task = task.get().await;
            if task.finalizers() == finalizers { Ok(()) } else { Err(task.finalizers().to_vec()) }
        })
        .await;
    }
}

pub async fn stopped_without_its_secret(world: Arc<World>) {
    let namespace = world.namespace("secretless").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    world.kubectl.out(&["delete", "secret", "destination", "-n", &namespace]).await;
    task.until("stalled", |status| stalls(status, "SecretMissing") && status.phase == Some(Phase::Replicating)).await;
    assert!(task.pod().await.is_some(), "what runs goes on");
    // Without an engine that has the credentials, the fence waits for them.
    task.desire("Paused").await;
    task.until_pod("gone", |pod| pod.is_none()).await;
    task.desire("Stopped").await;
    let status = task.until("waiting for its Secret", |status| stalls(status, "SecretMissing")).await;
    assert_ne!(status.phase, Some(Phase::Stopped));
    assert!(!task.record().fenced);
    world.secret(&namespace, "destination", "").await;
    task.until_phase(Phase::Stopped).await;
    task.until_fenced().await;
}

pub async fn a_fence_that_fails_is_tried_again(world: Arc<World>) {
    let namespace = world.namespace("unfenced").await;
    let task = Task::new(&world, &namespace, "shop").script("stop-fails").create().await;
    task.until_in_sync().await;
    task.desire("Stopped").await;
    let status = task.until("stalled", |status| stalls(status, "FenceFailed")).await;
    assert!(status.message.unwrap_or_default().contains("the destination does not answer"));
    assert!(status.retry.is_some_and(|retry| retry.attempts == 1 && retry.next_at.is_some()));
    task.until_pod("gone", |pod| pod.is_none()).await;
    task.until("stalled", |status| stalls(status, "FenceFailed")).await;
    task.set_script("normal").await;
    task.patch(json!({"metadata": {"annotations": {"godwit.dev/restart": "1"}}})).await;
    let status = task.until_phase(Phase::Stopped).await;
    assert!(status.retry.is_none());
    task.until_fenced().await;
}

/// An engine was made and never started: there is nothing at the destination, and nobody says that there is.
pub async fn a_fence_of_one_that_never_ran_claims_no_marker(world: Arc<World>) {
    let namespace = world.namespace("neverran").await;
    let pool = pool(&world, "neverran", json!({"units": 1})).await;
    let first = Task::new(&world, &namespace, "first").pool(&pool, 1).create().await;
    first.until_in_sync().await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until("in the queue", |status| status.queue.is_some() && condition(status, "PrecheckPassed") == "True").await;
    task.set_script("image-missing").await;
    first.desire("Paused").await;
    task.until_pod("waiting for its image", |pod| {
        pod.is_some_and(|pod| pod.labels().get(LABEL_MODE).map(String::as_str) == Some("Run"))
    })
    .await;
    task.until("begun", |status| status.started_at.is_some()).await;
    // Only when no pod of mode Run is left to start: with an image it would.
    task.desire("Stopped").await;
    task.until_pod("to fence", |pod| pod.is_some_and(|pod| pod.labels().get(LABEL_MODE).map(String::as_str) == Some("Stop")))
        .await;
    task.set_script("normal").await;
    let status = task.until_phase(Phase::Stopped).await;
    let text = status.message.unwrap_or_default();
    assert!(text.contains("has never written to the destination, so nothing is marked there"), "{text}");
    let record = task.record();
    assert_eq!((record.runs, record.fenced), (0, false));
}

/// The destination is gone: who waits for the deletion is told at once, and how he can have it, not when the engine has given up.
pub async fn a_fence_without_its_destination_is_told_soon(world: Arc<World>) {
    let namespace = world.namespace("unreached").await;
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let task = Task::new(&world, &namespace, "shop").with(fence).create().await;
    task.until_in_sync().await;
    task.desire("Paused").await;
    task.until_pod("gone", |pod| pod.is_none()).await;
    task.set_script("stop-retries").await;
    let began = Instant::now();
    task.delete().await;
    let status = task.until("stalled", |status| stalls(status, "FenceRetried")).await;
    let text = status.message.unwrap_or_default();
    assert!(text.contains("connection refused") && text.contains("set spec.deletionPolicy to Release"), "{text}");
    task.until_told("told in an event", |event| event.starts_with("Warning FenceRetried")).await;
    assert!(began.elapsed() < Duration::from_secs(20), "told after {:?}", began.elapsed());
    task.order(Order::Script(Script::Normal));
    eventually("gone", || async { task.api().get_opt(&task.name).await.unwrap().map_or(Ok(()), Err) }).await;
    task.until_fenced().await;
}

pub async fn a_namespace_that_goes_waits_for_no_fence(world: Arc<World>) {
    let namespace = world.namespace("ending").await;
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let task = Task::new(&world, &namespace, "shop").with(fence).create().await;
    task.until_in_sync().await;
    world.kubectl.out(&["delete", "namespace", &namespace, "--wait=false"]).await;
    let namespaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone());
    eventually("gone", || async { namespaces.get_opt(&namespace).await.unwrap().map_or(Ok(()), Err) }).await;
    let events = world.kubectl.out(&["get", "events", "-n", "default", "-o", "json"]).await;
    assert!(events.contains("NotFenced") && events.contains(&format!("{namespace}/shop")), "{events}");
}
