//! A source that is itself a replica logs what it applies.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = &context.source;
    let name = if source.variable("log_replica_updates").is_some() { "log_replica_updates" } else { "log_slave_updates" };
    if source.flag(name) == Some(true) {
        return Some(Finding::passed(format!("{name} is ON")));
    }
    let why = "what the source receives from its own source would not be in its binary log, and would never arrive";
    let remedy =
        format!("add {name} = ON to the source's configuration file and restart it, or use its own source as the source");
    match source.is_replica {
        Some(false) => Some(Finding::passed(format!("{name} is OFF, and the source is not a replica"))),
        Some(true) => Some(Finding::failed(format!("the source is a replica and {name} is OFF"), why, remedy)),
        None => Some(Finding::warning(
            format!("{name} is OFF; whether the source is a replica cannot be seen by this account"),
            why,
            format!("{remedy}; or ignore this item if the source is no replica"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, set};
    use godwit_api::Verdict;

    #[test]
    fn a_replica_must_log_what_it_applies() {
        for (value, is_replica, expected) in [
            ("ON", Some(true), Verdict::Passed),
            ("OFF", Some(false), Verdict::Passed),
            ("OFF", Some(true), Verdict::Failed),
            ("OFF", None, Verdict::Warning),
        ] {
            let mut context = context();
            set(&mut context.source, "log_replica_updates", value);
            context.source.is_replica = is_replica;
            assert_eq!(check(&context).unwrap().verdict, expected);
        }
    }
}
