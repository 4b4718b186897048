//! An API server that refuses, stalls and cuts: tasks go on, others are not held up, `/readyz` tells the truth.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;

use crate::support::fixtures::{SOON, Task, eventually};
use crate::support::http;
use crate::support::operator::{Operator, Options};
use crate::support::proxy::{Act, Proxy, is_watch};
use crate::support::world::World;

pub async fn refused_writes_are_made_again(world: Arc<World>) {
    let proxy = Proxy::start(&world).await;
    let namespace = world.namespace("refuse").await;
    let operator = Operator::start(&world, Options::named("refuse").through(&proxy.server)).await;
    for (number, act) in [Act::Refuse(409), Act::Refuse(500), Act::Slower(1)].into_iter().enumerate() {
        // The first write of every kind.
        let mut struck = Vec::new();
        for part in ["/pods", "/configmaps", "/migrationtasks/", "/status"] {
            struck.push(proxy.fault(1, act, move |method, path| method != Method::GET && path.contains(part)));
        }
        let task = Task::new(&world, &namespace, &format!("task-{number}")).create().await;
        task.until_in_sync().await;
        let times: Vec<usize> = struck.iter().map(|struck| struck.times()).collect();
        assert!(times.iter().sum::<usize>() >= 3, "{act:?} struck {times:?} times only");
        assert_eq!(task.record().runs, 1);
        proxy.heal();
    }
    assert!(operator.is_ready().await);
}

pub async fn watches_that_expire_or_are_cut_come_back(world: Arc<World>) {
    let proxy = Proxy::start(&world).await;
    let namespace = world.namespace("cut").await;
    let expired = proxy.fault(3, Act::Expire, |_, path| is_watch(path));
    let gone = proxy.fault(3, Act::Refuse(410), |_, path| is_watch(path));
    let _operator = Operator::start(&world, Options::named("cut").through(&proxy.server)).await;
    // Each is met by one or two of them.
    assert_eq!((expired.times(), gone.times()), (3, 3));
    for round in 0..3 {
        // Those that were refused pause before they try again.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let cut = proxy.cut_watches();
        assert!(cut > 3, "{cut} watches were open");
        let task = Task::new(&world, &namespace, &format!("task-{round}")).create().await;
        task.until_in_sync().await;
    }
}

pub async fn a_dead_watch_makes_it_unready(world: Arc<World>) {
    let proxy = Proxy::start(&world).await;
    let namespace = world.namespace("dead").await;
    let operator = Operator::start(&world, Options::named("dead").through(&proxy.server)).await;
    let before = Task::new(&world, &namespace, "before").create().await;
    before.until_in_sync().await;
    for part in ["/migrationtasks", "/pods", "/dedicatedclusters"] {
        proxy.fault(usize::MAX, Act::Refuse(500), move |method, path| method == Method::GET && path.contains(part));
        proxy.cut_watches();
        operator.ready(false, SOON).await;
        // It is not restarted for that: it could do nothing better afterwards.
        assert_eq!(http::get(&operator.address, "/healthz").await.map(|(code, _)| code), Some(200));
        let during = Task::new(&world, &namespace, &format!("during{}", part.replace('/', "-"))).create().await;
        proxy.heal();
        operator.ready(true, Duration::from_secs(60)).await;
        during.until_in_sync().await;
    }
}

pub async fn a_hung_request_holds_up_nobody_else(world: Arc<World>) {
    let proxy = Proxy::start(&world).await;
    let (stuck, free) = (world.namespace("stuck").await, world.namespace("free").await);
    let _operator = Operator::start(&world, Options::named("hang").through(&proxy.server)).await;
    let part = format!("/namespaces/{stuck}/");
    let hung = proxy.fault(1, Act::Hang, move |method, path| method != Method::GET && path.contains(&part));
    let late = Task::new(&world, &stuck, "late").create().await;
    let others: Vec<Task> =
        futures_util::future::join_all((0..5).map(|number| Task::new(&world, &free, &format!("task-{number}")).create())).await;
    for other in &others {
        other.until_in_sync().await;
    }
    assert!(hung.times() > 0, "nothing hung");
    // A request that hangs is given up, and what it was for is done after all.
    let began = std::time::Instant::now();
    while late.status().await.phase != Some(godwit::api::Phase::Replicating) {
        assert!(began.elapsed() < Duration::from_secs(100), "never came back from hung requests");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Not the operator's matter: `cluster.sh restart` waits for a port that somebody holds for a moment.
pub async fn a_restart_waits_for_its_port(world: Arc<World>) {
    let port: u16 = world.cluster.server.rsplit(':').next().unwrap().parse().unwrap();
    world.cluster.component("kill", "kube-apiserver");
    let held = eventually("free", || async { std::net::TcpListener::bind(("127.0.0.1", port)) }).await;
    let freed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(8));
        drop(held);
    });
    let began = std::time::Instant::now();
    let cluster = world.clone();
    tokio::task::spawn_blocking(move || cluster.cluster.component("restart", "kube-apiserver")).await.unwrap();
    freed.join().unwrap();
    assert!(began.elapsed() > Duration::from_secs(8), "it was ready while the port was held");
    assert_eq!(world.kubectl.out(&["get", "--raw", "/readyz"]).await, "ok");
}

pub async fn an_api_server_that_is_gone_for_a_while(world: Arc<World>) {
    let namespace = world.namespace("away").await;
    let operator = Operator::start(&world, Options::named("away")).await;
    let task = Task::new(&world, &namespace, "before").create().await;
    task.until_in_sync().await;
    let uid = task.pod().await.unwrap().metadata.uid;
    world.cluster.component("kill", "kube-apiserver");
    operator.ready(false, SOON).await;
    world.cluster.component("restart", "kube-apiserver");
    operator.ready(true, Duration::from_secs(90)).await;
    let after = Task::new(&world, &namespace, "after").create().await;
    after.until_in_sync().await;
    task.until_in_sync().await;
    assert_eq!(task.pod().await.unwrap().metadata.uid, uid);
}
