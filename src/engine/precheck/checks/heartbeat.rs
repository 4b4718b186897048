//! The heartbeat on the source, where it is asked for.

use crate::engine::precheck::context::Context;
use crate::engine::precheck::finding::Finding;

pub fn check(context: &Context) -> Option<Finding> {
    if !context.spec.heartbeat.enabled {
        return Some(Finding::passed("off: nothing is ever written to the source"));
    }
    let database = context.spec.heartbeat.database.as_str();
    let grants = &context.source.grants;
    match grants.missing_on_database(&["CREATE", "INSERT", "UPDATE", "SELECT"], database) {
        None => Some(Finding::passed(format!("the account may write the heartbeat to {database}"))),
        Some((what, statement)) => Some(Finding::failed(
            format!("{} lacks {what}", grants.account),
            "the heartbeat is a row that is updated on the source",
            statement,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Verdict;
    use crate::engine::precheck::fixture::{context, grants};

    #[test]
    fn needs_rights_only_when_it_is_on() {
        let mut context = context();
        context.source.grants = grants(&["GRANT SELECT ON *.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.spec.heartbeat.enabled = true;
        assert_eq!(check(&context).unwrap().remedy, "GRANT CREATE, INSERT, UPDATE ON `godwit`.* TO 'u'@'%';");
    }
}
