//! The destination takes writes from this account.

use crate::engine::precheck::context::Context;
use crate::engine::precheck::finding::Finding;

pub fn check(context: &Context) -> Option<Finding> {
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
    let mut statements = Vec::new();
    for name in ["super_read_only", "read_only", "transaction_read_only", "tx_read_only"] {
        // Accounts with these privileges write in spite of read_only; nobody does in spite of super_read_only.
        let exempt = name == "read_only" && server.grants.any_global(&["SUPER", "CONNECTION_ADMIN", "READ_ONLY ADMIN"]);
        if on(name) && !exempt {
            statements.push(name);
        }
    }
    // read_only of newer MariaDB has more values than ON.
    let level = server.variable("read_only").unwrap_or("OFF");
    if level.to_ascii_uppercase().starts_with("NO_LOCK") {
        statements.push("read_only");
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
    use crate::api::Verdict;
    use crate::engine::precheck::fixture::{context, grants, set};

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
