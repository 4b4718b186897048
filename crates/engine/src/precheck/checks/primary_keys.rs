//! Tables without a key work; it is said which they are, and refused only where a server stands in the way.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let keyless: Vec<_> = context.plan.tables.iter().filter(|table| !table.has_key()).collect();
    if keyless.is_empty() {
        return Some(Finding::passed("every table has a primary key or a unique key without NULLs"));
    }
    let names: Vec<String> = keyless.iter().map(|table| table.source.to_string()).collect();
    let seen = format!("{} without a key: {}", count(keyless.len(), "table"), some(&names));
    let settings = ["sql_require_primary_key", "sql_generate_invisible_primary_key"];
    let in_the_way = settings.into_iter().find(|name| context.destination.flag(name) == Some(true));
    if let Some(setting) = in_the_way.filter(|_| context.schema() && !context.destination.sets_restricted_variables()) {
        return Some(Finding::failed(
            format!("{seen}; the destination has {setting} = ON, and the account may not turn it off for its sessions"),
            "the destination would refuse a table without a primary key, or give it a column that the source does not have",
            format!("GRANT SESSION_VARIABLES_ADMIN ON *.* TO {};", context.destination.grants.account),
        ));
    }
    let shaky: Vec<String> = keyless
        .iter()
        .filter(|table| !table.definition.engine.eq_ignore_ascii_case("InnoDB"))
        .map(|table| format!("{} ({})", table.source, table.definition.engine))
        .collect();
    if !shaky.is_empty() && context.plan.full && context.incremental() {
        return Some(Finding::warning(
            format!("{seen}; not transactional: {}", some(&shaky)),
            "a table without a key is read from one snapshot, which an engine without transactions does not have: rows that are written \
             during its copy may be doubled or missed",
            format!("ALTER TABLE {} ENGINE = InnoDB; or add a primary key", keyless_statement_name(&keyless)),
        ));
    }
    Some(Finding::passed(format!(
        "{seen}; each is read from one snapshot, and its changes are applied exactly once by whole rows, which is slower"
    )))
}

fn keyless_statement_name(tables: &[&std::sync::Arc<crate::plan::TablePlan>]) -> String {
    let first = tables.iter().find(|table| !table.definition.engine.eq_ignore_ascii_case("InnoDB"));
    first.map(|table| table.source.quoted()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context, grants, keyless, set};
    use godwit_api::Verdict;

    #[test]
    fn tables_without_a_key_pass_unless_a_server_objects() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        keyless(&mut context);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Passed);
        assert!(found.seen.contains("shop.orders"));
        for setting in ["sql_require_primary_key", "sql_generate_invisible_primary_key"] {
            context.destination.variables.clear();
            set(&mut context.destination, setting, "ON");
            context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"]);
            let found = check(&context).unwrap();
            assert_eq!(
                (found.verdict, found.remedy.as_str()),
                (Verdict::Failed, "GRANT SESSION_VARIABLES_ADMIN ON *.* TO 'u'@'%';")
            );
            context.destination.grants = grants(&["GRANT SESSION_VARIABLES_ADMIN ON *.* TO `u`@`%`"]);
            assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        }
        context.destination.variables.clear();
        change_table(&mut context, |table| table.engine = "MyISAM".into());
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.remedy.starts_with("ALTER TABLE `shop`.`orders` ENGINE = InnoDB;"));
    }
}
