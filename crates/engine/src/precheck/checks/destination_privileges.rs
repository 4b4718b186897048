//! What the account may do at the destination: in the databases that are written, and in the engine's own.

use std::collections::BTreeSet;

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

use godwit_model::program::ProgramKind;

use super::source_privileges::inactive_roles;

const ROWS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
const DEFINITIONS: [&str; 5] = ["CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"];
const VIEWS: [&str; 2] = ["CREATE VIEW", "SHOW VIEW"];
const RECORDS: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"];

/// The databases that the task writes, with the privileges that it needs there: its destinations, and its records.
pub(super) fn wanted(context: &Context) -> Vec<(&str, Vec<&'static str>)> {
    let mut wanted: Vec<(&str, Vec<&'static str>)> = Vec::new();
    for database in &context.plan.databases {
        if wanted.iter().any(|(name, _)| *name == database.destination) {
            continue;
        }
        let mut privileges = ROWS.to_vec();
        if context.schema() || context.incremental() {
            privileges.extend(DEFINITIONS);
        }
        let has_views = context.plan.views.iter().any(|view| view.destination.database == database.destination);
        if context.schema() && (has_views || (database.whole && context.incremental())) {
            privileges.extend(VIEWS);
        }
        if context.schema() {
            privileges.extend(of_programs(context, &database.destination));
        }
        wanted.push((database.destination.as_str(), privileges));
    }
    wanted.push((context.spec.destination.records_database.as_str(), RECORDS.to_vec()));
    wanted
}

/// What the stored programs of a database take.
fn of_programs(context: &Context, database: &str) -> Vec<&'static str> {
    let programs =
        context.plan.programs.iter().filter(|program| program.destination.database == database && program.definition.is_ok());
    let kinds: BTreeSet<ProgramKind> = programs.map(|program| program.source.kind).collect();
    let mut wanted = Vec::new();
    if kinds.contains(&ProgramKind::Function) || kinds.contains(&ProgramKind::Procedure) {
        wanted.push("CREATE ROUTINE");
    }
    if kinds.contains(&ProgramKind::Trigger) && !context.plan.holds_triggers {
        wanted.push("TRIGGER");
    }
    if kinds.contains(&ProgramKind::Event) {
        wanted.push("EVENT");
    }
    wanted
}

pub(super) fn check(context: &Context) -> Option<Finding> {
    let grants = &context.destination.grants;
    let mut missing = Vec::new();
    let mut statements = Vec::new();
    for (database, privileges) in wanted(context) {
        if let Some((what, statement)) = grants.missing_on_database(&privileges, database) {
            missing.push(what);
            statements.push(statement);
        }
    }
    if missing.is_empty() {
        return Some(Finding::passed(format!("{} has every privilege that the task needs", grants.account)));
    }
    Some(Finding::failed(
        format!("{} lacks {}{}", grants.account, some(&missing), inactive_roles(grants)),
        "rows and definitions are written there; the database of records holds the position, in the same transaction as the rows",
        statements.join("\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants};
    use godwit_api::Verdict;

    #[test]
    fn asks_for_what_each_database_needs() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.destination.grants = grants(&[
            "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`",
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON `godwit`.* TO `u`@`%`",
        ]);
        let found = check(&context).unwrap();
        assert_eq!((found.verdict, found.remedy.as_str()), (Verdict::Failed, "GRANT DROP ON `godwit`.* TO 'u'@'%';"));
    }
}
