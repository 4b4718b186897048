//! Tables at the destination that another task writes.

use crate::destination::mysql::records::ownership::REMEDY;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    if context.in_use.is_empty() {
        return Some(Finding::passed("no other task writes the tables"));
    }
    let found: Vec<String> = context.in_use.iter().map(|(table, task)| format!("{table} by task {task}")).collect();
    Some(Finding::failed(
        format!("written at the destination already: {}", some(&found)),
        "two tasks that write one table undo each other's rows without noticing",
        REMEDY,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    #[test]
    fn table_and_task_are_named() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        let table = context.plan.tables[0].destination.clone();
        context.in_use.insert(table, "shops/other".into());
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.orders by task shops/other"), "{}", found.seen);
        assert!(found.remedy.contains("desiredState: Stopped"));
    }
}
