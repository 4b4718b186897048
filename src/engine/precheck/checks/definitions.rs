//! Every table's definition can be written at the destination.

use crate::engine::plan::statements::Statements;
use crate::engine::precheck::context::Context;
use crate::engine::precheck::finding::{Finding, some};

pub fn check(context: &Context) -> Option<Finding> {
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
    Some(Finding::passed(if notes.is_empty() {
        "every definition can be written at the destination".to_owned()
    } else {
        format!("every definition can be written at the destination, with changes: {}", some(&notes))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Verdict;
    use crate::engine::precheck::fixture::{change_table, context};

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
