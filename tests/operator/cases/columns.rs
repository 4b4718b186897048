//! What `kubectl get` shows, letter by letter.

use std::sync::Arc;

use serde_json::json;

use crate::support::fixtures::{Task, pool, until_pool};
use crate::support::world::World;

/// Columns are parted by three blanks at least; the age differs from run to run.
fn rows(text: &str, replaced: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for (from, to) in replaced {
            line = line.replace(from, to);
        }
        let cells: Vec<&str> = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let is_age = |cell: &str| cell.ends_with(['s', 'm']) && cell.starts_with(|letter: char| letter.is_ascii_digit());
        let cells: Vec<&str> = cells.into_iter().map(|cell| if is_age(cell) { "AGO" } else { cell }).collect();
        out.push_str(&cells.join(" | "));
        out.push('\n');
    }
    out
}

pub async fn kubectl_get(world: Arc<World>) {
    let pool = pool(&world, "columns", json!({"units": 3})).await;
    let namespace = world.namespace("columns").await;
    let follows = Task::new(&world, &namespace, "follows").pool(&pool, 2).create().await;
    follows.until_in_sync().await;
    let waits = Task::new(&world, &namespace, "waits").pool(&pool, 2).create().await;
    let refused = Task::new(&world, &namespace, "refused").script("precheck-fails").create().await;
    waits.until_phase(godwit::api::Phase::Queued).await;
    refused.until_phase(godwit::api::Phase::PrecheckFailed).await;
    let named = [(pool.as_str(), "prod"), (namespace.as_str(), "example")];
    let text = world.kubectl.out(&["get", "mt", "-n", &namespace]).await;
    assert_eq!(
        rows(&text, &named),
        "NAME | PHASE | READY | PROGRESS | LATENCY | CLUSTER | UNITS | AGE\n\
         follows | Replicating | True | 100.0% | 0 | prod | 2 | AGO\n\
         refused | PrecheckFailed | False | 1 | AGO\n\
         waits | Queued | False | prod | 2 | AGO\n"
    );
    let text = world.kubectl.out(&["get", "mt", "follows", "-n", &namespace, "-o", "wide"]).await;
    assert_eq!(
        rows(&text, &named),
        "NAME | PHASE | READY | PROGRESS | LATENCY | CLUSTER | UNITS | AGE | SOURCE | DESTINATION | MESSAGE\n\
         follows | Replicating | True | 100.0% | 0 | prod | 2 | AGO | shop-db.example:3306 | polar.example:3306 | in sync with the source\n"
    );
    until_pool(&world, &pool, "told", |status| (status.tasks.running, status.tasks.queued) == (1, 1)).await;
    let text = world.kubectl.out(&["get", "dc", &pool, "-o", "wide"]).await;
    assert_eq!(
        rows(&text, &named),
        "NAME | READY | UNITS | USED | FREE | RUNNING | QUEUED | AGE | OVERCOMMIT\n\
         prod | True | 3 | 2 | 1 | 1 | 1 | AGO | 100\n"
    );
    let text = world.kubectl.out(&["get", "godwit", "-n", &namespace, "--no-headers"]).await;
    assert!(text.contains("migrationtask.godwit.dev/follows") && text.contains("dedicatedcluster.godwit.dev/"), "{text}");
    let text =
        world.kubectl.out(&["get", "mt", "-n", &namespace, "--field-selector", &format!("spec.cluster.name={pool}")]).await;
    assert!(text.contains("follows") && text.contains("waits") && !text.contains("refused"), "{text}");
    let text = world.kubectl.out(&["describe", "mt", "follows", "-n", &namespace]).await;
    assert!(text.contains("Events:") && text.contains("Phase:") && !text.contains("Events:            <none>"), "{text}");
}
