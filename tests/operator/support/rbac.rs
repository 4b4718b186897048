//! The operator's identity and rights, and those of people: exactly what the chart gives them.

use std::path::Path;
use std::process::Command;

use super::kubectl::Kubectl;

/// ServiceAccount, roles and bindings of a release in a namespace.
pub async fn install(kubectl: &Kubectl, helm: &Path, version: &str, (release, namespace): (&str, &str), values: &[&str]) {
    let mut command = Command::new(helm);
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/godwit");
    command.args(["template", release]).arg(chart).args(["--namespace", namespace]);
    for value in values {
        command.args(["--set", value]);
    }
    command.args(["--kube-version", version]);
    for part in ["serviceaccount", "rbac", "rbac-users"] {
        command.arg("--show-only").arg(format!("templates/{part}.yaml"));
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    kubectl.apply(&String::from_utf8_lossy(&output.stdout)).await;
}
