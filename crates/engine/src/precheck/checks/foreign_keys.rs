//! Every foreign key finds its parent among the selected tables.

use std::collections::HashSet;

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let fold = context.selection.names().source_folds();
    let key = |database: &str, table: &str| {
        let name = format!("{database}.{table}");
        if fold { name.to_lowercase() } else { name }
    };
    let selected: HashSet<String> =
        context.plan.tables.iter().map(|table| key(&table.source.database, &table.source.table)).collect();
    let mut lost = Vec::new();
    let mut total = 0;
    for table in &context.plan.tables {
        for foreign in &table.definition.foreign_keys {
            total += 1;
            if !selected.contains(&key(&foreign.parent_database, &foreign.parent_table)) {
                lost.push(format!(
                    "{} of {} to {}.{}",
                    foreign.name, table.source, foreign.parent_database, foreign.parent_table
                ));
            }
        }
    }
    if lost.is_empty() {
        let seen = if total == 0 {
            "no foreign keys".to_owned()
        } else {
            format!("{} with the parent selected", count(total, "foreign key"))
        };
        return Some(Finding::passed(seen));
    }
    Some(Finding::warning(
        format!("parents are not selected: {}", some(&lost)),
        "these foreign keys are left out at the destination: they would point at tables that are not there",
        "select the parents in spec.objects, or ignore this item",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context, foreign_key};
    use godwit_api::Verdict;

    #[test]
    fn parents_must_be_selected() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("orders", "RESTRICT")]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("customers", "RESTRICT")]);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("shop.customers"));
    }
}
