//! Operators that are killed, replaced, several, or limited to namespaces.

use std::sync::Arc;
use std::time::{Duration, Instant};

use godwit::api::Phase;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::hollow::kubelet::Order;
use crate::support::fixtures::{SOON, Task, eventually, message, pool, until_pool};
use crate::support::operator::{Operator, Options};
use crate::support::units::UnitsWatch;
use crate::support::world::World;

pub async fn killed_while_tasks_run(world: Arc<World>) {
    let namespace = world.namespace("killed").await;
    let pool = pool(&world, "killed", json!({"units": 3})).await;
    let mut operator = Operator::start(&world, Options::named("killed-1")).await;
    let follows = Task::new(&world, &namespace, "follows").pool(&pool, 1).create().await;
    let copies = Task::new(&world, &namespace, "copies").pool(&pool, 1).script("slow-copy").create().await;
    let evicted = Task::new(&world, &namespace, "evicted").pool(&pool, 1).create().await;
    follows.until_in_sync().await;
    evicted.until_in_sync().await;
    copies.until_phase(Phase::Copying).await;
    let waits = Task::new(&world, &namespace, "waits").pool(&pool, 1).create().await;
    waits.until_phase(Phase::Queued).await;
    let uid = |task: &Task| {
        let task = task.clone();
        async move { task.pod().await.unwrap().uid() }
    };
    let before = (uid(&follows).await, uid(&copies).await);
    operator.kill();
    let copied = copies.status().await.progress;
    // Meanwhile the engines work, a pod is lost, a task is applied, one is to be paused.
    evicted.order(Order::Evict);
    let applied = Task::new(&world, &namespace, "applied").create().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(copies.status().await.progress, copied, "somebody writes status without an operator");
    follows.desire("Paused").await;
    let _operator = Operator::start(&world, Options::named("killed-2")).await;
    copies.until("further than before", |status| status.progress != copied).await;
    applied.until_in_sync().await;
    follows.until_phase(Phase::Paused).await;
    // The units of the paused one.
    waits.until_in_sync().await;
    evicted.until("in sync again", |_| evicted.record().runs == 2).await;
    evicted.until_in_sync().await;
    assert_eq!((uid(&copies).await, copies.record().runs), (before.1, 1));
    assert_eq!(evicted.record().prechecks, 1);
}

pub async fn killed_again_and_again_while_a_queue_moves(world: Arc<World>) {
    let namespace = world.namespace("double").await;
    let pool = pool(&world, "double", json!({"units": 2})).await;
    let watch = UnitsWatch::start(&world.client, &pool);
    let mut operator = Operator::start(&world, Options::named("double-0")).await;
    let tasks = (0..10).map(|number| Task::new(&world, &namespace, &format!("task-{number}")).pool(&pool, 1).script("completes"));
    let tasks = futures_util::future::join_all(tasks.map(Task::create)).await;
    for round in 1..=6 {
        tokio::time::sleep(Duration::from_millis(900 + 350 * round)).await;
        operator.kill();
        // Without waiting: the next one starts from nothing, in the middle of things.
        operator = Operator::start(&world, Options::named(&format!("double-{round}")).without_waiting()).await;
    }
    for task in &tasks {
        task.until_phase(Phase::Completed).await;
    }
    assert_eq!(watch.at_most(2), 2);
    assert!(tasks.iter().all(|task| task.record().runs == 1), "a task was run twice");
    until_pool(&world, &pool, "empty", |status| status.units.free == 2).await;
}

async fn holder(world: &World) -> Option<String> {
    let lease = Api::<Lease>::namespaced(world.client.clone(), "godwit-system").get_opt("godwit-operator").await.unwrap();
    lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty())
}

async fn held_by(world: &World, name: &str, within: Duration) {
    let began = Instant::now();
    while holder(world).await.is_none_or(|holder| !holder.contains(name)) {
        assert!(began.elapsed() < within, "{:?} holds the lease, not {name}", holder(world).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn two_operators_have_one_leader(world: Arc<World>) {
    let namespace = world.namespace("leader").await;
    let elected = |name: &str| Options::named(name).elected();
    let mut first = Operator::start(&world, elected("leader-a")).await;
    held_by(&world, "leader-a", SOON).await;
    // The second waits, and is ready to.
    let mut second = Operator::start(&world, elected("leader-b")).await;
    let one = Task::new(&world, &namespace, "one").create().await;
    one.until_in_sync().await;
    assert!(holder(&world).await.unwrap().contains("leader-a"));
    assert!(!second.logged().contains(&namespace), "the second acts without being the leader");
    // Killed: the lease has to run out.
    first.kill();
    let two = Task::new(&world, &namespace, "two").create().await;
    held_by(&world, "leader-b", Duration::from_secs(45)).await;
    two.until_in_sync().await;
    // Terminated: it is handed over.
    let third = Operator::start(&world, elected("leader-c")).await;
    let began = Instant::now();
    assert_eq!(second.terminate().await, Some(0));
    held_by(&world, "leader-c", Duration::from_secs(12)).await;
    println!("handed over after {:.1} s", began.elapsed().as_secs_f32());
    let three = Task::new(&world, &namespace, "three").create().await;
    three.until_in_sync().await;
    drop(third);
    assert_eq!((one.record().runs, two.record().runs, three.record().runs), (1, 1, 1));
}

pub async fn a_leader_that_is_cut_off_gives_up(world: Arc<World>) {
    let proxy = crate::support::proxy::Proxy::start(&world).await;
    let namespace = world.namespace("cutoff").await;
    let elected = |name: &str| Options::named(name).elected();
    let mut first = Operator::start(&world, elected("cutoff-a").through(&proxy.server)).await;
    held_by(&world, "cutoff-a", SOON).await;
    let _second = Operator::start(&world, elected("cutoff-b")).await;
    proxy.fault(usize::MAX, crate::support::proxy::Act::Hang, |_, path| path.contains("/leases/"));
    held_by(&world, "cutoff-b", Duration::from_secs(60)).await;
    // It either ends, to be started again, or stops to act; it may not do what the new one does as well.
    let began = Instant::now();
    while first.lives() && first.is_ready().await {
        assert!(began.elapsed() < SOON, "two operators believe to be the leader");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    assert!(!first.logged().contains(&namespace), "acts on a task after it lost the lease");
}

pub async fn another_image_replaces_engines_at_a_pace(world: Arc<World>) {
    let namespace = world.namespace("image").await;
    // Engines of other cases would have their turn as well.
    let own = ["--watch-namespace", namespace.as_str()];
    let operator = Operator::start(&world, Options::named("image-1").with(&own)).await;
    let names: Vec<String> = (0..4).map(|number| format!("task-{number}")).collect();
    let mut tasks = Vec::new();
    for name in &names {
        tasks.push(Task::new(&world, &namespace, name).create().await);
    }
    for task in &tasks {
        task.until_in_sync().await;
    }
    // One whose image cannot be pulled, before it ever ran.
    let stuck = Task::new(&world, &namespace, "stuck").script("image-missing").create().await;
    stuck.until("without its image", |status| message(status, "Ready").contains("ImagePullBackOff")).await;
    let stuck_uid = stuck.pod().await.unwrap().uid();
    drop(operator);
    let _operator = Operator::start(&world, Options::named("image-2").with(&own).with(&["--image", "godwit:next"])).await;
    let image = |pod: &k8s_openapi::api::core::v1::Pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap();
    let mut made = Vec::new();
    for task in tasks.iter().chain([&stuck]) {
        let pod = task.until_pod("of the new image", |pod| pod.is_some_and(|pod| image(pod) == "godwit:next")).await.unwrap();
        made.push((task.name.clone(), pod.uid()));
    }
    assert_ne!(made.pop().unwrap().1, stuck_uid);
    for task in &tasks {
        task.until_in_sync().await;
        // Each was replaced once, by an engine that went on.
        assert_eq!((task.record().prechecks, task.record().runs), (1, 2), "{}", task.name);
    }
    // Not all at once: the operator's log says when each was told to go.
    let log = _operator.logged();
    let told: Vec<k8s_openapi::jiff::Timestamp> = log
        .lines()
        .filter(|line| line.contains("the operator brings another image") && line.contains("task-"))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["timestamp"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(told.len(), 4, "{log}");
    let gaps: Vec<i128> = told.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis()).collect();
    assert!(gaps.iter().all(|gap| *gap >= 400), "{gaps:?}");
}

pub async fn limited_to_namespaces(world: Arc<World>) {
    let (own, other) = (world.namespace("own").await, world.namespace("foreign").await);
    // With the roles that the chart makes for this: rights in that namespace, and none in others.
    let (kubectl, cluster) = (&world.kubectl, &world.cluster);
    let home = world.unique("limited");
    kubectl.out(&["create", "namespace", &home]).await;
    let values =
        [format!("watchNamespaces={{{own}}}"), "fullnameOverride=limited".to_owned(), "serviceAccount.name=limited".to_owned()];
    let values = values.each_ref().map(String::as_str);
    crate::support::rbac::install(kubectl, &cluster.helm, &cluster.version, ("limited", &home), &values).await;
    let token = kubectl.out(&["create", "token", "limited", "-n", &home, "--duration=1h"]).await;
    let options = Options::named("limited").with(&["--watch-namespace", &own]).by(&home, token.trim()).elected();
    let mut operator = Operator::start(&world, options).await;
    let foreign = Task::new(&world, &other, "foreign").create().await;
    let task = Task::new(&world, &own, "shop").create().await;
    task.until_in_sync().await;
    assert_eq!(foreign.status().await, Default::default(), "a namespace that is not watched was touched");
    assert_eq!(operator.terminate().await, Some(0));
    let user = format!("system:serviceaccount:{home}:limited");
    let audit = std::fs::read_to_string(&world.cluster.audit_log).unwrap();
    let (mut asked, mut forbidden) = (0, Vec::new());
    for line in audit.lines().filter(|line| line.contains(&user)) {
        asked += 1;
        forbidden.extend(line.contains("\"code\":403").then(|| line.to_owned()));
    }
    assert!(asked > 10 && forbidden.is_empty(), "{asked} requests, forbidden: {forbidden:#?}");
    // Without an operator the engine goes on.
    assert!(task.pod().await.is_some());
}

pub async fn waits_for_its_crds(world: Arc<World>) {
    // In the order that the chart's notes and docs/kubernetes.md give for taking everything away: tasks, pools, the operator, the CRDs.
    let fence = serde_json::json!({"spec": {"deletionPolicy": "Fence"}});
    let pool = crate::support::fixtures::pool(&world, "uninstall", serde_json::json!({"units": 1})).await;
    let namespace = world.namespace("uninstall").await;
    let mut operator = Operator::start(&world, Options::named("uninstall")).await;
    let fenced = Task::new(&world, &namespace, "shop").with(fence).pool(&pool, 1).create().await;
    fenced.until_in_sync().await;
    world.kubectl.out(&["delete", "migrationtasks", "--all", "-n", &namespace, "--timeout=100s"]).await;
    fenced.until_fenced().await;
    world.kubectl.out(&["delete", "dedicatedclusters", &pool, "--timeout=60s"]).await;
    assert_eq!(operator.terminate().await, Some(0));
    // What other cases have left, no operator is there to let go of.
    super::release::let_go(&world).await;
    world.kubectl.out(&["delete", "crd", "migrationtasks.godwit.dev", "dedicatedclusters.godwit.dev", "--timeout=60s"]).await;
    let operator = Operator::start(&world, Options::named("early").without_waiting()).await;
    eventually("answering", || async {
        crate::support::http::get(&operator.address, "/healthz").await.filter(|(code, _)| *code == 200).ok_or(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!operator.is_ready().await, "ready without its kinds");
    world.kubectl.out(&["apply", "--server-side", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds")]).await;
    operator.ready(true, Duration::from_secs(45)).await;
    let namespace = world.namespace("crds").await;
    let task = Task::new(&world, &namespace, "shop").create().await;
    task.until_in_sync().await;
}
