//! A hollow node: a kubelet without containers and engines without databases, for tests of the operator against a real API server.
//!
//! Every engine pod (label `godwit.dev/task`) is bound to a made-up Node, gets an address of its own in 127.0.0.0/8 and a hollow engine that listens
//! there on the port of the contract, reads the plan from the pod's ConfigMap as the kubelet would mount it, and reports what its [`script`] says. The
//! script is named by the task's annotation `hollow.godwit.dev/script`. What a destination would remember (how far the work has come, the fence) is kept in
//! [`records`], so that a pod that is made again goes on where the last one stood.
//!
//! What it is strict about: a pod starts only when every object that it mounts exists; the plan is looked at again only when the pod's annotation changes;
//! a termination message is cut as the kubelet cuts it; a pod is gone only after its grace period was honoured.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod engine;
pub mod kubelet;
pub mod mounts;
pub mod node;
pub mod pod;
pub mod pod_status;
pub mod records;
pub mod script;
