//! A made-up Node: Ready, with room for everything, its lease renewed as the controllers want it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A node of the hollow kubelet.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub name: String,
    pub labels: Vec<(String, String)>,
    /// Its InternalIP.
    pub address: String,
}

/// Creates or updates the Node.
pub async fn register(client: &Client, node: &NodeSpec, ready: bool) -> kube::Result<()> {
    let labels: Value =
        node.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    let nodes = Api::<Node>::all(client.clone());
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "labels": labels}});
    nodes.patch(&node.name, &PatchParams::apply("hollow").force(), &Patch::Apply(object)).await?;
    let time = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string();
    let room = json!({"cpu": "100000", "memory": "1000000Gi", "pods": "20000"});
    let condition = json!({
        "type": "Ready", "status": if ready { "True" } else { "False" }, "reason": "Hollow", "message": "",
        "lastHeartbeatTime": time, "lastTransitionTime": time
    });
    let status = json!({"status": {
        "capacity": room, "allocatable": room,
        "addresses": [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": node.name}],
        "conditions": [condition]
    }});
    nodes.patch_status(&node.name, &PatchParams::default(), &Patch::Merge(status)).await?;
    // New nodes are tainted as not ready, and no controller may be there to see that they are.
    let untainted = json!({"spec": {"taints": null}});
    nodes.patch(&node.name, &PatchParams::default(), &Patch::Merge(untainted)).await?;
    Ok(())
}

/// Renews the lease until `stop`.
pub async fn heartbeat(client: Client, name: String, stop: CancellationToken) {
    let leases = Api::<Lease>::namespaced(client, "kube-node-lease");
    loop {
        let renewed = format!("{:.6}", Timestamp::now());
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": renewed}
        });
        // The next one is soon enough; the controllers wait four of them.
        let _ = leases.patch(&name, &PatchParams::apply("hollow").force(), &Patch::Apply(lease)).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
    }
}

/// Removes the Node.
pub async fn unregister(client: &Client, name: &str) {
    let _ = Api::<Node>::all(client.clone()).delete(name, &DeleteParams::default()).await;
}
