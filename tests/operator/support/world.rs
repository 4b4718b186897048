//! What all cases share: the cluster with the CRDs and the operator's identity, the hollow kubelet, a folder for logs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::base64_lite::encode;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::kubectl::Kubectl;
use super::operator::Operator;
use crate::hollow::kubelet::Hollow;

/// Stands in every Secret that a case makes, and may stand nowhere else.
pub const MARK: &str = "Mark-7f3a-not-to-be-seen";
/// Who the operator is.
pub const OPERATOR_USER: &str = "system:serviceaccount:godwit-system:godwit";

pub struct World {
    pub client: Client,
    pub kubectl: Kubectl,
    pub hollow: Hollow,
    pub cluster: Cluster,
    folder: PathBuf,
    token: String,
    shared: Mutex<Option<Operator>>,
    counter: AtomicU32,
}

impl World {
    pub async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("operator-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let cache = folder.join("kubectl");
        let kubectl = Kubectl { binary: cluster.kubectl.clone(), kubeconfig: cluster.kubeconfig.clone(), cache };
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(&cluster.kubeconfig).unwrap(), &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        kubectl.out(&["apply", "--server-side", "-f", crds.to_str().unwrap()]).await;
        kubectl.established().await;
        // Short names are known only to a discovery that is newer than the CRDs.
        kubectl.out(&["api-resources", "--cached=false"]).await;
        kubectl.out(&["create", "namespace", "godwit-system"]).await;
        super::rbac::install(&kubectl, &cluster.helm, &cluster.version, ("godwit", "godwit-system"), &[]).await;
        let token = kubectl.out(&["create", "token", "godwit", "-n", "godwit-system", "--duration=4h"]).await.trim().to_owned();
        let hollow = Hollow::start(client.clone()).await.unwrap();
        Self { client, kubectl, hollow, cluster, folder, token, shared: Mutex::default(), counter: AtomicU32::new(0) }
    }

    /// Keeps the logs of a run that failed.
    pub async fn end(&self, failed: bool) {
        self.share(None);
        if failed {
            println!("logs of the operators: {}", self.folder.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The operator of the shared stage.
    pub fn share(&self, operator: Option<Operator>) {
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = operator;
    }

    /// A kubeconfig with the operator's own rights, or those of another token, for this server.
    pub async fn operator_kubeconfig(&self, server: Option<&str>, token: Option<&str>) -> PathBuf {
        let mut config: Value =
            serde_json::from_str(&self.kubectl.out(&["config", "view", "--raw", "-o", "json"]).await).unwrap();
        if let Some(server) = server {
            config["clusters"][0]["cluster"] = json!({"server": server});
        }
        config["users"][0]["user"] = json!({"token": token.unwrap_or(&self.token)});
        let path = self.folder.join(format!("kubeconfig-{}", self.counter.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// A client with the operator's own rights.
    pub async fn operator_client(&self) -> Client {
        let path = self.operator_kubeconfig(None, None).await;
        let kubeconfig = Kubeconfig::read_from(path).unwrap();
        Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()).unwrap()
    }

    /// A name that no other case uses.
    pub fn unique(&self, prefix: &str) -> String {
        format!("{prefix}-{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// A new namespace with the Secrets `source` and `destination`, and labels if wanted.
    pub async fn namespace(&self, prefix: &str) -> String {
        self.labelled_namespace(prefix, &json!({})).await
    }

    pub async fn labelled_namespace(&self, prefix: &str, labels: &Value) -> String {
        let name = self.unique(prefix);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        let object: Namespace = serde_json::from_value(object).unwrap();
        Api::<Namespace>::all(self.client.clone()).create(&kube::api::PostParams::default(), &object).await.unwrap();
        for secret in ["source", "destination"] {
            self.secret(&name, secret, "").await;
        }
        // Pods need it; the controllers make it, late where the API server was gone just before: they come back with pauses.
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &name);
        let began = Instant::now();
        while accounts.get_opt("default").await.unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(100), "no default ServiceAccount in {name}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        name
    }

    /// Creates or changes a Secret; `variant` makes its values differ.
    pub async fn secret(&self, namespace: &str, name: &str, variant: &str) {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "data": {"username": encode("godwit"), "password": encode(&format!("{MARK}{variant}"))}
        });
        self.kubectl.apply(&manifest.to_string()).await;
    }
}

/// Base64, of which Secrets' values are made.
pub mod base64_lite {
    pub fn encode(text: &str) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut encoded = String::new();
        for bytes in text.as_bytes().chunks(3) {
            let word = bytes.iter().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte)) << (8 * (3 - bytes.len()));
            for place in 0..4 {
                let letter = LETTERS[usize::try_from((word >> (18 - 6 * place)) & 63).unwrap()];
                encoded.push(if place <= bytes.len() { char::from(letter) } else { '=' });
            }
        }
        encoded
    }
}
