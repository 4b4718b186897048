//! What the operator is told when it starts: flags, each with an environment variable.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use godwit_api::UnitResources;

/// Which setting rules where tasks share a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[clap(rename_all = "PascalCase")]
pub enum RetryRule {
    /// The shortest connectionMinutes.
    #[default]
    Shortest,
    /// The one that was set last.
    LastSet,
}

/// A user or a group by its number; None: the cluster decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(pub Option<i64>);

/// Settings of the operator.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Namespace of the operator itself, where its lease lives
    #[arg(long, env = "POD_NAMESPACE", default_value = "godwit-system")]
    pub namespace: String,
    /// Name of this process among its replicas
    #[arg(long, env = "POD_NAME", default_value_t = host_name())]
    pub identity: String,
    /// Image of the engines' pods
    #[arg(long, env = "GODWIT_ENGINE_IMAGE", value_name = "IMAGE")]
    pub image: String,
    /// Pull policy of that image
    #[arg(long, env = "GODWIT_IMAGE_PULL_POLICY", default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub image_pull_policy: String,
    /// Secret in the tasks' namespaces with the registry's credentials; may be repeated
    #[arg(long = "image-pull-secret", env = "GODWIT_IMAGE_PULL_SECRETS", value_delimiter = ',', value_name = "NAME")]
    pub image_pull_secrets: Vec<String>,
    /// Label of the engines' pods as NAME=VALUE; may be repeated. A DedicatedCluster's own come first
    #[arg(long = "engine-pod-label", env = "GODWIT_ENGINE_POD_LABELS", value_delimiter = ',', value_name = "NAME=VALUE", value_parser = pair)]
    pub engine_labels: Vec<(String, String)>,
    /// Annotation of the engines' pods as NAME=VALUE; may be repeated. A DedicatedCluster's own come first
    #[arg(long = "engine-pod-annotation", value_name = "NAME=VALUE", value_parser = pair)]
    pub engine_annotations: Vec<(String, String)>,
    /// User that engines run as; none: the cluster decides (OpenShift)
    #[arg(long = "engine-user", env = "GODWIT_ENGINE_USER", default_value = "65532", value_name = "UID", value_parser = user)]
    pub engine_user: Identity,
    /// Group that engines run as, and that owns their files; none: the cluster decides
    #[arg(long = "engine-group", env = "GODWIT_ENGINE_GROUP", default_value = "65532", value_name = "GID", value_parser = group)]
    pub engine_group: Identity,
    /// Look at tasks in this namespace only; may be repeated. Left out: all namespaces
    #[arg(long = "watch-namespace", env = "GODWIT_WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    pub watch_namespaces: Vec<String>,
    /// Units of the shared default pool, in which tasks run that name no DedicatedCluster; 0: no limit
    #[arg(long, env = "GODWIT_DEFAULT_UNITS", default_value_t = 0)]
    pub default_units: u64,
    /// CPU of one unit of the shared default pool
    #[arg(long, env = "GODWIT_DEFAULT_UNIT_CPU", default_value = "500m", value_parser = unit_cpu)]
    pub default_unit_cpu: String,
    /// Memory of one unit of the shared default pool
    #[arg(long, env = "GODWIT_DEFAULT_UNIT_MEMORY", default_value = "512Mi", value_parser = unit_memory)]
    pub default_unit_memory: String,
    /// Serve /healthz, /readyz and /metrics at this address
    #[arg(long, env = "GODWIT_LISTEN", default_value = ":8080", value_name = "ADDRESS", value_parser = godwit_service::listen::address)]
    pub listen: String,
    /// Whose retry times hold where tasks share a server
    #[arg(long, env = "GODWIT_RETRY_RULE", value_enum, default_value_t)]
    pub retry_rule: RetryRule,
    /// Work only while holding the lease, so that several replicas can run
    #[arg(long, env = "GODWIT_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Tasks that are looked at at the same time
    #[arg(long, env = "GODWIT_CONCURRENCY", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Seconds after which an engine's pod that is not ready is reported as a problem
    #[arg(long, env = "GODWIT_ENGINE_READY_SECONDS", default_value_t = 120)]
    pub engine_ready_seconds: u64,
    /// Requests a second to the API server, at most
    #[arg(long, env = "GODWIT_API_QPS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub api_qps: u32,
}

impl Settings {
    /// What one unit of the shared default pool is worth.
    pub fn default_resources(&self) -> UnitResources {
        UnitResources { cpu: Quantity(self.default_unit_cpu.clone()), memory: Quantity(self.default_unit_memory.clone()) }
    }

    /// Units of the shared default pool; None: no limit.
    pub fn default_capacity(&self) -> Option<u64> {
        (self.default_units > 0).then_some(self.default_units)
    }

    /// How long an engine's pod may take to become ready.
    pub fn engine_ready_within(&self) -> Duration {
        Duration::from_secs(self.engine_ready_seconds)
    }
}

fn host_name() -> String {
    std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| format!("godwit-{}", std::process::id()))
}

fn user(text: &str) -> Result<Identity, String> {
    identity(text, 1)
}

fn group(text: &str) -> Result<Identity, String> {
    identity(text, 0)
}

fn identity(text: &str, least: i64) -> Result<Identity, String> {
    if text == "none" {
        return Ok(Identity(None));
    }
    let number = text.parse().ok().filter(|number| (least..=i64::from(u32::MAX)).contains(number));
    number.map(|number| Identity(Some(number))).ok_or_else(|| format!("write a number from {least} on, or none"))
}

/// `NAME=VALUE`, of a label or an annotation that is not the operator's own.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write it as NAME=VALUE")?;
    if ["godwit.dev/", "app.kubernetes.io/"].iter().any(|own| name.starts_with(own)) {
        return Err(format!("{name}: names of godwit.dev and app.kubernetes.io are set by the operator"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn unit_cpu(text: &str) -> Result<String, String> {
    quantity(text, UnitResources { cpu: Quantity(text.to_owned()), ..UnitResources::default() })
}

fn unit_memory(text: &str) -> Result<String, String> {
    quantity(text, UnitResources { memory: Quantity(text.to_owned()), ..UnitResources::default() })
}

fn quantity(text: &str, unit: UnitResources) -> Result<String, String> {
    super::quantity::parse(text).ok_or_else(|| "write it as Kubernetes does: 500m, 2, 512Mi, 1G".to_owned())?;
    super::quantity::check_unit(&unit).map_err(|rule| rule.split_once(": ").map_or(rule.clone(), |(_, rule)| rule.to_owned()))?;
    Ok(text.to_owned())
}
