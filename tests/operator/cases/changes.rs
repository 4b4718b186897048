//! Specs and Secrets that change while a task runs.

use std::sync::Arc;

use godwit::api::{MigrationTaskStatus, Phase};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::fixtures::{Task, condition, message, pool, pools, reason, running, stalls};
use crate::support::world::World;

fn observed(generation: Option<i64>) -> impl Fn(&MigrationTaskStatus) -> bool {
    move |status| status.observed_generation == generation && condition(status, "Ready") == "True"
}

pub async fn throttles_apply_live(world: Arc<World>) {
    let (task, uid) = running(&world, "live").await;
    for patch in [
        json!({"throttle": {"full": {"rowsPerSecond": 1000}}}),
        json!({"retry": {"connectionMinutes": 60}}),
        json!({"alerts": {"latencySeconds": 60}}),
    ] {
        let changed = task.patch(json!({"spec": patch})).await;
        task.until("at the new generation", observed(changed.metadata.generation)).await;
        // The engine has it, and is the same one.
        assert_eq!(task.record().generations.last().copied(), changed.metadata.generation, "{patch}");
        assert_eq!(task.pod().await.unwrap().uid(), uid, "{patch}");
    }
    assert_eq!(task.record().runs, 1);
}

pub async fn throttles_apply_live_whatever_else_has_changed(world: Arc<World>) {
    let pool = pool(&world, "live", json!({"units": 1})).await;
    let namespace = world.namespace("livepool").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until_in_sync().await;
    let uid = task.pod().await.unwrap().uid();
    let resources = || async {
        let plan = task.plan_map().await.unwrap().data.unwrap().remove("plan.json").unwrap();
        serde_json::from_str::<Value>(&plan).unwrap()["resources"].clone()
    };
    let before = resources().await;
    // What takes no new pod: what the precheck ignores, a pool that gives more, units that are waited for.
    task.patch(json!({"spec": {"precheck": {"ignore": ["SourceRetention"]}}})).await;
    let grown = json!({"spec": {"unitResources": {"memory": "4Gi"}, "units": 2}});
    pools(&world).patch(&pool, &PatchParams::default(), &Patch::Merge(grown)).await.unwrap();
    let other = Task::new(&world, &namespace, "other").pool(&pool, 1).create().await;
    other.until_in_sync().await;
    task.patch(json!({"spec": {"cluster": {"units": 2}}})).await;
    task.until("waiting for units", |status| reason(status, "Reconciling") == "WaitingForUnits").await;
    let changed = task.patch(json!({"spec": {"throttle": {"full": {"rowsPerSecond": 7}}}})).await;
    task.until("followed by the engine", |status| status.observed_generation == changed.metadata.generation).await;
    assert_eq!(task.record().generations.last().copied(), changed.metadata.generation);
    // The pod has what it had, and its plan says so.
    assert_eq!((task.pod().await.unwrap().uid(), task.record().runs, resources().await), (uid, 1, before));
}

pub async fn what_an_engine_takes_at_its_start_replaces_it(world: Arc<World>) {
    let (task, uid) = running(&world, "resume").await;
    let changed = task.patch(json!({"spec": {"verification": {"incremental": true}, "heartbeat": {"enabled": true}}})).await;
    task.until_pod("another one", |pod| pod.is_some_and(|pod| pod.uid() != uid)).await;
    task.until("at the new generation", observed(changed.metadata.generation)).await;
    let status = task.until_in_sync().await;
    assert_eq!((task.record().runs, status.admission.map(|admission| admission.units)), (2, Some(1)));
}

pub async fn what_can_never_change_is_refused(world: Arc<World>) {
    let (task, uid) = running(&world, "refused").await;
    let cases: [(Value, Value, &str); 3] = [
        (json!({"nameCase": "Lower"}), json!({"nameCase": "Default"}), "spec.nameCase"),
        (
            json!({"objects": [{"database": "shop", "renameTo": "other"}]}),
            json!({"objects": [{"database": "shop"}]}),
            "spec.objects[shop]",
        ),
        (
            json!({"migrationTypes": ["Full"]}),
            json!({"migrationTypes": ["Schema", "Full", "Incremental"]}),
            "spec.migrationTypes",
        ),
    ];
    for (patch, back, field) in cases {
        let changed = task.patch(json!({"spec": patch})).await;
        let status = task.until("stalled", |status| stalls(status, "SpecChangeRefused")).await;
        let text = message(&status, "Stalled");
        assert!(text.contains(field), "{text}");
        assert_eq!(status.observed_generation, changed.metadata.generation);
        // The engine goes on by what was accepted.
        assert_eq!((status.phase, condition(&status, "InSync")), (Some(Phase::Replicating), "True"));
        assert_eq!(task.pod().await.unwrap().uid(), uid);
        // And may be restarted meanwhile without taking the new one in.
        let changed = task.patch(json!({"spec": back})).await;
        task.until("at the new generation", observed(changed.metadata.generation)).await;
    }
    assert_eq!((task.record().runs, task.pod().await.unwrap().uid()), (1, uid));
}

pub async fn a_refused_spec_does_not_come_in_with_a_new_pod(world: Arc<World>) {
    let (task, uid) = running(&world, "notin").await;
    task.patch(json!({"spec": {"nameCase": "Lower"}})).await;
    task.until("stalled", |status| stalls(status, "SpecChangeRefused")).await;
    task.order(crate::hollow::kubelet::Order::Evict);
    task.until_pod("another one that runs", |pod| {
        pod.is_some_and(|pod| {
            pod.uid() != uid && pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
        })
    })
    .await;
    let plan = task.plan_map().await.unwrap().data.unwrap().remove("plan.json").unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_ne!(plan["spec"]["nameCase"], "Lower");
    task.until("in sync, and stalled", |status| stalls(status, "SpecChangeRefused") && condition(status, "InSync") == "True")
        .await;
}

pub async fn changed_before_it_ever_ran(world: Arc<World>) {
    let namespace = world.namespace("early").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-hangs").create().await;
    task.until_phase(Phase::Prechecking).await;
    // Nothing is at the destination yet, so everything may change.
    task.set_script("normal").await;
    task.patch(json!({"spec": {"nameCase": "Lower"}})).await;
    let status = task.until_in_sync().await;
    assert_eq!(condition(&status, "Stalled"), "False");
    let plan = task.plan_map().await.unwrap().data.unwrap().remove("plan.json").unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((plan["spec"]["nameCase"].as_str(), plan["mode"].as_str()), (Some("Lower"), Some("Run")));
}

pub async fn tasks_that_share_a_server_share_the_shortest_retry(world: Arc<World>) {
    let namespace = world.namespace("sharing").await;
    let patient = Task::new(&world, &namespace, "patient").create().await;
    let uid = {
        patient.until_in_sync().await;
        patient.pod().await.unwrap().uid()
    };
    let hasty = json!({"spec": {"retry": {"connectionMinutes": 30}}});
    let hasty = Task::new(&world, &namespace, "hasty").with(hasty).create().await;
    hasty.until_in_sync().await;
    let status = patient.until("told whose retry time holds", |status| status.effective_retry.is_some()).await;
    let effective = status.effective_retry.unwrap();
    assert_eq!((effective.connection_minutes, effective.set_by), (30, Some(format!("{namespace}/hasty"))));
    // The engine has it, without being started anew.
    let plan = patient.plan_map().await.unwrap().data.unwrap().remove("plan.json").unwrap();
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(
        (plan["retry"]["connectionMinutes"].as_u64(), plan["spec"]["retry"]["connectionMinutes"].as_u64()),
        (Some(30), Some(720))
    );
    assert_eq!(patient.pod().await.unwrap().uid(), uid);
    hasty.delete().await;
    patient.until("on its own again", |status| status.effective_retry.is_none()).await;
}
