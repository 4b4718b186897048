//! One MigrationTask for every phase, with the conditions that [`super::conditions`] computes: what config/gitops/testdata holds, from which the
//! health checks of Argo CD, of Flux and of kstatus are tested.
//!
//! `GODWIT_BLESS=1 cargo test --lib conditions::examples` writes the files anew.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::{
    Destination, MigrationTask, MigrationTaskSpec, MigrationTaskStatus, MysqlDestination, MysqlEndpoint, PrecheckItem,
    PrecheckStatus, QueueStatus, RetryStatus, SecretRef, Source, Verdict,
};

const EVERYTHING: Parts = Parts { schema: true, full: true, incremental: true };
const GENERATION: i64 = 3;

/// A file and what stands in it.
struct Example {
    name: &'static str,
    phase: Phase,
    stage: Phase,
    latency: Option<u64>,
    message: &'static str,
}

const EXAMPLES: [Example; 14] = [
    example("pending", Phase::Pending, Phase::Pending, None, "the task was seen"),
    example("queued", Phase::Queued, Phase::Queued, None, "waits for 2 units of prod, 1 is free; place 1 in the queue"),
    example("prechecking", Phase::Prechecking, Phase::Prechecking, None, "checks both ends"),
    example("precheckfailed", Phase::PrecheckFailed, Phase::PrecheckFailed, None, "1 of 40 checks failed: BinaryLogFormat"),
    example("migratingschema", Phase::MigratingSchema, Phase::MigratingSchema, None, "creates the objects at the destination"),
    example("copying", Phase::Copying, Phase::Copying, None, "73.4% copied"),
    example("replicating", Phase::Replicating, Phase::Replicating, Some(0), "in sync"),
    example("replicating-behind", Phase::Replicating, Phase::Replicating, Some(90), "90 s behind"),
    example("cuttingover", Phase::CuttingOver, Phase::CuttingOver, Some(0), "hands over to the destination"),
    example("completed", Phase::Completed, Phase::Completed, None, "completed"),
    example("paused", Phase::Paused, Phase::Copying, None, "paused as asked"),
    example("stopped", Phase::Stopped, Phase::Replicating, None, "stopped as asked; the task can never write again"),
    example("retrying", Phase::Retrying, Phase::Replicating, None, "lost the connection to the source; tries again"),
    example("failed", Phase::Failed, Phase::Replicating, None, "ALTER TABLE `shop`.`orders` stops the task"),
];

const fn example(name: &'static str, phase: Phase, stage: Phase, latency: Option<u64>, message: &'static str) -> Example {
    Example { name, phase, stage, latency, message }
}

fn time() -> Time {
    Time("2026-01-05T08:00:00Z".parse().unwrap())
}

fn spec(phase: Phase) -> MigrationTaskSpec {
    let secret = |name: &str| Some(SecretRef { secret_name: name.into() });
    let source =
        MysqlEndpoint { host: Some("shop-db.example.com".into()), credentials: secret("shop-source"), ..Default::default() };
    let destination = MysqlDestination {
        host: Some("new-db.example.com".into()),
        credentials: secret("shop-destination"),
        ..Default::default()
    };
    let mut spec = MigrationTaskSpec::new(Source { mysql: source }, Destination::mysql(destination));
    spec.cluster.name = Some("prod".into());
    spec.cluster.units = 2;
    match phase {
        Phase::Paused => spec.desired_state = crate::DesiredState::Paused,
        Phase::Stopped => spec.desired_state = crate::DesiredState::Stopped,
        Phase::Completed => spec.migration_types.retain(|part| *part != crate::MigrationType::Incremental),
        _ => {}
    }
    spec
}

fn status(example: &Example) -> MigrationTaskStatus {
    let checked = example.stage > Phase::Prechecking;
    let passed = example.phase != Phase::PrecheckFailed;
    let facts = Facts {
        phase: example.phase,
        stage: example.stage,
        parts: checked.then_some(Parts { incremental: example.phase != Phase::Completed, ..EVERYTHING }),
        precheck_passed: checked.then_some(passed),
        precheck: None,
        schema_failures: 0,
        latency: example.latency.map(Duration::from_secs),
        verification: None,
        message: example.message,
    };
    let item = PrecheckItem {
        name: "BinaryLogFormat".into(),
        verdict: if passed { Verdict::Passed } else { Verdict::Failed },
        ignored: false,
        seen: if passed { "binlog_format is ROW" } else { "binlog_format is STATEMENT" }.into(),
        why: "only row events hold the rows".into(),
        remedy: if passed { "" } else { "SET PERSIST binlog_format = 'ROW';" }.into(),
    };
    MigrationTaskStatus {
        observed_generation: Some(GENERATION),
        phase: Some(example.phase),
        message: Some(example.message.into()),
        progress: match example.stage {
            Phase::Copying => Some("73.4%".into()),
            stage if stage > Phase::Copying => Some("100.0%".into()),
            _ => None,
        },
        latency_seconds: example.latency,
        source: Some("shop-db.example.com:3306".into()),
        destination: Some("new-db.example.com:3306".into()),
        started_at: (example.stage > Phase::PrecheckFailed).then(time),
        completed_at: example.phase.is_final().then(time),
        precheck: checked.then(|| PrecheckStatus {
            success_rate: if passed { "100%" } else { "97%" }.into(),
            checked_at: Some(time()),
            items: vec![item],
            assessment: Vec::new(),
        }),
        queue: (example.phase == Phase::Queued).then_some(QueueStatus { place: 1, units: 2, free_units: 1 }),
        retry: (example.phase == Phase::Retrying).then(|| RetryStatus {
            error: "connection refused".into(),
            attempts: 3,
            since: Some(time()),
            ..Default::default()
        }),
        conditions: with_times(conditions(&facts), &[], &time()),
        ..Default::default()
    }
}

fn yaml(example: &Example) -> String {
    let mut task = MigrationTask::new("shop", spec(example.phase));
    task.metadata.namespace = Some("data".into());
    task.metadata.generation = Some(GENERATION);
    task.status = Some(status(example));
    let text = serde_saphyr::to_string(&task).unwrap();
    format!("# Generated: GODWIT_BLESS=1 cargo test --lib conditions::examples writes it anew.\n{text}")
}

#[test]
fn every_phase_has_an_example_and_it_is_up_to_date() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/gitops/testdata");
    for example in &EXAMPLES {
        let file = folder.join(format!("{}.yaml", example.name));
        let expected = yaml(example);
        if std::env::var_os("GODWIT_BLESS").is_some() {
            fs::write(&file, &expected).unwrap();
        }
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, expected, "{} is out of date: GODWIT_BLESS=1 cargo test --lib conditions::examples", file.display());
    }
    let phases: std::collections::HashSet<Phase> = EXAMPLES.iter().map(|example| example.phase).collect();
    assert_eq!(phases.len(), 13, "one example at least for each phase");
}
