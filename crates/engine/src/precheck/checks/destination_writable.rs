//! The destination takes writes from this account.

use crate::precheck::context::Context;
use crate::precheck::finding::Finding;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let server = &context.destination;
    let on = |name: &str| server.flag(name) == Some(true);
    let why = "every write of the task would be refused";
    if on("innodb_read_only") {
        return Some(Finding::failed(
            format!("{} is a read-only node (innodb_read_only = ON)", server.address),
            why,
            "set spec.destination.mysql.host to the address of the cluster's writer",
        ));
    }
    let statements = server.write_obstacles();
    let format = server.variable("binlog_format").unwrap_or_default();
    if statements.is_empty() && on("log_bin") && format.eq_ignore_ascii_case("STATEMENT") {
        return Some(Finding::failed(
            "binlog_format is STATEMENT at the destination",
            "rows are written with READ COMMITTED, which InnoDB takes only where its own log holds rows",
            server.set_variable("binlog_format", "ROW"),
        ));
    }
    if statements.is_empty() {
        return Some(Finding::passed(if on("read_only") {
            "read_only is ON, and the account may write in spite of it"
        } else {
            "the destination takes writes"
        }));
    }
    Some(Finding::failed(
        format!("{} = ON at the destination", statements.join(" = ON, ")),
        why,
        statements.iter().map(|name| format!("SET GLOBAL {name} = OFF;")).collect::<Vec<_>>().join("\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants, set};
    use godwit_api::Verdict;

    #[test]
    fn a_log_of_statements_takes_no_rows() {
        for (log, format, expected) in
            [("ON", "STATEMENT", Verdict::Failed), ("ON", "MIXED", Verdict::Passed), ("OFF", "STATEMENT", Verdict::Passed)]
        {
            let mut context = context();
            set(&mut context.destination, "log_bin", log);
            set(&mut context.destination, "binlog_format", format);
            assert_eq!(check(&context).unwrap().verdict, expected, "{log} {format}");
        }
    }

    #[test]
    fn read_only_destinations_fail() {
        let plain = ["GRANT SELECT ON *.* TO `u`@`%`"];
        let admin = ["GRANT CONNECTION_ADMIN ON *.* TO `u`@`%`"];
        for (variable, rows, expected) in [
            ("nothing", &plain, Verdict::Passed),
            ("read_only", &plain, Verdict::Failed),
            ("read_only", &admin, Verdict::Passed),
            ("super_read_only", &admin, Verdict::Failed),
            ("innodb_read_only", &admin, Verdict::Failed),
            ("transaction_read_only", &admin, Verdict::Failed),
        ] {
            let mut context = context();
            context.destination.grants = grants(rows);
            set(&mut context.destination, variable, "ON");
            assert_eq!(check(&context).unwrap().verdict, expected, "{variable}");
        }
    }
}
