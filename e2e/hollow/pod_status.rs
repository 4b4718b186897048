//! The statuses that a kubelet writes, as patches.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// Bytes of a termination message that the kubelet keeps: the last ones.
const TERMINATION_MESSAGE_BYTES: usize = 4096;

fn now() -> String {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string()
}

fn container(pod: &Pod, fields: Value) -> Value {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let mut status = json!({
        "name": container.map(|container| container.name.clone()),
        "image": container.and_then(|container| container.image.clone()),
        "imageID": "hollow",
        "ready": false,
        "started": false,
        "restartCount": 0,
    });
    if let (Some(status), Value::Object(fields)) = (status.as_object_mut(), fields) {
        status.extend(fields);
    }
    status
}

fn conditions(ready: bool) -> Value {
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": now(), "reason": if holds { "" } else { "ContainersNotReady" }})
    };
    json!([
        condition("PodScheduled", true),
        condition("Initialized", true),
        condition("ContainersReady", ready),
        condition("Ready", ready)
    ])
}

/// No node fits.
pub fn unschedulable(message: &str) -> Value {
    json!({"status": {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": now()}
    ]}})
}

/// The container waits.
pub fn waiting(pod: &Pod, reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    json!({"status": {
        "phase": "Pending",
        "conditions": conditions(false),
        "containerStatuses": [container(pod, json!({"state": state}))]
    }})
}

/// The container runs.
pub fn running(pod: &Pod, address: &str, restarts: u32, last: Option<&Value>) -> Value {
    json!({"status": {
        "phase": "Running",
        "startTime": now(),
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions(true),
        "containerStatuses": [container(pod, json!({
            "ready": true,
            "started": true,
            "restartCount": restarts,
            "state": {"running": {"startedAt": now()}},
            "lastState": last.cloned().unwrap_or_else(|| json!({}))
        }))]
    }})
}

/// The state of a container that has ended.
pub fn terminated(code: i32, reason: &str, message: &str) -> Value {
    let mut start = message.len().saturating_sub(TERMINATION_MESSAGE_BYTES);
    while !message.is_char_boundary(start) {
        start += 1;
    }
    json!({"terminated": {
        "exitCode": code,
        "reason": reason,
        "message": message.get(start..),
        "startedAt": now(),
        "finishedAt": now()
    }})
}

/// The container has ended and is started again after a while.
pub fn crashed(pod: &Pod, restarts: u32, last: &Value) -> Value {
    let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}});
    json!({"status": {
        "phase": "Running",
        "conditions": conditions(false),
        "containerStatuses": [container(pod, json!({"restartCount": restarts, "state": state, "lastState": last}))]
    }})
}

/// The pod has ended for good.
pub fn ended(pod: &Pod, phase: &str, restarts: u32, state: &Value) -> Value {
    json!({"status": {
        "phase": phase,
        "conditions": conditions(false),
        "containerStatuses": [container(pod, json!({"restartCount": restarts, "state": state}))]
    }})
}

/// The node's kubelet threw the pod out.
pub fn evicted(pod: &Pod, restarts: u32) -> Value {
    let mut status = ended(pod, "Failed", restarts, &terminated(137, "Error", ""));
    status["status"]["reason"] = json!("Evicted");
    status["status"]["message"] = json!("The node was low on resource: memory.");
    status
}
