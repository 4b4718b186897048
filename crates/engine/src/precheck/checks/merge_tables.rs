//! No MERGE table that is left out writes into a migrated table.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let merges = &context.source_objects.merges;
    if merges.is_empty() {
        return Some(Finding::passed("no MERGE table over a migrated table"));
    }
    let named = |(merge, below): &(_, Vec<_>)| {
        let below: Vec<String> = below.iter().map(ToString::to_string).collect();
        format!("{merge} over {}", some(&below))
    };
    let list: Vec<String> = merges.iter().map(named).collect();
    Some(Finding::failed(
        format!("MERGE tables have rows in migrated tables: {}", some(&list)),
        "rows that are changed through a MERGE table are logged under its name, and would not arrive in the tables that hold them",
        "drop the MERGE tables at the source for as long as the task runs, or ignore this item if nobody writes through them",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;
    use godwit_model::names::TableName;

    #[test]
    fn a_merge_table_over_a_migrated_one_is_named() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        let name = |database: &str, table: &str| TableName { database: database.into(), table: table.into() };
        context.source_objects.merges = vec![(name("other", "m"), vec![name("shop", "orders")])];
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("other.m over shop.orders"), "{}", found.seen);
    }
}
