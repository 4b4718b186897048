//! LOAD DATA LOCAL, the quicker way to write, is allowed; INSERT is used otherwise.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.plan.full {
        return None;
    }
    Some(Finding::passed(if context.destination.flag("local_infile") == Some(true) {
        "local_infile is ON at the destination: rows are loaded with LOAD DATA LOCAL".to_owned()
    } else {
        format!(
            "local_infile is OFF at the destination: rows are written with INSERT, which costs the destination more; to change that: {}",
            context.destination.set_variable("local_infile", "ON")
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn passes_either_way() {
        for value in ["ON", "OFF"] {
            let mut context = context();
            set(&mut context.destination, "local_infile", value);
            assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        }
    }
}
