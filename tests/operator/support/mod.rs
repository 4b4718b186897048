//! What the cases need: the cluster, the operator's processes, tasks, waiting, kubectl.
#![allow(dead_code)]

pub mod audit;
pub mod cluster;
pub mod fixtures;
pub mod http;
pub mod kubectl;
pub mod operator;
pub mod proxy;
pub mod rbac;
pub mod units;
pub mod world;
