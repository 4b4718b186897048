//! What the account may do at the source, per migration type.

use crate::plan::TablePlan;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use crate::precheck::grants::Grants;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let grants = &context.source.grants;
    let mut missing = Vec::new();
    let mut statements = Vec::new();
    if context.incremental() {
        let global = missing_global(context);
        if !global.is_empty() {
            missing.push(format!("{} on *.*", global.join(", ")));
            statements.push(format!("GRANT {} ON *.* TO {};", global.join(", "), grants.account));
        }
    }
    let views: Vec<&str> = context.plan.views.iter().map(|view| view.source.database.as_str()).collect();
    for database in &context.plan.databases {
        let name = database.source.as_str();
        let mut wanted = Vec::new();
        if !reads(context, grants, name) {
            wanted.push("SELECT");
        }
        if context.schema() && views.contains(&name) {
            wanted.push("SHOW VIEW");
        }
        if needs_lock(context, name) {
            wanted.push("LOCK TABLES");
        }
        if let Some((what, statement)) = grants.missing_on_database(&wanted, name) {
            missing.push(what);
            statements.push(statement);
        }
    }
    if missing.is_empty() {
        return Some(Finding::passed(format!("{} has every privilege that the task needs", grants.account)));
    }
    Some(Finding::failed(
        format!("{} lacks {}{}", grants.account, some(&missing), inactive_roles(grants)),
        "SELECT reads definitions and rows, SHOW VIEW the views, REPLICATION SLAVE the binary log, REPLICATION CLIENT (MariaDB: BINLOG \
         MONITOR) its position; LOCK TABLES, where the source has no GTIDs, reads rows together with their place in the log",
        statements.join("\n"),
    ))
}

/// A role that is not active gives nothing.
pub(super) fn inactive_roles(grants: &Grants) -> String {
    if grants.roles.is_empty() {
        return String::new();
    }
    format!(
        " (of its roles {} only those count that are active at login: SET DEFAULT ROLE ALL TO {};)",
        some(&grants.roles),
        grants.account
    )
}

fn missing_global(context: &Context) -> Vec<&'static str> {
    let grants = &context.source.grants;
    let mariadb = context.source.info.is_mariadb();
    let mut missing = Vec::new();
    // MariaDB 10.5 renamed it, and its log can be read with REPLICATION SLAVE ADMIN's companion only.
    let client: &[&str] =
        if mariadb { &["BINLOG MONITOR", "REPLICATION CLIENT", "SUPER"] } else { &["REPLICATION CLIENT", "SUPER"] };
    if !grants.global("REPLICATION SLAVE") {
        missing.push("REPLICATION SLAVE");
    }
    if !grants.any_global(client) {
        missing.push(if mariadb { "BINLOG MONITOR" } else { "REPLICATION CLIENT" });
    }
    missing
}

/// The whole database, or each table that is selected.
fn reads(context: &Context, grants: &Grants, database: &str) -> bool {
    let mut tables = context.plan.tables.iter().filter(|table| table.source.database == database);
    grants.on_database("SELECT", database)
        || (!context.plan.databases.iter().any(|plan| plan.source == database && plan.whole)
            && tables.all(|table| grants.on_table("SELECT", database, &table.source.table)))
}

/// Without GTIDs the exact position of a table that is read from one snapshot takes a lock, and all others are read with
/// locking reads, which 8.0 allowed to reading accounts from 8.0.22 on only (MySQL manual, "Locking Reads").
fn needs_lock(context: &Context, database: &str) -> bool {
    let source = &context.source;
    if !context.incremental() || !context.plan.full || source.info.is_mariadb() || super::gtid_mode::is_on(source) {
        return false;
    }
    let locking_reads = source.info.is_mysql_since(8, 0, 0) && !source.info.is_mysql_since(8, 0, 22);
    let cascades = context.cascades();
    let from_snapshot = |table: &TablePlan| !table.is_chunked() || cascades.needs_snapshot(table.id);
    locking_reads || context.plan.tables.iter().any(|table| table.source.database == database && from_snapshot(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context, grants, keyless, set};
    use godwit_api::Verdict;
    use godwit_model::server::ServerInfo;

    #[test]
    fn names_what_is_missing_and_the_statement() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.source.grants = grants(&["GRANT SELECT ON `shop`.* TO `u`@`%`", "GRANT REPLICATION CLIENT ON *.* TO `u`@`%`"]);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert_eq!(found.remedy, "GRANT REPLICATION SLAVE ON *.* TO 'u'@'%';\nGRANT SHOW VIEW ON `shop`.* TO 'u'@'%';");
    }

    #[test]
    fn without_incremental_nothing_global_is_asked_for() {
        let mut context = context();
        context.plan.incremental = false;
        context.source.grants = grants(&["GRANT SELECT, SHOW VIEW ON `shop`.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn table_grants_suffice_for_chosen_tables_only() {
        let mut context = context();
        context.plan.incremental = false;
        context.plan.views.clear();
        context.source.grants = grants(&["GRANT SELECT ON `shop`.`orders` TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        context.plan.databases[0].whole = false;
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn a_table_without_a_key_needs_a_lock_where_there_are_no_gtids() {
        let mut context = context();
        keyless(&mut context);
        context.source.grants = grants(&[
            "GRANT SELECT, SHOW VIEW, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `u`@`%`",
            "GRANT `r`@`%` TO `u`@`%`",
        ]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        set(&mut context.source, "gtid_mode", "OFF");
        let found = check(&context).unwrap();
        assert_eq!(found.remedy, "GRANT LOCK TABLES ON `shop`.* TO 'u'@'%';");
        assert!(found.seen.contains("SET DEFAULT ROLE"));
        context.source.info = ServerInfo::parse("8.0.15");
        change_plan(&mut context, |table| (table.key, table.range_columns) = (vec![0], 1));
        assert_eq!(check(&context).unwrap().verdict, Verdict::Failed);
        context.source.info = ServerInfo::parse("5.7.44");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn mariadb_calls_it_binlog_monitor() {
        let mut context = context();
        context.source.info = ServerInfo::parse("11.4.5-MariaDB");
        context.source.grants = grants(&["GRANT SELECT, SHOW VIEW, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
