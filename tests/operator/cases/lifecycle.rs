//! A task's way from `kubectl apply` to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use godwit::api::engine::{LABEL_MODE, LABEL_TASK, LABEL_UNITS};
use godwit::api::{MigrationTask, Phase, condition};
use kube::ResourceExt;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;

use crate::support::fixtures::{SOON, Task, condition, message, stalls};
use crate::support::world::World;

/// The phases that were seen, without repetitions, until `last`.
async fn phases_until(task: &Task, last: Phase) -> Vec<Phase> {
    let config = watcher::Config::default().fields(&format!("metadata.name={}", task.name));
    let mut changes = watcher(task.api(), config).default_backoff().applied_objects().boxed();
    let mut seen = Vec::new();
    let watching = async {
        while seen.last() != Some(&last) {
            let object: MigrationTask = changes.next().await.unwrap().unwrap();
            observed_generations_agree(&object);
            let phase = object.status.and_then(|status| status.phase);
            seen.extend(phase.filter(|phase| seen.last() != Some(phase)));
        }
    };
    let in_time = tokio::time::timeout(SOON, watching).await;
    assert!(in_time.is_ok(), "saw {seen:?} and not {last:?}");
    seen
}

/// kstatus believes a condition only if it is about the present spec.
fn observed_generations_agree(task: &MigrationTask) {
    let Some(status) = &task.status else { return };
    assert_eq!(status.observed_generation, task.metadata.generation, "{status:?}");
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == status.observed_generation), "{status:?}");
    let kinds: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(kinds, condition::ALL);
    assert!(status.conditions.iter().all(|condition| !condition.reason.is_empty()), "{status:?}");
}

pub async fn from_apply_to_in_sync(world: Arc<World>) {
    let namespace = world.namespace("flow").await;
    let tags = json!({"spec": {"environment": "Production", "resourceGroup": "crm"}});
    let task = Task::new(&world, &namespace, "shop").with(tags).create().await;
    let seen = phases_until(&task, Phase::Replicating).await;
    // A phase that lasts shorter than a poll need not be seen; their order has no exception. Pending again: the engine starts.
    let order = [
        Phase::Pending,
        Phase::Prechecking,
        Phase::Queued,
        Phase::Pending,
        Phase::MigratingSchema,
        Phase::Copying,
        Phase::Replicating,
    ];
    let mut known = order.iter();
    assert!(seen.iter().all(|phase| known.any(|next| next == phase)), "{seen:?}");
    assert!(seen.contains(&Phase::Prechecking), "{seen:?}");

    let status = task.until_in_sync().await;
    assert_eq!((condition(&status, "SchemaMigrated"), condition(&status, "FullCopyComplete")), ("True", "True"));
    assert_eq!(condition(&status, "PrecheckPassed"), "True");
    assert_eq!(status.precheck.map(|precheck| precheck.success_rate).as_deref(), Some("100%"));
    assert_eq!(status.admission.map(|admission| (admission.cluster, admission.units)), Some((None, 1)));
    assert_eq!((status.progress.as_deref(), status.latency_seconds), (Some("100.0%"), Some(0)));
    assert!(status.started_at.is_some() && status.queue.is_none());
    for wanted in ["condition=Ready", "condition=InSync", "condition=Stalled=false", "jsonpath={.status.phase}=Replicating"] {
        let wait = format!("--for={wanted}");
        world.kubectl.out(&["wait", "mt/shop", "-n", &namespace, &wait, "--timeout=10s"]).await;
    }
    let pod = task.pod().await.unwrap();
    let label = |name: &str| pod.labels().get(name).map(String::as_str);
    assert_eq!((label(LABEL_TASK), label(LABEL_MODE), label(LABEL_UNITS)), (Some("shop"), Some("Run"), Some("1")));
    assert_eq!((label("godwit.dev/environment"), label("godwit.dev/resource-group")), (Some("Production"), Some("crm")));
    pod_is_restricted(&pod);
    let record = task.record();
    assert_eq!((record.prechecks, record.runs), (1, 1));
    task.until_told("told in an event", |_| true).await;
}

/// What the Pod Security level `restricted` asks for, and no identity.
fn pod_is_restricted(pod: &k8s_openapi::api::core::v1::Pod) {
    let spec = pod.spec.as_ref().unwrap();
    assert_eq!(spec.automount_service_account_token, Some(false));
    assert_eq!(spec.restart_policy.as_deref(), Some("OnFailure"));
    assert_eq!(spec.security_context.as_ref().and_then(|context| context.run_as_non_root), Some(true));
    let context = spec.containers[0].security_context.as_ref().unwrap();
    assert_eq!((context.allow_privilege_escalation, context.read_only_root_filesystem), (Some(false), Some(true)));
    assert_eq!(context.capabilities.as_ref().and_then(|capabilities| capabilities.drop.clone()), Some(vec!["ALL".to_owned()]));
    let owners = pod.owner_references();
    assert!(owners.iter().any(|owner| owner.kind == "MigrationTask" && owner.controller == Some(true)), "{owners:?}");
}

pub async fn ends_by_itself(world: Arc<World>) {
    let namespace = world.namespace("ends").await;
    for (name, script) in [("ends", "completes"), ("quick", "completes-quick")] {
        let task = Task::new(&world, &namespace, name).script(script).create().await;
        let status = task.until_phase(Phase::Completed).await;
        assert_eq!((condition(&status, "Complete"), condition(&status, "Ready")), ("True", "True"));
        assert_eq!((condition(&status, "Reconciling"), condition(&status, "Stalled")), ("False", "False"));
        assert!(status.completed_at.is_some());
        task.until_pod("deleted", |pod| pod.is_none()).await;
        assert_eq!(task.status().await.admission, None, "units were not given back");
        world.kubectl.out(&["wait", "mt", name, "-n", &namespace, "--for=condition=Complete", "--timeout=10s"]).await;
        assert_eq!(task.record().runs, 1);
    }
}

pub async fn waits_for_its_secrets(world: Arc<World>) {
    let namespace = world.namespace("secrets").await;
    let late = json!({"spec": {"destination": {"mysql": {"credentials": {"secretName": "late"}}}}});
    let task = Task::new(&world, &namespace, "shop").with(late).create().await;
    let status = task.until("stalled for want of a Secret", |status| stalls(status, "SecretMissing")).await;
    let text = message(&status, "Stalled");
    assert!(text.contains("late") && text.contains("spec.destination.mysql.credentials"), "{text}");
    assert!(task.pod().await.is_none());
    world.secret(&namespace, "late", "").await;
    task.until_in_sync().await;
}

pub async fn a_failed_precheck_is_tried_again_when_asked(world: Arc<World>) {
    let namespace = world.namespace("precheck").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-fails").create().await;
    let status = task.until_phase(Phase::PrecheckFailed).await;
    assert!(stalls(&status, "PrecheckFailed") && condition(&status, "PrecheckPassed") == "False", "{status:?}");
    let items = status.precheck.unwrap().items;
    assert!(items.iter().any(|item| item.remedy == "SET GLOBAL binlog_format = 'ROW'"), "{items:?}");
    let next = status.retry.and_then(|retry| retry.next_at).expect("it is tried again by itself");
    let seconds = next.0.as_second() - k8s_openapi::jiff::Timestamp::now().as_second();
    assert!((5..=16).contains(&seconds), "the next try is in {seconds} s");
    task.until_pod("deleted", |pod| pod.is_none()).await;
    assert_eq!(task.status().await.admission, None);

    // Again on the annotation, once for each value.
    task.patch(json!({"metadata": {"annotations": {"godwit.dev/precheck-again": "1"}}})).await;
    let began = Instant::now();
    while task.record().prechecks < 2 {
        assert!(began.elapsed() < Duration::from_secs(8), "the annotation was not acted upon at once");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    task.until_phase(Phase::PrecheckFailed).await;
    // And on a changed spec.
    task.set_script("normal").await;
    task.patch(json!({"spec": {"precheck": {"ignore": ["SourceRetention"]}}})).await;
    let began = Instant::now();
    task.until("past its precheck", |status| condition(status, "PrecheckPassed") == "True").await;
    assert!(began.elapsed() < Duration::from_secs(10), "the changed spec was not prechecked at once");
    let status = task.until_in_sync().await;
    assert!(status.retry.is_none(), "{:?}", status.retry);
}

/// What a run found is gone from status when the next one begins: it may find something else.
pub async fn items_of_the_precheck_before_are_not_shown(world: Arc<World>) {
    let namespace = world.namespace("items").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-fails").create().await;
    let status = task.until_phase(Phase::PrecheckFailed).await;
    assert_eq!(status.precheck.map(|found| found.items.len()), Some(2));
    task.set_script("precheck-hangs").await;
    task.patch(json!({"metadata": {"annotations": {"godwit.dev/precheck-again": "1"}}})).await;
    let status = task.until_phase(Phase::Prechecking).await;
    assert_eq!(status.precheck, None, "items of the run before");
    assert_eq!(condition(&status, "PrecheckPassed"), "Unknown");
    // Nor while it is asked and has found nothing yet.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = task.status().await;
    assert_eq!((status.phase, status.precheck), (Some(Phase::Prechecking), None));
}

pub async fn a_failed_precheck_is_tried_again_by_itself(world: Arc<World>) {
    let namespace = world.namespace("again").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-fails").create().await;
    task.until_phase(Phase::PrecheckFailed).await;
    task.set_script("normal").await;
    task.until_in_sync().await;
    assert_eq!(task.record().prechecks, 2);
}

pub async fn a_quick_precheck_is_read_from_its_termination_log(world: Arc<World>) {
    let namespace = world.namespace("quick").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-quick").create().await;
    task.until_in_sync().await;
    assert_eq!(task.record().prechecks, 1);
}

pub async fn a_precheck_that_fails_in_the_engine_is_tried_again_with_pauses(world: Arc<World>) {
    let namespace = world.namespace("late").await;
    let task = Task::new(&world, &namespace, "shop").script("run-precheck-fails").create().await;
    let status = task.until_phase(Phase::PrecheckFailed).await;
    assert!(stalls(&status, "PrecheckFailed") && condition(&status, "PrecheckPassed") == "False", "{status:?}");
    let next = status.retry.and_then(|retry| retry.next_at).expect("it is tried again by itself");
    // Until then it stands still, and nothing has begun.
    task.until_pod("deleted", |pod| pod.is_none()).await;
    while k8s_openapi::jiff::Timestamp::now().as_second() < next.0.as_second() - 1 {
        let status = task.status().await;
        assert_eq!((status.phase, status.started_at, status.admission), (Some(Phase::PrecheckFailed), None, None));
        assert!(task.pod().await.is_none());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let record = task.record();
    assert_eq!((record.prechecks, record.runs), (1, 1));
    // The second time the pause is longer.
    let again = |status: &godwit::api::MigrationTaskStatus| status.retry.as_ref().is_some_and(|retry| retry.attempts == 2);
    task.until("failed again", |status| status.phase == Some(Phase::PrecheckFailed) && again(status)).await;
    // The endpoints can still be mended.
    task.set_script("normal").await;
    task.patch(json!({"spec": {"source": {"mysql": {"host": format!("other-db.{namespace}")}}}})).await;
    let status = task.until_in_sync().await;
    assert!(status.retry.is_none() && status.started_at.is_some(), "{status:?}");
}
