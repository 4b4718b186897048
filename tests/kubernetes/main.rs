//! The way a user goes, on a real Kubernetes with a real kubelet (e2e/cluster/README.md): the image, `helm install` of the
//! packaged chart, Secrets, a task between two MySQL servers that people buy in all the time.
//!
//! `cargo test --test kubernetes -- --nocapture` prints what the user sees. Needs root. `GODWIT_TEST_IMAGE` names an archive
//! made by image/build.sh before; otherwise it is built here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod cluster;
mod migrate;
mod server;
#[path = "../../e2e/shop/mod.rs"]
mod shop;
mod task;

use cluster::Cluster;

/// One cluster serves both, because starting it costs more than what is looked at in it.
#[test]
fn image_chart_and_task_on_a_real_node() {
    let cluster = Cluster::start();
    let image = cluster.load_image();
    image_runs_as_nobody_without_anything_else(&cluster, &image);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(migrate::a_task_survives_all_that_happens_to_it(&cluster));
}

/// FROM scratch: no shell, no /etc/passwd, no C library, no certificates.
fn image_runs_as_nobody_without_anything_else(cluster: &Cluster, image: &str) {
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: version, namespace: default}}, spec: {{restartPolicy: Never, containers: [\
         {{name: godwit, image: '{image}', args: [--version], securityContext: {{runAsNonRoot: true, allowPrivilegeEscalation: false, \
         readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}, seccompProfile: {{type: RuntimeDefault}}}}}}]}}}}"
    ));
    cluster.kubectl(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/version", "--timeout=60s"]);
    let said = cluster.kubectl(&["logs", "version"]);
    assert_eq!(said.trim(), format!("godwit {}", env!("CARGO_PKG_VERSION")));
}
