//! `godwit precheck`: the items only. Also prints them for `godwit run`.

use std::fmt::Write;

use super::input::{self, ManifestFile};
use super::{Exit, Failure, LogArguments, Output};
use crate::api::{PrecheckItem, PrecheckStatus, Verdict};
use crate::engine;
use crate::engine::progress::precheck_passed;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    manifest: ManifestFile,
    /// How the items are printed
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Prints the items; 0 when nothing stands in the way, else 3.
pub(super) fn run(arguments: Arguments, log: LogArguments) -> Result<Exit, Failure> {
    let manifest = arguments.manifest.load()?;
    log.start(true, None)?;
    let progress = input::progress(&manifest)?;
    let report = super::block_on(async { Ok(engine::precheck_only(input::task(manifest, false), progress).await?) })?;
    match arguments.output {
        Output::Text => super::print(&render(&report.precheck, true))?,
        Output::Json => super::print_json(&report)?,
    }
    Ok(if precheck_passed(&report.precheck) { Exit::Success } else { Exit::PrecheckFailed })
}

/// The items as text: what blocks with its remedy, then warnings, then (with `passed`) what is in order.
pub(super) fn render(precheck: &PrecheckStatus, passed: bool) -> String {
    let mut text = String::new();
    let mut items: Vec<&PrecheckItem> = precheck.items.iter().filter(|item| passed || item.verdict != Verdict::Passed).collect();
    items.sort_by_key(|item| rank(item));
    for item in items {
        write_item(&mut text, item);
    }
    if !precheck.assessment.is_empty() {
        text.push_str("\nAssessment (never blocks):\n");
        precheck.assessment.iter().for_each(|item| write_item(&mut text, item));
    }
    let blocking = precheck.items.iter().filter(|item| rank(item) < IGNORED).count();
    let verdict = match blocking {
        0 => "nothing stands in the way".to_owned(),
        1 => "1 item stands in the way".to_owned(),
        many => format!("{many} items stand in the way"),
    };
    let _ = writeln!(text, "\nPrecheck: {}, {verdict}.", precheck.success_rate);
    text
}

const IGNORED: u8 = 2;

fn rank(item: &PrecheckItem) -> u8 {
    match (item.verdict, item.ignored) {
        (Verdict::Failed, _) => 0,
        (Verdict::Warning, false) => 1,
        (Verdict::Warning, true) => IGNORED,
        (Verdict::Passed, _) => 3,
    }
}

fn write_item(text: &mut String, item: &PrecheckItem) {
    let verdict = match (item.verdict, item.ignored) {
        (Verdict::Passed, _) => "passed",
        (Verdict::Warning, false) => "WARNING",
        (Verdict::Warning, true) => "ignored",
        (Verdict::Failed, _) => "FAILED",
    };
    let _ = writeln!(text, "{verdict:<8} {:<28} {}", item.name, indented(&item.seen));
    if item.verdict == Verdict::Passed {
        return;
    }
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "         {label:<28} {}", indented(value));
        }
    };
    line("  why", &item.why);
    line("  what to do", &item.remedy);
    if item.verdict == Verdict::Warning && !item.ignored {
        line("  or ignore it", &format!("spec.precheck.ignore: [{}]", item.name));
    }
}

/// Further lines of a text stand below its first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{:38}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, verdict: Verdict, ignored: bool) -> PrecheckItem {
        PrecheckItem {
            name: name.into(),
            verdict,
            ignored,
            seen: "binlog_format is STATEMENT".into(),
            why: "rows cannot be followed".into(),
            remedy: "SET GLOBAL binlog_format = ROW;\nand reconnect the application".into(),
        }
    }

    #[test]
    fn what_blocks_stands_first_with_its_remedy() {
        let items = vec![
            item("Connectivity", Verdict::Passed, false),
            item("Retention", Verdict::Warning, true),
            item("SqlMode", Verdict::Warning, false),
            item("BinlogFormat", Verdict::Failed, false),
        ];
        let precheck = PrecheckStatus { success_rate: "50%".into(), items, ..PrecheckStatus::default() };
        let text = render(&precheck, false);
        let names: Vec<&str> =
            text.lines().filter(|line| !line.starts_with(' ') && line.len() > 40).map(|line| &line[..21]).collect();
        assert_eq!(names, ["FAILED   BinlogFormat", "WARNING  SqlMode     ", "ignored  Retention   "]);
        assert!(text.contains(
            "  what to do                 SET GLOBAL binlog_format = ROW;\n                                      and reconnect"
        ));
        assert!(text.contains("spec.precheck.ignore: [SqlMode]"));
        assert!(text.ends_with("Precheck: 50%, 2 items stand in the way.\n"));
        assert!(render(&precheck, true).contains("passed   Connectivity"));
    }
}
