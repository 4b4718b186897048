//! Every table's definition can be written at the destination.

use crate::plan::statements::Statements;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use crate::schema::create::CreateTable;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let periods = context.plan.tables.iter().filter(|table| has_period_key(&table.definition.create_statement));
    let periods: Vec<String> = periods.map(|table| table.source.to_string()).collect();
    if !periods.is_empty() {
        return Some(Finding::failed(
            format!("keys WITHOUT OVERLAPS: {}", some(&periods)),
            "MariaDB takes neither REPLACE nor ON DUPLICATE KEY UPDATE in such a table, by which rows are written",
            "leave the tables out with excludeTables",
        ));
    }
    if !context.schema() {
        return None;
    }
    let statements = Statements::new(&context.spec, &context.plan, &context.source.info, &context.destination.info);
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    for table in &context.plan.tables {
        match statements.of(table) {
            Ok(rewritten) => notes.extend(rewritten.notes.into_iter().map(|note| format!("{}: {note}", table.source))),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if !problems.is_empty() {
        return Some(Finding::failed(
            some(&problems),
            "the table cannot be created at the destination as it is",
            "change the definition at the source, leave the table out with excludeTables, or create it at the destination by hand and leave \
             Schema out of spec.migrationTypes",
        ));
    }
    let doubtful: Vec<String> = context
        .plan
        .tables
        .iter()
        .flat_map(|table| table.definition.unread.iter().map(|text| format!("{}: {text}", table.source)))
        .collect();
    if !doubtful.is_empty() {
        return Some(Finding::failed(
            some(&doubtful),
            "the source does not say these texts for certain, and the destination would be created with others",
            "create these tables at the destination by hand and leave Schema out of spec.migrationTypes; for a label, a row that has it is \
             enough; for an expression that a session decides about, write the literal with its character set at the source (_latin1 0xE9)",
        ));
    }
    Some(Finding::passed(if notes.is_empty() {
        "every definition can be written at the destination".to_owned()
    } else {
        format!("every definition can be written at the destination, with changes: {}", some(&notes))
    }))
}

fn has_period_key(create: &str) -> bool {
    let Ok(create) = CreateTable::parse(create) else { return false };
    let word = |at: usize, word: &str| create.any_word(at, &[word]);
    create.items.iter().any(|item| item.tokens.clone().any(|at| word(at, "WITHOUT") && word(at + 1, "OVERLAPS")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context};
    use godwit_api::Verdict;

    #[test]
    fn what_the_source_does_not_say_is_refused() {
        let mut context = context();
        change_table(&mut context, |table| table.unread.push("column status: label 2 is shown as '?'".into()));
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.orders: column status"), "{}", found.seen);
    }

    #[test]
    fn keys_without_overlaps_are_named() {
        for (item, expected) in [
            ("PRIMARY KEY (`id`,`p` WITHOUT OVERLAPS)", Verdict::Failed),
            ("KEY `WITHOUT OVERLAPS` (`id`) COMMENT 'WITHOUT OVERLAPS'", Verdict::Passed),
        ] {
            let mut context = context();
            let create = format!("CREATE TABLE `orders` (\n  `id` int NOT NULL,\n  {item}\n) ENGINE=InnoDB");
            change_table(&mut context, |table| table.create_statement = create);
            assert_eq!(check(&context).unwrap().verdict, expected, "{item}");
        }
    }

    #[test]
    fn definitions_that_cannot_be_read_fail() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| table.create_statement = "CREATE SOMETHING".into());
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.orders"), "{}", found.seen);
    }
}
