//! A choice of row operations (`dml`) that cannot be followed, or only as long as the source does not do what it may.
//!
//! What is left out stays undone at the destination, so its rows are no longer those that the source had. A table without a key finds
//! rows by all their values: every row that the source changes must still be there as it was. And a value of a unique index that the
//! source gave up is still taken where the operation that gave it up was left out.

use crate::plan::{DmlSelection, TablePlan};
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let named = |refused: fn(&TablePlan) -> bool| -> Vec<String> {
        let tables = context.plan.tables.iter().filter(|table| refused(table));
        tables.map(|table| format!("{} ({})", table.source, text(table.dml))).collect()
    };
    let lost = named(|table| !table.has_key() && !finds_its_rows(table.dml));
    if !lost.is_empty() {
        return Some(Finding::failed(
            format!("tables without a key of which some row operations are applied and others are not: {}", some(&lost)),
            "their rows are found by all their values; a row that was inserted or changed by an operation that is left out is not at the \
             destination, and its next change could not be applied",
            "choose all of Insert, Update and Delete, or Insert and Update, or Insert alone, or add a primary key",
        ));
    }
    let colliding = named(|table| table.has_key() && table.secondary_unique && !frees_values(table.dml));
    if !colliding.is_empty() {
        return Some(Finding::warning(
            format!("tables with a further unique index of which not every operation is applied: {}", some(&colliding)),
            "a unique value that the source gives up by an operation that is left out stays taken at the destination; when another row takes \
             it, the task stops there",
            "apply Update and Delete too, or drop the unique index at the destination, or ignore this where such values never come back",
        ));
    }
    Some(Finding::passed("the row operations that are applied can be followed in every table"))
}

/// Whether each row that the source changes is at the destination as it was there: rows that are too many do no harm.
fn finds_its_rows(dml: DmlSelection) -> bool {
    match (dml.insert, dml.update, dml.delete) {
        (_, false, false) | (true, true, _) => true,
        (false, true, _) | (_, false, true) => false,
    }
}

/// Whether no row is written that another one may stand in the way of.
fn frees_values(dml: DmlSelection) -> bool {
    let writes = dml.insert || dml.update;
    !writes || dml.update && dml.delete
}

fn text(dml: DmlSelection) -> String {
    let all = [(dml.insert, "Insert"), (dml.update, "Update"), (dml.delete, "Delete")];
    let chosen: Vec<&str> = all.into_iter().filter_map(|(is_chosen, name)| is_chosen.then_some(name)).collect();
    format!("dml: [{}]", chosen.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context, keyless};
    use godwit_api::Verdict;

    #[test]
    fn every_choice_is_judged() {
        use Verdict::{Failed, Passed, Warning};
        // insert, update, delete: without a key, with a further unique index
        for (operations, without_key, unique) in [
            ([false, false, false], Passed, Passed),
            ([false, false, true], Failed, Passed),
            ([false, true, false], Failed, Warning),
            ([false, true, true], Failed, Passed),
            ([true, false, false], Passed, Warning),
            ([true, false, true], Failed, Warning),
            ([true, true, false], Passed, Warning),
            ([true, true, true], Passed, Passed),
        ] {
            let [insert, update, delete] = operations;
            let mut context = context();
            change_plan(&mut context, |table| table.dml = DmlSelection { insert, update, delete });
            assert_eq!(check(&context).unwrap().verdict, Passed, "a key alone, {operations:?}");
            change_plan(&mut context, |table| table.secondary_unique = true);
            assert_eq!(check(&context).unwrap().verdict, unique, "{operations:?}");
            keyless(&mut context);
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, without_key, "{operations:?}");
            assert_eq!(found.seen.contains("shop.orders (dml: ["), without_key == Failed);
        }
    }
}
