//! The life of one pod, from the binding to a node to its removal, as a sequence that reads from top to bottom.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use godwit::api::engine::{ANNOTATION_PLAN, LABEL_TASK};
use godwit::api::{EnginePlan, MigrationTask};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::engine::Engine;
use super::kubelet::{Order, Shared};
use super::mounts::{Missing, changed_plan, mount};
use super::pod_status;
use super::script::{ANNOTATION_SCRIPT, LINGER, Script};

/// How often something that does not work yet is tried again.
const AGAIN: Duration = Duration::from_millis(300);

/// What ends a stage early.
enum End {
    /// The pod is to be removed, its grace period honoured.
    Leave,
    /// The pod is not there any more, or its node is not.
    Gone,
}

type Stage<T> = Result<T, End>;

/// A pod in the hands of the kubelet.
pub struct Worker {
    shared: Arc<Shared>,
    pods: Api<Pod>,
    pod: Pod,
    seen: watch::Receiver<Option<Pod>>,
    orders: mpsc::UnboundedReceiver<Order>,
    address: Ipv4Addr,
    restarts: u32,
    script: Script,
    last_state: Option<Value>,
    /// Conditions that were written: type and status, and since when.
    conditions: HashMap<(String, String), Value>,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        pod: Pod,
        seen: watch::Receiver<Option<Pod>>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        let pods = Api::namespaced(shared.client.clone(), &pod.namespace().unwrap_or_default());
        let address = shared.next_address();
        Self {
            shared,
            pods,
            pod,
            seen,
            orders,
            address,
            restarts: 0,
            script: Script::Normal,
            last_state: None,
            conditions: HashMap::new(),
        }
    }

    /// From the binding to the end.
    pub async fn run(mut self) {
        let end = match self.live().await {
            Ok(()) => self.idle().await,
            Err(end) => end,
        };
        if matches!(end, End::Leave) {
            let uid = self.pod.uid();
            let parameters = DeleteParams {
                grace_period_seconds: Some(0),
                preconditions: Some(Preconditions { uid, resource_version: None }),
                ..DeleteParams::default()
            };
            let _turn = self.shared.turn().await;
            let _ = self.pods.delete(&self.pod.name_any(), &parameters).await;
        }
    }

    async fn live(&mut self) -> Stage<()> {
        self.bind().await?;
        self.pull().await?;
        loop {
            let plan = self.mounted().await?;
            if self.script == Script::Crashes {
                self.crash(1, "Error", "the destination's disk is full").await?;
                self.look_up_script().await;
                continue;
            }
            if self.work(plan, self.script).await? {
                return Ok(());
            }
        }
    }

    /// The scheduler's part.
    async fn bind(&mut self) -> Stage<()> {
        let mut told = false;
        self.look_up_script().await;
        while self.pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none()) {
            let node = if self.script == Script::Unschedulable { None } else { self.shared.node_for(&self.pod) };
            match node {
                Some(node) => {
                    let binding = json!({
                        "apiVersion": "v1", "kind": "Binding",
                        "metadata": {"name": self.pod.name_any(), "uid": self.pod.uid()},
                        "target": {"apiVersion": "v1", "kind": "Node", "name": node}
                    });
                    let name = self.pod.name_any();
                    let turn = self.shared.turn().await;
                    let bound =
                        self.pods.create_subresource::<_, Value>("binding", &name, &PostParams::default(), &binding).await;
                    drop(turn);
                    if bound.is_ok() {
                        return Ok(());
                    }
                }
                None if !told => {
                    self.patch(pod_status::unschedulable(
                        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
                    ))
                    .await;
                    told = true;
                }
                None => {}
            }
            self.wait(AGAIN).await?;
            self.look_up_script().await;
        }
        Ok(())
    }

    async fn pull(&mut self) -> Stage<()> {
        let mut told = false;
        while self.script == Script::ImageMissing || self.image_is_missing() {
            if !told {
                self.patch(pod_status::waiting(&self.pod, "ImagePullBackOff", "Back-off pulling image \"hollow\"")).await;
                told = true;
            }
            self.wait(AGAIN).await?;
            self.look_up_script().await;
        }
        Ok(())
    }

    /// Images with this tag are nowhere.
    fn image_is_missing(&self) -> bool {
        let containers = self.pod.spec.iter().flat_map(|spec| &spec.containers);
        containers.filter_map(|container| container.image.as_deref()).any(|image| image.ends_with(":missing"))
    }

    async fn mounted(&mut self) -> Stage<EnginePlan> {
        let mut told = String::new();
        loop {
            let trouble = match mount(&self.shared, &self.pod).await {
                Ok(plan) => return Ok(plan),
                Err(Missing::Object(what)) => what,
                Err(Missing::Contract(what)) => {
                    self.shared.complain(format!("{}: {what}", self.key()));
                    what
                }
                Err(Missing::Api(_)) => String::new(),
            };
            if told != trouble {
                self.patch(pod_status::waiting(&self.pod, "ContainerCreating", &trouble)).await;
                told = trouble;
            }
            self.wait(AGAIN).await?;
        }
    }

    /// One run of the container; whether it was the last.
    async fn work(&mut self, plan: EnginePlan, script: Script) -> Stage<bool> {
        let mode = plan.mode;
        let engine = match Engine::start(self.address, plan, script, self.shared.records.clone()).await {
            Ok(engine) => engine,
            Err(error) => {
                self.shared.complain(format!("{} cannot listen at {}: {error}", self.key(), self.address));
                self.crash(1, "Error", &error.to_string()).await?;
                return Ok(false);
            }
        };
        let running = pod_status::running(&self.pod, &self.address.to_string(), self.restarts, self.last_state.as_ref());
        self.patch(running).await;
        let outcome = self.attend(&engine).await;
        if let Err(End::Leave) = &outcome
            && engine.script() == Script::SlowStop
        {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let report = engine.report();
        engine.end();
        match outcome? {
            Order::Evict => {
                self.patch(pod_status::evicted(&self.pod, self.restarts)).await;
                Ok(true)
            }
            Order::Crash { code, reason } => {
                self.crash(code, reason, "").await?;
                Ok(false)
            }
            Order::Finish => {
                let message = serde_json::to_string(&report).unwrap_or_default();
                let state = pod_status::terminated(0, "Completed", &message);
                self.patch(pod_status::ended(&self.pod, "Succeeded", self.restarts, &state)).await;
                tracing::debug!(pod = self.key(), ?mode, "ended");
                Ok(true)
            }
            Order::Vanish | Order::Script(_) => Err(End::Gone),
        }
    }

    /// Watches over the running engine until something happens to it.
    async fn attend(&mut self, engine: &Arc<Engine>) -> Stage<Order> {
        let started = tokio::time::Instant::now();
        loop {
            if engine.is_done() {
                if !engine.script().is_deaf(engine.plan().mode) {
                    self.wait(LINGER).await?;
                }
                return Ok(Order::Finish);
            }
            let look =
                if started.elapsed() < Duration::from_secs(10) { Duration::from_millis(100) } else { Duration::from_secs(2) };
            let plan_before = self.pod.annotations().get(ANNOTATION_PLAN).cloned();
            match self.wait_or_order(look).await? {
                Some(Order::Script(script)) => engine.replace_script(script),
                Some(order) => return Ok(order),
                None => {}
            }
            if self.pod.annotations().get(ANNOTATION_PLAN) != plan_before.as_ref() {
                match changed_plan(&self.shared, &self.pod).await {
                    Ok(plan) => engine.replace_plan(plan),
                    Err(trouble) => self.shared.complain(format!("{}: the changed plan: {trouble:?}", self.key())),
                }
            }
        }
    }

    async fn crash(&mut self, code: i32, reason: &str, message: &str) -> Stage<()> {
        self.restarts += 1;
        let last = pod_status::terminated(code, reason, message);
        self.patch(pod_status::crashed(&self.pod, self.restarts, &last)).await;
        self.last_state = Some(last);
        self.wait(Duration::from_millis(500 * u64::from(self.restarts.min(4)))).await
    }

    /// A pod that has ended stays until somebody deletes it.
    async fn idle(&mut self) -> End {
        loop {
            if let Err(end) = self.wait(Duration::from_secs(3600)).await {
                return end;
            }
        }
    }

    async fn wait(&mut self, time: Duration) -> Stage<()> {
        let until = tokio::time::Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            match self.wait_or_order(left).await? {
                Some(Order::Vanish) => return Err(End::Gone),
                _ if tokio::time::Instant::now() >= until => return Ok(()),
                _ => {}
            }
        }
    }

    /// Until the time is over, the pod has changed or an order has come.
    async fn wait_or_order(&mut self, time: Duration) -> Stage<Option<Order>> {
        if self.pod.metadata.deletion_timestamp.is_some() {
            return Err(End::Leave);
        }
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(None),
            order = self.orders.recv() => Ok(order),
            changed = self.seen.changed() => {
                let Some(pod) = changed.ok().and_then(|()| self.seen.borrow_and_update().clone()) else { return Err(End::Gone) };
                self.pod = pod;
                if self.pod.metadata.deletion_timestamp.is_some() { Err(End::Leave) } else { Ok(None) }
            }
        }
    }

    /// Read once for each pod, and again while it keeps the pod from starting.
    async fn look_up_script(&mut self) {
        self.script = self.script_of_task().await;
    }

    async fn script_of_task(&self) -> Script {
        let Some(task) = self.pod.labels().get(LABEL_TASK) else { return Script::Normal };
        let tasks = Api::<MigrationTask>::namespaced(self.shared.client.clone(), &self.pod.namespace().unwrap_or_default());
        let _turn = self.shared.turn().await;
        let task = tasks.get_metadata_opt(task).await.ok().flatten();
        let name = task.and_then(|task| task.annotations().get(ANNOTATION_SCRIPT).cloned());
        match name.as_deref().map(Script::parse) {
            None => Script::Normal,
            Some(Some(script)) => script,
            Some(None) => {
                self.shared.complain(format!("{}: no script is called {name:?}", self.key()));
                Script::Normal
            }
        }
    }

    /// The uid keeps it from a pod of the same name that was made later.
    async fn patch(&mut self, mut status: Value) {
        status["metadata"] = json!({"uid": self.pod.uid()});
        let before = std::mem::take(&mut self.conditions);
        for condition in status["status"]["conditions"].as_array_mut().into_iter().flatten() {
            // A condition that holds as before keeps the time of its last change.
            let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            let key = (text("type"), text("status"));
            let since = before.get(&key).cloned().unwrap_or_else(|| condition["lastTransitionTime"].clone());
            condition["lastTransitionTime"] = since.clone();
            self.conditions.insert(key, since);
        }
        let _turn = self.shared.turn().await;
        let patched = self.pods.patch_status(&self.pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await;
        match patched {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => self.shared.complain(format!("status of {}: {error}", self.key())),
        }
    }

    fn key(&self) -> String {
        format!("{}/{}", self.pod.namespace().unwrap_or_default(), self.pod.name_any())
    }
}
