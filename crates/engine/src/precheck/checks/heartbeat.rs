//! The heartbeat on the source, where it is asked for; and that its database does not take one out of the migration.

use crate::heartbeat::HeartbeatTable;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let asked = &context.spec.heartbeat;
    let database = asked.database.as_str();
    // Even when it is off: the selection must not depend on that, or switching it would change what is migrated.
    let beside = &context.source_objects.beside_heartbeat;
    if !beside.is_empty() {
        return Some(Finding::failed(
            format!("patterns in spec.objects leave the heartbeat's database {database} out, which holds {}", some(beside)),
            "the heartbeat's database is the engine's own: only its exact name selects it",
            format!("set spec.heartbeat.database to a database of its own, or name {database} in spec.objects"),
        ));
    }
    if !asked.enabled {
        return Some(Finding::passed("off: nothing is ever written to the source"));
    }
    if !context.incremental() {
        return Some(Finding::passed("not written: it is for tasks that follow the binary log"));
    }
    let source = &context.source;
    let why = "the heartbeat is a row that is updated on the source";
    let obstacles = source.write_obstacles();
    if !obstacles.is_empty() {
        return Some(Finding::failed(
            format!("{} = ON on the source", obstacles.join(" = ON, ")),
            why,
            "set spec.heartbeat.enabled to false, or spec.source.mysql.host to a server that takes writes",
        ));
    }
    if source.logs_database(database) == Some(false) {
        return Some(Finding::failed(
            format!("binlog-do-db or binlog-ignore-db keeps {database} out of the binary log"),
            "the heartbeat would never arrive, and the latency would rise for ever",
            "set spec.heartbeat.database to a database that is logged",
        ));
    }
    let grants = &source.grants;
    match grants.missing_on_database(&["CREATE", "INSERT", "UPDATE", "SELECT"], database) {
        None => Some(Finding::passed(format!(
            "{} is written every {} s, and never migrated",
            HeartbeatTable::new(database).shown(),
            asked.interval_seconds
        ))),
        Some((what, statement)) => Some(Finding::failed(format!("{} lacks {what}", grants.account), why, statement)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants, set};
    use godwit_api::Verdict;

    #[test]
    fn needs_rights_only_when_it_is_on() {
        let mut context = context();
        context.source.grants = grants(&["GRANT SELECT ON *.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.spec.heartbeat.enabled = true;
        assert_eq!(check(&context).unwrap().remedy, "GRANT CREATE, INSERT, UPDATE ON `godwit`.* TO 'u'@'%';");
        context.source.grants =
            grants(&["GRANT SELECT ON *.* TO `u`@`%`", "GRANT CREATE, INSERT, UPDATE, SELECT ON `godwit`.* TO `u`@`%`"]);
        let found = check(&context).unwrap();
        assert_eq!(
            (found.verdict, found.seen.as_str()),
            (Verdict::Passed, "godwit.godwit_heartbeat is written every 1 s, and never migrated")
        );
    }

    #[test]
    fn needs_a_source_that_takes_writes() {
        for variable in ["read_only", "super_read_only", "innodb_read_only", "transaction_read_only"] {
            let mut context = context();
            context.source.grants = grants(&["GRANT SELECT, INSERT, UPDATE, CREATE ON *.* TO `u`@`%`"]);
            set(&mut context.source, variable, "ON");
            assert_eq!(check(&context).unwrap().verdict, Verdict::Passed, "{variable}");
            context.spec.heartbeat.enabled = true;
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, Verdict::Failed, "{variable}");
            assert!(found.seen.contains(variable), "{}", found.seen);
        }
    }

    #[test]
    fn a_task_that_follows_no_log_needs_nothing() {
        let mut context = context();
        context.spec.heartbeat.enabled = true;
        context.plan.incremental = false;
        context.source.grants = grants(&["GRANT SELECT ON *.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn its_database_must_be_logged() {
        let mut context = context();
        context.spec.heartbeat.enabled = true;
        context.source.log.get_or_insert_default().ignored = vec!["godwit".into()];
        assert!(check(&context).unwrap().seen.contains("keeps godwit out"));
    }

    #[test]
    fn it_takes_no_database_out_of_the_migration() {
        let mut context = context();
        context.spec.heartbeat.database = "shop".into();
        context.source_objects.beside_heartbeat = vec!["shop.orders".into()];
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.orders"), "{}", found.seen);
    }
}
