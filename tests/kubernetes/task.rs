//! The task `shop` in the namespace `data`, and what can be said about it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use godwit_testkit::lab::{PASSWORD, Server};

use crate::server::number;

pub const NAMESPACE: &str = "data";
pub const TASK: [&str; 4] = ["-n", NAMESPACE, "mt", "shop"];
pub const ENGINE: [&str; 4] = ["-n", NAMESPACE, "pod", "shop-engine"];

pub struct Task<'a> {
    pub cluster: &'a Cluster,
    source: Server,
    destination: Server,
    /// Of the last marker.
    marker: u64,
}

impl<'a> Task<'a> {
    pub fn new(cluster: &'a Cluster, source: Server, destination: Server) -> Self {
        Self { cluster, source, destination, marker: 0 }
    }

    /// A pool, two Secrets and the task, in a namespace that admits restricted pods only.
    pub fn create(&self) {
        let mut objects = vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
            json!({"apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": "prod"},
                "spec": {"units": 2, "unitResources": {"cpu": "500m", "memory": "512Mi"}}}),
        ];
        objects.extend(self.manifest());
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.cluster.apply(&objects.to_string());
    }

    fn manifest(&self) -> Vec<Value> {
        let secret = |name: &str, server: &Server| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": {
                "host": server.host, "port": server.port.to_string(), "username": "root", "password": PASSWORD}})
        };
        let task = json!({"apiVersion": "godwit.dev/v1alpha1", "kind": "MigrationTask",
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {
                "cluster": {"name": "prod", "units": 1},
                "source": {"mysql": {"credentials": {"secretName": "shop-source"}}},
                "destination": {"mysql": {"credentials": {"secretName": "shop-destination"}}},
                "objects": [{"database": "shop"}]
            }
        });
        vec![secret("shop-source", &self.source), secret("shop-destination", &self.destination), task]
    }

    /// `godwit verify` with the same manifest, from here.
    pub fn verify(&self) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("task.yaml");
        let documents: Vec<String> = self.manifest().iter().map(Value::to_string).collect();
        std::fs::write(&path, documents.join("\n---\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_godwit")).args(["verify", "-f"]).arg(&path).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}");
        println!("$ godwit verify\n{}", said.trim_end());
    }

    pub fn desire(&self, state: &str) {
        let patch = json!({"spec": {"desiredState": state}}).to_string();
        self.cluster.kubectl(&["patch", "-n", NAMESPACE, "mt", "shop", "--type=merge", "-p", &patch]);
    }

    /// What users wait for, with kubectl's own waiting.
    pub fn wait_for(&self, what: &str, seconds: u32) {
        let (condition, timeout) = (format!("--for={what}"), format!("--timeout={seconds}s"));
        let arguments = ["wait", &condition, "-n", NAMESPACE, "mt/shop", &timeout];
        if self.cluster.try_kubectl(&arguments).is_none() {
            self.cluster.explain();
            panic!("not within {seconds} s: {what}; the task is {:#}", self.cluster.get(&TASK));
        }
    }

    pub fn show(&self) -> String {
        self.cluster.show(&["get", "mt,dc", "-n", NAMESPACE])
    }

    pub fn engine(&self) -> Value {
        self.cluster.get(&ENGINE)
    }

    /// A row that nobody else makes.
    pub async fn mark(&mut self) -> u64 {
        self.marker += 1;
        self.source.run(&[&format!("INSERT INTO shop.markers VALUES ({})", self.marker)]).await;
        self.marker
    }

    async fn arrived(&self, marker: u64) -> bool {
        number(&self.destination, &format!("SELECT COUNT(*) FROM shop.markers WHERE id = {marker}")).await == 1
    }

    /// What is written to the source now is soon at the destination.
    pub async fn flows(&mut self, seconds: u64) {
        let marker = self.mark().await;
        let begin = Instant::now();
        while !self.arrived(marker).await {
            if begin.elapsed() > Duration::from_secs(seconds) {
                self.cluster.explain();
                panic!(
                    "a row of the source is not at the destination within {seconds} s; the task is {:#}",
                    self.cluster.get(&TASK)
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("a row committed now is at the destination {} ms later", begin.elapsed().as_millis());
    }

    /// What is written to the source now stays there.
    pub async fn stands_still(&mut self, seconds: u64) {
        let marker = self.mark().await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert!(!self.arrived(marker).await, "a row arrived although the task stands still");
    }
}
