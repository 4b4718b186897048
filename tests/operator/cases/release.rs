//! A release's life, as docs/kubernetes.md gives it: install, upgrade, rollback, uninstall, reinstall, under another name too. helm and kubectl
//! are real and run the very lines that stand there; the operator is a process with the rights of the release, because no node runs its image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use serde_json::{Value, json};

use crate::support::fixtures::{Task, condition, pool, reason};
use crate::support::kubectl::Said;
use crate::support::operator::{Operator, Options};
use crate::support::world::World;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CRDS: [&str; 2] = ["crd/migrationtasks.godwit.dev", "crd/dedicatedclusters.godwit.dev"];

/// Takes the finalizers off that nobody is there to take off.
pub async fn let_go(world: &World) {
    for kind in ["migrationtasks", "dedicatedclusters"] {
        let columns = "custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,FINALIZERS:.metadata.finalizers";
        let list = world.kubectl.out(&["get", kind, "-A", "--no-headers", "-o", columns]).await;
        for line in list.lines().filter(|line| line.contains("godwit.dev/")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let place = words[0].replace("<none>", "default");
            let patch = r#"{"metadata":{"finalizers":null}}"#;
            world.kubectl.out(&["patch", kind, words[1], "-n", &place, "--type=merge", "-p", patch]).await;
        }
    }
}

/// A shell with helm and kubectl before the cluster, in the project's folder; what hangs has failed.
async fn shell(world: &World, line: &str) -> Said {
    let (cluster, folder) = (&world.cluster, world.folder());
    let tools = format!("{}:{}", cluster.helm.parent().unwrap().display(), cluster.kubectl.parent().unwrap().display());
    let mut command = Command::new("timeout");
    command.args(["60", "bash", "-c", line]).current_dir(ROOT);
    command.env("PATH", format!("{tools}:{}", std::env::var("PATH").unwrap())).env("KUBECONFIG", &cluster.kubeconfig);
    for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(home, folder.join("helm"));
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

async fn done(world: &World, line: &str) -> String {
    let said = shell(world, line).await;
    assert!(said.success, "{line}\n{}{}", said.out, said.err);
    said.out
}

async fn refused(world: &World, line: &str, why: &str) {
    let said = shell(world, line).await;
    assert!(!said.success && said.err.contains(why), "{line}\n{}{}", said.out, said.err);
}

/// The commands of the one block of the documentation that has this line in it; a line that ends in a backslash goes on.
fn documented(part: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/kubernetes.md")).unwrap();
    let blocks: Vec<&str> = text.split("```").skip(1).step_by(2).filter(|block| block.contains(part)).collect();
    let [block] = &blocks[..] else { panic!("{} blocks have {part:?}", blocks.len()) };
    block.replace("\\\n", " ").lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Runs them one by one.
async fn as_documented(world: &World, part: &str) {
    for line in documented(part) {
        done(world, &line).await;
    }
}

/// The chart of a version before this one: it does not know one field.
fn previous_chart(world: &World) -> PathBuf {
    let chart = world.folder().join("previous");
    let copied = Command::new("cp").arg("-r").arg(Path::new(ROOT).join("charts/godwit")).arg(&chart).status().unwrap();
    assert!(copied.success());
    let about = std::fs::read_to_string(chart.join("Chart.yaml")).unwrap();
    let lines = about.lines().map(|line| if line.starts_with("version:") { "version: 0.0.9" } else { line });
    std::fs::write(chart.join("Chart.yaml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    let file = chart.join("files/crds/godwit.dev_migrationtasks.yaml");
    let mut crd: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    assert!(spec.as_object_mut().unwrap().remove("diagnostics").is_some());
    std::fs::write(&file, serde_saphyr::to_string(&crd).unwrap()).unwrap();
    chart
}

/// An operator with the rights of a release.
async fn operator(world: &World, name: &str, (release, home): (&str, &str)) -> Operator {
    let token = world.kubectl.out(&["create", "token", release, "-n", home, "--duration=1h"]).await;
    Operator::start(world, Options::named(name).by(home, token.trim())).await
}

const GODWIT: (&str, &str) = ("godwit", "godwit-system");

pub async fn from_install_to_reinstall(world: Arc<World>) {
    // What the cases before this one have left.
    let_go(&world).await;
    done(&world, "kubectl delete --timeout=50s crd/migrationtasks.godwit.dev crd/dedicatedclusters.godwit.dev").await;
    done(&world, "kubectl delete namespace godwit-system --timeout=50s").await;
    done(&world, "kubectl delete clusterrole,clusterrolebinding -l app.kubernetes.io/name=godwit").await;
    upgrade_and_rollback(&world).await;
    uninstall_and_reinstall(&world).await;
    under_another_name(&world).await;
    with_kustomize(&world).await;
}

async fn upgrade_and_rollback(world: &Arc<World>) {
    let previous = previous_chart(world);
    let [install] = &documented("helm install godwit charts/godwit --namespace godwit-system --create-namespace \\\n")[..] else {
        panic!("one command installs")
    };
    done(world, &install.replace("charts/godwit", previous.to_str().unwrap())).await;
    let first = operator(world, "life-1", GODWIT).await;
    let namespace = world.namespace("life").await;
    let task = Task::new(world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    let uid = task.pod().await.unwrap().uid();
    let patch =
        format!("kubectl patch mt shop -n {namespace} --type=merge -p '{{\"spec\":{{\"diagnostics\":{{\"rowValues\":true}}}}}}'");
    assert!(shell(world, &patch).await.err.contains("unknown field"), "the version before knows it");

    as_documented(world, "helm upgrade godwit charts/godwit --namespace godwit-system\n").await;
    drop(first);
    let second = operator(world, "life-2", GODWIT).await;
    task.until_in_sync().await;
    assert_eq!(task.pod().await.unwrap().uid(), uid, "an upgrade without another image leaves engines alone");
    assert!(done(world, "helm get values godwit -n godwit-system").await.contains("registry.example.com/godwit"));
    done(world, &patch).await;

    as_documented(world, "helm rollback godwit --namespace godwit-system\n").await;
    drop(second);
    let _third = operator(world, "life-3", GODWIT).await;
    let status = task.until_in_sync().await;
    assert_eq!((condition(&status, "Stalled"), reason(&status, "Ready")), ("False", "InSync"), "{status:?}");
    let stored = done(world, &format!("kubectl get mt shop -n {namespace} -o json")).await;
    assert!(!stored.contains("rowValues\": true"), "the API server drops what the CRD does not know: {stored}");
    as_documented(world, "helm upgrade godwit charts/godwit --namespace godwit-system\n").await;
    done(world, &patch).await;
    task.until_in_sync().await;
}

async fn uninstall_and_reinstall(world: &Arc<World>) {
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let uninstall = documented("--all\nhelm uninstall godwit");
    let notes = done(world, "helm get notes godwit -n godwit-system").await;
    assert!(uninstall.iter().all(|line| notes.contains(line)), "{uninstall:?}\n{notes}");
    let serving = operator(world, "life-4", GODWIT).await;
    let (namespace, units) = (world.namespace("life").await, pool(world, "life", json!({"units": 2})).await);
    let unused = pool(world, "unused", json!({"units": 1})).await;
    let task = Task::new(world, &namespace, "shop").with(fence.clone()).pool(&units, 1).create().await;
    task.until_in_sync().await;
    for line in &uninstall {
        done(world, line).await;
    }
    drop(serving);
    task.until_fenced().await;
    let left = done(world, "kubectl get crd,clusterrole,clusterrolebinding -o name").await;
    assert!(!left.contains("godwit"), "{unused} or another: {left}");

    // Over CRDs that are on their way out, held up by a task that nobody is there to fence.
    as_documented(world, "helm install godwit charts/godwit --namespace godwit-system --create-namespace \\\n").await;
    let serving = operator(world, "life-5", GODWIT).await;
    let units = pool(world, "held", json!({"units": 2})).await;
    let task = Task::new(world, &namespace, "held").with(fence).pool(&units, 1).create().await;
    task.until_in_sync().await;
    drop(serving);
    done(world, "helm uninstall godwit --namespace godwit-system").await;
    done(world, &format!("kubectl delete --wait=false {}", CRDS.join(" "))).await;
    let install = "helm install godwit charts/godwit --namespace godwit-system";
    refused(world, install, "--set crds.install=false").await;
    let way_out = documented("--set crds.install=false");
    done(world, &way_out[0]).await;
    let serving = operator(world, "life-6", GODWIT).await;
    for line in &way_out[1..] {
        done(world, line).await;
    }
    task.until_fenced().await;
    drop(serving);
    done(world, &format!("kubectl wait --for=condition=Established --timeout=30s {}", CRDS.join(" "))).await;
}

async fn under_another_name(world: &Arc<World>) {
    let serving = operator(world, "life-7", GODWIT).await;
    let namespace = world.namespace("life").await;
    let task = Task::new(world, &namespace, "shop").create().await;
    task.until_in_sync().await;
    let uid = task.pod().await.unwrap().uid();
    drop(serving);
    refused(world, "helm install data charts/godwit --namespace data-system --create-namespace", "invalid ownership metadata")
        .await;
    as_documented(world, "--take-ownership").await;
    let _serving = operator(world, "life-8", ("data-godwit", "data-system")).await;
    task.patch(json!({"spec": {"throttle": {"full": {"rowsPerSecond": 9}}}})).await;
    let generation = task.get().await.metadata.generation;
    task.until("taken over", |status| status.observed_generation == generation).await;
    task.until_in_sync().await;
    assert_eq!(task.pod().await.unwrap().uid(), uid, "the engine went on");
    task.delete().await;
    task.until_pod("collected", |pod| pod.is_none()).await;
    tokio::time::timeout(Duration::from_secs(60), done(world, "helm uninstall data --namespace data-system")).await.unwrap();
}

async fn with_kustomize(world: &Arc<World>) {
    done(world, &format!("kubectl delete --timeout=50s {}", CRDS.join(" "))).await;
    done(world, "kubectl delete namespace godwit-system --ignore-not-found --timeout=50s").await;
    let install = "kubectl apply --server-side -k config/default";
    done(world, install).await;
    let established = format!("kubectl wait --for=condition=Established --timeout=30s {}", CRDS.join(" "));
    done(world, &established).await;
    let serving = operator(world, "life-9", GODWIT).await;
    let namespace = world.namespace("kustomize").await;
    let fence = json!({"spec": {"deletionPolicy": "Fence"}});
    let task = Task::new(world, &namespace, "shop").with(fence.clone()).create().await;
    task.until_in_sync().await;
    drop(serving);
    // Taken away at once, the task waits for its operator; brought back, that lets go of it, and the CRD that was waiting goes.
    refused(world, "timeout 5 kubectl delete -k config/default", "").await;
    done(world, "kubectl wait --for=delete namespace/godwit-system --timeout=50s").await;
    done(world, install).await;
    let serving = operator(world, "life-10", GODWIT).await;
    done(world, &format!("kubectl wait --for=delete --timeout=50s {}", CRDS[0])).await;
    task.until_fenced().await;
    drop(serving);
    done(world, install).await;
    done(world, &established).await;

    let serving = operator(world, "life-11", GODWIT).await;
    let task = Task::new(world, &namespace, "again").with(fence).create().await;
    task.until_in_sync().await;
    for line in documented("kubectl delete -k config/default") {
        done(world, &line).await;
    }
    drop(serving);
    task.until_fenced().await;
    assert!(!done(world, "kubectl get crd -o name").await.contains("godwit"));
}
