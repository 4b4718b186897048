//! What foreign keys do at the source arrives, from its log or derived from the foreign keys.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let mut cascades = Vec::new();
    for table in &context.plan.tables {
        for foreign in table.definition.foreign_keys.iter().filter(|foreign| foreign.acts()) {
            cascades.push(format!("{} of {}", foreign.name, table.source));
        }
    }
    if cascades.is_empty() {
        return Some(Finding::passed("no foreign key cascades"));
    }
    let own = context.logs_cascades();
    let replicates = own && context.source.is_replica == Some(true);
    if own && !replicates {
        return Some(Finding::passed(format!("the source logs the rows that cascades change ({})", some(&cascades))));
    }
    let unseen = &context.source_objects.unseen_parents;
    if !unseen.is_empty() {
        return Some(Finding::failed(
            format!("foreign keys change rows and leave no trace in the log at all: {}", some(unseen)),
            "when a row of the uppermost table is deleted or its key changed, the source changes the table between and the migrated one in \
             silence: they would differ from then on, and nothing would stop",
            "select the tables between and those above them in spec.objects, or use a source from MySQL 9.6 on; or drop the foreign keys of the \
             tables between for as long as the task runs",
        ));
    }
    let gaps = context.cascades().gaps();
    if gaps.is_empty() && replicates {
        return Some(Finding::passed(format!(
            "the source logs the rows that cascades change, but for changes of a server older than MySQL 9.6 that it replicates from; \
             there they are derived from the foreign keys ({})",
            some(&cascades)
        )));
    }
    if gaps.is_empty() {
        return Some(Finding::passed(format!(
            "the source does not log the rows that cascades change; they are derived from the foreign keys ({})",
            some(&cascades)
        )));
    }
    Some(Finding::warning(
        format!(
            "{} does not log the rows that cascades change{}, and some can not be derived: {}",
            context.source.describe(),
            if replicates { ", where it replicates from a server older than MySQL 9.6" } else { "" },
            some(&gaps)
        ),
        "when such a parent row is deleted or its key changed, the task stops: what happened to the child rows is not known",
        "select the parents and all columns of these foreign keys in spec.objects, or use a source from MySQL 9.6 on; ignore this item if \
         such parents are not deleted and their keys not changed during the migration",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context, foreign_key, set};
    use godwit_api::Verdict;
    use godwit_model::server::ServerInfo;

    #[test]
    fn a_parent_that_is_not_selected_is_told() {
        for (version, expected) in [("8.0.36", Verdict::Warning), ("9.7.4", Verdict::Passed)] {
            let mut context = context();
            context.source.info = ServerInfo::parse(version);
            change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("customers", "CASCADE")]);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, expected, "{version}");
            assert!(expected == Verdict::Passed || found.seen.contains("shop.customers"), "{}", found.seen);
        }
    }

    #[test]
    fn what_leaves_no_trace_is_refused() {
        let mut context = context();
        change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("customers", "CASCADE")]);
        context.source_objects.unseen_parents = vec!["f of shop.orders (through shop.customers)".into()];
        let found = check(&context).unwrap();
        assert!(found.verdict == Verdict::Failed && found.seen.contains("through shop.customers"), "{found:?}");
        context.source.info = ServerInfo::parse("9.7.4");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn a_replica_may_pass_on_changes_without_their_cascades() {
        let mut context = context();
        context.source.info = ServerInfo::parse("9.7.4");
        context.source.is_replica = Some(true);
        change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("orders", "CASCADE")]);
        assert!(check(&context).unwrap().seen.contains("replicates from"));
        change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("customers", "CASCADE")]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
    }

    #[test]
    fn cascades_are_logged_from_9_6_on() {
        for (version, native, rule, expected) in [
            ("8.0.36", "", "RESTRICT", Verdict::Passed),
            ("8.0.36", "", "CASCADE", Verdict::Passed),
            ("8.0.36", "", "SET NULL", Verdict::Passed),
            ("9.7.4", "OFF", "CASCADE", Verdict::Passed),
            ("9.7.4", "ON", "CASCADE", Verdict::Passed),
            ("11.4.5-MariaDB", "", "CASCADE", Verdict::Passed),
        ] {
            let mut context = context();
            context.source.info = ServerInfo::parse(version);
            set(&mut context.source, "innodb_native_foreign_keys", native);
            change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("orders", rule)]);
            assert_eq!(check(&context).unwrap().verdict, expected, "{version} {rule}");
        }
    }
}
