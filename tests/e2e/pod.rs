//! `godwit engine` between real servers: a task's life as the operator leads it, through the files of its pods.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::pod_files::{Engine, Pod, condition};
use crate::support::PASSWORD;
use crate::support::writers::load;
use crate::support::{Server, assert_equal, place, sleep};

const SOON: Duration = Duration::from_secs(60);

/// What the operator hands over.
struct Plan(Value);

impl Plan {
    fn new(source: &Server, destination: &Server) -> Self {
        let end = |server: &Server, secret: &str| json!({"mysql": {"host": "127.0.0.1", "port": server.port, "credentials": {"secretName": secret}}});
        Self(json!({
            "apiVersion": "godwit.dev/v1alpha1",
            "mode": "Precheck",
            "task": {"namespace": "shops", "name": "shop", "uid": "1-2-3"},
            "generation": 1,
            "spec": {"source": end(source, "source"), "destination": end(destination, "destination"), "objects": [{"database": "shop"}]},
            "retry": {"connectionMinutes": 30, "otherMinutes": 10, "failedTaskDays": 7},
            "resources": {"units": 1, "cpuMillis": 1000, "memoryBytes": 536_870_912}
        }))
    }

    fn mode(mut self, mode: &str) -> Self {
        self.0["mode"] = json!(mode);
        self
    }

    /// A new generation with these throttles.
    fn throttle(mut self, full: u64, incremental: u64) -> Self {
        self.0["generation"] = json!(self.0["generation"].as_i64().unwrap() + 1);
        self.0["spec"]["throttle"] = json!({"full": {"rowsPerSecond": full}, "incremental": {"rowsPerSecond": incremental}});
        self
    }

    fn mount(self, pod: &Pod) -> Self {
        pod.plan(&self.0.to_string());
        self
    }
}

fn rows_copied(engine: &Engine) -> u64 {
    engine.status()["full"]["rowsCopied"].as_u64().unwrap_or(0)
}

async fn count(server: &Server, actor: &str) -> u64 {
    server.list(&format!("SELECT CAST(COUNT(*) AS CHAR) FROM shop.audit_log WHERE actor='{actor}'")).await[0].parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 20_000, false).await;
    source.run(&["CREATE USER mover IDENTIFIED BY 'first-word'", "GRANT ALL ON *.* TO mover"]).await;
    let mut pod = Pod::new();
    pod.secret("source", &[("username", "mover"), ("password", "first-word")]);
    pod.secret("destination", &[("username", "root"), ("password", PASSWORD)]);

    let plan = Plan::new(&source, &destination).mount(&pod);
    let mut engine = pod.start();
    let passed = |status: &Value| condition(status, "PrecheckPassed") == "True";
    let status = engine.until("a passed precheck", SOON, passed);
    assert_eq!((&status["phase"], &status["observedGeneration"]), (&json!("Pending"), &json!(1)));
    let last = engine.terminate();
    assert_eq!((&last["phase"], &last["precheck"]["successRate"]), (&json!("Pending"), &json!("100%")));
    assert!(destination.databases().await.is_empty(), "a precheck writes nothing");

    // A limit holds, and a raised one is felt at once.
    let plan = plan.mode("Run").throttle(1000, 0).mount(&pod);
    let mut engine = pod.start();
    engine.until("first rows", SOON, |status| status["full"]["rowsCopied"].as_u64().unwrap_or(0) > 0);
    let (started, before) = (Instant::now(), rows_copied(&engine));
    sleep(5.0).await;
    let (copied, allowed) = (rows_copied(&engine) - before, started.elapsed().as_secs_f64() * 1000.0);
    assert!(copied as f64 > allowed * 0.2, "{copied} rows in the time of {allowed}");
    // Three readers may each have taken a second's worth before they wait.
    assert!((copied as f64) < allowed * 1.5 + 3000.0, "{copied} rows in the time of {allowed}");
    assert_eq!(engine.status()["phase"], "Copying");
    // Told to go while it waits, it goes; the next pod copies the rest.
    engine.terminate();
    let mut engine = pod.start();
    engine.until("more rows", SOON, |status| status["full"]["rowsCopied"].as_u64().unwrap_or(0) > before + copied);
    assert_eq!(engine.status()["phase"], "Copying");
    let plan = plan.throttle(0, 0).mount(&pod);
    let raised = Instant::now();
    let in_sync = |status: &Value| condition(status, "InSync") == "True";
    let status = engine.until("in sync", SOON, in_sync);
    assert_eq!(status["observedGeneration"], 3);
    let left = 20_000u64.saturating_sub(before + copied) as f64 / 1000.0;
    println!("{copied} rows in the time of {allowed:.0}; unlimited, the rest took {:?} instead of {left:.0} s", raised.elapsed());

    // So for changes.
    let plan = plan.throttle(0, 100).mount(&pod);
    engine.until("generation 4", SOON, |status| status["observedGeneration"] == 4);
    let row = "('limited', 'write')";
    let insert = format!("INSERT INTO shop.audit_log (actor, action) VALUES {}", vec![row; 20].join(","));
    source.run(&vec![insert.as_str(); 100]).await;
    sleep(4.0).await;
    let applied = count(&destination, "limited").await;
    assert!((40..1500).contains(&applied), "{applied} of 2000 rows in 4 s at 100 a second");
    engine.terminate();

    // The next pod goes on. A Secret that is rotated at the server first is waited for.
    let plan = plan.throttle(0, 0).mount(&pod);
    let mut engine = pod.start();
    engine.until("in sync", SOON, in_sync);
    source.run(&["ALTER USER mover IDENTIFIED BY 'second-word'"]).await;
    let connections = "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE user='mover'";
    let mut conn = source.connect().await;
    for id in source.list(connections).await {
        // One that has ended by itself meanwhile is as good (ER_NO_SUCH_THREAD).
        match conn.query_drop(format!("KILL {id}")).await {
            Err(mysql_async::Error::Server(error)) if error.code == 1094 => {}
            result => result.unwrap(),
        }
    }
    let status = engine.until_phase("Retrying", SOON);
    assert_eq!(status["observedGeneration"], 5);
    pod.secret("source", &[("username", "mover"), ("password", "second-word")]);
    engine.until("in sync again", SOON, in_sync);
    assert_equal(&source, &destination, "shop").await;
    engine.terminate();

    // A precheck of a task that has begun does not stumble over its own tables.
    let plan = plan.mode("Precheck").mount(&pod);
    let mut engine = pod.start();
    engine.until("a passed precheck", SOON, passed);
    engine.terminate();

    // Stopped for good.
    let plan = plan.mode("Stop").mount(&pod);
    let mut engine = pod.start();
    let status = engine.until_phase("Stopped", SOON);
    assert_eq!([condition(&status, "Complete"), condition(&status, "Stalled")], ["True", "False"]);
    assert_eq!(engine.terminate()["phase"], "Stopped");
    plan.mode("Run").mount(&pod);
    let mut engine = pod.start();
    let status = engine.until_phase("Failed", SOON);
    assert_eq!(condition(&status, "Stalled"), "True");
    assert!(status["message"].as_str().unwrap().contains("was stopped for good"), "{status}");
    assert_eq!(engine.terminate()["phase"], "Failed");
}

/// A second engine takes the task over; the first one parks and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_engine_parks() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    load(&source, 500, false).await;
    let mut pod = Pod::new();
    for secret in ["source", "destination"] {
        pod.secret(secret, &[("username", "root"), ("password", PASSWORD)]);
    }
    Plan::new(&source, &destination).mode("Run").mount(&pod);
    let in_sync = |status: &Value| condition(status, "InSync") == "True";
    let mut first = pod.start();
    first.until("in sync", SOON, in_sync);
    let mut second = pod.start();
    second.until("in sync", SOON, in_sync);
    source.run(&["INSERT INTO shop.audit_log (actor, action) VALUES ('after', 'write')"]).await;
    let status = first.until_phase("Failed", SOON);
    assert!(status["message"].as_str().unwrap().contains("another engine has taken this task over"), "{status}");
    assert_eq!((first.get("/healthz").0, first.get("/livez").0), (503, 200));
    assert_eq!(second.status()["phase"], "Replicating");
    assert_eq!(count(&destination, "after").await, 1);
    second.terminate();
    first.terminate();
}

/// A pod of one unit has 512 MiB.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_memory_enough() {
    let _place = place().await;
    let (source, destination) = (Server::start("mysql97", &[]), Server::start("mysql97", &[]));
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000) SELECT i FROM n";
    source
        .run(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.large (id INT AUTO_INCREMENT PRIMARY KEY, content VARBINARY(1024) NOT NULL)",
            &format!("CREATE TABLE shop.numbers (i INT PRIMARY KEY) {numbers}"),
            "INSERT INTO shop.large (content) SELECT RANDOM_BYTES(1000) FROM shop.numbers a JOIN shop.numbers b ON b.i<=120",
        ])
        .await;
    let mut pod = Pod::new();
    for secret in ["source", "destination"] {
        pod.secret(secret, &[("username", "root"), ("password", PASSWORD)]);
    }
    Plan::new(&source, &destination).mode("Run").mount(&pod);
    let mut engine = pod.start();
    engine.until("in sync", SOON * 2, |status| condition(status, "InSync") == "True");
    let copied = engine.peak_mebibytes();
    // One transaction of about 120 MB in the log.
    source
        .run(&["UPDATE shop.large SET content=RANDOM_BYTES(1000) WHERE id<=60000", "INSERT INTO shop.numbers VALUES (0)"])
        .await;
    let deadline = Instant::now() + SOON * 2;
    while destination.list("SELECT CAST(i AS CHAR) FROM shop.numbers WHERE i=0").await.is_empty() {
        assert!(Instant::now() < deadline, "{:#}", engine.status());
        sleep(0.2).await;
    }
    let applied = engine.peak_mebibytes();
    println!("peak memory: {copied} MiB after the copy of 120 MB, {applied} MiB after a transaction of 120 MB");
    assert!(applied < 384, "{applied} MiB of 512");
    engine.terminate();
}
