//! What one check found.

use godwit_api::{PrecheckItem, Verdict};
use godwit_model::plain;
use godwit_model::text::MOST;

/// Verdict, what was seen, why it matters, and the statement that fixes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub verdict: Verdict,
    pub seen: String,
    pub why: String,
    pub remedy: String,
}

impl Finding {
    /// Nothing stands in the way.
    pub fn passed(seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Passed, seen: seen.into(), why: String::new(), remedy: String::new() }
    }

    /// Can be ignored by name.
    pub fn warning(seen: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, seen: seen.into(), why: why.into(), remedy: remedy.into() }
    }

    /// Cannot be ignored.
    pub fn failed(seen: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, seen: seen.into(), why: why.into(), remedy: remedy.into() }
    }

    /// As it stands in the report: names and what servers say are in it as they may be shown.
    pub fn item(self, name: &str, ignore: &[String]) -> PrecheckItem {
        let plain = |text: String| plain::bounded(&text, MOST).into_owned();
        let ignored = self.verdict == Verdict::Warning && ignore.iter().any(|ignored| ignored == name);
        PrecheckItem {
            name: name.to_owned(),
            verdict: self.verdict,
            ignored,
            seen: plain(self.seen),
            why: plain(self.why),
            remedy: plain(self.remedy),
        }
    }
}

/// The first few of a list: `a, b, c and 7 more`.
pub fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// `1 table`, `3 tables`.
pub fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `1.4 GB`.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_warnings_can_be_ignored() {
        let ignore = ["A".to_owned()];
        assert!(Finding::warning("", "", "").item("A", &ignore).ignored);
        assert!(!Finding::warning("", "", "").item("B", &ignore).ignored);
        assert!(!Finding::failed("", "", "").item("A", &ignore).ignored);
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes_text(999), "999 B");
        assert_eq!(bytes_text(1_400_000_000), "1.4 GB");
    }
}
