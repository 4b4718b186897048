//! The pure stages, from fixtures: fixtures/cases.yaml for what is decided and reported, fixtures/*.golden.yaml for what is built.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::build::{self, Frame};
use super::decide::{self, Goal, Step};
use super::digest;
use super::observe::{self, Observed, PoolFacts, PoolOffer};
use super::report::{self, Decided, Reply};
use crate::cached::CachedPod;
use crate::ledger::Standing;
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::view::{PlanView, PodPhase, PodView, pod_view};
use godwit_api::change::{Effect, effect, sample};
use godwit_api::condition::{FULL_COPY_COMPLETE, PRECHECK_PASSED, READY, RECONCILING, STALLED};
use godwit_api::manifest::HostLimits;
use godwit_api::{
    API_VERSION, EffectiveRetry, EngineMode, MigrationTask, MigrationTaskStatus, Retry, StatusReport, UnitResources,
};

mod settle;

const NOW: &str = "2026-01-01T00:10:00Z";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    name: String,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    finalizers: Vec<String>,
    #[serde(default)]
    deleting: bool,
    #[serde(default)]
    namespace_ends: bool,
    #[serde(default)]
    status: Value,
    plan: Option<PlanCase>,
    pod: Option<PodCase>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    secret_hosts: HostLimits,
    pool: Option<String>,
    waits: Option<u64>,
    engine: Option<Value>,
    silent: Option<String>,
    refused: Option<String>,
    #[serde(default)]
    fencing_for: u64,
    unable: Option<String>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PlanCase {
    mode: EngineMode,
    #[serde(default)]
    changed: bool,
    #[serde(default)]
    other_fingerprint: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
struct PodCase {
    mode: Option<EngineMode>,
    phase: String,
    ready: bool,
    foreign: bool,
    changed: bool,
    units: Option<u32>,
    age: i64,
    deleting_for: Option<i64>,
    node_lost: bool,
    trouble: Option<(String, String)>,
    words: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expect {
    goal: String,
    step: String,
    phase: Option<String>,
    ready: Option<String>,
    reconciling: Option<String>,
    stalled: Option<String>,
    message: Option<String>,
    progress: Option<String>,
    attempts: Option<u64>,
    /// Whether a failure is told at all.
    failing: Option<bool>,
    next_in: Option<Value>,
    place: Option<u64>,
    admitted: Option<u32>,
    passed: Option<bool>,
    copied: Option<bool>,
    started: Option<bool>,
    ended: Option<bool>,
    /// How many items of a precheck are shown.
    items: Option<usize>,
    source: Option<String>,
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_secs(seconds)).unwrap()
}

fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

fn task(case: &Case) -> MigrationTask {
    let mut spec = json!({
        "cluster": {"name": "prod", "units": 2},
        "environment": "Production",
        "source": {"mysql": {"host": "db.example.com", "credentials": {"secretName": "shop-source"}}},
        "destination": {"mysql": {"host": "new.example.com", "credentials": {"secretName": "shop-destination"}}},
    });
    if case.spec.is_object() {
        merge(&mut spec, &case.spec);
    }
    let mut task: MigrationTask = serde_json::from_value(json!({
        "apiVersion": API_VERSION, "kind": "MigrationTask",
        "metadata": {
            "name": "shop", "namespace": "data", "uid": "u-1", "generation": 3, "annotations": case.annotations,
            "finalizers": case.finalizers, "creationTimestamp": "2025-12-31T00:00:00Z",
        },
        "spec": spec,
    }))
    .unwrap();
    task.metadata.deletion_timestamp = case.deleting.then(|| Time(now()));
    task
}

/// Conditions of fixtures name only what matters.
fn status(value: &Value) -> MigrationTaskStatus {
    let mut value = if value.is_null() { json!({}) } else { value.clone() };
    for condition in value.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let mut whole = json!({"reason": "Fixture", "message": "", "lastTransitionTime": "2025-12-31T00:00:00Z"});
        merge(&mut whole, condition);
        *condition = whole;
    }
    serde_json::from_value(value).unwrap()
}

/// An engine reports all its conditions; a fixture those that matter.
fn report_of(value: &Value, before: &MigrationTaskStatus) -> StatusReport {
    let mut status = status(value);
    let phase = status.phase.unwrap();
    let facts = godwit_api::conditions::Facts {
        phase,
        stage: phase,
        parts: Some(godwit_api::conditions::Parts { schema: true, full: true, incremental: true }),
        precheck_passed: None,
        precheck: None,
        schema_failures: 0,
        latency: status.latency_seconds.map(Duration::from_secs),
        verification: None,
        message: status.message.as_deref().unwrap_or_default(),
    };
    let computed = godwit_api::conditions::conditions(&facts);
    for condition in godwit_api::conditions::with_times(computed, &before.conditions, &Time(now())) {
        if decide::find(&status, &condition.type_).is_none() {
            status.conditions.push(condition);
        }
    }
    StatusReport::from(status)
}

fn pod(case: &PodCase, task: &MigrationTask, hosts: &HostLimits) -> PodView {
    let template = case.mode.map(|mode| digest::template(task, mode, hosts)).unwrap_or_default();
    PodView {
        uid: "p-1".into(),
        ours: !case.foreign,
        mode: case.mode,
        // A restart that is asked for came after the pod was made.
        template: if case.changed { "old".into() } else { template },
        plan: String::new(),
        whole: String::new(),
        cluster: Some("prod".into()),
        units: case.units.unwrap_or(2),
        limits: None,
        phase: match case.phase.as_str() {
            "Pending" => PodPhase::Pending,
            "Running" => PodPhase::Running,
            "Succeeded" => PodPhase::Succeeded,
            "Failed" => PodPhase::Failed,
            other => panic!("{other} is no phase"),
        },
        ready: case.ready,
        not_ready_since: (!case.ready).then(|| ago(case.age)),
        address: Some("10.0.0.9".into()),
        image: "godwit:1".into(),
        created: Some(ago(case.age)),
        deleting: case.deleting_for.map(ago),
        node_lost: case.node_lost,
        trouble: case.trouble.clone(),
        last_words: case.words.then(|| "{}".to_owned()),
    }
}

fn secrets(case: &Case) -> observe::Secrets {
    observe::Secrets { data: "written".into(), hosts: case.secret_hosts.clone() }
}

fn observed(case: &Case) -> Observed {
    let task = task(case);
    // What stands was made before a restart was asked for.
    let mut before = task.clone();
    before.metadata.annotations = None;
    let offer = PoolOffer::default_pool(&settings());
    Observed {
        status: status(&case.status),
        now: now(),
        pod: case.pod.as_ref().map(|pod| self::pod(pod, &before, &case.secret_hosts)),
        plan: case.plan.as_ref().map(|plan| PlanView {
            mode: Some(plan.mode),
            // What is refused is not what the engine was made from.
            template: match plan.changed || plan.other_fingerprint {
                true => "old".into(),
                false => digest::template(&before, plan.mode, &case.secret_hosts),
            },
            plan: String::new(),
            fingerprint: if plan.other_fingerprint { "other".into() } else { digest::fingerprint(&task.spec) },
            asked: [EngineMode::Precheck, EngineMode::Run]
                .map(|mode| if plan.changed { "old".into() } else { digest::asked(&before, mode, &secrets(case)) }),
            generation: 0,
            token: String::new(),
        }),
        missing_secrets: case
            .missing
            .iter()
            .map(|name| ("spec.source.mysql.credentials.secretName".into(), name.clone()))
            .collect(),
        secrets: secrets(case),
        ceiling: None,
        fencing_for: Duration::from_secs(case.fencing_for),
        pool: match case.pool.as_deref() {
            None => PoolFacts::Fine(Box::new(offer)),
            Some("Missing") => PoolFacts::Missing,
            Some("Leaving") => PoolFacts::Leaving,
            Some("NamespaceNotAllowed") => PoolFacts::NamespaceNotAllowed,
            Some("Worthless") => PoolFacts::Worthless("spec.unitResources.memory: must be 64Mi or more".into()),
            Some("TooSmall") => PoolFacts::TooSmall { total: 1 },
            Some("Malformed") => PoolFacts::Malformed,
            Some("Beyond") => PoolFacts::Beyond { total: 1, offer: Box::new(offer) },
            Some(other) => panic!("{other} is no pool"),
        },
        namespace_ends: case.namespace_ends,
        retry: EffectiveRetry { connection_minutes: 720, other_minutes: 10, set_by: None },
        ready_within: Duration::from_secs(120),
        refused: case.refused.clone(),
        token: "token".into(),
        unable: case.unable.clone().map(|message| Trouble { reason: "PodRefused", message }),
        task: Arc::new(task),
    }
}

fn shown_step(step: &Step) -> String {
    match step {
        Step::Delete { force: true, .. } => "Delete(force)".into(),
        Step::Delete { .. } => "Delete".into(),
        other => format!("{other:?}"),
    }
}

fn shown_goal(goal: &Goal) -> String {
    let text = format!("{goal:?}");
    text.split(['(', ' ']).next().unwrap().to_owned()
}

fn reason(status: &MigrationTaskStatus, kind: &str) -> Option<String> {
    decide::find(status, kind).filter(|condition| condition.status == "True").map(|condition| condition.reason.clone())
}

/// What one look comes to.
struct Look {
    goal: Goal,
    step: Step,
    status: MigrationTaskStatus,
}

/// Looks at what is observed, with the queue and the engine of the case.
fn look(observed: &Observed, case: &Case) -> Look {
    let answer = case.engine.as_ref().map(|engine| Reply::Report(Box::new(report_of(engine, &observed.status))));
    look_with(observed, case.waits, answer.or_else(|| case.silent.clone().map(Reply::Silent)))
}

/// … with this place in the queue, and this answer of whatever engine is asked.
fn look_with(observed: &Observed, waits: Option<u64>, answer: Option<Reply>) -> Look {
    let goal = decide::goal(observed);
    let claimed = waits.map_or(Standing::Holds, |place| Standing::Waits { place, free: 0, aside: false });
    let standing = (goal == Goal::Run).then_some(claimed);
    let step = decide::step(observed, &goal, standing.as_ref());
    let reply = answer.filter(|reply| matches!(step, Step::Ask | Step::Conclude) || matches!(reply, Reply::Silent(_)));
    let holding = (standing == Some(Standing::Holds)).then(|| (Some("prod".to_owned()), 2));
    let decided = Decided { goal: &goal, standing: standing.as_ref(), step: &step, reply: reply.as_ref(), holding };
    let status = report::report(observed, &decided);
    Look { goal, step, status }
}

fn check(case: &Case) -> Result<(), String> {
    let observed = observed(case);
    let Look { goal, step, status } = look(&observed, case);
    let expect = &case.expect;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: Value, wanted: Option<Value>| {
        if let Some(wanted) = wanted
            && found != wanted
        {
            wrong.push(format!("{what}: {found} instead of {wanted}"));
        }
    };
    compare("goal", json!(shown_goal(&goal)), Some(json!(expect.goal)));
    compare("step", json!(shown_step(&step)), Some(json!(expect.step)));
    compare("phase", json!(status.phase), expect.phase.as_ref().map(|phase| json!(phase)));
    for (kind, wanted) in [(READY, &expect.ready), (RECONCILING, &expect.reconciling), (STALLED, &expect.stalled)] {
        let told = expect.ready.is_some() || expect.reconciling.is_some() || expect.stalled.is_some();
        compare(kind, json!(reason(&status, kind)), told.then(|| json!(wanted)));
    }
    compare("progress", json!(status.progress), expect.progress.as_ref().map(|text| json!(text)));
    compare("attempts", json!(status.retry.as_ref().map(|retry| retry.attempts)), expect.attempts.map(|n| json!(n)));
    compare("failing", json!(status.retry.is_some()), expect.failing.map(|failing| json!(failing)));
    let next = decide::next_try(&status).map_or(json!("never"), |at| json!(at.duration_since(now()).as_secs()));
    compare("nextIn", next, expect.next_in.clone());
    compare("place", json!(status.queue.as_ref().map(|queue| queue.place)), expect.place.map(|n| json!(n)));
    let admitted = status.admission.as_ref().map_or(0, |admission| admission.units);
    compare("admitted", json!(admitted), expect.admitted.map(|n| json!(n)));
    let holds = |kind: &str| json!(reason(&status, kind).is_some());
    compare("passed", holds(PRECHECK_PASSED), expect.passed.map(|holds| json!(holds)));
    compare("copied", holds(FULL_COPY_COMPLETE), expect.copied.map(|holds| json!(holds)));
    compare("started", json!(status.started_at.is_some()), expect.started.map(|holds| json!(holds)));
    compare("ended", json!(status.completed_at.is_some()), expect.ended.map(|holds| json!(holds)));
    compare("items", json!(status.precheck.as_ref().map_or(0, |found| found.items.len())), expect.items.map(|n| json!(n)));
    compare("source", json!(status.source), expect.source.as_ref().map(|source| json!(source)));
    let message = status.message.clone().unwrap_or_default();
    if let Some(part) = expect.message.as_ref().filter(|part| !message.contains(part.as_str())) {
        wrong.push(format!("message: {message:?} lacks {part:?}"));
    }
    if status.conditions.iter().any(|condition| condition.observed_generation != Some(3)) && goal != Goal::Leave {
        wrong.push("a condition lacks the generation".into());
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}: {}", case.name, wrong.join("; "))) }
}

#[test]
fn every_case_is_decided_and_told_as_it_should_be() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("fixtures/cases.yaml")).unwrap();
    assert!(cases.len() > 45);
    let wrong: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn settings() -> Settings {
    use clap::Parser;
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }
    Line::parse_from(["operator", "--image", "localhost/godwit:1", "--identity", "a", "--image-pull-secret", "registry"]).settings
}

fn frame(mode: EngineMode) -> Frame {
    Frame {
        mode,
        cluster: Some("prod".into()),
        units: if mode == EngineMode::Run { 2 } else { 0 },
        unit_resources: UnitResources::default(),
        overcommit_percent: 200,
        standing: None,
        placement: serde_json::from_value(json!({
            "nodeSelector": {"pool": "data"}, "tolerations": [{"key": "data", "operator": "Exists"}], "priorityClassName": "high",
        }))
        .unwrap(),
        retry: Retry { connection_minutes: 30, ..Retry::default() },
        template: godwit_api::EngineTemplate::default(),
        secrets: observe::Secrets { data: "written".into(), hosts: HostLimits::from([("source".into(), "source-db".into())]) },
        token: "token".into(),
    }
}

fn plain() -> MigrationTask {
    let cases: Vec<Case> = serde_saphyr::from_str("[{name: plain, expect: {goal: '', step: ''}}]").unwrap();
    task(&cases[0])
}

/// `GODWIT_BLESS=1 cargo test --lib operator::task` writes the files anew.
#[test]
fn objects_are_built_as_they_were() {
    for mode in [EngineMode::Run, EngineMode::Precheck] {
        let built = build::build(&plain(), &plain(), &frame(mode), &settings());
        let text = format!(
            "{}---\n{}",
            serde_saphyr::to_string(&built.pod).unwrap(),
            serde_saphyr::to_string(&built.config_map).unwrap()
        );
        let file = format!("{}/src/task/fixtures/{}.golden.yaml", env!("CARGO_MANIFEST_DIR"), mode.as_str().to_lowercase());
        if std::env::var_os("GODWIT_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap_or_default(), text, "{file}");
    }
}

#[test]
fn digests_change_with_what_matters_and_with_nothing_else() {
    let task = plain();
    let template = |change: &dyn Fn(&mut MigrationTask), mode| {
        let mut changed = task.clone();
        change(&mut changed);
        digest::template(&changed, mode, &HostLimits::new())
    };
    let same = template(&|_| {}, EngineMode::Run);
    let live: [&dyn Fn(&mut MigrationTask); 5] = [
        &|task| task.spec.retry.other_minutes = 9,
        &|task| task.spec.throttle.full.rows_per_second = 5,
        &|task| task.spec.cluster.priority = 7,
        &|task| task.spec.desired_state = godwit_api::DesiredState::Paused,
        &|task| task.spec.precheck.ignore.push("X".into()),
    ];
    for change in live {
        assert_eq!(template(change, EngineMode::Run), same);
    }
    let restart = |task: &mut MigrationTask| {
        task.metadata.annotations.get_or_insert_default().insert("godwit.dev/restart".into(), "1".into());
    };
    assert_ne!(template(&restart, EngineMode::Run), same);
    assert_ne!(template(&restart, EngineMode::Stop), template(&|_| {}, EngineMode::Stop));
    assert_ne!(template(&|task| task.spec.source.mysql.port = Some(3307), EngineMode::Run), same);
    // Every field by the one table, which the engine follows too.
    let before = MigrationTask { spec: serde_json::from_value(sample::spec()).unwrap(), ..task.clone() };
    let plan = |task: &MigrationTask| build::build(task, task, &frame(EngineMode::Run), &settings()).plan;
    for (name, spec) in sample::changes() {
        let after = MigrationTask { spec, ..before.clone() };
        let effect = effect(&name, EngineMode::Run);
        let of = |task| digest::template(task, EngineMode::Run, &HostLimits::new());
        assert_eq!(of(&before) != of(&after), effect == Effect::NewPod, "spec.{name} and the pod");
        assert_eq!(plan(&before) != plan(&after), effect != Effect::Aside, "spec.{name} and the plan");
    }
    let ignore = |task: &mut MigrationTask| task.spec.precheck.ignore.push("X".into());
    assert_ne!(template(&ignore, EngineMode::Precheck), template(&|_| {}, EngineMode::Precheck));
}

#[test]
fn a_plan_says_what_its_pod_has() {
    let grown = UnitResources { memory: Quantity("4Gi".into()), ..UnitResources::default() };
    let first = build::build(&plain(), &plain(), &frame(EngineMode::Run), &settings());
    let pod = CachedPod::from(first.pod.clone()).view("u-1", |_| None);
    let later = Frame { unit_resources: grown, standing: pod.limits, ..frame(EngineMode::Run) };
    let second = build::build(&plain(), &plain(), &later, &settings());
    // The pool has more by now, the pod has not: neither its limits nor its plan.
    assert_eq!(first.plan, second.plan);
    let text = second.config_map.data.unwrap().remove("plan.json").unwrap();
    let plan: godwit_api::EnginePlan = serde_json::from_str(&text).unwrap();
    assert_eq!((plan.resources.units, plan.resources.cpu_millis, plan.resources.memory_bytes), (2, 1000, 1 << 30));
}

/// What is done about a pod that was built before something changed. `image`: that of the operator by now.
fn finer(mode: EngineMode, started: bool, ready: bool, image: &str, pool: Option<UnitResources>, may_roll: bool) -> Step {
    let before = build::build(&plain(), &plain(), &frame(mode), &settings());
    let mut view = CachedPod::from(before.pod.clone()).view("u-1", |_| None);
    view.phase = if started { PodPhase::Running } else { PodPhase::Pending };
    view.ready = ready;
    let case: Vec<Case> = serde_saphyr::from_str("[{name: plain, expect: {goal: '', step: ''}}]").unwrap();
    let mut observed = observed(&case[0]);
    observed.plan = Some(PlanView {
        mode: Some(mode),
        template: before.template.clone(),
        plan: before.plan.clone(),
        fingerprint: String::new(),
        asked: [String::new(), String::new()],
        generation: 3,
        token: String::new(),
    });
    observed.pod = Some(view);
    let now = Frame { unit_resources: pool.unwrap_or_default(), standing: super::standing(&observed), ..frame(mode) };
    let settings = Settings { image: image.into(), ..settings() };
    let built = build::build(&plain(), &plain(), &now, &settings);
    super::finer(&observed, &Goal::Run, Step::Ask, Some(&built), &settings, || may_roll)
}

#[test]
fn a_pod_that_cannot_start_is_made_anew_when_it_would_be_another() {
    let image = settings().image;
    let smaller = || Some(UnitResources { memory: Quantity("256Mi".into()), ..UnitResources::default() });
    for mode in [EngineMode::Precheck, EngineMode::Run, EngineMode::Stop] {
        assert_eq!(finer(mode, false, false, &image, None, true), Step::Ask);
        // Its pool, or its image.
        assert_eq!(shown_step(&finer(mode, false, false, &image, smaller(), false)), "Delete", "{mode:?}");
        assert_eq!(shown_step(&finer(mode, false, false, "other", None, false)), "Delete", "{mode:?}");
        // One that started keeps what it has, and leaves its image at once when it is not ready, else at the pace.
        assert_eq!(finer(mode, true, true, &image, smaller(), true), Step::Ask, "{mode:?}");
        assert_eq!(shown_step(&finer(mode, true, false, "other", None, false)), "Delete", "{mode:?}");
        assert_eq!(finer(mode, true, true, "other", None, false), Step::Ask, "{mode:?}");
        assert_eq!(shown_step(&finer(mode, true, true, "other", None, true)), "Delete", "{mode:?}");
    }
}

#[test]
fn what_cannot_be_read_keeps_what_was_reached() {
    let before = status(&json!({"conditions": [
        {"type": "Ready", "status": "True"}, {"type": FULL_COPY_COMPLETE, "status": "True"}, {"type": STALLED, "status": "False"},
    ]}));
    let (conditions, message) = report::malformed(&before.conditions, "spec.desiredState: unknown variant", Some(4), now());
    assert!(message.contains("spec.desiredState: unknown variant"), "{message}");
    let shown: Vec<(&str, &str, &str)> =
        conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str(), c.reason.as_str())).collect();
    assert_eq!(
        shown,
        [
            (READY, "False", "Malformed"),
            (FULL_COPY_COMPLETE, "True", "Fixture"),
            (STALLED, "True", "Malformed"),
            (RECONCILING, "False", "Malformed"),
        ]
    );
    // Told once.
    let again = report::malformed(&conditions, "spec.desiredState: unknown variant", Some(4), ago(-60));
    assert_eq!(again, (conditions, message));
}

#[test]
fn an_error_is_told_with_its_causes_each_once() {
    let refused = std::io::Error::other("connection refused");
    let error = super::Error::at("writing status")(kube::Error::ReadEvents(refused));
    let text = super::chain(&error);
    assert!(text.starts_with("writing status: ") && text.matches("connection refused").count() == 1, "{text}");
    let note = report::failure(3, &text);
    assert!(note.warning && note.reason == "ReconcileError" && note.message.contains(&text), "{note:?}");
}

#[test]
fn a_secret_that_is_written_ends_a_pause_but_not_at_once() {
    let cases: Vec<Case> = serde_saphyr::from_str(
        r#"[{name: failed, plan: {mode: Run}, expect: {goal: "", step: ""},
             status: {phase: Failed, startedAt: "2026-01-01T00:00:00Z", retry: {error: x, attempts: 4, nextAt: "2026-01-01T00:15:00Z"}}}]"#,
    )
    .unwrap();
    // The failure was at 00:07, eight minutes before the next try; the first pause is one minute. It is 00:10.
    let mut observed = observed(&cases[0]);
    assert_eq!(decide::goal(&observed), Goal::Wait(Some("2026-01-01T00:15:00Z".parse().unwrap())));
    observed.secrets.data = "written again".into();
    assert_eq!(decide::goal(&observed), Goal::Run);
    observed.now = "2026-01-01T00:07:10Z".parse().unwrap();
    assert_eq!(decide::goal(&observed), Goal::Wait(Some("2026-01-01T00:08:00Z".parse().unwrap())));
    // Another spec is tried at once.
    Arc::make_mut(&mut observed.task).spec.heartbeat.enabled = true;
    assert_eq!(decide::goal(&observed), Goal::Run);
}

#[test]
fn what_the_pool_and_the_settings_say_of_pods_is_on_them() {
    use clap::Parser;
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        settings: Settings,
    }
    let line = [
        "operator",
        "--image",
        "i",
        "--engine-user",
        "none",
        "--engine-group",
        "none",
        "--engine-pod-label",
        "sidecar.istio.io/inject=false,team=data",
        "--engine-pod-annotation",
        "a=b,c",
    ];
    let settings = Line::parse_from(line).settings;
    let pod = |frame: &Frame, settings: &Settings| build::build(&plain(), &plain(), frame, settings).pod;
    let built = pod(&frame(EngineMode::Run), &settings);
    let labels = built.metadata.labels.clone().unwrap();
    assert_eq!((labels["team"].as_str(), labels["sidecar.istio.io/inject"].as_str()), ("data", "false"));
    assert_eq!(built.metadata.annotations.clone().unwrap()["a"], "b,c");
    let context = |pod: &k8s_openapi::api::core::v1::Pod| {
        let context = pod.spec.as_ref().unwrap().security_context.clone().unwrap();
        (context.run_as_user, context.run_as_group, context.fs_group, context.run_as_non_root)
    };
    // The cluster decides; still no root, and the Secrets can be read by whoever that is.
    assert_eq!(context(&built), (None, None, None, Some(true)));
    let modes = |pod: &k8s_openapi::api::core::v1::Pod| -> Vec<Option<i32>> {
        let volumes = pod.spec.as_ref().unwrap().volumes.clone().unwrap();
        volumes.into_iter().filter_map(|volume| volume.secret).map(|secret| secret.default_mode).collect()
    };
    assert_eq!(modes(&built), [Some(0o444), Some(0o444)]);
    let own: godwit_api::EngineTemplate = serde_json::from_value(json!({
        "labels": {"team": "shop", "godwit.dev/task": "stolen"}, "securityContext": {"runAsUser": 1000, "fsGroup": 2000}
    }))
    .unwrap();
    let framed = Frame { template: own, ..frame(EngineMode::Run) };
    let built = pod(&framed, &settings);
    let labels = built.metadata.labels.clone().unwrap();
    assert_eq!((labels["team"].as_str(), labels["godwit.dev/task"].as_str()), ("shop", "shop"));
    assert_eq!((context(&built), modes(&built)), ((Some(1000), None, Some(2000), Some(true)), vec![Some(0o440), Some(0o440)]));
    // One that has not started is made anew for it.
    let whole = |frame: &Frame| build::build(&plain(), &plain(), frame, &settings).whole;
    assert_ne!(whole(&framed), whole(&frame(EngineMode::Run)));
    for wrong in ["godwit.dev/task=x", "nothing", "=x"] {
        assert!(Line::try_parse_from(["operator", "--image", "i", "--engine-pod-label", wrong]).is_err(), "{wrong}");
    }
    assert!(Line::try_parse_from(["operator", "--image", "i", "--engine-user", "0"]).is_err());
}

#[test]
fn containers_of_others_are_not_taken_for_the_engine() {
    let pod = |phase: &str, engine: Value| -> PodView {
        let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(json!({
            "metadata": {"name": "shop-engine", "labels": {"godwit.dev/mode": "Run", "godwit.dev/units": "2"}},
            "spec": {"containers": [
                {"name": "istio-proxy", "image": "proxy:1", "resources": {"limits": {"cpu": "10m", "memory": "1Mi"}}},
                {"name": "engine", "image": "godwit:1", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}
            ]},
            "status": {"phase": phase, "containerStatuses": [
                {"name": "istio-proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}},
                {"name": "engine", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": engine}
            ]}
        }))
        .unwrap();
        pod_view(&pod)
    };
    let runs = pod("Running", json!({"running": {}}));
    assert_eq!((runs.image.as_str(), runs.phase), ("godwit:1", PodPhase::Running));
    assert_eq!(runs.limits.map(|limits| (limits.cpu_millis, limits.memory_bytes)), Some((2000, 1 << 30)));
    // The engine has ended; the proxy runs on and keeps the pod from ending.
    let ended = pod("Running", json!({"terminated": {"exitCode": 0, "message": "last words"}}));
    assert_eq!((ended.phase, ended.last_words.as_deref()), (PodPhase::Succeeded, Some("last words")));
    // One that crashed is started again by the kubelet.
    assert_eq!(pod("Running", json!({"terminated": {"exitCode": 1}})).phase, PodPhase::Running);
    let waits = pod("Pending", json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}));
    assert_eq!(waits.trouble, Some(("ImagePullBackOff".into(), "no such image".into())));
}
