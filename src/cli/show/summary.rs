//! What a run says at its end: what was done, how fast, where it stands, where to go next.

use std::fmt::Write;

use super::View;
use crate::api::Phase;
use crate::cli::text;
use crate::engine::Outcome;

/// Rows of failed objects that are shown; the status file has more.
const FAILURES: usize = 5;

/// The summary; `file` is the manifest as it was named on the command line.
pub(crate) fn summary(view: &View, outcome: Outcome, file: &str) -> String {
    let mut text = format!("\n{} after {}.\n", headline(view, outcome), text::time(view.running_for));
    let mut line = |label: &str, value: String| {
        let _ = writeln!(text, "  {label:<12} {value}");
    };
    let status = &view.status;
    if let (Some(source), Some(destination)) = (&status.source, &status.destination) {
        line("from, to", format!("{source} -> {destination}"));
    }
    if let Some(schema) = &status.schema {
        line("schema", objects(schema.databases, schema.tables, schema.views));
        for failure in schema.failed.iter().take(FAILURES) {
            line("not created", format!("{}: {}", failure.object, failure.error));
        }
        if schema.failed_total > FAILURES as u64 {
            line("", format!("and {} more", schema.failed_total - FAILURES as u64));
        }
    }
    if let Some(full) = &status.full {
        line("tables", format!("{} of {} copied", full.tables_done, full.tables_total));
        let earlier = full.rows_copied.saturating_sub(view.counters.rows);
        let share = if earlier > 0 && view.counters.rows > 0 {
            format!(", {} of them in this run", text::count(view.counters.rows))
        } else {
            String::new()
        };
        line(
            "rows",
            format!("{}{share}{}", text::count(full.rows_copied), rate(view.counters.rows, view, "rows/s", text::count)),
        );
        line("data", format!("{}{}", text::bytes(full.bytes_copied), rate(view.counters.bytes, view, "/s", text::bytes)));
    }
    if status.incremental.is_some() {
        let counters = view.counters;
        line(
            "changes",
            format!(
                "{} inserted, {} updated, {} deleted, in {}",
                text::count(counters.inserts),
                text::count(counters.updates),
                text::count(counters.deletes),
                text::counted(counters.transactions, "transaction", "transactions")
            ),
        );
        if counters.ddl > 0 {
            line("definitions", format!("{} applied", text::counted(counters.ddl, "statement", "statements")));
        }
    }
    if let Some(position) = &status.position {
        if let (Some(log_file), Some(offset)) = (&position.file, position.offset) {
            line("position", format!("{log_file}:{offset}"));
        }
        if let Some(gtid) = position.gtid_set.as_ref().filter(|gtid| !gtid.is_empty()) {
            line("GTID set", gtid.replace('\n', ""));
        }
    }
    line("next", next(view, outcome, file));
    text
}

fn headline(view: &View, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "Completed",
        Outcome::CaughtUp => "Caught up",
        Outcome::Stopped if view.status.phase == Some(Phase::Stopped) => "Stopped for good",
        Outcome::Stopped => "Stopped cleanly",
        Outcome::PrecheckPassed => "Precheck passed",
        Outcome::PrecheckFailed => "Precheck failed",
    }
}

fn next(view: &View, outcome: Outcome, file: &str) -> String {
    match outcome {
        Outcome::Completed if !view.verifiable => "compare both sides; this version does it for MySQL-family servers only".into(),
        Outcome::Completed => format!("godwit verify -f {file} compares both sides"),
        Outcome::CaughtUp if !view.verifiable => format!("godwit run -f {file} goes on following"),
        Outcome::CaughtUp => format!("godwit run -f {file} goes on following; godwit verify -f {file} compares both sides"),
        Outcome::Stopped if view.status.phase == Some(Phase::Stopped) => "this task never writes again".into(),
        Outcome::Stopped => format!("godwit run -f {file} goes on from here"),
        Outcome::PrecheckPassed => format!("godwit run -f {file} starts the task"),
        Outcome::PrecheckFailed => format!("mend what is named above, then godwit run -f {file}"),
    }
}

fn objects(databases: u64, tables: u64, views: u64) -> String {
    [
        text::counted(databases, "database", "databases"),
        text::counted(tables, "table", "tables"),
        text::counted(views, "view", "views"),
    ]
    .join(", ")
}

/// The average over the copy, without what came before and behind it, in parentheses; nothing where there was nothing to do.
fn rate(number: u64, view: &View, unit: &str, written: fn(u64) -> String) -> String {
    match text::per_second(number, view.copied_for) {
        Some(rate) if rate > 0 => {
            let space = if unit.starts_with('/') { "" } else { " " };
            format!(" ({}{space}{unit})", written(rate))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_completed_run() {
        let expected = "
Completed after 1 m 12 s.
  from, to     shop-db:3306 -> polar:3306
  schema       1 database, 12 tables, 2 views
  tables       9 of 12 copied
  rows         1,234,567 (20,576 rows/s)
  data         201 MB (3.4 MB/s)
  changes      20 inserted, 10 updated, 4 deleted, in 7 transactions
  position     binlog.000042:1234
  GTID set     0-1-77
  next         godwit verify -f task.yaml compares both sides
";
        assert_eq!(summary(&samples::copying(), Outcome::Completed, "task.yaml"), expected);
    }

    #[test]
    fn no_command_is_named_that_refuses() {
        let view = View { verifiable: false, ..samples::copying() };
        for outcome in [Outcome::Completed, Outcome::CaughtUp] {
            assert!(!summary(&view, outcome, "task.yaml").contains("godwit verify"));
        }
    }

    #[test]
    fn a_resumed_run_tells_its_own_share() {
        let mut view = samples::copying();
        view.counters.rows = 567;
        let text = summary(&view, Outcome::Stopped, "task.yaml");
        assert!(text.contains("1,234,567, 567 of them in this run (9 rows/s)"), "{text}");
        assert!(text.starts_with("\nStopped cleanly after") && text.contains("godwit run -f task.yaml goes on from here"));
    }
}
