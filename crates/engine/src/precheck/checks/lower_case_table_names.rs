//! Both servers treat upper and lower case in names alike.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let (source, destination) = (context.source.lower_case_table_names(), context.destination.lower_case_table_names());
    let seen = format!("lower_case_table_names is {source} at the source and {destination} at the destination");
    if (source == 0) == (destination == 0) {
        return Some(Finding::passed(seen));
    }
    if source == 0 {
        // Two names that would fall together are refused when the task is resolved.
        return Some(Finding::passed(format!("{seen}: names become lower case, and no two of them fall together")));
    }
    Some(Finding::warning(
        seen,
        "statements of the application that spell a name in another case work at the source and fail at the destination",
        "initialise the destination with lower_case_table_names = 1 (it cannot be changed later), or ignore this item",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn a_destination_that_is_stricter_is_a_warning() {
        for (source, destination, expected) in
            [("0", "0", Verdict::Passed), ("1", "2", Verdict::Passed), ("0", "1", Verdict::Passed), ("1", "0", Verdict::Warning)]
        {
            let mut context = context();
            set(&mut context.source, "lower_case_table_names", source);
            set(&mut context.destination, "lower_case_table_names", destination);
            assert_eq!(check(&context).unwrap().verdict, expected);
        }
    }
}
