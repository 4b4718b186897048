//! One look at a DedicatedCluster: its capacity goes to the ledger, what the ledger says goes to its status. A finalizer keeps it while tasks use it.

pub(crate) mod status;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use self::status::Doing;
use super::cached::Glance;
use super::context::{Context, RawPool};
use super::events;
use super::events::Note;
use super::ledger::TaskKey;
use super::metrics::Kind;
use super::task::{Error, apply, chain, observe, report};
use godwit_api::{API_VERSION, ClusterStatus, DedicatedCluster, Phase};

/// Finalizer of a pool: it goes when no task uses it any more.
pub(crate) const IN_USE_FINALIZER: &str = "godwit.dev/in-use";
/// Latencies and phases in status follow at this pace.
const EVERY: Duration = Duration::from_secs(10);

/// Looks at one pool.
///
/// # Errors
/// When the API server refuses something or does not answer.
pub(crate) async fn reconcile(raw: Arc<RawPool>, ctx: Arc<Context>) -> Result<Action, Error> {
    if let Err(left) = ctx.may_look(&raw.name_any()) {
        return Ok(Action::requeue(left));
    }
    let began = Instant::now();
    let result = match &raw.0 {
        Ok(pool) => look(pool, &ctx).await,
        Err(invalid) => {
            tracing::warn!(pool = %raw.name_any(), error = invalid.error, "the resource cannot be read");
            let api = Api::all_with(ctx.client.clone(), &ApiResource::erase::<DedicatedCluster>(&()));
            apply::malformed(&ctx, &api, &*raw, &raw.name_any(), &invalid.error).await.map(|wrote| {
                if wrote {
                    ctx.metrics.wrote_status(Kind::DedicatedCluster);
                }
                Action::requeue(Duration::from_secs(600))
            })
        }
    };
    ctx.metrics.reconciled(Kind::DedicatedCluster, if result.is_ok() { "ok" } else { "error" }, began.elapsed());
    if result.is_ok() {
        ctx.pool_is_well(&raw.name_any());
    }
    result
}

/// A pause after a failed look.
pub(crate) fn after_error(raw: Arc<RawPool>, error: &Error, ctx: Arc<Context>) -> Action {
    let cause = chain(error);
    let (failures, news) = ctx.pool_failed(&raw.name_any(), &cause);
    tracing::warn!(pool = %raw.name_any(), error = cause, failures, "the pool could not be looked at; it is tried again");
    if news {
        events::tell(&ctx, &*raw, &report::failure(failures, &cause));
    }
    Action::requeue(Duration::from_secs(5))
}

async fn look(pool: &DedicatedCluster, ctx: &Context) -> Result<Action, Error> {
    let name = pool.name_any();
    let key = Some(name.clone());
    let granted = ctx.ledger().set_capacity(&key, Some(observe::capacity(pool)));
    ctx.pokes.tasks(granted);
    let deleting = pool.metadata.deletion_timestamp.is_some();
    let users = users(ctx, &name);
    if finalizer(pool, ctx, deleting, users).await? {
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    let view = ctx.ledger().view(&key);
    let doing = |task: &TaskKey| {
        let doing = |glance: &Glance| Doing { phase: glance.phase, latency_seconds: glance.latency_seconds };
        ctx.caches.glance(task, doing).unwrap_or_default()
    };
    let nodes = ctx.caches.nodes.state();
    let addresses = status::addresses(pool, nodes.iter().map(|node| &**node));
    let status = status::status(pool, &view, doing, addresses, if deleting { users } else { 0 }, Timestamp::now());
    if pool.status.as_ref() != Some(&status) {
        write(pool, &status, ctx).await?;
    }
    Ok(Action::requeue(EVERY))
}

/// Tasks that name the pool and have not ended, or count in it: of those that cannot be read, or are gone, only their pods are known.
fn users(ctx: &Context, name: &str) -> usize {
    let mut users: HashSet<TaskKey> = HashSet::new();
    ctx.caches.every_task(|task, glance| {
        let named = glance.cluster.as_deref() == Some(name);
        let ended = glance.phase.is_some_and(Phase::is_final);
        if named && !ended {
            users.insert(TaskKey::of(task));
        }
    });
    users.extend(ctx.ledger().view(&Some(name.to_owned())).holders.into_iter().map(|(task, _)| task));
    users.len()
}

/// Puts the finalizer on a pool that is used, and takes it off one that is not: nobody is there to do so once the operator is uninstalled. True: the pool
/// has changed by it.
async fn finalizer(pool: &DedicatedCluster, ctx: &Context, deleting: bool, users: usize) -> Result<bool, Error> {
    let mut finalizers = pool.metadata.finalizers.clone().unwrap_or_default();
    let has = finalizers.iter().any(|name| name == IN_USE_FINALIZER);
    let wants = users > 0;
    if has == wants || deleting && !has {
        return Ok(false);
    }
    finalizers.retain(|name| name != IN_USE_FINALIZER);
    if wants {
        finalizers.push(IN_USE_FINALIZER.to_owned());
    }
    let api: Api<DedicatedCluster> = Api::all(ctx.client.clone());
    let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": pool.metadata.resource_version}});
    ctx.take_turn().await;
    match api.patch_metadata(&pool.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) => Err(Error::at("writing the pool's finalizers")(error)),
    }
}

async fn write(pool: &DedicatedCluster, status: &ClusterStatus, ctx: &Context) -> Result<(), Error> {
    let api: Api<DedicatedCluster> = Api::all(ctx.client.clone());
    let patch = json!({
        "apiVersion": API_VERSION,
        "kind": DedicatedCluster::kind(&()),
        "metadata": {"name": pool.name_any(), "uid": pool.metadata.uid},
        "status": status,
    });
    let parameters = PatchParams::apply(apply::MANAGER).force();
    ctx.take_turn().await;
    let began = Instant::now();
    let written = api.patch_status(&pool.name_any(), &parameters, &Patch::Apply(&patch)).await;
    ctx.wrote_pool(&pool.name_any(), began.elapsed());
    written.map_err(Error::at("writing the pool's status"))?;
    ctx.metrics.wrote_status(Kind::DedicatedCluster);
    let reason = |status: &ClusterStatus| status.conditions.first().map(|condition| condition.reason.clone());
    let before = pool.status.as_ref().and_then(reason);
    if let Some(now) = reason(status)
        && before.as_ref() != Some(&now)
    {
        let warning = now != "Available";
        let message = status.message.clone().unwrap_or_default();
        events::tell(ctx, pool, &Note { warning, reason: now, message });
    }
    Ok(())
}
