//! The source has a server id, so that it serves its log.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = &context.source;
    match source.number("server_id") {
        Some(id) if id > 0 => {
            let others = source.replica_ids.len();
            let replicas =
                if others == 0 { "no replica is registered".to_owned() } else { format!("{others} replicas are registered") };
            Some(Finding::passed(format!("server_id is {id}; {replicas}, the task takes an id of its own")))
        }
        _ => Some(Finding::failed(
            "server_id is 0",
            "a server without an id refuses to send its binary log",
            source.set_variable("server_id", "1"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn zero_fails() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        set(&mut context.source, "server_id", "0");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
    }
}
