//! What a scrape of the operator shows: every metric that the documentation lists and the chart's alerts and dashboard ask for, moving as things
//! happen.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use axum::http::Method;
use godwit::api::Phase;
use kube::api::DeleteParams;
use serde_json::json;

use crate::hollow::kubelet::Order;
use crate::hollow::script::Script;
use crate::support::fixtures::{Task, eventually, pool, pools};
use crate::support::http;
use crate::support::operator::{Operator, Options};
use crate::support::proxy::{Act, Proxy, is_watch};
use crate::support::world::World;

fn project(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What follows each occurrence of the operator's prefix in a text: a metric's name and, where it has one, the selector behind it.
fn asked(text: &str) -> BTreeSet<(String, String)> {
    // The dashboard's expressions stand in JSON strings.
    let text = text.replace("\\\"", "\"");
    let mut found = BTreeSet::new();
    for (at, prefix) in text.match_indices("godwit_operator_") {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(rest.len());
        let selector = rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(selector, _)| selector);
        found.insert((format!("{prefix}{}", &rest[..end]), selector.to_owned()));
    }
    found
}

/// Of `label="value"` and `label=~"value|value"`, what stands in a sample.
fn wanted_labels(selector: &str) -> Vec<String> {
    let Some((label, values)) = selector.split_once('=') else { return vec![String::new()] };
    values.trim_start_matches('~').trim_matches('"').split('|').map(|value| format!("{label}=\"{value}\"")).collect()
}

/// Every sample belongs to a family that has a type and says what it is about; the families, by the names of their samples without suffix.
fn families(text: &str) -> BTreeSet<String> {
    assert!(text.ends_with("# EOF\n"), "a scrape that is cut short: {text}");
    let words = |kind: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind)).filter_map(|line| line.split_once(' '));
        lines.filter(|(_, words)| !words.is_empty()).map(|(name, _)| name.to_owned()).collect()
    };
    let (helped, typed) = (words("# HELP "), words("# TYPE "));
    assert_eq!(helped, typed);
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let name = &sample[..sample.find(['{', ' ']).unwrap()];
        let family = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(typed.contains(family), "{sample} has no type");
    }
    typed
}

/// The one sample with these labels; 0 where there is none yet.
async fn value(operator: &Operator, sample: &str) -> f64 {
    let found = operator.metric(sample).await;
    assert!(found.len() <= 1, "{found:?}");
    found.first().map_or(0.0, |(_, value)| *value)
}

/// Waits until a sample has this value at least.
async fn rises(operator: &Operator, sample: &str, to: f64) {
    eventually(&format!("{sample} at {to}"), || async {
        let now = value(operator, sample).await;
        if now >= to { Ok(()) } else { Err(now) }
    })
    .await;
}

pub async fn every_metric_is_served_and_moves(world: Arc<World>) {
    let namespace = world.namespace("metrics").await;
    let proxy = Proxy::start(&world).await;
    let broken = proxy.fault(2, Act::Refuse(500), |_, path| is_watch(path) && path.contains("/migrationtasks"));
    // In one namespace, in which only what happens here counts.
    let options = Options::named("metrics").with(&["--watch-namespace", &namespace]).through(&proxy.server);
    let operator = Operator::start(&world, options).await;
    let tasks = |phase: Phase| format!("godwit_operator_tasks{{phase=\"{}\"}}", phase.as_str());
    let units = |state: &str| format!("godwit_operator_pool_units{{state=\"{state}\"}}");
    let reconciles = |outcome: &str| format!("godwit_operator_reconciles_total{{kind=\"MigrationTask\",outcome=\"{outcome}\"}}");
    let polls = |outcome: &str| format!("godwit_operator_engine_polls_total{{outcome=\"{outcome}\"}}");
    let (used, queued) = (units("used"), "godwit_operator_queued_units");

    assert_eq!(value(&operator, "godwit_operator_leader").await, 1.0);
    rises(&operator, "godwit_operator_watch_errors_total{kind=\"migrationtasks\"}", 2.0).await;
    assert_eq!(broken.times(), 2);
    let (total, free) = (value(&operator, &units("total")).await, value(&operator, &units("free")).await);
    for sample in [&tasks(Phase::Replicating), &tasks(Phase::Queued), &used, queued, &reconciles("error"), &polls("answered")] {
        assert_eq!(value(&operator, sample).await, 0.0, "{sample}");
    }

    // A pool of two units, a task that takes both, and one that waits for one.
    let pool = pool(&world, "metrics", json!({"units": 2})).await;
    rises(&operator, &units("total"), total + 2.0).await;
    let first = Task::new(&world, &namespace, "first").pool(&pool, 2).create().await;
    first.until_in_sync().await;
    rises(&operator, &tasks(Phase::Replicating), 1.0).await;
    let second = Task::new(&world, &namespace, "second").pool(&pool, 1).create().await;
    second.until_phase(Phase::Queued).await;
    rises(&operator, &tasks(Phase::Queued), 1.0).await;
    rises(&operator, queued, 1.0).await;
    assert_eq!((value(&operator, &used).await, value(&operator, queued).await), (2.0, 1.0));
    assert_eq!((value(&operator, &units("total")).await, value(&operator, &units("free")).await), (total + 2.0, free));
    assert!(value(&operator, &reconciles("ok")).await >= 2.0 && value(&operator, &polls("answered")).await >= 2.0);
    assert!(value(&operator, "godwit_operator_status_writes_total{kind=\"MigrationTask\"}").await >= 2.0);
    rises(&operator, "godwit_operator_status_writes_total{kind=\"DedicatedCluster\"}", 1.0).await;

    // What goes wrong counts as that.
    first.order(Order::Script(Script::Garbage));
    rises(&operator, &polls("silent"), 1.0).await;
    first.order(Order::Script(Script::Normal));
    let refused =
        proxy.fault(1, Act::Refuse(500), |method, path| method != Method::GET && path.contains("/migrationtasks/third"));
    Task::new(&world, &namespace, "third").create().await.until_in_sync().await;
    assert_eq!(refused.times(), 1);
    assert_eq!(value(&operator, &reconciles("error")).await, 1.0);

    everything_asked_for_is_there(&operator).await;

    // And back: units that are given up are used by nobody, a task that ended waits for none.
    first.desire("Stopped").await;
    first.until_phase(Phase::Stopped).await;
    second.until_in_sync().await;
    rises(&operator, &tasks(Phase::Stopped), 1.0).await;
    // The third one is in the shared default.
    assert_eq!((value(&operator, &used).await, value(&operator, queued).await), (2.0, 0.0));
    assert_eq!(value(&operator, &tasks(Phase::Queued)).await, 0.0);
    second.delete().await;
    pools(&world).delete(&pool, &DeleteParams::default()).await.unwrap();
    eventually("given back", || async {
        let now = (value(&operator, &used).await, value(&operator, &units("total")).await);
        if now == (1.0, total) { Ok(()) } else { Err(now) }
    })
    .await;
}

async fn everything_asked_for_is_there(operator: &Operator) {
    let (code, text) = http::get(&operator.address, "/metrics").await.unwrap();
    assert_eq!(code, 200);
    let served = families(&text);
    let documented = project("docs/kubernetes.md");
    let rows = documented.lines().filter(|line| line.starts_with("| `godwit_operator_"));
    let listed: BTreeSet<String> = rows.flat_map(asked).map(|(name, _)| name.trim_end_matches("_total").to_owned()).collect();
    assert_eq!(served, listed, "docs/kubernetes.md lists what the operator serves, and nothing else");

    let mut looked_up = 0;
    for file in ["charts/godwit/templates/prometheusrule.yaml", "charts/godwit/files/dashboard.json"] {
        for (name, selector) in asked(&project(file)) {
            for labels in wanted_labels(&selector) {
                let samples =
                    text.lines().filter(|line| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([' ', '{'])));
                let found = samples.filter(|line| line.contains(&labels)).count();
                assert!(found > 0, "{file} asks for {name}{{{labels}}}, which is not served:\n{text}");
                looked_up += 1;
            }
        }
    }
    assert!(looked_up > 15, "{looked_up}");
}
