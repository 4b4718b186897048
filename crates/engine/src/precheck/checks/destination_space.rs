//! The destination has room for the data, where it tells how much it has.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, bytes_text};

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.plan.full {
        return None;
    }
    let size = |table: &std::sync::Arc<crate::plan::TablePlan>| {
        table.definition.estimated_rows.saturating_mul(table.definition.average_row_bytes)
    };
    let needed = context.plan.tables.iter().map(size).fold(0u64, u64::saturating_add);
    let estimate = format!("the selected rows take about {} at the source, indexes not counted", bytes_text(needed));
    let Some(free) = context.destination.free_bytes else {
        return Some(Finding::passed(format!("{estimate}; the destination does not tell what it has free")));
    };
    // Indexes, undo and the destination's own binary log come on top.
    if free >= needed.saturating_mul(2) {
        return Some(Finding::passed(format!("{estimate}; {} are free at the destination", bytes_text(free))));
    }
    Some(Finding::warning(
        format!("{estimate}; only {} are free at the destination", bytes_text(free)),
        "rows, indexes and the destination's binary log may need twice the size; a full disk stops the task",
        "make room at the destination, shorten its binary log retention, or ignore this item",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context};
    use godwit_api::Verdict;

    #[test]
    fn twice_the_size_is_enough() {
        for (free, expected) in [(None, Verdict::Passed), (Some(2000), Verdict::Passed), (Some(1999), Verdict::Warning)] {
            let mut context = context();
            change_table(&mut context, |table| (table.estimated_rows, table.average_row_bytes) = (10, 100));
            context.destination.free_bytes = free;
            assert_eq!(check(&context).unwrap().verdict, expected);
        }
    }
}
