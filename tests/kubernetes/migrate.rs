//! A task from `helm install` to its end, with everything in between that happens to pods.

use serde_json::Value;

use crate::cluster::{Cluster, project};
use godwit_testkit::lab::PASSWORD;

use crate::server::{Writers, server};
use crate::shop;
use crate::task::{ENGINE, NAMESPACE, TASK, Task};

const SYSTEM: &str = "godwit-system";
const OPERATOR: [&str; 4] = ["-n", SYSTEM, "-l", "app.kubernetes.io/component=operator"];

pub async fn a_task_survives_all_that_happens_to_it(cluster: &Cluster) {
    cluster.step("helm install of the packaged chart");
    install(cluster);

    cluster.step("two MySQL servers, a shop, people who buy");
    let (source, destination) = (server(cluster), server(cluster));
    shop::load::load(&source.url(), shop::load::Options { rows: 40_000, seed: 7, portable: false }).await.unwrap();
    source.run(&["CREATE TABLE shop.markers (id BIGINT UNSIGNED PRIMARY KEY)"]).await;
    let writers = Writers::start(&source);
    let mut task = Task::new(cluster, source, destination);

    cluster.step("kubectl apply of a pool, two Secrets and a task");
    task.create();
    task.wait_for("condition=InSync", 120);
    task.show();
    cluster.show(&["describe", "-n", NAMESPACE, "mt", "shop"]);
    cluster.show(&["get", "pods", "-A", "-o", "wide"]);
    task.flows(10).await;

    cluster.step("the engine's pod is killed");
    engine_is_killed(&mut task).await;
    cluster.step("the operator's pod is killed");
    operator_is_killed(&mut task).await;
    cluster.step("paused, resumed");
    paused_and_resumed(&mut task).await;

    let totals = writers.stop().await;
    cluster.step(&format!("nobody buys any more: {totals:?}"));
    task.flows(10).await;
    task.verify();
    no_password_is_anywhere(cluster);

    cluster.step("stopped for good");
    stopped(&mut task).await;

    cluster.step("helm uninstall");
    cluster.helm(&["uninstall", "godwit", "-n", SYSTEM, "--wait", "--timeout=60s"]);
    assert_eq!(cluster.get(&TASK)["status"]["phase"], "Stopped", "tasks outlive the chart");
}

/// The chart as it is published, with its defaults.
fn install(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let (chart, into) = (project("charts/godwit"), folder.path().to_str().unwrap());
    cluster.helm(&["package", chart.to_str().unwrap(), "--destination", into]);
    let packages: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [package] = packages.as_slice() else { panic!("helm package made {packages:?}") };
    let arguments =
        ["install", "godwit", package.to_str().unwrap(), "-n", SYSTEM, "--create-namespace", "--wait", "--timeout=60s"];
    println!("{}", cluster.helm(&arguments).trim_end());
}

/// The identity of a pod: another one of the same name has another.
fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

fn is_running(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["state"]["running"].is_object() && pod["metadata"]["deletionTimestamp"].is_null()
}

async fn engine_is_killed(task: &mut Task<'_>) {
    let before = uid(&task.engine());
    task.cluster.kubectl(&["delete", "-n", NAMESPACE, "pod", "shop-engine", "--force", "--grace-period=0", "--wait=false"]);
    task.cluster.until("another engine", &ENGINE, 60, |pod| is_running(pod) && uid(pod) != before).await;
    task.flows(60).await;
    task.wait_for("condition=InSync", 60);
    task.show();
}

async fn operator_is_killed(task: &mut Task<'_>) {
    let engine = task.engine();
    let pods = [&["pods"], &OPERATOR[..]].concat();
    let before = uid(&task.cluster.get(&pods)["items"][0]);
    let position = task.cluster.get(&TASK)["status"]["position"].clone();
    let mut delete = vec!["delete", "pods", "--force", "--grace-period=0", "--wait=false"];
    delete.extend(OPERATOR);
    task.cluster.kubectl(&delete);
    // The engine asks nobody.
    task.flows(10).await;
    let another =
        |list: &Value| list["items"].as_array().is_some_and(|pods| pods.iter().any(|pod| is_running(pod) && uid(pod) != before));
    task.cluster.until("another operator", &pods, 60, another).await;
    task.cluster.until("a status that goes on", &TASK, 60, |task| task["status"]["position"] != position).await;
    let same = |pod: &Value| (uid(pod), pod["status"]["containerStatuses"][0]["restartCount"].clone());
    assert_eq!(same(&task.engine()), same(&engine), "the engine is the same");
    task.show();
}

async fn paused_and_resumed(task: &mut Task<'_>) {
    task.desire("Paused");
    task.wait_for("jsonpath={.status.phase}=Paused", 60);
    task.stands_still(4).await;
    task.show();
    task.desire("Running");
    task.flows(60).await;
    task.wait_for("condition=InSync", 60);
    task.wait_for("jsonpath={.status.phase}=Replicating", 30);
}

async fn stopped(task: &mut Task<'_>) {
    task.desire("Stopped");
    task.wait_for("jsonpath={.status.phase}=Stopped", 60);
    task.cluster.until("no engine", &ENGINE, 60, Value::is_null).await;
    task.stands_still(1).await;
    task.show();
    let units = task.cluster.until("free units", &["dc", "prod"], 30, |dc| dc["status"]["units"]["free"] == 2).await;
    assert_eq!(units["status"]["units"]["used"], 0);
}

/// In no object but the Secrets, no event, no log.
fn no_password_is_anywhere(cluster: &Cluster) {
    let objects = cluster.kubectl(&["get", "mt,dc,pods,configmaps,deployments,leases,events", "-A", "-o", "yaml"]);
    assert!(objects.contains("shop-source"), "the objects are there");
    assert!(!objects.contains(PASSWORD), "a password is in an object");
    let operator = cluster.kubectl(&[&["logs", "--tail=-1"], &OPERATOR[..]].concat());
    let engine = cluster.kubectl(&["logs", "-n", NAMESPACE, "shop-engine"]);
    for log in [operator, engine] {
        assert!(!log.is_empty() && !log.contains(PASSWORD), "a password is in a log:\n{log}");
    }
}
