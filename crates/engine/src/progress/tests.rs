use std::sync::Arc;

use super::*;
use crate::plan::{DmlSelection, TablePlan};
use godwit_model::definition::TableDefinition;
use godwit_model::names::TableName;

fn table(id: u32, name: &str, rows: u64) -> Arc<TablePlan> {
    let name = TableName { database: "shop".into(), table: name.into() };
    Arc::new(TablePlan {
        id,
        source: name.clone(),
        destination: name.clone(),
        definition: Arc::new(TableDefinition {
            database: name.database,
            table: name.table,
            engine: "InnoDB".into(),
            columns: vec![],
            indexes: vec![],
            foreign_keys: vec![],
            create_statement: String::new(),
            estimated_rows: rows,
            average_row_bytes: 100,
            unread: Vec::new(),
        }),
        columns: vec![],
        key: vec![],
        key_index: None,
        range_columns: 0,
        secondary_unique: false,
        dml: DmlSelection::default(),
        zoned: Vec::new(),
        row_filter: None,
        chosen: Default::default(),
    })
}

fn plan(tables: Vec<Arc<TablePlan>>) -> Plan {
    Plan {
        schema: true,
        full: true,
        incremental: true,
        databases: vec![],
        tables,
        views: vec![],
        programs: vec![],
        holds_triggers: false,
        names: Default::default(),
        unsupported: vec![],
    }
}

fn progress() -> Progress {
    let progress = Progress::new("a:3306".into(), "b:3306".into());
    progress.set_plan(&plan(vec![table(0, "orders", 1_000), table(1, "items", 3_000)]));
    progress
}

fn condition(status: &MigrationTaskStatus, kind: &str) -> String {
    status.conditions.iter().find(|c| c.type_ == kind).map(|c| c.status.clone()).unwrap()
}

#[test]
fn the_copy_is_weighed_by_bytes_and_ends_with_the_last_table() {
    let progress = progress();
    progress.set_phase(Phase::Copying);
    progress.table_state(0, TableState::Copying);
    progress.table_resumed(0, 400, 40_000);
    progress.add_copied(0, 100, 10_000);
    let status = progress.status();
    assert_eq!(status.progress.as_deref(), Some("12.5%"));
    let full = status.full.unwrap();
    assert_eq!((full.rows_copied, full.bytes_copied, full.rows_total, full.tables_done), (500, 50_000, 4_000, 0));
    assert_eq!(full.tables[0].source, "shop.orders");

    progress.table_state(0, TableState::Done);
    progress.add_copied(1, 5_000, 500_000);
    progress.table_state(1, TableState::Indexing);
    assert_eq!(progress.status().progress.as_deref(), Some("99.2%"));
    progress.table_state(1, TableState::Done);
    let status = progress.status();
    assert_eq!(status.progress.as_deref(), Some("100.0%"));
    assert_eq!(status.full.map(|full| (full.rows_total, full.eta_seconds)), Some((5_500, None)));
}

/// Tables from snapshots come first and cost a connection each: their rate would make hours of a minute.
#[test]
fn what_is_copied_counts_and_the_time_left_waits_for_a_rate_that_lasts() {
    let progress = progress();
    progress.set_phase(Phase::Copying);
    progress.foresee(false);
    progress.table_state(0, TableState::Copying);
    progress.add_copied(0, 1_000, 100_000);
    progress.table_state(0, TableState::Indexing);
    let full = progress.status().full.unwrap();
    assert_eq!((full.tables_done, full.tables_total, full.eta_seconds), (1, 2, None));
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(progress.status().full.unwrap().eta_seconds, None);
    progress.foresee(true);
    progress.table_state(1, TableState::Copying);
    progress.add_copied(1, 1_000, 100_000);
    std::thread::sleep(Duration::from_millis(250));
    let snapshot = progress.snapshot();
    let left = snapshot.time_left().unwrap();
    assert!(left < Duration::from_secs(60), "{left:?}");
    // What comes behind the copy is no part of its rate.
    assert!(snapshot.copied_for() >= Duration::from_millis(200) && snapshot.copied_for() < snapshot.running_for);
    assert!(snapshot.running_for - snapshot.copied_for() >= Duration::from_millis(250));
}

#[test]
fn a_new_plan_keeps_the_counters_of_known_tables() {
    let progress = progress();
    progress.set_phase(Phase::Copying);
    progress.add_copied(1, 7, 70);
    progress.set_plan(&plan(vec![table(0, "items", 3_000)]));
    assert_eq!(progress.status().full.map(|full| (full.tables_total, full.rows_copied)), Some((1, 7)));
    progress.add_copied(9, 1, 1);
}

#[test]
fn an_interruption_hides_the_stage_and_gives_it_back() {
    let progress = progress();
    progress.set_phase(Phase::Replicating);
    progress.set_latency(Some(Duration::from_millis(1400)));
    progress.set_retrying(Some(("connection lost".into(), 2)));
    let status = progress.status();
    assert_eq!(status.phase, Some(Phase::Retrying));
    assert_eq!(status.message.as_deref(), Some("connection lost (tried again, attempt 2)"));
    assert_eq!(status.retry.as_ref().map(|retry| retry.attempts), Some(2));
    assert_eq!((condition(&status, "FullCopyComplete"), condition(&status, "Ready")), ("True".into(), "False".into()));
    progress.set_retrying(None);
    let status = progress.status();
    assert_eq!((status.phase, status.latency_seconds), (Some(Phase::Replicating), Some(1)));
    assert_eq!(condition(&status, "Ready"), "True");
    progress.set_failed("shop.orders, key id=7: cannot be written".into());
    let status = progress.status();
    assert_eq!((status.phase, condition(&status, "Stalled")), (Some(Phase::Failed), "True".into()));
}

#[test]
fn a_message_lasts_as_long_as_its_phase() {
    let progress = progress();
    progress.set_phase(Phase::Copying);
    progress.message("looking for chunks");
    progress.set_phase(Phase::Copying);
    assert_eq!(progress.status().message.as_deref(), Some("looking for chunks"));
    progress.set_phase(Phase::Replicating);
    assert_eq!(progress.status().message.as_deref(), Some("following the source's binary log"));
    progress.set_phase(Phase::Paused);
    progress.message("stopped on request");
    let status = progress.status();
    assert_eq!((status.phase, condition(&status, "FullCopyComplete")), (Some(Phase::Paused), "True".into()));
}

#[test]
fn failures_of_objects_count_once_and_long_statements_are_cut() {
    let progress = progress();
    progress.schema_failed("view shop.v", &"é".repeat(2_000), "no such column");
    progress.schema_failed("view shop.v", "CREATE VIEW", "no such column");
    progress.add_ddl(&"é".repeat(2_000));
    progress.set_phase(Phase::Replicating);
    let status = progress.status();
    assert_eq!(status.schema.map(|schema| (schema.failed_total, schema.failed.len())), Some((1, 1)));
    let ddl = status.incremental.and_then(|incremental| incremental.last_ddl).unwrap();
    assert_eq!((ddl.statement.chars().count(), ddl.applied), (STATEMENT_LIMIT + 1, true));
}

#[tokio::test]
async fn many_changes_wake_once_and_none_is_lost() {
    let progress = progress();
    let mut changes = progress.changed();
    progress.status();
    for _ in 0..1_000 {
        progress.add_applied(1, 0, 0, 1);
    }
    changes.changed().await.unwrap();
    assert!(!changes.has_changed().unwrap());
    assert_eq!(progress.status().phase, Some(Phase::Pending));
    progress.add_applied(0, 1, 0, 1);
    assert!(changes.has_changed().unwrap());
}

#[test]
fn counting_from_many_threads_loses_nothing() {
    let progress = progress();
    progress.set_phase(Phase::Copying);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| progress.add_copied(1, 1, 10)));
        }
    });
    assert_eq!(progress.status().full.map(|full| (full.rows_copied, full.bytes_copied)), Some((40_000, 400_000)));
}

#[test]
fn a_heartbeat_that_does_not_arrive_is_latency() {
    let progress = progress();
    progress.set_phase(Phase::Replicating);
    progress.set_heartbeat(Some(Duration::from_secs(40)), Duration::from_secs(40));
    // As long as the copy runs, nothing is known of how far behind the destination is.
    assert_eq!(progress.status().latency_seconds, None);
    progress.set_latency(Some(Duration::ZERO));
    let status = progress.status();
    assert_eq!((status.latency_seconds, condition(&status, "InSync").as_str()), (Some(40), "False"));
    progress.set_heartbeat(Some(Duration::from_secs(40)), Duration::ZERO);
    let status = progress.status();
    assert_eq!((status.latency_seconds, condition(&status, "InSync").as_str()), (Some(0), "True"));
    progress.heartbeat_problem(Some("UPDATE command denied".into()));
    let message = progress.status().message.unwrap();
    assert_eq!(message, "following the source's binary log; without a heartbeat: UPDATE command denied");
    progress.heartbeat_problem(None);
    assert_eq!(progress.status().message.as_deref(), Some("following the source's binary log"));
    // The destination's server has not offered TLS.
    let links = ["the source a:3306", "the destination b:3306"].map(Link::new);
    links[1].open();
    progress.watch_links(links.to_vec());
    let status = progress.status();
    let sentence = "following the source's binary log; not encrypted, as no TLS is offered: the destination b:3306";
    assert_eq!((status.message.as_deref(), condition(&status, "Encrypted").as_str()), (Some(sentence), "False"));
    progress.watch_links(Vec::new());
    assert!(progress.status().conditions.iter().all(|condition| condition.type_ != "Encrypted"));
}

#[test]
fn latency_goes_on_growing_between_attempts() {
    let progress = progress();
    progress.set_phase(Phase::Replicating);
    progress.set_latency(Some(Duration::ZERO));
    progress.set_synced_at(Instant::now() - Duration::from_secs(70));
    assert_eq!(progress.status().latency_seconds, Some(0), "an idle source is in sync however long ago it was asked");
    progress.set_retrying(Some(("the source closed the binary log stream".into(), 1)));
    let status = progress.status();
    assert!(status.latency_seconds >= Some(70), "{status:?}");
    assert_eq!(condition(&status, "InSync"), "False");
    // The next attempt has begun and has measured nothing yet.
    progress.set_retrying(None);
    assert!(progress.status().latency_seconds >= Some(70));
    progress.set_latency(Some(Duration::ZERO));
    assert_eq!(progress.status().latency_seconds, Some(0));
}

#[test]
fn the_newest_commit_is_told_whatever_lane_is_done_last() {
    let progress = progress();
    progress.set_phase(Phase::Replicating);
    assert_eq!(progress.status().incremental.and_then(|incremental| incremental.last_commit_at), None);
    let (now, newest) = (SystemTime::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    for before in [3, 0, 7] {
        progress.applied(newest - Duration::from_secs(before), now);
    }
    let told = progress.status().incremental.and_then(|incremental| incremental.last_commit_at).unwrap();
    assert_eq!(told.0.as_second(), 1_700_000_000);
}
