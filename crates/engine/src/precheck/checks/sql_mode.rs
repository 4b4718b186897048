//! Both servers read an application's SQL alike. The task itself sets its own mode.

use std::collections::BTreeSet;

use crate::precheck::context::{Context, Server};
use crate::precheck::finding::Finding;

/// Modes that change what a statement means.
const MEANING: [&str; 10] = [
    "ANSI_QUOTES",
    "PIPES_AS_CONCAT",
    "NO_BACKSLASH_ESCAPES",
    "IGNORE_SPACE",
    "HIGH_NOT_PRECEDENCE",
    "REAL_AS_FLOAT",
    "NO_UNSIGNED_SUBTRACTION",
    "PAD_CHAR_TO_FULL_LENGTH",
    "EMPTY_STRING_IS_NULL",
    "NO_AUTO_VALUE_ON_ZERO",
];

pub(super) fn check(context: &Context) -> Option<Finding> {
    let (source, destination) = (modes(&context.source), modes(&context.destination));
    if source == destination {
        return Some(Finding::passed("sql_mode is the same on both sides"));
    }
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join(",");
    let seen = format!(
        "only at the source: {}; only at the destination: {}",
        or_none(only(&source, &destination)),
        or_none(only(&destination, &source))
    );
    let strict = |modes: &BTreeSet<String>| modes.contains("STRICT_TRANS_TABLES") || modes.contains("STRICT_ALL_TABLES");
    let meaning_differs = source.symmetric_difference(&destination).any(|mode| MEANING.contains(&mode.as_str()));
    if !meaning_differs && strict(&source) == strict(&destination) {
        return Some(Finding::passed(format!("sql_mode differs in modes that change no meaning; {seen}")));
    }
    // What the destination no longer knows cannot be set there.
    let wanted: Vec<String> = source.iter().filter(|mode| *mode != "NO_AUTO_CREATE_USER").cloned().collect();
    Some(Finding::warning(
        format!("sql_mode differs; {seen}"),
        "rows arrive as they are, but the application's statements will mean or accept something else at the destination",
        format!("at the destination: {}", context.destination.set_variable("sql_mode", &format!("'{}'", wanted.join(",")))),
    ))
}

fn modes(server: &Server) -> BTreeSet<String> {
    let text = server.variable("sql_mode").unwrap_or_default().to_uppercase();
    text.split(',').filter(|mode| !mode.is_empty()).map(str::to_owned).collect()
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn only_differences_in_meaning_count() {
        for (source, destination, expected) in [
            ("STRICT_TRANS_TABLES", "STRICT_TRANS_TABLES", Verdict::Passed),
            ("STRICT_TRANS_TABLES,NO_AUTO_CREATE_USER", "STRICT_TRANS_TABLES", Verdict::Passed),
            ("", "STRICT_TRANS_TABLES", Verdict::Warning),
            ("ANSI_QUOTES", "", Verdict::Warning),
        ] {
            let mut context = context();
            set(&mut context.source, "sql_mode", source);
            set(&mut context.destination, "sql_mode", destination);
            assert_eq!(check(&context).unwrap().verdict, expected, "{source} {destination}");
        }
    }
}
