//! Tables that shall be used as they stand at the destination fit the source's.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use crate::precheck::fit::misfits;
use godwit_api::ConflictPolicy;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let keeps_tables = context.spec.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed;
    if context.schema() && !keeps_tables {
        return None;
    }
    let cascades = context.cascades();
    let mut problems = Vec::new();
    let mut triggers = Vec::new();
    for table in &context.plan.tables {
        match context.existing.get(&table.destination) {
            Some(existing) => {
                problems.extend(misfits(table, existing));
                if context.plan.full && existing.has_rows && !table.is_chunked() {
                    problems.push(format!(
                        "{} holds rows, and {} has no key by which they could be told from the source's",
                        table.destination, table.source
                    ));
                } else if context.plan.full && existing.has_rows && cascades.needs_snapshot(table.id) {
                    problems.push(format!(
                        "{} holds rows, and foreign keys of {} act in a way that the source does not log and that needs the table to be copied \
                         from one snapshot, into an empty table",
                        table.destination, table.source
                    ));
                }
                triggers.extend(existing.triggers.iter().map(|trigger| format!("{trigger} on {}", table.destination)));
            }
            None if !context.schema() => problems.push(format!("{} does not exist", table.destination)),
            None => {}
        }
    }
    if !problems.is_empty() {
        return Some(Finding::failed(
            some(&problems),
            "rows are written into the columns of the same names, under the indexes that stand there; what has no place there would be \
             lost or altered",
            "create or alter the tables at the destination as `godwit plan` prints them, empty those without a key, leave columns out with \
             spec.objects[].tables[].columns, or add Schema to spec.migrationTypes",
        ));
    }
    if !triggers.is_empty() {
        return Some(Finding::warning(
            format!("triggers stand at the destination: {}", some(&triggers)),
            "they fire for every row that the task writes, and what they do was done at the source already",
            "DROP TRIGGER … at the destination until the migration has ended",
        ));
    }
    Some(Finding::passed("every table that stands at the destination takes the source's rows as they are"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::context::ExistingColumn;
    use crate::precheck::fixture::{change_table, context, existing, foreign_key, keyless};
    use godwit_api::{MigrationType, Verdict};
    use godwit_model::server::ServerInfo;

    #[test]
    fn tables_that_are_used_as_they_stand_must_fit() {
        let mut context = context();
        assert_eq!(check(&context), None);
        context.spec.migration_types = vec![MigrationType::Full];
        assert!(check(&context).unwrap().seen.contains("shop.orders does not exist"));
        existing(&mut context, false);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        existing(&mut context, true);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        let keyed = context.plan.clone();
        keyless(&mut context);
        assert!(check(&context).unwrap().seen.contains("has no key"));
        context.plan = keyed;
        let name = context.plan.tables[0].destination.clone();
        let table = context.existing.get_mut(&name).unwrap();
        table.triggers.push("t".into());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
        let table = context.existing.get_mut(&name).unwrap();
        table.columns.remove(0);
        table.columns.push(ExistingColumn { name: "more".into(), ..ExistingColumn::default() });
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("no column `id`") && found.seen.contains("`more`"), "{}", found.seen);
    }

    #[test]
    fn what_cascades_need_from_one_snapshot_goes_into_empty_tables() {
        for (has_rows, follows, expected) in
            [(true, true, Verdict::Failed), (false, true, Verdict::Passed), (true, false, Verdict::Passed)]
        {
            let mut context = context();
            context.spec.migration_types = vec![MigrationType::Full, MigrationType::Incremental];
            context.plan.incremental = follows;
            context.source.info = ServerInfo::parse("8.0.36");
            change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("orders", "CASCADE")]);
            existing(&mut context, has_rows);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, expected, "{}", found.seen);
            assert!(expected == Verdict::Passed || found.seen.contains("one snapshot"), "{}", found.seen);
        }
    }
}
