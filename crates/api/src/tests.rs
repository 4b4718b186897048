//! The types as JSON: what other programs read and write.

use serde_json::{Value, json};

use super::condition::{Condition, Time};
use super::*;

#[test]
fn an_empty_status_is_empty() {
    assert_eq!(serde_json::to_value(MigrationTaskStatus::default()).expect("serializes"), json!({}));
    let read: MigrationTaskStatus = serde_json::from_value(json!({})).expect("is read");
    assert_eq!(read, MigrationTaskStatus::default());
}

fn at(seconds: i64) -> Time {
    Time(k8s_openapi::jiff::Timestamp::from_second(seconds).expect("is a time"))
}

#[test]
fn a_full_status_has_the_documented_shape() {
    let status = MigrationTaskStatus {
        observed_generation: Some(3),
        phase: Some(Phase::Replicating),
        message: Some("in sync".into()),
        progress: Some("73.4%".into()),
        latency_seconds: Some(0),
        position: Some(Position { gtid_set: Some("u:1-5".into()), file: Some("binlog.000042".into()), offset: Some(1234) }),
        precheck: Some(PrecheckStatus {
            success_rate: "96%".into(),
            items: vec![PrecheckItem {
                name: "SourceRetention".into(),
                verdict: Verdict::Warning,
                ignored: true,
                seen: "3600 s".into(),
                why: "the log may be gone".into(),
                remedy: "SET GLOBAL binlog_expire_logs_seconds = 604800".into(),
            }],
            ..PrecheckStatus::default()
        }),
        full: Some(FullStatus {
            tables_total: 2,
            eta_seconds: Some(9),
            tables: vec![TableProgress {
                source: "shop.orders".into(),
                destination: "shop_new.orders_v2".into(),
                rows: 10,
                rows_estimate: 20,
                bytes: 300,
                rows_per_second: 5,
                eta_seconds: None,
                state: TableState::Copying,
            }],
            ..FullStatus::default()
        }),
        incremental: Some(IncrementalStatus {
            last_ddl: Some(LastDdl { statement: "ALTER TABLE t ADD c INT".into(), applied: true, at: Some(at(0)) }),
            ..IncrementalStatus::default()
        }),
        queue: Some(QueueStatus { place: 2, units: 1, free_units: 0 }),
        effective_retry: Some(EffectiveRetry { connection_minutes: 30, other_minutes: 10, set_by: Some("data/crm".into()) }),
        conditions: vec![Condition {
            type_: condition::READY.into(),
            status: "True".into(),
            reason: "InSync".into(),
            message: "the end of the log is applied".into(),
            observed_generation: Some(3),
            last_transition_time: at(0),
        }],
        ..MigrationTaskStatus::default()
    };
    let written = serde_json::to_value(StatusReport::from(status.clone())).expect("serializes");
    let expected = [
        ("/apiVersion", json!("godwit.dev/v1alpha1")),
        ("/phase", json!("Replicating")),
        ("/latencySeconds", json!(0)),
        ("/position", json!({"gtidSet": "u:1-5", "file": "binlog.000042", "offset": 1234})),
        ("/precheck/successRate", json!("96%")),
        ("/precheck/items/0/verdict", json!("Warning")),
        ("/full/tables/0/state", json!("Copying")),
        ("/full/tables/0/rowsEstimate", json!(20)),
        ("/full/etaSeconds", json!(9)),
        ("/incremental/lastDdl/at", json!("1970-01-01T00:00:00Z")),
        ("/queue/place", json!(2)),
        ("/effectiveRetry/setBy", json!("data/crm")),
        ("/conditions/0/type", json!("Ready")),
        ("/conditions/0/lastTransitionTime", json!("1970-01-01T00:00:00Z")),
    ];
    for (pointer, value) in expected {
        assert_eq!(written.pointer(pointer), Some(&value), "{pointer}");
    }
    assert_eq!(serde_json::from_value::<StatusReport>(written).expect("is read").status, status);
}

#[test]
fn a_phase_is_its_own_name() {
    let phases: Value = super::crd::crds()
        .first()
        .and_then(super::crd::open_api_schema)
        .and_then(|schema| schema.pointer("/properties/status/properties/phase/enum").cloned())
        .expect("phases");
    let names = phases.as_array().expect("a list");
    assert_eq!(names.len(), 13);
    for name in names {
        let phase: Phase = serde_json::from_value(name.clone()).expect("is a phase");
        assert_eq!(Some(phase.as_str()), name.as_str());
        assert_eq!(phase.is_final(), ["Completed", "Stopped"].contains(&phase.as_str()));
    }
}

#[test]
fn a_verify_report_is_equal_only_without_any_difference() {
    let table = TableVerification { source: "a.t".into(), destination: "b.t".into(), rows: 3, ..TableVerification::default() };
    let equal = VerifyReport::new(None, vec![table.clone()], Vec::new());
    assert_eq!(
        serde_json::to_value(&equal).expect("serializes"),
        json!({
            "apiVersion": "godwit.dev/v1alpha1", "equal": true, "schema": [],
            "tables": [{"source": "a.t", "destination": "b.t", "rows": 3, "missing": 0, "extra": 0, "different": 0, "samples": []}]
        })
    );
    let unequal = [
        TableVerification { missing: 1, ..table.clone() },
        TableVerification { extra: 1, ..table.clone() },
        TableVerification { different: 1, ..table.clone() },
        TableVerification { error: Some("no key".into()), ..table.clone() },
    ];
    for table in unequal {
        assert!(!VerifyReport::new(None, vec![table], Vec::new()).equal);
    }
    assert!(!VerifyReport::new(None, vec![table], vec![SchemaDifference::default()]).equal);
}

#[test]
fn a_cluster_is_read_with_its_defaults() {
    let cluster: DedicatedCluster = serde_json::from_value(json!({
        "apiVersion": "godwit.dev/v1alpha1", "kind": "DedicatedCluster", "metadata": {"name": "prod"},
        "spec": {
            "units": 15, "unitResources": {"cpu": 1}, "namespaces": {"matchLabels": {"team": "data"}},
            "placement": {"nodeSelector": {}, "tolerations": [], "affinity": {}, "priorityClassName": "", "runtimeClassName": ""}
        }
    }))
    .expect("is read");
    assert_eq!(cluster.spec.overcommit_percent, 100);
    assert_eq!((cluster.spec.unit_resources.cpu.0.as_str(), cluster.spec.unit_resources.memory.0.as_str()), ("1", "512Mi"));
    let unknown = json!({"units": 1, "unit": 2});
    assert!(serde_json::from_value::<DedicatedClusterSpec>(unknown).is_err());
}

/// docs/kubernetes.md has each condition, in the order of status, and no other.
#[test]
fn the_documentation_has_every_condition() {
    let docs = include_str!("../../../docs/kubernetes.md");
    let chapter = docs.split("\n## ").find(|chapter| chapter.starts_with("Conditions\n")).expect("the chapter");
    let named: Vec<&str> = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let known: Vec<&str> = condition::ALL.into_iter().chain([condition::ENCRYPTED]).collect();
    assert_eq!(named, known);
}

#[test]
fn all_conditions_are_listed_once() {
    let unique: std::collections::BTreeSet<_> = condition::ALL.into_iter().collect();
    assert_eq!(unique.len(), condition::ALL.len());
}
