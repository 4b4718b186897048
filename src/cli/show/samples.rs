//! States for the tests of what is shown.

use std::time::Duration;

use super::View;
use crate::api::{FullStatus, IncrementalStatus, MigrationTaskStatus, Phase, Position, SchemaStatus, TableProgress, TableState};
use crate::engine::progress::Counters;

fn table(name: &str, rows: u64, state: TableState) -> TableProgress {
    TableProgress {
        source: name.into(),
        destination: name.into(),
        rows,
        rows_estimate: 1_000_000,
        bytes: rows * 100,
        rows_per_second: 110_000,
        eta_seconds: None,
        state,
    }
}

/// In the middle of a copy that follows the log meanwhile.
pub(super) fn copying() -> View {
    let full = FullStatus {
        tables_total: 12,
        tables_done: 9,
        rows_total: 1_700_000,
        rows_copied: 1_234_567,
        bytes_copied: 201_300_000,
        rows_per_second: 210_000,
        bytes_per_second: 48_100_000,
        eta_seconds: Some(72),
        tables: vec![
            table("shop.orders", 500_000, TableState::Copying),
            table("shop.items", 70_000, TableState::Indexing),
            table("shop.later", 0, TableState::Waiting),
        ],
    };
    let incremental = IncrementalStatus { rows_per_second: 1_200, ..IncrementalStatus::default() };
    let position = Position { gtid_set: Some("0-1-77".into()), file: Some("binlog.000042".into()), offset: Some(1234) };
    View {
        verifiable: true,
        status: MigrationTaskStatus {
            phase: Some(Phase::Copying),
            progress: Some("73.4%".into()),
            latency_seconds: Some(0),
            source: Some("shop-db:3306".into()),
            destination: Some("polar:3306".into()),
            position: Some(position),
            schema: Some(SchemaStatus { databases: 1, tables: 12, views: 2, ..SchemaStatus::default() }),
            full: Some(full),
            incremental: Some(incremental),
            ..MigrationTaskStatus::default()
        },
        latency: Some(Duration::from_millis(210)),
        running_for: Duration::from_secs(72),
        copied_for: Duration::from_secs(60),
        counters: Counters {
            rows: 1_234_567,
            bytes: 201_300_000,
            inserts: 20,
            updates: 10,
            deletes: 4,
            transactions: 7,
            ..Counters::default()
        },
    }
}
