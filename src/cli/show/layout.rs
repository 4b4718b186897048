//! The rows that stand on a terminal while a task runs.

use std::time::Duration;

use super::View;
use crate::api::{FullStatus, Phase, TableProgress, TableState};
use crate::cli::text;

/// Tables that are shown at once.
const TABLES: usize = 6;
/// Characters of a bar.
const BAR: usize = 20;
const SMALL_BAR: usize = 12;

/// One row of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Stands out at the row's start.
    pub label: String,
    pub text: String,
}

impl Row {
    fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { label: label.into(), text: text.into() }
    }
}

/// All rows, from top to bottom.
pub(super) fn rows(view: &View) -> Vec<Row> {
    let status = &view.status;
    let phase = status.phase.unwrap_or(Phase::Pending);
    let mut rows = Vec::new();
    match (&status.full, phase) {
        (Some(full), Phase::Copying) => {
            rows.push(Row::new("Copying", overall(full, status.progress.as_deref().unwrap_or_default())));
            let active = |table: &&TableProgress| matches!(table.state, TableState::Copying | TableState::Indexing);
            rows.extend(full.tables.iter().filter(active).take(TABLES).map(|table| Row::new("", table_row(table))));
        }
        (_, Phase::Replicating) => {}
        _ => rows.push(Row::new(label(phase), status.message.clone().unwrap_or_default())),
    }
    if status.incremental.is_some() && matches!(phase, Phase::Copying | Phase::Replicating) {
        rows.push(Row::new("Following", following(view)));
    }
    rows
}

fn overall(full: &FullStatus, progress: &str) -> String {
    let share = progress.trim_end_matches('%').parse::<f64>().unwrap_or(0.0) / 100.0;
    let left = full.eta_seconds.map(|seconds| format!("  {} left", text::time(Duration::from_secs(seconds)))).unwrap_or_default();
    // What matters most comes first: a narrow terminal cuts the rest.
    format!(
        "{} {progress:>6}{left}  {}/{} tables  {} rows  {} rows/s  {}/s",
        bar(share, BAR),
        full.tables_done,
        full.tables_total,
        text::short(full.rows_copied),
        text::short(full.rows_per_second),
        text::bytes(full.bytes_per_second),
    )
}

fn table_row(table: &TableProgress) -> String {
    let name = text::fit(&table.source, 32);
    if table.state == TableState::Indexing {
        return format!("{name:<32} {} rows, building indexes", text::short(table.rows));
    }
    let share = table.rows as f64 / table.rows_estimate.max(1) as f64;
    format!(
        "{name:<32} {} {} of {} rows  {} rows/s",
        bar(share, SMALL_BAR),
        text::short(table.rows),
        text::short(table.rows_estimate),
        text::short(table.rows_per_second),
    )
}

/// Phases as they are called on a terminal.
fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::MigratingSchema => "Schema",
        Phase::PrecheckFailed => "Precheck",
        Phase::CuttingOver => "Cut-over",
        other => other.as_str(),
    }
}

fn following(view: &View) -> String {
    let behind =
        view.latency.map_or_else(|| "latency not known yet".to_owned(), |latency| format!("{} behind", text::time(latency)));
    let rate = view.status.incremental.as_ref().map_or(0, |incremental| incremental.rows_per_second);
    let position = super::lines::position(&view.status).map(|at| format!("  at {at}")).unwrap_or_default();
    format!("{behind}  {} changes/s{position}", text::short(rate))
}

fn bar(share: f64, width: usize) -> String {
    let full = ((share.clamp(0.0, 1.0) * width as f64) as usize).min(width);
    format!("{}{}", "━".repeat(full), "─".repeat(width - full))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_copy() {
        let rows = rows(&samples::copying());
        let texts: Vec<String> = rows.iter().map(|row| format!("{}|{}", row.label, row.text)).collect();
        assert_eq!(
            texts,
            [
                "Copying|━━━━━━━━━━━━━━──────  73.4%  1 m 12 s left  9/12 tables  1.2 M rows  210 k rows/s  48 MB/s",
                "|shop.orders                      ━━━━━━────── 500 k of 1.0 M rows  110 k rows/s",
                "|shop.items                       70 k rows, building indexes",
                "Following|0.2 s behind  1.2 k changes/s  at binlog.000042:1234",
            ]
        );
    }

    #[test]
    fn other_phases_are_one_row() {
        let mut view = samples::copying();
        view.status.phase = Some(Phase::Retrying);
        view.status.message = Some("connection lost (tried again, attempt 3)".into());
        assert_eq!(rows(&view), [Row::new("Retrying", "connection lost (tried again, attempt 3)")]);
        view.status.phase = Some(Phase::Replicating);
        assert_eq!(rows(&view).len(), 1);
    }

    #[test]
    fn bars_have_their_width() {
        assert_eq!([bar(-1.0, 4), bar(0.5, 4), bar(7.0, 4)], ["────", "━━──", "━━━━"]);
    }
}
