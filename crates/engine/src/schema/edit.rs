//! Splices into a statement: names are replaced, every other byte stays.

use std::ops::Range;

/// A string literal for a session whose `sql_mode` lacks NO_BACKSLASH_ESCAPES.
pub fn quote_string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Replacements by byte range of one statement.
#[derive(Debug, Default, Clone)]
pub struct Edits {
    list: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// Puts `text` where `range` is. Ranges must not overlap, except that a deletion may swallow earlier ones.
    pub fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.list.push((range, text.into()));
    }

    /// Takes `range` out.
    pub fn delete(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The part `within` of the statement, with the replacements that lie in it. Where two overlap, the wider wins.
    pub fn apply(&self, sql: &str, within: Range<usize>) -> String {
        let mut list: Vec<_> =
            self.list.iter().filter(|(range, _)| range.start >= within.start && range.end <= within.end).collect();
        list.sort_by(|(a, _), (b, _)| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
        let mut out = String::with_capacity(within.len() + 64);
        let mut at = within.start;
        for (range, text) in list {
            if range.start < at {
                continue;
            }
            out.push_str(sql.get(at..range.start).unwrap_or_default());
            out.push_str(text);
            at = range.end;
        }
        out.push_str(sql.get(at..within.end).unwrap_or_default());
        out
    }

    /// The whole statement.
    pub fn apply_all(&self, sql: &str) -> String {
        self.apply(sql, 0..sql.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splices_keep_the_rest() {
        let mut edits = Edits::default();
        edits.replace(2..3, "XX");
        edits.delete(4..8);
        edits.replace(5..6, "lost");
        assert_eq!(edits.apply_all("ab-d(ef)gé"), "abXXdgé");
        assert_eq!(edits.apply("ab-d(ef)gé", 1..4), "bXXd");
        assert_eq!(quote_string("it's \\"), "'it''s \\\\'");
    }
}
