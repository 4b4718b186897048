//! Triggers, routines, events and sequences of whole databases, which this version does not migrate.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.schema() {
        return None;
    }
    let objects = &context.source_objects;
    let is_whole = |name: &str| context.plan.databases.iter().any(|database| database.whole && database.source == name);
    let triggers: Vec<String> = objects
        .triggers
        .iter()
        .filter(|(table, name)| is_whole(&table.database) && !name.starts_with("pt_osc_"))
        .map(|(table, name)| format!("{}.{name}", table.database))
        .collect();
    let mut found = Vec::new();
    let kinds =
        [("trigger", &triggers), ("routine", &objects.routines), ("event", &objects.events), ("sequence", &objects.sequences)];
    for (kind, names) in kinds {
        if !names.is_empty() {
            found.push(format!("{}: {}", count(names.len(), kind), some(names)));
        }
    }
    if found.is_empty() {
        return Some(Finding::passed("no triggers, routines, events or sequences in the databases that are selected as a whole"));
    }
    Some(Finding::warning(
        found.join("; "),
        "this version does not migrate triggers, routines, events and sequences: they will be missing at the destination",
        "create them at the destination before the application uses it (mysqldump --no-data --no-create-info --routines --events), \
         triggers only after the migration has ended, a sequence (which a column's default may need beforehand) with the source's value once \
         the source is not written any more: SELECT SETVAL(name, next_not_cached_value), and ignore this item",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    #[test]
    fn are_named() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.source_objects.routines.push("shop.total".into());
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("1 routine: shop.total"));
    }
}
