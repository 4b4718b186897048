//! Foreign keys point at unique keys, which MySQL wants from 8.4 on.

use crate::plan::TablePlan;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use godwit_model::definition::ForeignKey;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let destination = &context.destination;
    if !context.schema() {
        return None;
    }
    if destination.flag("restrict_fk_on_non_standard_key") != Some(true) || destination.sets_restricted_variables() {
        return Some(Finding::passed("the destination takes foreign keys onto any index"));
    }
    let mut found = Vec::new();
    for table in &context.plan.tables {
        for foreign in &table.definition.foreign_keys {
            let is_parent = |other: &&std::sync::Arc<TablePlan>| {
                other.source.database == foreign.parent_database && other.source.table == foreign.parent_table
            };
            let parent = context.plan.tables.iter().find(is_parent);
            if parent.is_some_and(|parent| !points_at_unique_key(foreign, parent)) {
                found.push(format!("{} of {}", foreign.name, table.source));
            }
        }
    }
    if found.is_empty() {
        return Some(Finding::passed("every foreign key points at a unique key"));
    }
    Some(Finding::failed(
        format!("not onto a unique key: {}", some(&found)),
        "the destination has restrict_fk_on_non_standard_key = ON and refuses such foreign keys, and the account may not turn it off for its sessions",
        format!("GRANT SESSION_VARIABLES_ADMIN ON *.* TO {};", destination.grants.account),
    ))
}

/// A unique index of just these columns, in whatever order.
fn points_at_unique_key(foreign: &ForeignKey, parent: &TablePlan) -> bool {
    parent.definition.indexes.iter().filter(|index| index.unique).any(|index| {
        let named = |column: &String| {
            index
                .parts
                .iter()
                .any(|part| part.prefix.is_none() && part.column.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(column)))
        };
        index.parts.len() == foreign.parent_columns.len() && foreign.parent_columns.iter().all(named)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context, foreign_key, grants, set};
    use godwit_api::Verdict;
    use godwit_model::definition::{Index, IndexPart};

    #[test]
    fn foreign_keys_onto_other_indexes_need_a_privilege() {
        let mut context = context();
        set(&mut context.destination, "restrict_fk_on_non_standard_key", "ON");
        context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"]);
        change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("orders", "RESTRICT")]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        change_table(&mut context, |table| {
            let part = IndexPart { column: Some("id".into()), prefix: None, nullable: false };
            table.indexes = vec![Index { name: "PRIMARY".into(), unique: true, kind: "BTREE".into(), parts: vec![part] }];
        });
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| table.indexes.clear());
        context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON *.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
