//! No selected database is kept out of the binary log.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let source = &context.source;
    if source.log.is_none() {
        return Some(Finding::passed("not known: the account may not see the log's status"));
    }
    let is_lost = |name: &String| source.logs_database(name) == Some(false);
    let lost: Vec<String> = context.plan.databases.iter().map(|database| database.source.clone()).filter(is_lost).collect();
    if lost.is_empty() {
        return Some(Finding::passed("every selected database is logged"));
    }
    Some(Finding::failed(
        format!("binlog-do-db or binlog-ignore-db keeps {} out of the binary log", some(&lost)),
        "changes in those databases would never arrive, without any error",
        "remove binlog-do-db and binlog-ignore-db from the source's configuration file and restart it, or leave the databases out",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::context;
    use godwit_api::Verdict;

    #[test]
    fn a_selected_database_must_be_logged() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (only, ignored, expected) in [
            (names(&[]), names(&[]), Verdict::Passed),
            (names(&["shop"]), names(&[]), Verdict::Passed),
            (names(&["other"]), names(&[]), Verdict::Failed),
            (names(&[]), names(&["shop"]), Verdict::Failed),
            (names(&[]), names(&["other"]), Verdict::Passed),
        ] {
            let mut context = context();
            let log = context.source.log.get_or_insert_default();
            (log.only, log.ignored) = (only, ignored);
            assert_eq!(check(&context).unwrap().verdict, expected);
        }
    }
}
