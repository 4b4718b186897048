//! The report as people read it. The JSON is the API's own type, through serde.

use crate::api::{PrecheckItem, PrecheckStatus, Verdict};

/// Width to which explanations are wrapped.
const WIDTH: usize = 100;

/// One aligned line an item; what did not pass is explained below its line.
pub fn render_table(report: &PrecheckStatus) -> String {
    let width = report.items.iter().chain(&report.assessment).map(|item| item.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for item in &report.items {
        push_item(&mut out, item, width);
    }
    if !report.assessment.is_empty() {
        out.push_str("\nAssessment (never blocks)\n");
        for item in &report.assessment {
            push_item(&mut out, item, width);
        }
    }
    let blocking = report.items.iter().filter(|item| !passes(item)).count();
    out.push_str(&match blocking {
        0 => format!("\n{} passed\n", report.success_rate),
        1 => format!("\n{} passed; 1 item stands in the way\n", report.success_rate),
        many => format!("\n{} passed; {many} items stand in the way\n", report.success_rate),
    });
    out
}

/// Whether an item lets the task start.
pub fn passes(item: &PrecheckItem) -> bool {
    item.verdict == Verdict::Passed || (item.verdict == Verdict::Warning && item.ignored)
}

fn push_item(out: &mut String, item: &PrecheckItem, width: usize) {
    let verdict = match (item.verdict, item.ignored) {
        (Verdict::Passed, _) => "Passed",
        (Verdict::Warning, true) => "Ignored",
        (Verdict::Warning, false) => "Warning",
        (Verdict::Failed, _) => "Failed",
    };
    let indent = width + 11;
    let first = format!("{:width$}  {verdict:7}  ", item.name);
    push_wrapped(out, &first, indent, &item.seen);
    if item.verdict == Verdict::Passed {
        return;
    }
    if !item.why.is_empty() {
        push_wrapped(out, &format!("{:indent$}why: ", ""), indent + 5, &item.why);
    }
    // Statements are copied from here: they are never wrapped.
    for (place, line) in item.remedy.lines().enumerate() {
        let label = if place == 0 { "fix: " } else { "     " };
        out.push_str(&format!("{:indent$}{label}{line}\n", ""));
    }
}

fn push_wrapped(out: &mut String, first: &str, indent: usize, text: &str) {
    let room = WIDTH.saturating_sub(indent).max(40);
    let mut prefix = first.to_owned();
    let mut wrote = false;
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split(' ') {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > room {
                out.push_str(&format!("{prefix}{current}\n"));
                prefix = " ".repeat(indent);
                current.clear();
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        out.push_str(&format!("{prefix}{current}\n"));
        prefix = " ".repeat(indent);
        wrote = true;
    }
    if !wrote {
        out.push_str(prefix.trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_remedies_stay_whole() {
        let item = |name: &str, verdict, ignored, remedy: &str| PrecheckItem {
            name: name.into(),
            verdict,
            ignored,
            seen: "what was seen".into(),
            why: "a reason ".repeat(20).trim().into(),
            remedy: remedy.into(),
        };
        let report = PrecheckStatus {
            success_rate: "66%".into(),
            items: vec![
                item("BinaryLog", Verdict::Passed, false, ""),
                item("GtidMode", Verdict::Warning, true, "SET a;"),
                item("X", Verdict::Failed, false, "GRANT a;\nGRANT b;"),
            ],
            ..PrecheckStatus::default()
        };
        let text = render_table(&report);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "BinaryLog  Passed   what was seen");
        assert_eq!(lines[1], "GtidMode   Ignored  what was seen");
        assert!(lines[2].starts_with("                    why: a reason"), "{text}");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(text.contains("\n                    fix: GRANT a;\n                         GRANT b;\n"), "{text}");
        assert!(text.ends_with("\n66% passed; 1 item stands in the way\n"));
    }
}
