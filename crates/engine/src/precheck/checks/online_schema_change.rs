//! No online schema change tool is at work on the selected tables.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let mut found = Vec::new();
    for (table, trigger) in &context.source_objects.triggers {
        if trigger.starts_with("pt_osc_") {
            found.push(format!("trigger {trigger} on {table} (pt-online-schema-change)"));
        }
    }
    for table in &context.plan.tables {
        if let Some(tool) = tool_of(&table.source.table) {
            found.push(format!("table {} ({tool})", table.source));
        }
    }
    if found.is_empty() {
        return Some(Finding::passed("no sign of an online schema change"));
    }
    Some(Finding::warning(
        format!("an online schema change seems to run, or left something behind: {}", some(&found)),
        "the tool's tables are migrated like others, which costs time and space; where single tables are selected, the exchange of tables at \
         its end can move one out of the selection",
        "let the change end (or drop what it left) and check again, leave its tables out with excludeTables, or ignore this item",
    ))
}

/// gh-ost: `_t_gho`, `_t_ghc`; DMS: `tp_1_ogt_t`, `tp_1_ogl_t`. Names like `_t_old` and `_t_del` are too common to mean anything.
fn tool_of(table: &str) -> Option<&'static str> {
    if table.starts_with('_') && (table.ends_with("_gho") || table.ends_with("_ghc")) {
        return Some("gh-ost");
    }
    let rest = table.strip_prefix("tp_")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = &rest[digits..];
    (digits > 0 && (after.starts_with("_ogt_") || after.starts_with("_ogl_"))).then_some("DMS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context};
    use godwit_api::Verdict;

    #[test]
    fn traces_of_tools() {
        for (name, expected) in [
            ("_orders_gho", true),
            ("_orders_ghc", true),
            ("orders_gho", false),
            ("tp_12_ogt_orders", true),
            ("tp_x_ogt_orders", false),
        ] {
            assert_eq!(tool_of(name).is_some(), expected, "{name}");
        }
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        let name = context.plan.tables[0].source.clone();
        context.source_objects.triggers.push((name, "pt_osc_shop_orders_ins".into()));
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
        let mut context = super::tests::context();
        change_plan(&mut context, |table| table.source.table = "_orders_gho".into());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
    }
}
