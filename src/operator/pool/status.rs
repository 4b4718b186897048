//! Status of a pool. Pure.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};
use k8s_openapi::jiff::Timestamp;

use crate::api::condition::{Condition, READY, RECONCILING, STALLED, Time};
use crate::api::{ClusterStatus, ClusterTask, ClusterTasks, ClusterUnits, DedicatedCluster, Phase, STATUS_LIST_LIMIT};
use crate::operator::ledger::{PoolView, TaskKey};
use crate::operator::task::observe::{capacity, node_ready};

/// What a task of the pool is doing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Doing {
    pub phase: Option<Phase>,
    pub latency_seconds: Option<u64>,
}

/// The status that should stand. `users`: tasks that name the pool and have not ended; only asked for while it is being deleted.
pub fn status(
    pool: &DedicatedCluster,
    view: &PoolView,
    doing: impl Fn(&TaskKey) -> Doing,
    node_addresses: Vec<String>,
    users: usize,
    now: Timestamp,
) -> ClusterStatus {
    let total = capacity(pool);
    let used = view.held;
    let units = ClusterUnits { total, used, free: total.saturating_sub(used) };
    let item = |(key, units): &(TaskKey, u32)| {
        let doing = doing(key);
        ClusterTask {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            phase: doing.phase,
            units: u64::from(*units),
            latency_seconds: doing.latency_seconds,
        }
    };
    let items = view.holders.iter().chain(&view.waiting).take(STATUS_LIST_LIMIT).map(item).collect();
    let tasks = ClusterTasks { running: view.holders.len() as u64, queued: view.waiting.len() as u64, items };
    let (ready, reason, message) = state(pool, total, used, &tasks, users);
    let stalled = !ready && reason == "InUse";
    let before = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        let status = if holds { "True" } else { "False" };
        let since = before.iter().find(|known| known.type_ == kind && known.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            last_transition_time: since.map_or_else(
                || Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
                |known| known.last_transition_time.clone(),
            ),
            observed_generation: pool.metadata.generation,
        }
    };
    let conditions = vec![
        condition(READY, ready, reason, &message),
        condition(RECONCILING, false, "Settled", "nothing is under way"),
        condition(STALLED, stalled, if stalled { reason } else { "NotStalled" }, &message),
    ];
    ClusterStatus {
        observed_generation: pool.metadata.generation,
        message: Some(message),
        units,
        tasks,
        node_addresses,
        conditions,
    }
}

fn state(pool: &DedicatedCluster, total: u64, used: u64, tasks: &ClusterTasks, users: usize) -> (bool, &'static str, String) {
    if pool.metadata.deletion_timestamp.is_some() {
        let message =
            format!("is being deleted and waits for {users} tasks that use it; stop them, or let them name another cluster");
        return (false, "InUse", message);
    }
    if used > total {
        let message = format!(
            "tasks hold {used} units, more than the {total} of the pool since it shrank; none is evicted, none starts before units are free"
        );
        return (true, "Shrunk", message);
    }
    let queued = if tasks.queued > 0 { format!(", {} tasks wait", tasks.queued) } else { String::new() };
    (true, "Available", format!("{} of {total} units are free{queued}", total - used))
}

/// Addresses of the nodes on which the pool's pods may run: ready, selected, and with no taint that the pods do not put up with. Sorted.
pub fn addresses<'a>(pool: &DedicatedCluster, nodes: impl Iterator<Item = &'a Node>) -> Vec<String> {
    let placement = &pool.spec.placement;
    let mut found: Vec<String> = nodes
        .filter(|node| node_ready(node))
        .filter(|node| {
            let labels = node.metadata.labels.as_ref();
            placement.node_selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        })
        .filter(|node| {
            let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).into_iter().flatten();
            taints.filter(|taint| taint.effect != "PreferNoSchedule").all(|taint| tolerated(taint, &placement.tolerations))
        })
        .filter_map(|node| node.status.as_ref()?.addresses.as_ref())
        .flatten()
        .filter(|address| address.type_ == "InternalIP" || address.type_ == "ExternalIP")
        .map(|address| address.address.clone())
        .collect();
    found.sort();
    found.dedup();
    found.truncate(1000);
    found
}

/// Whether one of the tolerations covers the taint (Kubernetes: empty effect covers all effects, Exists without a key covers all taints).
fn tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = toleration.effect.as_deref().is_none_or(|effect| effect.is_empty() || effect == taint.effect);
        let exists = toleration.operator.as_deref() == Some("Exists");
        let key = match toleration.key.as_deref() {
            None | Some("") => exists,
            Some(key) => key == taint.key,
        };
        let value = exists || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
        effect && key && value
    })
}
