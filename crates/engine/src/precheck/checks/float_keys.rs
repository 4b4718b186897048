//! Keys of FLOAT and DOUBLE: they work, the values travel bit for bit; told for the record.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use godwit_model::definition::Kind;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let is_float = |kind: &Kind| matches!(kind, Kind::Float | Kind::Double);
    let found: Vec<String> = context
        .plan
        .tables
        .iter()
        .filter(|table| table.key.iter().any(|&place| is_float(&table.columns[place].column.kind)))
        .map(|table| table.source.to_string())
        .collect();
    Some(Finding::passed(if found.is_empty() {
        "no key has a FLOAT or DOUBLE column".to_owned()
    } else {
        format!("{}: the key has a FLOAT or DOUBLE column; its values arrive bit for bit", some(&found))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context};
    use godwit_api::Verdict;

    #[test]
    fn passes_and_lists_them() {
        let mut context = context();
        change_plan(&mut context, |table| table.columns[0].column.kind = Kind::Double);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Passed);
        assert!(found.seen.contains("shop.orders"));
    }
}
