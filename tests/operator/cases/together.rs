//! A cluster that lives on: things that are deleted together, touched by others, changed after the end, or put beside ours.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::Phase;
use kube::ResourceExt;
use kube::api::{DeleteParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::support::fixtures::{
    SOON, Task, condition, eventually, manifest, merge, message, pool, pools, running, stalls, until_pool,
};
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

/// As `kubectl delete -f` does with a file that has both, and as Argo CD and Flux prune: the Secrets first.
pub async fn a_task_that_is_deleted_with_its_secrets_is_fenced(world: Arc<World>) {
    let namespace = world.namespace("file").await;
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let task = Task::new(&world, &namespace, "shop").with(fence).create().await;
    task.until_in_sync().await;
    let file = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "source", "namespace": namespace}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "destination", "namespace": namespace}},
        manifest(&namespace, "shop")
    ]});
    let said = world.kubectl.run_with(&["delete", "-f", "-", "--timeout=60s"], &file.to_string()).await;
    assert!(said.success, "{}{}", said.out, said.err);
    task.until_fenced().await;
    assert!(task.record().fenced_live, "by another engine, though the one that ran could");
    task.until_pod("collected", |pod| pod.is_none()).await;
}

/// Where nothing has the credentials any more, who waits is told what he can do.
pub async fn a_fence_that_cannot_be_had_tells_the_way_out(world: Arc<World>) {
    let namespace = world.namespace("wayout").await;
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let task = Task::new(&world, &namespace, "shop").with(fence).create().await;
    task.until_in_sync().await;
    task.desire("Paused").await;
    task.until_phase(Phase::Paused).await;
    world.kubectl.out(&["delete", "secret", "source", "destination", "-n", &namespace]).await;
    task.delete().await;
    let status = task.until("stalled", |status| stalls(status, "SecretMissing")).await;
    let text = message(&status, "Stalled");
    assert!(text.contains("set spec.deletionPolicy to Release"), "{text}");
    eventually("told in an event", || async {
        let events = task.events().await;
        let told = |event: &String| event.starts_with("Warning SecretMissing") && event.contains("spec.deletionPolicy");
        if events.iter().any(told) { Ok(()) } else { Err(events) }
    })
    .await;
    let patch = r#"{"spec":{"deletionPolicy":"Release"}}"#;
    world.kubectl.out(&["patch", "mt", "shop", "-n", &namespace, "--type=merge", "-p", patch]).await;
    eventually("gone", || async { task.api().get_opt(&task.name).await.unwrap().map_or(Ok(()), Err) }).await;
    assert!(!task.record().fenced);
}

/// `--cascade=orphan` leaves pod and plan without an owner; the next task of the name takes its place.
pub async fn what_an_orphaning_deletion_left_is_taken_over(world: Arc<World>) {
    let (task, uid) = running(&world, "orphan").await;
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    task.api().delete(&task.name, &orphan).await.unwrap();
    eventually("gone", || async { task.api().get_opt(&task.name).await.unwrap().map_or(Ok(()), Err) }).await;
    eventually("left alone", || async {
        let owners = task.plan_map().await.unwrap().owner_references().to_vec();
        if owners.is_empty() { Ok(()) } else { Err(owners) }
    })
    .await;
    let again = Task::new(&world, &task.namespace, &task.name).create().await;
    again.until_in_sync().await;
    assert_ne!(again.pod().await.unwrap().uid(), uid);
    assert_eq!(again.plan_map().await.unwrap().owner_references().len(), 1);
}

pub async fn a_change_after_the_end_is_not_passed_over(world: Arc<World>) {
    let namespace = world.namespace("after").await;
    let task = Task::new(&world, &namespace, "shop").with(json!({"spec": {"migrationTypes": ["Schema", "Full"]}})).create().await;
    task.until_phase(Phase::Completed).await;
    let more = json!({"spec": {
        "migrationTypes": ["Schema", "Full", "Incremental"], "objects": [{"database": "shop"}, {"database": "crm"}]
    }});
    let changed = task.patch(more).await;
    let status = task.until("stalled", |status| stalls(status, "SpecChangeRefused")).await;
    let text = message(&status, "Ready");
    assert!(text.contains("spec.migrationTypes") && text.contains("spec.objects"), "{text}");
    assert_eq!((status.phase, status.observed_generation), (Some(Phase::Completed), changed.metadata.generation));
    // What means nothing any more is no such change.
    let back = json!({"spec": {
        "migrationTypes": ["Schema", "Full"], "objects": [{"database": "shop"}], "throttle": {"full": {"rowsPerSecond": 5}}
    }});
    task.patch(back).await;
    let status = task.until("ready again", |status| condition(status, "Ready") == "True").await;
    assert_eq!((condition(&status, "Stalled"), condition(&status, "Complete")), ("False", "True"));
    assert_eq!(task.record().runs, 1);
}

/// A Secret that is touched, and one whose values are written: the kubelet brings them, and the engine that runs goes on.
pub async fn secrets_that_are_touched_restart_nobody(world: Arc<World>) {
    let (task, uid) = running(&world, "touched").await;
    for number in 0..4 {
        let word = format!("touched={number}");
        world.kubectl.out(&["label", "secret", "source", "-n", &task.namespace, "--overwrite", &word]).await;
        world.kubectl.out(&["annotate", "secret", "destination", "-n", &task.namespace, "--overwrite", &word]).await;
    }
    world.secret(&task.namespace, "source", "-rotated").await;
    // Something that the operator does follow, and after which it has seen all of that.
    let changed = task.patch(json!({"spec": {"throttle": {"full": {"rowsPerSecond": 7}}}})).await;
    task.until("followed", |status| status.observed_generation == changed.metadata.generation).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((task.record().runs, task.pod().await.unwrap().uid()), (1, uid));
}

/// … but a precheck that failed is tried again when a Secret was written: that may have been the remedy.
pub async fn a_written_secret_ends_the_pause_after_a_failure(world: Arc<World>) {
    let namespace = world.namespace("remedy").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-fails").create().await;
    task.until("failed thrice", |status| status.retry.as_ref().is_some_and(|retry| retry.attempts >= 2)).await;
    task.until_phase(Phase::PrecheckFailed).await;
    let checks = task.record().prechecks;
    task.set_script("normal").await;
    world.kubectl.out(&["label", "secret", "source", "-n", &namespace, "touched=yes"]).await;
    world.secret(&namespace, "source", "-mended").await;
    // The pause would last thirty seconds from the second failure on.
    let began = std::time::Instant::now();
    task.until_in_sync().await;
    println!("in sync {:.1} s after the Secret was written, after {checks} prechecks", began.elapsed().as_secs_f32());
}

pub async fn a_failed_precheck_says_what_to_do(world: Arc<World>) {
    let namespace = world.namespace("says").await;
    let task = Task::new(&world, &namespace, "shop").script("precheck-fails").create().await;
    let status = task.until_phase(Phase::PrecheckFailed).await;
    let text = message(&status, "PrecheckPassed");
    assert!(text.contains("SourceBinlogFormat: ROW is off (to mend it: SET GLOBAL binlog_format = 'ROW')"), "{text}");
}

/// Pods carry what the pool says, and still pass Pod Security at its strictest.
pub async fn pods_carry_what_the_pool_says(world: Arc<World>) {
    let template = json!({
        "labels": {"sidecar.istio.io/inject": "false", "team": "data"},
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
    });
    let pool = pool(&world, "carries", json!({"units": 2, "template": template})).await;
    let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = world.labelled_namespace("carries", &restricted).await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until_in_sync().await;
    let pod = task.pod().await.unwrap();
    assert_eq!((pod.labels()["team"].as_str(), pod.labels()["sidecar.istio.io/inject"].as_str()), ("data", "false"));
    assert_eq!(pod.annotations()["cluster-autoscaler.kubernetes.io/safe-to-evict"], "false");
    let context = pod.spec.as_ref().unwrap().security_context.clone().unwrap();
    assert_eq!((context.run_as_user, context.run_as_non_root, context.fs_group), (Some(1000), Some(true), Some(1000)));
}

/// Two that ask for more than the other leaves wait for each other; a third that asks for little has its turn all the same.
pub async fn two_that_ask_for_more_hold_up_nobody(world: Arc<World>) {
    let pool = pool(&world, "circle", json!({"units": 5})).await;
    let namespace = world.namespace("circle").await;
    let one = Task::new(&world, &namespace, "one").pool(&pool, 2).create().await;
    let two = Task::new(&world, &namespace, "two").pool(&pool, 2).create().await;
    one.until_in_sync().await;
    two.until_in_sync().await;
    for task in [&one, &two] {
        task.patch(json!({"spec": {"cluster": {"units": 4}}})).await;
        task.until("waiting for more", |status| message(status, "Reconciling").contains("waits for 4 units")).await;
    }
    let small = Task::new(&world, &namespace, "small").pool(&pool, 1).create().await;
    small.until_in_sync().await;
    let status = two.until("told why", |status| message(status, "Reconciling").contains("ask for fewer")).await;
    assert_eq!(status.admission.map(|admission| admission.units), Some(2));
}

/// The finalizer is there while tasks use a pool, and not before or after: nobody takes it off once the operator is uninstalled.
pub async fn an_unused_pool_has_no_finalizer(world: Arc<World>) {
    let pool = pool(&world, "bare", json!({"units": 2})).await;
    until_pool(&world, &pool, "looked at", |status| status.observed_generation == Some(1)).await;
    let finalizers = || async { pools(&world).get(&pool).await.unwrap().finalizers().to_vec() };
    assert!(finalizers().await.is_empty());
    let namespace = world.namespace("bare").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until_in_sync().await;
    eventually("kept", || async {
        let found = finalizers().await;
        if found == ["godwit.dev/in-use"] { Ok(()) } else { Err(found) }
    })
    .await;
    task.delete().await;
    eventually("free", || async {
        let found = finalizers().await;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
}

pub async fn the_host_that_is_shown_is_the_one_of_the_spec(world: Arc<World>) {
    let namespace = world.namespace("host").await;
    let task = Task::new(&world, &namespace, "shop").with(json!({"spec": {"desiredState": "Paused"}})).create().await;
    task.until_phase(Phase::Paused).await;
    task.patch(json!({"spec": {"source": {"mysql": {"host": "other.example.com", "port": 3307}}}})).await;
    task.until("of the new host", |status| status.source.as_deref() == Some("other.example.com:3307")).await;
}

/// One replica of a rollout that goes wrong, not all.
pub async fn a_typo_in_the_image_costs_one_engine(world: Arc<World>) {
    let namespace = world.namespace("typo").await;
    let own = ["--watch-namespace", namespace.as_str()];
    let operator = Operator::start(&world, Options::named("typo-1").with(&own)).await;
    let mut tasks = Vec::new();
    for number in 0..4 {
        tasks.push(Task::new(&world, &namespace, &format!("task-{number}")).create().await);
    }
    for task in &tasks {
        task.until_in_sync().await;
    }
    drop(operator);
    let wrong = Operator::start(&world, Options::named("typo-2").with(&own).with(&["--image", "godwit:missing"])).await;
    let replaced = |log: &str| log.lines().filter(|line| line.contains("the operator brings another image")).count();
    let began = std::time::Instant::now();
    while replaced(&wrong.logged()) == 0 {
        assert!(began.elapsed() < SOON, "no engine is replaced");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // At two a second the others would be gone by then: each is looked at once a second.
    for second in 0..5 {
        for task in &tasks {
            task.patch(json!({"metadata": {"annotations": {"looked-at": second.to_string()}}})).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(replaced(&wrong.logged()), 1, "{}", wrong.logged());
    let mut working = 0;
    for task in &tasks {
        working +=
            usize::from(task.record().runs == 1 && task.pod().await.is_some_and(|pod| pod.metadata.deletion_timestamp.is_none()));
    }
    assert!(working >= 3, "{working}");
    drop(wrong);
    // Mended, it goes on by itself, all of them.
    let _right = Operator::start(&world, Options::named("typo-3").with(&own).with(&["--image", "godwit:right"])).await;
    for task in &tasks {
        let image = |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref().unwrap().containers[0].image.clone();
        task.until_pod("of the right image", |pod| pod.is_some_and(|pod| image(pod).as_deref() == Some("godwit:right"))).await;
        task.until_in_sync().await;
    }
}

/// Two namespaces are watched; one is gone, with its role, when the operator starts.
pub async fn a_namespace_that_is_gone_stops_no_other(world: Arc<World>) {
    let (gone, stays) = (world.namespace("gone").await, world.namespace("stays").await);
    let (kubectl, cluster) = (&world.kubectl, &world.cluster);
    let home = world.unique("partial");
    kubectl.out(&["create", "namespace", &home]).await;
    let values = [
        format!("watchNamespaces={{{gone},{stays}}}"),
        "fullnameOverride=partial".to_owned(),
        "serviceAccount.name=partial".to_owned(),
    ];
    let values = values.each_ref().map(String::as_str);
    crate::support::rbac::install(kubectl, &cluster.helm, &cluster.version, ("partial", &home), &values).await;
    let token = kubectl.out(&["create", "token", "partial", "-n", &home, "--duration=1h"]).await;
    kubectl.out(&["delete", "namespace", &gone, "--timeout=60s"]).await;
    let both = ["--watch-namespace", gone.as_str(), "--watch-namespace", stays.as_str()];
    let operator = Operator::start(&world, Options::named("partial").with(&both).by(&home, token.trim())).await;
    let task = Task::new(&world, &stays, "shop").create().await;
    task.until_in_sync().await;
    assert!(operator.is_ready().await);
    let unwatched = operator.metric("godwit_operator_unwatched_namespaces").await;
    assert_eq!(unwatched.first().map(|(_, value)| *value), Some(1.0));
    assert!(operator.logged().contains("the namespace cannot be watched"), "nobody is told");
    // It comes back, with its role.
    kubectl.out(&["create", "namespace", &gone]).await;
    for secret in ["source", "destination"] {
        world.secret(&gone, secret, "").await;
    }
    crate::support::rbac::install(kubectl, &cluster.helm, &cluster.version, ("partial", &home), &values).await;
    let late = Task::new(&world, &gone, "shop").create().await;
    late.until_in_sync().await;
}

/// Everything that a person may write wrong about a host is refused where he writes it.
pub async fn a_port_is_no_part_of_a_host(world: Arc<World>) {
    let namespace = world.namespace("port").await;
    for (host, taken) in
        [("db:3306", false), ("10.0.0.1:3306", false), ("::1", true), ("fe80::1", true), ("db.example.com", true)]
    {
        let mut object: Value = manifest(&namespace, "shop");
        merge(&mut object, &json!({"spec": {"source": {"mysql": {"host": host}}}}));
        let said = world.kubectl.run_with(&["create", "--dry-run=server", "-f", "-"], &object.to_string()).await;
        assert_eq!(said.success, taken, "{host}: {}", said.err);
        assert!(taken || said.err.contains("spec.source.mysql.host"), "{host}: {}", said.err);
    }
}
