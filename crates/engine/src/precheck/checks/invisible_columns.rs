//! Invisible columns and generated invisible primary keys are migrated; told for the record.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let mut found = Vec::new();
    for table in &context.plan.tables {
        let invisible = table.columns.iter().filter(|column| column.column.invisible);
        found.extend(invisible.map(|column| format!("{}.{}", table.source, column.column.name)));
    }
    Some(Finding::passed(if found.is_empty() {
        "no invisible columns".to_owned()
    } else {
        format!("invisible columns are migrated, invisible as they are: {}", some(&found))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context};

    #[test]
    fn passes_and_lists_them() {
        let mut context = context();
        change_plan(&mut context, |table| table.columns[0].column.invisible = true);
        assert!(check(&context).unwrap().seen.contains("shop.orders.id"));
    }
}
