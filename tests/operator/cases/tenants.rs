//! What one namespace can do to another through the operator, and what keeps it from that.

use std::sync::Arc;
use std::time::Duration;

use godwit::api::Phase;
use serde_json::{Value, json};

use crate::support::fixtures::{Task, condition, eventually, manifest, pool};
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

/// Names the same servers, whatever the namespace.
fn at_the_same_servers(minutes: u32) -> Value {
    let end = |host: &str| json!({"mysql": {"host": host}});
    json!({"spec": {"source": end("shared-db"), "destination": end("shared-polar"), "retry": {"connectionMinutes": minutes}}})
}

pub async fn another_namespace_does_not_shorten_retry(world: Arc<World>) {
    let (ours, theirs) = (world.namespace("ours").await, world.namespace("theirs").await);
    let patient = Task::new(&world, &ours, "patient").with(at_the_same_servers(720)).create().await;
    patient.until_in_sync().await;
    let hasty = Task::new(&world, &theirs, "hasty").with(at_the_same_servers(12)).create().await;
    hasty.until_in_sync().await;
    // One of the same namespace that comes later is heard: then the other has long been passed over.
    let neighbour = Task::new(&world, &ours, "neighbour").with(at_the_same_servers(30)).create().await;
    neighbour.until_in_sync().await;
    let status = patient.until("told of its neighbour", |status| status.effective_retry.is_some()).await;
    assert_eq!(status.effective_retry.unwrap().set_by, Some(format!("{ours}/neighbour")));
    assert!(neighbour.status().await.effective_retry.is_none() && hasty.status().await.effective_retry.is_none());

    // Where the owner of a pool wants it, its tasks share whatever their namespaces.
    let pool = pool(&world, "circle", json!({"units": 4, "retrySharing": "Cluster"})).await;
    let same = |minutes: u32| {
        let mut patch = at_the_same_servers(minutes);
        patch["spec"]["source"]["mysql"]["host"] = json!("circle-db");
        patch["spec"]["destination"]["mysql"]["host"] = json!("circle-polar");
        patch
    };
    let one = Task::new(&world, &ours, "one").pool(&pool, 1).with(same(720)).create().await;
    let two = Task::new(&world, &theirs, "two").pool(&pool, 1).with(same(15)).create().await;
    two.until_in_sync().await;
    let status = one.until("told whose time holds", |status| status.effective_retry.is_some()).await;
    assert_eq!(status.effective_retry.unwrap().set_by, Some(format!("{theirs}/two")));
}

pub async fn priorities_have_a_ceiling(world: Arc<World>) {
    let spec = json!({"units": 1, "priorityCeilings": [{"namespaces": {"matchLabels": {"tier": "gold"}}, "priority": 100}]});
    let pool = pool(&world, "ceiling", spec).await;
    let gold = world.labelled_namespace("gold", &json!({"tier": "gold"})).await;
    let plain = world.namespace("plain").await;
    let first = Task::new(&world, &plain, "first").pool(&pool, 1).create().await;
    first.until_in_sync().await;
    let wants = |priority: i32| json!({"spec": {"cluster": {"priority": priority}}});
    let greedy = Task::new(&world, &plain, "greedy").pool(&pool, 1).with(wants(1_000_000)).create().await;
    let place = |place: u64| {
        move |status: &godwit::api::MigrationTaskStatus| {
            status.phase == Some(Phase::Queued) && status.queue.as_ref().map(|queue| queue.place) == Some(place)
        }
    };
    let status = greedy.until("first of the queue", place(1)).await;
    let text = status.message.unwrap_or_default();
    assert!(text.contains("its priority counts as 0"), "{text}");
    let golden = Task::new(&world, &gold, "golden").pool(&pool, 1).with(wants(50)).create().await;
    golden.until("before it", place(1)).await;
    greedy.until("behind it", place(2)).await;
    first.desire("Paused").await;
    golden.until_in_sync().await;
    greedy.until("still waiting", place(1)).await;
}

/// The policies of config/policies/tenants.yaml, tried by a person who may make tasks.
pub async fn the_sample_policy_holds_on_the_api_server(world: Arc<World>) {
    let (bound, free) =
        (world.labelled_namespace("bound", &json!({"godwit.dev/tenant": "shop"})).await, world.namespace("free").await);
    let sample = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/policies/tenants.yaml")).unwrap();
    let sample = sample.replace("namespace: shop", &format!("namespace: {bound}"));
    // The quota comes later: until it is counted, nothing at all can be made.
    let (policy, quota) = sample.rsplit_once("\n---\n").unwrap();
    assert!(quota.contains("kind: ResourceQuota"), "{quota}");
    world.kubectl.apply(policy).await;
    let with = |namespace: &str, patch: Value| {
        let mut object = manifest(namespace, &world.unique("policy"));
        // Nobody works on it.
        crate::support::fixtures::merge(&mut object, &json!({"spec": {"desiredState": "Paused"}}));
        crate::support::fixtures::merge(&mut object, &json!({"spec": patch}));
        object.to_string()
    };
    let inside = || {
        json!({
            "source": {"mysql": {"host": "legacy.shop.example.com", "credentials": {"secretName": "godwit-source"}}},
            "destination": {"mysql": {"host": "10.20.0.7", "credentials": {"secretName": "godwit-destination"}}}
        })
    };
    let changed = |patch: Value| {
        let mut spec = inside();
        crate::support::fixtures::merge(&mut spec, &patch);
        spec
    };
    let create = ["create", "-f", "-"];
    let refused = [
        (json!({"source": {"mysql": {"host": "evil.example.net"}}}), "spec.source.mysql.host"),
        (json!({"destination": {"mysql": {"host": "10.20.0.7.evil.net"}}}), "spec.destination.mysql.host"),
        (json!({"source": {"mysql": {"host": null, "credentials": {"secretName": "godwit-source"}}}}), "spec.source.mysql.host"),
        (json!({"source": {"mysql": {"credentials": {"secretName": "payroll"}}}}), "must begin with godwit-"),
        (json!({"destination": {"mysql": {"tls": {"clientCertificate": {"secretName": "payroll"}}}}}), "must begin with godwit-"),
        (json!({"alerts": {"webhook": {"secretName": "payroll", "key": "url"}}}), "must begin with godwit-"),
    ];
    // The API server begins to apply a policy a moment after it was made.
    eventually("refused", || async {
        let (patch, words) = &refused[0];
        let said = world.kubectl.run_with(&create, &with(&bound, changed(patch.clone()))).await;
        if !said.success && said.err.contains(words) { Ok(()) } else { Err(said) }
    })
    .await;
    for (patch, words) in &refused {
        let said = world.kubectl.run_with(&create, &with(&bound, changed(patch.clone()))).await;
        assert!(!said.success && said.err.contains(words), "{patch}: {} {}", said.out, said.err);
        // Another namespace is not bound by it.
        let said = world.kubectl.run_with(&create, &with(&free, changed(patch.clone()))).await;
        assert!(said.success, "{patch}: {}", said.err);
    }
    let said = world.kubectl.run_with(&create, &with(&bound, inside())).await;
    assert!(said.success, "{}", said.err);
    // Nor can one be changed into it.
    let task =
        Task::new(&world, &bound, "changes").with(json!({"spec": inside()})).with(json!({"spec": {"desiredState": "Paused"}}));
    let task = task.create().await;
    let patch = r#"{"spec":{"destination":{"mysql":{"host":"evil.example.net"}}}}"#;
    let said = world.kubectl.run(&["patch", "mt", &task.name, "-n", &bound, "--type=merge", "-p", patch]).await;
    assert!(!said.success && said.err.contains("spec.destination.mysql.host"), "{}", said.err);
    // And no more tasks than the quota gives, once the controllers have counted them.
    world.kubectl.apply(quota).await;
    eventually("counted", || async {
        let quota = world.kubectl.out(&["get", "quota", "godwit-tasks", "-n", &bound, "-o", "jsonpath={.status.used}"]).await;
        if quota.contains("migrationtasks") { Ok(()) } else { Err(quota) }
    })
    .await;
    for number in 0..30 {
        let said = world.kubectl.run_with(&create, &with(&bound, inside())).await;
        if !said.success {
            assert!(said.err.contains("exceeded quota") && number > 5, "after {number}: {}", said.err);
            return;
        }
    }
    panic!("the quota of tasks was not kept");
}

/// Bytes of memory that a process has had at most.
fn peak(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Tasks as large as the API server takes, all looked at when an operator starts and when they change: it stays within what the chart gives it.
pub async fn many_large_tasks_do_not_fill_the_operator(world: Arc<World>) {
    const TASKS: usize = 30;
    let namespace = world.namespace("heavy").await;
    // Many small things, and long texts.
    let table = |number: usize| {
        let mut table = json!({"table": format!("table_{number}"), "renameTo": format!("renamed_in_this_task_{number}")});
        if number < 40 {
            table["where"] = json!(format!("a <> '{}'", "x".repeat(16_000)));
        }
        table
    };
    let tables: Vec<Value> = (0..300).map(table).collect();
    let large = json!({"spec": {"desiredState": "Paused", "objects": [{"database": "shop", "tables": tables}]}});
    let mut tasks = Vec::new();
    for number in 0..TASKS {
        tasks.push(Task::new(&world, &namespace, &format!("task-{number}")).with(large.clone()).create().await);
    }
    let size = serde_json::to_string(&tasks[0].get().await).unwrap().len();
    assert!(size > 500_000, "{size} bytes");
    let operator = Operator::start(&world, Options::named("heavy").with(&["--watch-namespace", &namespace])).await;
    for task in &tasks {
        task.until_phase(Phase::Paused).await;
    }
    world.kubectl.out(&["label", "mt", "--all", "-n", &namespace, "touched=yes"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let peak = peak(operator.pid());
    println!("{TASKS} tasks of {size} bytes: the operator had {} MiB at most", peak >> 20);
    // The chart's limit is 256 MiB; this one is built without optimisation.
    assert!(peak < 256 << 20, "{} MiB", peak >> 20);
    drop(operator);
    // Whoever comes next has not asked for them.
    world.kubectl.out(&["delete", "mt", "--all", "-n", &namespace, "--timeout=60s"]).await;
}

/// A plan that is too long to stand in its ConfigMap as it is reaches its engine all the same.
pub async fn a_long_plan_reaches_its_engine(world: Arc<World>) {
    let namespace = world.namespace("long-plan").await;
    let table = |number: usize| json!({"table": format!("table_{number}"), "renameTo": format!("renamed_in_this_task_{number}")});
    let tables: Vec<Value> = (0..8000).map(table).collect();
    let task = Task::new(&world, &namespace, "shop").with(json!({"spec": {"objects": [{"database": "shop", "tables": tables}]}}));
    let task = task.create().await;
    // Asked for less often than elsewhere: whoever reads it ten times a second keeps everybody else waiting.
    let began = std::time::Instant::now();
    while condition(&task.status().await, "InSync") != "True" {
        assert!(began.elapsed() < Duration::from_secs(300), "not in sync: {:?}", task.status().await.conditions);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let map = task.plan_map().await.unwrap();
    assert!(map.data.is_none() && map.binary_data.is_some_and(|data| data.contains_key("plan.json.zst")));
    task.delete().await;
}
