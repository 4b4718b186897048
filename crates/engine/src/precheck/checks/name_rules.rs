//! Names at the destination are names that a server accepts.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

/// What a MySQL identifier holds at most (MySQL manual, "Identifier Length Limits").
const LONGEST: usize = 64;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let mut wrong = Vec::new();
    let mut look = |kind: &str, name: &str| {
        if let Some(reason) = problem(name) {
            wrong.push(format!("{kind} `{name}` {reason}"));
        }
    };
    for database in &context.plan.databases {
        look("database", &database.destination);
    }
    for table in &context.plan.tables {
        look("table", &table.destination.table);
        for column in &table.columns {
            look("column", &column.destination_name);
        }
    }
    for view in &context.plan.views {
        look("view", &view.destination.table);
    }
    if wrong.is_empty() {
        return Some(Finding::passed("every name is valid at the destination"));
    }
    Some(Finding::failed(
        some(&wrong),
        "the destination refuses to create objects with such names",
        "choose another name with renameTo (columns: columns.rename), or create the database by hand under a valid name and map to it",
    ))
}

fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.chars().count() > LONGEST {
        Some("is longer than 64 characters")
    } else if name.ends_with(' ') {
        Some("ends with a space")
    } else if name.chars().any(|c| c == '\0' || c > '\u{ffff}') {
        Some("holds a character that names may not have")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    #[test]
    fn names_that_a_server_refuses() {
        for (name, valid) in [("shop", true), ("", false), ("a ", false), ("größe", true), ("😀", false)] {
            let mut context = context();
            context.plan.databases[0].destination = name.into();
            assert_eq!(check(&context).unwrap().verdict == Verdict::Passed, valid, "{name}");
        }
        assert!(problem(&"x".repeat(65)).is_some() && problem(&"é".repeat(64)).is_none());
    }
}
