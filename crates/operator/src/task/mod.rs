//! One look at a task, in five stages: observe (the caches) → decide (pure: goal, step) → build (pure: objects) → report (pure: status) → apply.
//!
//! Status is written before the pod is touched: units that a pod will hold stand in status first, so that they survive whatever happens next. The
//! first pod of a new task is that of a precheck, which holds none: it is made before, and waits for one write less.

pub(crate) mod apply;
pub(crate) mod build;
pub(crate) mod decide;
pub(crate) mod digest;
mod notes;
pub(crate) mod observe;
pub(crate) mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::ApiResource;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};

use self::build::{Built, Frame};
use self::decide::{FENCE_FINALIZER, Goal, Step};
use self::observe::{Observed, PoolFacts, PoolOffer};
use self::report::{Decided, Reply};
use super::cached::{CachedTask, RETRY_SET_AT};
use super::context::{Context, Failures, find};
use super::ledger::{Claim, PoolKey, Standing, TaskKey};
use super::metrics::Kind;
use super::settings::Settings;
use super::sharing::{Circle, Wish};
use super::trouble::Trouble;
use super::view::{PlanView, PodPhase, PodView, pod_view};
use super::{engines, events};
use godwit_api::change::{Effect, fields};
use godwit_api::engine::engine_name;
use godwit_api::manifest::{resume_changes, resume_fingerprint};
use godwit_api::{
    DedicatedCluster, DeletionPolicy, EffectiveRetry, EngineMode, EngineResources, MigrationTask, MigrationTaskSpec,
    MigrationTaskStatus, Phase, Retry, RetrySharing,
};
use godwit_service::handshake;

/// Numbers in status are written at most this often.
const NUMBERS_EVERY: Duration = Duration::from_secs(10);
/// … and of a task that has long been in sync, this often.
const STEADY_NUMBERS_EVERY: Duration = Duration::from_secs(30);
/// Pauses after a step that was refused: the first, doubled up to the longest. Nobody tells when a quota is lifted.
const REFUSED_PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));
/// A look at a task that takes longer is given up and tried again.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Why a look at an object failed. Tried again with growing pauses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{doing}: {error}")]
    Api {
        doing: &'static str,
        #[source]
        error: kube::Error,
    },
    /// For the status, not for the log: something stands in the way until somebody removes it.
    #[error("{}", .0.message)]
    Refused(Trouble),
    #[error("the system gives no random numbers, which the token of a plan is made of")]
    Random,
    #[error("the look took longer than {} s", TIME_LIMIT.as_secs())]
    TimeLimit,
}

impl Error {
    /// Says what was being done.
    pub(crate) fn at(doing: &'static str) -> impl Fn(kube::Error) -> Self {
        move |error| Self::Api { doing, error }
    }
}

/// Looks at one task.
///
/// # Errors
/// When the API server refuses something or does not answer; the look is repeated.
pub(crate) async fn reconcile(raw: Arc<CachedTask>, ctx: Arc<Context>) -> Result<Action, Error> {
    let key = TaskKey::of(&*raw);
    ctx.count_pod(&key);
    let is_new = raw.glance().is_some_and(|glance| !glance.has_status) && ctx.recall(&key, |memory| memory.written.is_none());
    let Some(_slot) = ctx.slots.take(is_new, raw.size()).await else { return Ok(Action::await_change()) };
    // Others were looked at meanwhile, and this one may have changed.
    let raw = find(&ctx.caches.tasks, &key.namespace, &key.name).unwrap_or(raw);
    let began = Instant::now();
    let result = match raw.read() {
        // Thousands may wait for their turn above: what a look needs is allocated when it begins.
        Ok(task) => {
            tokio::time::timeout(TIME_LIMIT, Box::pin(look(Arc::new(task), &key, &ctx))).await.unwrap_or(Err(Error::TimeLimit))
        }
        Err(error) => Box::pin(malformed(&ctx, &raw, &key, &error)).await,
    };
    let outcome = if result.is_ok() && ctx.recall(&key, |memory| memory.refused.is_none()) { "ok" } else { "error" };
    ctx.metrics.reconciled(Kind::MigrationTask, outcome, began.elapsed());
    if result.is_ok() {
        ctx.remember(&key, |memory| memory.failures = Failures::default());
    }
    result
}

/// A pause after a failed look.
pub(crate) fn after_error(raw: Arc<CachedTask>, error: &Error, ctx: Arc<Context>) -> Action {
    let key = TaskKey::of(&*raw);
    let cause = chain(error);
    let (failures, news) = ctx.remember(&key, |memory| memory.failures.add(&cause));
    tracing::warn!(task = %key, error = cause, failures, "the task could not be looked at; it is tried again");
    if news {
        events::tell(&ctx, &*raw, &report::failure(failures, &cause));
    }
    Action::requeue(decide::backoff(Duration::from_secs(1), Duration::from_secs(60), failures.into()))
}

/// An error with its causes, each once: kube's errors leave out what lies below them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        below = cause.source();
    }
    text
}

/// A task that an older version stored and this one cannot read: told, left alone, and no reason to stop the others.
async fn malformed(ctx: &Context, raw: &CachedTask, key: &TaskKey, error: &str) -> Result<Action, Error> {
    tracing::warn!(task = %key, error, "the resource cannot be read");
    let api = Api::namespaced_with(ctx.client.clone(), &key.namespace, &ApiResource::erase::<MigrationTask>(&()));
    if apply::malformed(ctx, &api, raw, &key.name, error).await? {
        ctx.metrics.wrote_status(Kind::MigrationTask);
        // What was written before is no longer the newest.
        ctx.remember(key, |memory| memory.written = None);
    }
    Ok(Action::requeue(Duration::from_secs(600)))
}

async fn look(task: Arc<MigrationTask>, key: &TaskKey, ctx: &Context) -> Result<Action, Error> {
    // A pod that was to be made, and is not seen: it is late, or was not made.
    let missing = ctx.ledger().is_starting(key);
    if missing && !apply::has_pod(ctx, key).await? {
        ctx.account(key, |ledger| ledger.unused(key));
    }
    let mut observed = observe(&task, key, ctx)?;
    if finalizer(&observed, key, ctx).await? {
        return Ok(Action::requeue(Duration::from_secs(1)));
    }
    let goal = decide::goal(&observed);
    if goal == Goal::Ended {
        observed.refused = changed_after_the_end(&observed, key, ctx).await?;
    }
    observed.fencing_for = ctx.remember(key, |memory| match goal {
        Goal::Stop => memory.fencing_since.get_or_insert_with(Instant::now).elapsed(),
        _ => {
            memory.fencing_since = None;
            Duration::ZERO
        }
    });
    let standing = stand(&observed, &goal, key, ctx);
    let mut step = decide::step(&observed, &goal, standing.as_ref());
    let mut accepted = None;
    if matches!(step, Step::Ask | Step::Create(EngineMode::Run)) && decide::refused_change(&observed) {
        (observed.refused, accepted) = refusal(&observed, key, ctx).await?.unzip();
    }
    let frame = frame(&observed, step_mode(&goal, &step, &observed), ctx);
    let built = frame.map(|frame| build::build(&task, accepted.as_ref().unwrap_or(&*task), &frame, &ctx.settings));
    step = finer(&observed, &goal, step, built.as_ref(), &ctx.settings, || ctx.may_roll());
    let reply = reply(&observed, &step, ctx).await;
    let holding = ctx.ledger().holding(key);
    let decided = Decided { goal: &goal, standing: standing.as_ref(), step: &step, reply: reply.as_ref(), holding };
    let status = report::report(&observed, &decided);
    let first = step == Step::Create(EngineMode::Precheck) && observed.status.phase.is_none();
    let mut wrote = !first && write(&observed, &status, key, ctx).await?;
    let acted = act(&observed, &step, built, &status, key, ctx).await;
    if first && !matches!(acted, Err(Error::Refused(_))) {
        wrote = write(&observed, &status, key, ctx).await?;
    }
    match acted {
        Err(Error::Refused(trouble)) => {
            let mut refusals = 0;
            ctx.remember(key, |memory| {
                memory.refused = Some(trouble.clone());
                memory.refusals = memory.refusals.saturating_add(1);
                refusals = memory.refusals;
            });
            tracing::warn!(task = %key, reason = trouble.reason, message = trouble.message, refusals, "refused; it is tried again");
            observed.unable = Some(trouble);
            if wrote {
                observed.status = status;
            }
            let status = report::report(&observed, &decided);
            write(&observed, &status, key, ctx).await?;
            return Ok(Action::requeue(decide::backoff(REFUSED_PAUSES.0, REFUSED_PAUSES.1, refusals.into())));
        }
        result => result?,
    }
    if observed.unable.is_some() {
        ctx.remember(key, |memory| (memory.refused, memory.refusals) = (None, 0));
    }
    Ok(Action::requeue(pace(&goal, &step, standing.as_ref(), &status, wrote, observed.now)))
}

fn observe(task: &Arc<MigrationTask>, key: &TaskKey, ctx: &Context) -> Result<Observed, Error> {
    let caches = &ctx.caches;
    let uid = task.metadata.uid.clone().unwrap_or_default();
    let engine = engine_name(&key.name);
    let node = |name: &str| caches.nodes.get(&kube::runtime::reflector::ObjectRef::new(name));
    let pod = find(&caches.pods, &key.namespace, &engine).map(|pod| pod.view(&uid, node));
    let plan = find(&caches.plans, &key.namespace, &engine).and_then(|plan| plan.view(&uid));
    let (missing_secrets, secrets) = observe::secrets(task, |name| find(&caches.secrets, &key.namespace, name));
    let mut status = newest_status(task, key, ctx);
    let held = held(pod.as_ref(), key, ctx);
    if held.is_none() {
        // What an operator before this one granted, to a task that nobody could read when this one began: it was granted to others since.
        status.admission = None;
    }
    let pool_name: PoolKey = task.spec.cluster.name.clone();
    let pool = pool_name.as_deref().and_then(|name| caches.pool(name));
    let malformed = pool_name.as_deref().is_some_and(|name| caches.is_malformed(name));
    let namespace = caches.namespaces.get(&kube::runtime::reflector::ObjectRef::new(&key.namespace));
    let labels = namespace.as_ref().and_then(|namespace| namespace.metadata.labels.as_ref());
    let namespace_ends = namespace.as_ref().is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some());
    let held = held.filter(|(cluster, _)| *cluster == pool_name).map(|(_, units)| units);
    let units = task.spec.cluster.units;
    let facts = match malformed {
        true => PoolFacts::Malformed,
        false => observe::pool_facts(&pool_name, pool.as_ref(), labels, units, held, &ctx.settings),
    };
    let retry = effective_retry(task, &status, pool.as_ref(), key, ctx);
    let ceiling = observe::ceiling(pool.as_ref(), labels);
    let token = token(plan.as_ref(), key, ctx)?;
    Ok(Observed {
        task: Arc::clone(task),
        status,
        now: Timestamp::now(),
        pod,
        plan,
        missing_secrets,
        secrets,
        pool: facts,
        ceiling,
        namespace_ends,
        retry,
        ready_within: ctx.settings.engine_ready_within(),
        refused: None,
        fencing_for: Duration::ZERO,
        token,
        unable: ctx.recall(key, |memory| memory.refused.clone()),
    })
}

/// The token of the task's plan: the one it has, which an operator before this one may have made, else a new one. Remembered, because a plan
/// that was just written may not be seen yet.
fn token(plan: Option<&PlanView>, key: &TaskKey, ctx: &Context) -> Result<String, Error> {
    if let Some(token) = ctx.recall(key, |memory| memory.token.clone()) {
        return Ok(token);
    }
    let known = plan.map(|plan| plan.token.clone()).filter(|token| !token.is_empty());
    let token = known.or_else(handshake::random).ok_or(Error::Random)?;
    ctx.remember(key, |memory| memory.token = Some(token.clone()));
    Ok(token)
}

/// What the ledger has granted to the task; to one that runs without, what its pod uses.
fn held(pod: Option<&PodView>, key: &TaskKey, ctx: &Context) -> Option<(PoolKey, u32)> {
    let held = ctx.ledger().holding(key);
    let running = pod.filter(|pod| pod.ours && pod.mode == Some(EngineMode::Run));
    held.or_else(|| {
        let used = running.map(|pod| (pod.cluster.clone(), pod.units))?;
        ctx.account(key, |ledger| ledger.restore(key, &used.0, used.1));
        Some(used)
    })
}

/// The cached status, or the one that was written since and has not come back yet.
fn newest_status(task: &MigrationTask, key: &TaskKey, ctx: &Context) -> MigrationTaskStatus {
    let version: u64 = task.metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    // What has come back need not be held twice, by thousands of tasks.
    let written = ctx.remember(key, |memory| {
        memory.written = memory.written.take().filter(|(_, at)| *at > version);
        memory.written.as_ref().and_then(|(status, _)| status.read().ok())
    });
    written.unwrap_or_else(|| task.status.clone().unwrap_or_default())
}

/// Reports the task's own wish and reads which one holds.
fn effective_retry(
    task: &MigrationTask,
    status: &MigrationTaskStatus,
    pool: Option<&DedicatedCluster>,
    key: &TaskKey,
    ctx: &Context,
) -> EffectiveRetry {
    let own = &task.spec.retry;
    let ended = status.phase.is_some_and(Phase::is_final) || task.metadata.deletion_timestamp.is_some();
    let shared = pool.filter(|pool| pool.spec.retry_sharing == RetrySharing::Cluster).map(|pool| Circle::Pool(pool.name_any()));
    let circles = [Some(Circle::Namespace(key.namespace.clone())), shared];
    let both = || [&status.source, &status.destination].into_iter().flatten().cloned();
    let servers = circles.into_iter().flatten().flat_map(|circle| both().map(move |server| (circle.clone(), server))).collect();
    let set_at = task.metadata.annotations.as_ref().and_then(|all| all.get(RETRY_SET_AT)?.parse().ok());
    let created = task.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let wish =
        Wish { servers, connection_minutes: own.connection_minutes, set_at: set_at.or(created).unwrap_or(Timestamp::UNIX_EPOCH) };
    let mut sharing = ctx.sharing();
    let affected = sharing.set(key, (!ended).then_some(wish));
    let effective = sharing.effective(key, ctx.settings.retry_rule);
    drop(sharing);
    ctx.pokes.tasks(affected);
    let (connection_minutes, set_by) = effective.unwrap_or((own.connection_minutes, None));
    // otherMinutes is always the smaller one, whoever's connectionMinutes rules.
    let other_minutes = own.other_minutes.min(connection_minutes.saturating_sub(1).max(1));
    EffectiveRetry { connection_minutes, other_minutes, set_by: set_by.map(|key| key.to_string()) }
}

/// Puts the fence's finalizer on or takes it off. True: the task has changed by it and comes again.
async fn finalizer(observed: &Observed, key: &TaskKey, ctx: &Context) -> Result<bool, Error> {
    let task = &observed.task;
    let mut finalizers = task.metadata.finalizers.clone().unwrap_or_default();
    let has = finalizers.iter().any(|name| name == FENCE_FINALIZER);
    let deleting = task.metadata.deletion_timestamp.is_some();
    let wants = if deleting { decide::goal(observed) == Goal::Stop } else { task.spec.deletion_policy == DeletionPolicy::Fence };
    if has == wants || deleting && !has {
        return Ok(false);
    }
    finalizers.retain(|name| name != FENCE_FINALIZER);
    if wants {
        finalizers.push(FENCE_FINALIZER.to_owned());
    }
    if deleting && decide::to_fence(observed) {
        apply::tell_unfenced(ctx, key);
    }
    apply::finalizers(ctx, task, key, &finalizers).await?;
    Ok(true)
}

/// Asks for units, or gives them back, as the goal wants.
fn stand(observed: &Observed, goal: &Goal, key: &TaskKey, ctx: &Context) -> Option<Standing> {
    let cluster = &observed.task.spec.cluster;
    let pool: PoolKey = cluster.name.clone();
    let runs = observed.pod.as_ref().is_some_and(|pod| pod.mode == Some(EngineMode::Run));
    let mut standing = None;
    ctx.account(key, |ledger| match goal {
        Goal::Run if matches!(observed.pool, PoolFacts::Beyond { .. }) => {
            // What can never be granted is not waited for: nobody behind it would ever have a turn.
            standing = Some(Standing::Holds);
            ledger.leave(key)
        }
        Goal::Run => {
            let capacity = match &pool {
                None => ctx.settings.default_capacity(),
                Some(name) => Some(ctx.caches.pool(name).as_ref().map_or(0, observe::capacity)),
            };
            let mut affected = ledger.set_capacity(&pool, capacity);
            let created = observed.task.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
            let priority = observed.ceiling.map_or(cluster.priority, |ceiling| cluster.priority.min(ceiling));
            let claim = Claim { pool: pool.clone(), units: cluster.units, priority, created };
            let (stands, more) = ledger.claim(key, &claim);
            standing = Some(stands);
            affected.extend(more);
            affected
        }
        // What runs goes on running, with its units, and waits for no others.
        Goal::Blocked(_) => {
            if ledger.holding(key).is_some() {
                ledger.leave(key)
            } else {
                ledger.release(key)
            }
        }
        // Units are given back when the pod that used them is gone.
        _ if runs && ledger.holding(key).is_some() => ledger.leave(key),
        _ => ledger.release(key),
    });
    if matches!(standing, Some(Standing::Waits { .. })) {
        ctx.pokes.pool(&pool);
    }
    standing
}

/// Names the field in which the spec differs from the one that the engine works by, and gives the task as it is accepted: by the spec that it began
/// with, and what may change all the same.
async fn refusal(observed: &Observed, key: &TaskKey, ctx: &Context) -> Result<Option<(String, MigrationTask)>, Error> {
    let Some(plan) = apply::plan(ctx, key, &engine_name(&key.name)).await? else { return Ok(None) };
    let wanted = &observed.task.spec;
    let Some(field) = resume_changes(&resume_fingerprint(&plan.spec), &resume_fingerprint(wanted)) else { return Ok(None) };
    let spec = MigrationTaskSpec {
        desired_state: wanted.desired_state,
        deletion_policy: wanted.deletion_policy,
        cluster: wanted.cluster.clone(),
        environment: wanted.environment.clone(),
        resource_group: wanted.resource_group.clone(),
        throttle: wanted.throttle.clone(),
        retry: wanted.retry.clone(),
        alerts: wanted.alerts.clone(),
        ..plan.spec
    };
    Ok(Some((field, MigrationTask { spec, ..(*observed.task).clone() })))
}

/// Names the fields that have changed since a task ended, other than those that mean nothing to an engine or that only one that runs would follow.
async fn changed_after_the_end(observed: &Observed, key: &TaskKey, ctx: &Context) -> Result<Option<String>, Error> {
    let changed = observed.plan.as_ref().is_some_and(|plan| Some(plan.generation) != observed.task.metadata.generation);
    if !changed || observed.status.phase != Some(Phase::Completed) {
        return Ok(None);
    }
    let Some(plan) = apply::plan(ctx, key, &engine_name(&key.name)).await? else { return Ok(None) };
    let of = |spec: &MigrationTaskSpec| fields(spec, EngineMode::Run, &[Effect::NewPod]);
    let (before, now) = (of(&plan.spec), of(&observed.task.spec));
    let differs = |name: &&String| before.get(*name) != now.get(*name);
    let mut names: Vec<String> = before.keys().chain(now.keys()).filter(differs).map(|name| format!("spec.{name}")).collect();
    names.sort();
    names.dedup();
    Ok((!names.is_empty()).then(|| names.join(", ")))
}

/// Which mode the objects are built for: the pod that is to be made, or the one that stands. One that runs is told to fence by a plan of that mode.
fn step_mode(goal: &Goal, step: &Step, observed: &Observed) -> Option<EngineMode> {
    match step {
        Step::Create(mode) => Some(*mode),
        Step::Ask if *goal == Goal::Stop => Some(EngineMode::Stop),
        Step::Ask => observed.pod.as_ref().and_then(|pod| pod.mode),
        _ => None,
    }
}

fn frame(observed: &Observed, mode: Option<EngineMode>, ctx: &Context) -> Option<Frame> {
    let mode = mode?;
    // A pool that is gone or unsuitable keeps nobody from being fenced.
    let offer = observed.pool.offer().cloned().unwrap_or_else(|| PoolOffer::default_pool(&ctx.settings));
    let running = observed.pod.as_ref().filter(|pod| pod.ours && pod.mode == Some(EngineMode::Run));
    let holding = ctx.ledger().holding(&TaskKey::of(&*observed.task));
    let (cluster, units) = match (mode, running, holding) {
        // What it holds by now and its pod does not is for the next pod.
        (EngineMode::Run, Some(pod), _) => (pod.cluster.clone(), pod.units),
        (EngineMode::Run, _, Some((cluster, units))) => (cluster, units),
        (EngineMode::Run, _, None) => (observed.task.spec.cluster.name.clone(), observed.task.spec.cluster.units),
        _ => (observed.task.spec.cluster.name.clone(), 0),
    };
    let retry = Retry {
        connection_minutes: observed.retry.connection_minutes,
        other_minutes: observed.retry.other_minutes,
        ..observed.task.spec.retry.clone()
    };
    Some(Frame {
        mode,
        cluster,
        units,
        unit_resources: offer.unit_resources,
        overcommit_percent: offer.overcommit_percent,
        standing: standing(observed),
        placement: offer.placement,
        template: offer.template,
        retry,
        secrets: observed.secrets.clone(),
        token: observed.token.clone(),
    })
}

/// What the pod has that is to stay. One that has not started is compared with what it would get by now, as long as a pool is there to say so.
fn standing(observed: &Observed) -> Option<EngineResources> {
    let pod = observed.pod.as_ref().filter(|pod| pod.ours)?;
    let stays = pod.started() || !matches!(observed.pool, PoolFacts::Fine(_));
    pod.limits.filter(|_| stays)
}

/// What only shows once the objects are built: an engine whose plan is old or whose image is, a pod that could not start as it was built.
fn finer(
    observed: &Observed,
    goal: &Goal,
    step: Step,
    built: Option<&Built>,
    settings: &Settings,
    may_roll: impl Fn() -> bool,
) -> Step {
    let (Step::Ask, Some(pod), Some(built)) = (&step, &observed.pod, built) else { return step };
    let delete = |why| Step::Delete { force: false, why };
    if *goal == Goal::Stop && pod.mode == Some(EngineMode::Run) {
        // What it runs by no longer matters: it is to fence, as soon as its plan says so.
        let told = pod.plan == built.plan && observed.plan.as_ref().is_some_and(|plan| plan.plan == built.plan);
        return if told { step } else { Step::Refresh };
    }
    if observed.refused.is_some() && pod.template != built.template {
        // Not for the spec, which is refused, but for a Secret or the annotation that asks for it.
        return delete("what it was made from has changed");
    }
    // While something stands in the way no new pod could be made.
    let replaceable = !matches!(goal, Goal::Blocked(_));
    if replaceable && !pod.started() && pod.whole != built.whole {
        return delete("it has not started, and would be made differently by now");
    }
    let current = observed.plan.as_ref().is_some_and(|plan| plan.plan == built.plan);
    let resources_kept = pod.template == built.template;
    if resources_kept && (pod.plan != built.plan || !current) {
        return Step::Refresh;
    }
    // One that is not ready may never be so with the image it has; those that work are replaced at a pace.
    if replaceable && pod.image != settings.image && (!pod.ready || may_roll()) {
        return delete("the operator brings another image");
    }
    step
}

async fn reply(observed: &Observed, step: &Step, ctx: &Context) -> Option<Reply> {
    let pod = observed.pod.as_ref()?;
    match step {
        Step::Conclude => {
            let words = pod.last_words.as_deref()?;
            Some(engines::read(words.as_bytes()).map_or_else(Reply::Silent, |report| Reply::Report(Box::new(report))))
        }
        Step::Ask | Step::Refresh => {
            let uid = observed.task.metadata.uid.as_deref().unwrap_or_default();
            let address = pod.address.as_deref().filter(|_| pod.phase == PodPhase::Running)?;
            let reply = engines::ask(address, uid, &observed.token).await;
            ctx.metrics.polled(if matches!(reply, Reply::Report(_)) { "answered" } else { "silent" });
            Some(reply)
        }
        _ => None,
    }
}

/// Writes the status when something changed that is due. True: everything that is known stands in it now.
async fn write(observed: &Observed, status: &MigrationTaskStatus, key: &TaskKey, ctx: &Context) -> Result<bool, Error> {
    if *status == observed.status {
        return Ok(true);
    }
    let transition = report::is_transition(&observed.status, status);
    let every = if status.phase == Some(Phase::Replicating) { STEADY_NUMBERS_EVERY } else { NUMBERS_EVERY };
    let due = ctx.recall(key, |memory| memory.written_at.is_none_or(|at| at.elapsed() >= every));
    if !transition && !due {
        return Ok(false);
    }
    let notes = report::notes(&observed.status, status);
    apply::status(ctx, &observed.task, key, status).await?;
    for note in &notes {
        tracing::info!(task = %key, phase = ?status.phase, reason = note.reason, message = note.message, "the task has changed");
        events::tell(ctx, &*observed.task, note);
    }
    if let Some(cluster) = &observed.task.spec.cluster.name
        && observed.status.phase != status.phase
    {
        ctx.pokes.pool(&Some(cluster.clone()));
    }
    Ok(true)
}

async fn act(
    observed: &Observed,
    step: &Step,
    built: Option<Built>,
    status: &MigrationTaskStatus,
    key: &TaskKey,
    ctx: &Context,
) -> Result<(), Error> {
    let name = engine_name(&key.name);
    let pod = observed.pod.as_ref();
    let known = observed.plan.is_some();
    match (step, built, pod) {
        (Step::Create(mode), Some(built), _) => {
            if let Some((pool, units)) = pod_view(&built.pod).uses() {
                ctx.ledger().starts(key, &pool, units);
            }
            apply::create(ctx, key, &built, known).await?;
            tracing::info!(task = %key, pod = name, mode = mode.as_str(), "engine's pod created");
        }
        (Step::Refresh, Some(built), _) => {
            apply::refresh(ctx, key, &built, known).await?;
            tracing::info!(task = %key, "the running engine gets a new plan");
        }
        (Step::Delete { force, why }, _, Some(pod)) => remove(ctx, observed, key, pod, *force, why).await?,
        (Step::Conclude, _, Some(pod)) => remove(ctx, observed, key, pod, false, "it has ended").await?,
        (Step::Ask, _, Some(pod)) if finished(pod, status) => {
            remove(ctx, observed, key, pod, false, "it has done its work").await?;
        }
        _ => {}
    }
    Ok(())
}

/// Whether the status that was just written leaves nothing to do for this pod.
fn finished(pod: &PodView, status: &MigrationTaskStatus) -> bool {
    match (pod.mode, status.phase) {
        (Some(EngineMode::Precheck), Some(phase)) => phase != Phase::Prechecking,
        (Some(EngineMode::Stop), Some(phase)) => phase.is_final() || report::fence_failed(status),
        // It was asked to fence, and has given up.
        (Some(EngineMode::Run), _) if report::fence_failed(status) => true,
        (_, Some(phase)) => phase.is_final() || phase == Phase::Failed || phase == Phase::PrecheckFailed,
        _ => false,
    }
}

async fn remove(ctx: &Context, observed: &Observed, key: &TaskKey, pod: &PodView, force: bool, why: &str) -> Result<(), Error> {
    apply::delete_pod(ctx, key, &engine_name(&key.name), &pod.uid, force).await?;
    tracing::info!(task = %key, why, force, "engine's pod deleted");
    if let (PodPhase::Failed, Some((reason, message))) = (pod.phase, &pod.trouble) {
        let message = format!("the engine's pod failed ({reason}: {message}); a new one goes on where it stood");
        events::tell(ctx, &*observed.task, &events::Note { warning: true, reason: "EnginePodFailed".to_owned(), message });
    }
    Ok(())
}

/// When the task is looked at again if nothing wakes it before.
fn pace(
    goal: &Goal,
    step: &Step,
    standing: Option<&Standing>,
    status: &MigrationTaskStatus,
    wrote: bool,
    now: Timestamp,
) -> Duration {
    let seconds = Duration::from_secs;
    let until = |at: Timestamp| seconds(u64::try_from(at.duration_since(now).as_secs()).unwrap_or(0).clamp(1, 600));
    match (goal, step, standing) {
        (Goal::Wait(Some(at)), Step::Nothing, _) => until(*at),
        (Goal::Stop, Step::Nothing, _) => decide::next_try(status).map_or(seconds(60), until),
        (_, Step::AwaitEnd | Step::Delete { .. } | Step::Create(_), _) => seconds(5),
        // Far back in the queue places change without meaning.
        (Goal::Run, Step::Nothing, Some(Standing::Waits { place, .. })) => seconds((15 * (1 + place / 20)).min(300)),
        (Goal::Run, Step::Nothing, _) => seconds(5),
        (_, Step::Ask | Step::Refresh | Step::Conclude, _) => match status.phase {
            Some(Phase::Replicating) if wrote && in_sync(status) => seconds(10),
            Some(Phase::Prechecking | Phase::Pending | Phase::Queued) => Duration::from_millis(500),
            Some(Phase::MigratingSchema) => seconds(1),
            _ => seconds(2),
        },
        (Goal::Blocked(_), _, _) => seconds(60),
        _ => seconds(300),
    }
}

fn in_sync(status: &MigrationTaskStatus) -> bool {
    decide::find(status, godwit_api::condition::READY).is_some_and(|condition| condition.status == "True")
}
