//! Tables and views of the same name at the destination.

use crate::precheck::context::{Context, ExistingTable};
use crate::precheck::finding::{Finding, some};
use godwit_api::ConflictPolicy;
use godwit_model::names::TableName;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let tables = context.plan.tables.iter().map(|table| &table.destination);
    let views = context.plan.views.iter().map(|view| &view.destination).filter(|_| context.schema());
    let found: Vec<(&TableName, &ExistingTable)> = tables
        .chain(views)
        .filter(|name| !context.owned.contains(*name))
        .filter_map(|name| context.existing.get(name).map(|existing| (name, existing)))
        .filter(|(_, existing)| context.schema() || existing.has_rows)
        .collect();
    if found.is_empty() {
        return Some(Finding::passed(if context.schema() {
            "no table or view of the same name stands at the destination"
        } else {
            "the destination's tables are empty"
        }));
    }
    let names: Vec<String> = found.iter().map(|(name, _)| name.to_string()).collect();
    if context.spec.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed {
        return Some(Finding::passed(format!(
            "{} stand there already and are kept, as conflictPolicy says: their rows win over the full copy and yield to later changes",
            some(&names)
        )));
    }
    if !context.schema() && !context.plan.full {
        return Some(Finding::passed("only changes are applied, to the rows that stand there"));
    }
    let why = "rows of the source would mix with rows that are there already, and one would win over the other";
    let stand = if names.len() == 1 { "stands" } else { "stand" };
    Some(if context.schema() {
        let drop = |(name, existing): &(&TableName, &ExistingTable)| {
            format!("DROP {} {};", if existing.is_view { "VIEW" } else { "TABLE" }, name.quoted())
        };
        Finding::failed(
            format!("{} {stand} at the destination already", some(&names)),
            why,
            format!(
                "choose other names with renameTo, or set conflictPolicy: IgnoreErrorsAndProceed, or run at the destination: {}",
                statements(&found, drop)
            ),
        )
    } else {
        Finding::failed(
            format!("{} {} rows at the destination already", some(&names), if names.len() == 1 { "has" } else { "have" }),
            why,
            format!(
                "set conflictPolicy: IgnoreErrorsAndProceed, or run at the destination: {}",
                statements(&found, |(name, _)| format!("TRUNCATE TABLE {};", name.quoted()))
            ),
        )
    })
}

/// How many statements are written out.
const SHOWN: usize = 5;

/// The first of the statements, as they can be pasted, and how many there are beside them.
fn statements<T>(found: &[T], statement: impl Fn(&T) -> String) -> String {
    let shown: Vec<String> = found.iter().take(SHOWN).map(statement).collect();
    match found.len().saturating_sub(SHOWN) {
        0 => shown.join(" "),
        more => format!("{} -- and {more} more", shown.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, existing};
    use godwit_api::{MigrationType, Verdict};

    #[test]
    fn conflicts_follow_the_policy_and_own_tables_are_none() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        existing(&mut context, true);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.remedy.ends_with("or run at the destination: DROP TABLE `shop`.`orders`;"), "{}", found.remedy);
        assert_eq!(found.seen, "shop.orders stands at the destination already");
        context.owned.insert(context.plan.tables[0].destination.clone());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.owned.clear();
        context.spec.conflict_policy = ConflictPolicy::IgnoreErrorsAndProceed;
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn what_is_to_be_run_can_be_pasted() {
        let one = |number: &u32| format!("DROP TABLE `t{number}`;");
        assert_eq!(statements(&[1, 2], one), "DROP TABLE `t1`; DROP TABLE `t2`;");
        let many: Vec<u32> = (1..=7).collect();
        assert!(statements(&many, one).ends_with("DROP TABLE `t5`; -- and 2 more"));
    }

    #[test]
    fn without_schema_tables_must_be_empty() {
        let mut context = context();
        context.spec.migration_types = vec![MigrationType::Full];
        existing(&mut context, false);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        existing(&mut context, true);
        assert!(check(&context).unwrap().remedy.contains("TRUNCATE TABLE"));
        context.spec.migration_types = vec![MigrationType::Incremental];
        context.plan.full = false;
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
