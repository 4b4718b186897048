//! The operator's identity and rights.

use std::path::Path;

use super::kubectl::Kubectl;

/// ServiceAccount `godwit` in `godwit-system`.
pub async fn install(kubectl: &Kubectl, _helm: &Path) {
    kubectl.out(&["create", "serviceaccount", "godwit", "-n", "godwit-system"]).await;
    kubectl
        .out(&["create", "clusterrolebinding", "godwit", "--clusterrole=cluster-admin", "--serviceaccount=godwit-system:godwit"])
        .await;
}
