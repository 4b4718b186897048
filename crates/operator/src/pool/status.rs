//! Status of a pool. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Affinity, Node, NodeSelectorRequirement, Taint, Toleration};
use k8s_openapi::jiff::Timestamp;

use crate::ledger::{PoolView, TaskKey};
use crate::task::observe::capacity;
use crate::view::node_ready;
use godwit_api::condition::{Condition, READY, RECONCILING, STALLED, Time};
use godwit_api::{ClusterStatus, ClusterTask, ClusterTasks, ClusterUnits, DedicatedCluster, Phase, STATUS_LIST_LIMIT};

/// Addresses that status lists: each pod of the pool may be on any of its nodes, and an object of Kubernetes has a largest size.
const ADDRESS_LIMIT: usize = 1000;

/// What a task of the pool is doing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Doing {
    pub phase: Option<Phase>,
    pub latency_seconds: Option<u64>,
}

/// The status that should stand. `users`: tasks that name the pool and have not ended; only asked for while it is being deleted.
pub(crate) fn status(
    pool: &DedicatedCluster,
    view: &PoolView,
    doing: impl Fn(&TaskKey) -> Doing,
    mut node_addresses: Vec<String>,
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
    let (ready, reason, mut message) = state(pool, total, used, &tasks, users);
    if node_addresses.len() > ADDRESS_LIMIT {
        // Whoever makes an allow list of them must not take it for whole.
        let _ = write!(message, "; nodeAddresses has the first {ADDRESS_LIMIT} of {} addresses", node_addresses.len());
        node_addresses.truncate(ADDRESS_LIMIT);
    }
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

/// Addresses of the nodes on which the pool's pods may run: ready, selected, required, and with no taint that the pods do not put up with. Sorted.
pub(crate) fn addresses<'a>(pool: &DedicatedCluster, nodes: impl Iterator<Item = &'a Node>) -> Vec<String> {
    let placement = &pool.spec.placement;
    let mut found: Vec<String> = nodes
        .filter(|node| node_ready(node))
        .filter(|node| {
            let labels = node.metadata.labels.as_ref();
            placement.node_selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
        })
        .filter(|node| placement.affinity.as_ref().is_none_or(|affinity| required(affinity, node)))
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
    found
}

/// Whether the node meets the node affinity that is required (Kubernetes: one of the terms, all parts of it; a term without parts selects nothing).
fn required(affinity: &Affinity, node: &Node) -> bool {
    let selector =
        affinity.node_affinity.as_ref().and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    let Some(selector) = selector else { return true };
    let empty = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    // The only field that Kubernetes knows here.
    let fields = BTreeMap::from([("metadata.name".to_owned(), node.metadata.name.clone().unwrap_or_default())]);
    selector.node_selector_terms.iter().any(|term| {
        let (expressions, names) = (term.match_expressions.iter().flatten(), term.match_fields.iter().flatten());
        let parts = expressions.map(|part| meets(part, labels)).chain(names.map(|part| meets(part, &fields)));
        let met: Vec<bool> = parts.collect();
        !met.is_empty() && met.iter().all(|met| *met)
    })
}

fn meets(part: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let found = labels.get(&part.key);
    let values = part.values.as_deref().unwrap_or_default();
    let listed = found.is_some_and(|value| values.contains(value));
    let number = |text: Option<&String>| text.and_then(|text| text.parse::<i64>().ok());
    let numbers = number(found).zip(number(values.first()));
    match part.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => numbers.is_some_and(|(has, wanted)| has > wanted),
        "Lt" => numbers.is_some_and(|(has, wanted)| has < wanted),
        // The API server knows no other when it makes the pod.
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn nodes(terms: Value) -> Vec<String> {
        let pool: DedicatedCluster = serde_json::from_value(json!({
            "apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": "prod"},
            "spec": {"units": 1, "placement": {"affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
            }}}
        }))
        .unwrap();
        let node = |name: &str, labels: Value| -> Node {
            serde_json::from_value(json!({
                "metadata": {"name": name, "labels": labels},
                "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": name}]}
            }))
            .unwrap()
        };
        let all =
            [node("a", json!({"zone": "1", "cores": "8"})), node("b", json!({"zone": "2", "cores": "64"})), node("c", json!({}))];
        addresses(&pool, all.iter())
    }

    #[test]
    fn addresses_are_those_of_nodes_that_the_affinity_requires() {
        let part = |key: &str, operator: &str, values: Value| json!({"key": key, "operator": operator, "values": values});
        let expressions = |parts: Value| json!([{"matchExpressions": parts}]);
        let cases = [
            (expressions(json!([part("zone", "In", json!(["1", "9"]))])), vec!["a"]),
            (expressions(json!([part("zone", "NotIn", json!(["1"]))])), vec!["b", "c"]),
            (expressions(json!([part("zone", "Exists", json!(null))])), vec!["a", "b"]),
            (expressions(json!([part("zone", "DoesNotExist", json!(null))])), vec!["c"]),
            (expressions(json!([part("cores", "Gt", json!(["8"]))])), vec!["b"]),
            (expressions(json!([part("cores", "Lt", json!(["64"]))])), vec!["a"]),
            (expressions(json!([part("zone", "Exists", json!(null)), part("cores", "Gt", json!(["8"]))])), vec!["b"]),
            (json!([{"matchFields": [part("metadata.name", "In", json!(["c"]))]}]), vec!["c"]),
            (json!([{}]), vec![]),
            (
                json!([{}, {"matchFields": [part("metadata.name", "In", json!(["c"]))]}, {"matchExpressions": [part("zone", "In", json!(["1"]))]}]),
                vec!["a", "c"],
            ),
        ];
        for (terms, expected) in cases {
            assert_eq!(nodes(terms.clone()), expected, "{terms}");
        }
    }

    #[test]
    fn lists_of_a_large_pool_are_bounded_and_the_rest_is_counted() {
        let pool: DedicatedCluster = serde_json::from_value(json!({
            "apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": "prod"}, "spec": {"units": 5000}
        }))
        .unwrap();
        let name = |number: usize| format!("{number:0>56}");
        let tasks = |numbers: std::ops::Range<usize>| -> Vec<(TaskKey, u32)> {
            numbers.map(|number| (TaskKey::new(name(number), name(number)), 50)).collect()
        };
        let status = |running: usize, waiting: usize, addresses: usize| {
            let view =
                PoolView { held: running as u64 * 50, holders: tasks(0..running), waiting: tasks(running..running + waiting) };
            // The longest addresses that there are.
            let addresses = (0..addresses).map(|number| format!("2001:0db8:ffff:ffff:ffff:ffff:ffff:{number:04x}")).collect();
            super::status(&pool, &view, |_| Doing::default(), addresses, 0, Timestamp::UNIX_EPOCH)
        };
        let large = status(90, 4000, 1500);
        assert_eq!((large.tasks.running, large.tasks.queued, large.tasks.items.len()), (90, 4000, STATUS_LIST_LIMIT));
        // Those that run, then the first of the queue.
        let listed: Vec<&str> = large.tasks.items.iter().map(|item| item.name.as_str()).collect();
        assert_eq!(listed, (0..STATUS_LIST_LIMIT).map(name).collect::<Vec<_>>());
        assert_eq!(large.node_addresses.len(), ADDRESS_LIMIT);
        let text = large.message.clone().unwrap();
        assert_eq!(text, "500 of 5000 units are free, 4000 tasks wait; nodeAddresses has the first 1000 of 1500 addresses");
        assert!(large.conditions.iter().any(|condition| condition.type_ == READY && condition.message == text));
        let size = serde_json::to_string(&large).unwrap().len();
        assert!(size < 100_000, "{size} bytes");

        let small = status(1, 0, ADDRESS_LIMIT);
        assert_eq!((small.tasks.items.len(), small.node_addresses.len()), (1, ADDRESS_LIMIT));
        assert_eq!(small.message.as_deref(), Some("4950 of 5000 units are free"));
    }
}
