//! DedicatedClusters: who may run, in which order, on what, and what their status says.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::Phase;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::fixtures::{Task, condition, eventually, message, pool, pools, reason, stalls, until_pool};
use crate::support::units::UnitsWatch;
use crate::support::world::World;

async fn change(world: &Arc<World>, pool: &str, spec: Value) {
    pools(world).patch(pool, &PatchParams::default(), &Patch::Merge(json!({"spec": spec}))).await.unwrap();
}

async fn place(task: &Task, place: u64) {
    task.until(&format!("at place {place}"), |status| {
        status.phase == Some(Phase::Queued) && status.queue.as_ref().map(|queue| queue.place) == Some(place)
    })
    .await;
}

pub async fn one_that_does_not_exist(world: Arc<World>) {
    let namespace = world.namespace("nopool").await;
    let name = world.unique("late");
    let task = Task::new(&world, &namespace, "shop").pool(&name, 1).create().await;
    let status = task.until("stalled", |status| stalls(status, "ClusterNotFound")).await;
    assert!(message(&status, "Stalled").contains(&name), "{}", message(&status, "Stalled"));
    let object = json!({"apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": name}, "spec": {"units": 1}});
    world.kubectl.apply(&object.to_string()).await;
    let status = task.until_in_sync().await;
    assert_eq!(status.admission.and_then(|admission| admission.cluster), Some(name));
}

pub async fn one_for_other_namespaces(world: Arc<World>) {
    let selector = json!({"units": 4, "namespaces": {"matchLabels": {"team": "data"}}});
    let pool = pool(&world, "selective", selector).await;
    let allowed = world.labelled_namespace("allowed", &json!({"team": "data"})).await;
    let other = world.namespace("other").await;
    let welcome = Task::new(&world, &allowed, "shop").pool(&pool, 1).create().await;
    let refused = Task::new(&world, &other, "shop").pool(&pool, 1).create().await;
    let status = refused.until("stalled", |status| stalls(status, "NamespaceNotAllowed")).await;
    let text = message(&status, "Stalled");
    assert!(text.contains(&pool) && text.contains(&other), "{text}");
    welcome.until_in_sync().await;
    // A label lets it in.
    world.kubectl.out(&["label", "namespace", &other, "team=data"]).await;
    refused.until_in_sync().await;
}

pub async fn more_units_than_it_will_ever_have(world: Arc<World>) {
    let pool = pool(&world, "small", json!({"units": 2})).await;
    let namespace = world.namespace("large").await;
    let large = Task::new(&world, &namespace, "large").pool(&pool, 3).create().await;
    let status = large.until("stalled", |status| stalls(status, "UnitsExceedCluster")).await;
    let text = message(&status, "Stalled");
    assert!(text.contains('3') && text.contains('2'), "{text}");
    // It holds up nobody.
    let small = Task::new(&world, &namespace, "small").pool(&pool, 2).create().await;
    small.until_in_sync().await;
    change(&world, &pool, json!({"units": 5})).await;
    large.until_in_sync().await;
    until_pool(&world, &pool, "full", |status| (status.units.total, status.units.used, status.units.free) == (5, 5, 0)).await;
}

pub async fn the_queue_is_by_priority_then_age(world: Arc<World>) {
    let pool = pool(&world, "queue", json!({"units": 2})).await;
    let namespace = world.namespace("queue").await;
    let watch = UnitsWatch::start(&world.client, &pool);
    let first = Task::new(&world, &namespace, "first").pool(&pool, 2).create().await;
    first.until_in_sync().await;
    let second = Task::new(&world, &namespace, "second").pool(&pool, 2).create().await;
    place(&second, 1).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let third = Task::new(&world, &namespace, "third").pool(&pool, 1).create().await;
    place(&third, 2).await;
    let urgent = json!({"spec": {"cluster": {"priority": 10}}});
    let urgent = Task::new(&world, &namespace, "urgent").pool(&pool, 1).with(urgent).create().await;
    place(&urgent, 1).await;
    place(&second, 2).await;
    place(&third, 3).await;
    let status = second.status().await;
    assert_eq!(
        (condition(&status, "Ready"), condition(&status, "Reconciling"), condition(&status, "Stalled")),
        ("False", "True", "False")
    );
    assert_eq!(status.queue.map(|queue| (queue.units, queue.free_units)), Some((2, 0)));
    assert!(second.pod().await.is_none() && status.admission.is_none());
    let of_pool = until_pool(&world, &pool, "told", |status| (status.tasks.running, status.tasks.queued) == (1, 3)).await;
    let names: Vec<&str> = of_pool.tasks.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["first", "urgent", "second", "third"]);
    // Two units are free: the urgent one takes one; the second wants two, and nobody overtakes it.
    first.desire("Paused").await;
    urgent.until_in_sync().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    place(&second, 1).await;
    place(&third, 2).await;
    assert_eq!(second.status().await.queue.map(|queue| queue.free_units), Some(1));
    urgent.delete().await;
    second.until_in_sync().await;
    place(&third, 1).await;
    second.desire("Stopped").await;
    third.until_in_sync().await;
    assert_eq!(watch.at_most(2), 2);
}

pub async fn many_at_once_share_few_units(world: Arc<World>) {
    let pool = pool(&world, "crowd", json!({"units": 3})).await;
    let namespaces = [world.namespace("crowd-a").await, world.namespace("crowd-b").await];
    let watch = UnitsWatch::start(&world.client, &pool);
    let mut tasks = Vec::new();
    for number in 0..12 {
        let task = Task::new(&world, &namespaces[number % 2], &format!("task-{number}")).pool(&pool, 1 + (number % 2) as u32);
        tasks.push(task.script("completes"));
    }
    let tasks = futures_util::future::join_all(tasks.into_iter().map(Task::create)).await;
    for task in &tasks {
        task.until_phase(Phase::Completed).await;
    }
    assert_eq!(watch.at_most(3), 3, "the pool was never used in full");
    until_pool(&world, &pool, "empty", |status| (status.units.used, status.units.free) == (0, 3)).await;
}

pub async fn one_that_shrinks_evicts_nobody(world: Arc<World>) {
    let pool = pool(&world, "shrink", json!({"units": 4})).await;
    let namespace = world.namespace("shrink").await;
    let tasks = [
        Task::new(&world, &namespace, "a").pool(&pool, 2).create().await,
        Task::new(&world, &namespace, "b").pool(&pool, 2).create().await,
    ];
    for task in &tasks {
        task.until_in_sync().await;
    }
    let uids = [tasks[0].pod().await.unwrap().uid(), tasks[1].pod().await.unwrap().uid()];
    change(&world, &pool, json!({"units": 2})).await;
    let status =
        until_pool(&world, &pool, "shrunk", |status| (status.units.total, status.units.used, status.units.free) == (2, 4, 0))
            .await;
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!(ready.status, "True");
    assert!(ready.message.contains('4') && ready.message.contains('2'), "{}", ready.message);
    let waits = Task::new(&world, &namespace, "c").pool(&pool, 1).create().await;
    place(&waits, 1).await;
    for (task, uid) in tasks.iter().zip(uids) {
        assert_eq!(task.pod().await.unwrap().uid(), uid);
        task.until_in_sync().await;
    }
    // One that is evicted by its node keeps its units.
    tasks[0].order(crate::hollow::kubelet::Order::Evict);
    tokio::time::sleep(Duration::from_secs(1)).await;
    tasks[0].until_in_sync().await;
    place(&waits, 1).await;
}

pub async fn overcommit_divides_requests(world: Arc<World>) {
    let spec = json!({"units": 2, "overcommitPercent": 200, "unitResources": {"cpu": "400m", "memory": "512Mi"}});
    let pool = pool(&world, "over", spec).await;
    let namespace = world.namespace("over").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 4).create().await;
    task.until_in_sync().await;
    let resources = task.pod().await.unwrap().spec.unwrap().containers.remove(0).resources.unwrap();
    let quantity = |map: &Option<std::collections::BTreeMap<String, Quantity>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).map(|quantity| in_thousandths(&quantity.0)).unwrap_or_default()
    };
    let mebi = 1024 * 1024 * 1000;
    assert_eq!((quantity(&resources.limits, "cpu"), quantity(&resources.limits, "memory")), (1600, 2048 * mebi));
    assert_eq!((quantity(&resources.requests, "cpu"), quantity(&resources.requests, "memory")), (800, 1024 * mebi));
    until_pool(&world, &pool, "full", |status| (status.units.total, status.units.used, status.units.free) == (4, 4, 0)).await;
}

/// A quantity in thousandths.
fn in_thousandths(text: &str) -> u64 {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().unwrap();
    match unit {
        "m" => number,
        "" => number * 1000,
        "Ki" => number * 1024 * 1000,
        "Mi" => number * 1024 * 1024 * 1000,
        "Gi" => number * 1024 * 1024 * 1024 * 1000,
        other => panic!("unit {other} of {text}"),
    }
}

pub async fn pods_go_where_the_pool_says(world: Arc<World>) {
    let spec = json!({"units": 2, "placement": {
        "nodeSelector": {"pool": "special"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]
    }});
    let pool = pool(&world, "placed", spec).await;
    let namespace = world.namespace("placed").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until_in_sync().await;
    let spec = task.pod().await.unwrap().spec.unwrap();
    assert_eq!(spec.node_name.as_deref(), Some("hollow-2"));
    assert!(spec.tolerations.unwrap().iter().any(|toleration| toleration.key.as_deref() == Some("dedicated")));
    let status = until_pool(&world, &pool, "told", |status| !status.node_addresses.is_empty()).await;
    assert_eq!(status.node_addresses, ["192.0.2.2"]);
    change(&world, &pool, json!({"placement": {"nodeSelector": null}})).await;
    until_pool(&world, &pool, "everywhere", |status| status.node_addresses == ["192.0.2.1", "192.0.2.2"]).await;
}

pub async fn one_in_use_cannot_go(world: Arc<World>) {
    let pool = pool(&world, "used", json!({"units": 2})).await;
    let namespace = world.namespace("used").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until_in_sync().await;
    assert_eq!(pools(&world).get(&pool).await.unwrap().finalizers(), ["godwit.dev/in-use"]);
    pools(&world).delete(&pool, &DeleteParams::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let going = pools(&world).get(&pool).await.unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    let text = serde_json::to_string(&going.status).unwrap();
    assert!(text.contains("shop"), "who uses it is not told: {text}");
    task.until_in_sync().await;
    task.delete().await;
    eventually("gone", || async { pools(&world).get_opt(&pool).await.unwrap().map_or(Ok(()), Err) }).await;
}

pub async fn an_unused_one_goes_at_once(world: Arc<World>) {
    let pool = pool(&world, "unused", json!({"units": 2})).await;
    until_pool(&world, &pool, "ready", |status| status.observed_generation == Some(1)).await;
    pools(&world).delete(&pool, &DeleteParams::default()).await.unwrap();
    eventually("gone", || async { pools(&world).get_opt(&pool).await.unwrap().map_or(Ok(()), Err) }).await;
}

pub async fn a_task_that_moves_gives_its_units_back(world: Arc<World>) {
    let (from, to) = (pool(&world, "from", json!({"units": 1})).await, pool(&world, "to", json!({"units": 2})).await);
    let namespace = world.namespace("moves").await;
    let task = Task::new(&world, &namespace, "shop").pool(&from, 1).create().await;
    task.until_in_sync().await;
    task.patch(json!({"spec": {"cluster": {"name": to, "units": 2}}})).await;
    task.until("in the other pool", |status| {
        let admission = status.admission.as_ref().map(|admission| (admission.cluster.clone(), admission.units));
        admission == Some((Some(to.clone()), 2)) && condition(status, "Ready") == "True"
    })
    .await;
    until_pool(&world, &from, "free", |status| status.units.free == 1).await;
    until_pool(&world, &to, "used", |status| status.units.free == 0).await;
}

pub async fn units_are_handed_on_when_their_pod_is_gone(world: Arc<World>) {
    let (first, second) = (pool(&world, "first", json!({"units": 4})).await, pool(&world, "second", json!({"units": 4})).await);
    let namespace = world.namespace("handed").await;
    let watch = UnitsWatch::start(&world.client, &first);
    let a = Task::new(&world, &namespace, "a").pool(&first, 4).script("slow-stop").create().await;
    a.until_in_sync().await;
    let b = Task::new(&world, &namespace, "b").pool(&first, 2).script("slow-stop").create().await;
    place(&b, 1).await;
    // Fewer units: the pod that has more is replaced first.
    a.patch(json!({"spec": {"cluster": {"units": 2}}})).await;
    b.until_in_sync().await;
    let c = Task::new(&world, &namespace, "c").pool(&first, 2).create().await;
    place(&c, 1).await;
    // Another pool: the same.
    a.patch(json!({"spec": {"cluster": {"name": second}}})).await;
    c.until_in_sync().await;
    let status = a.until_in_sync().await;
    assert_eq!(status.admission.map(|admission| (admission.cluster, admission.units)), Some((Some(second.clone()), 2)));
    assert_eq!(watch.at_most(4), 4);
    until_pool(&world, &first, "full", |status| status.units.free == 0).await;
    until_pool(&world, &second, "half full", |status| status.units.free == 2).await;
}

pub async fn a_blocked_task_keeps_nobody_waiting(world: Arc<World>) {
    let (home, other) = (pool(&world, "home", json!({"units": 1})).await, pool(&world, "other", json!({"units": 2})).await);
    let namespace = world.namespace("blocked").await;
    world.secret(&namespace, "own", "").await;
    let own = json!({"spec": {"source": {"mysql": {"credentials": {"secretName": "own"}}}, "cluster": {"priority": 5}}});
    let holds = Task::new(&world, &namespace, "holds").pool(&other, 2).create().await;
    let moves = Task::new(&world, &namespace, "moves").pool(&home, 1).with(own).create().await;
    holds.until_in_sync().await;
    moves.until_in_sync().await;
    let pod = moves.pod().await.unwrap().uid();
    moves.patch(json!({"spec": {"cluster": {"name": other, "units": 2}}})).await;
    moves.until("waiting for the other pool", |status| reason(status, "Reconciling") == "WaitingForUnits").await;
    let behind = Task::new(&world, &namespace, "behind").pool(&other, 1).create().await;
    place(&behind, 2).await;
    world.kubectl.out(&["delete", "secret", "own", "-n", &namespace]).await;
    moves.until("stalled", |status| stalls(status, "SecretMissing")).await;
    place(&behind, 1).await;
    holds.desire("Paused").await;
    behind.until_in_sync().await;
    let status = moves.status().await;
    assert_eq!(status.admission.map(|admission| (admission.cluster, admission.units)), Some((Some(home.clone()), 1)));
    assert_eq!(moves.pod().await.unwrap().uid(), pod);
    // The other way to stand in the way: the pool shrinks below what is asked for.
    world.secret(&namespace, "own", "").await;
    moves.until("waiting again", |status| reason(status, "Reconciling") == "WaitingForUnits").await;
    change(&world, &other, json!({"units": 1})).await;
    moves.until("stalled", |status| stalls(status, "UnitsExceedCluster")).await;
    let last = Task::new(&world, &namespace, "last").pool(&other, 1).create().await;
    place(&last, 1).await;
    behind.desire("Stopped").await;
    last.until_in_sync().await;
}

pub async fn a_running_task_that_asks_for_more_than_there_is_goes_on(world: Arc<World>) {
    let pool = pool(&world, "beyond", json!({"units": 2})).await;
    let namespace = world.namespace("beyond").await;
    let task = Task::new(&world, &namespace, "shop").pool(&pool, 1).create().await;
    task.until_in_sync().await;
    let pod = task.pod().await.unwrap().uid();
    task.patch(json!({"spec": {"cluster": {"units": 5}}})).await;
    let status = task.until("stalled", |status| stalls(status, "UnitsExceedCluster")).await;
    assert_eq!((condition(&status, "InSync"), status.admission.as_ref().map(|admission| admission.units)), ("True", Some(1)));
    let other = Task::new(&world, &namespace, "other").pool(&pool, 1).create().await;
    other.until_in_sync().await;
    assert_eq!(task.pod().await.unwrap().uid(), pod);
    change(&world, &pool, json!({"units": 6})).await;
    let status = task.until("with what it asked for", |status| status.admission.as_ref().is_some_and(|a| a.units == 5)).await;
    assert_eq!(condition(&status, "Stalled"), "False");
    task.until_in_sync().await;
}
