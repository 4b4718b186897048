//! What the account at the destination may do beyond what the task needs. It informs and never stops a task: the account works, and many have but one.

use crate::plan::select::TRIAL_PREFIX;
use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

use super::destination_privileges::wanted;

pub fn check(context: &Context) -> Option<Finding> {
    let grants = &context.destination.grants;
    let wanted = wanted(context);
    let trial = format!("{TRIAL_PREFIX}0");
    let own: Vec<&str> = wanted.iter().map(|(database, _)| *database).chain([trial.as_str()]).collect();
    let beyond = grants.beyond(&own);
    if beyond.is_empty() {
        return None;
    }
    let statements: Vec<String> =
        wanted.iter().map(|(database, privileges)| grants.grant_to_another(privileges, database)).collect();
    Some(Finding::warning(
        format!("{} may do more than the task needs: {}", grants.account, some(&beyond)),
        "whoever gets hold of it, by the task's Secret or through a fault of this program, may do that as well",
        format!("make an account for the task alone:\nCREATE USER 'godwit'@'%' IDENTIFIED BY '…';\n{}", statements.join("\n")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants};

    fn seen(rows: &[&str]) -> Option<String> {
        let mut context = context();
        context.destination.grants = grants(rows);
        check(&context).map(|found| found.seen)
    }

    #[test]
    fn what_reaches_beyond_the_tasks_databases_is_named() {
        let own = [
            "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`",
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP ON `godwit`.* TO `u`@`%`",
        ];
        assert_eq!(seen(&own), None);
        // What lets it see its replication and set its session is no such thing.
        let usual = ["GRANT USAGE, REPLICATION CLIENT, SESSION_VARIABLES_ADMIN ON *.* TO `u`@`%`"];
        assert_eq!(seen(&[own.as_slice(), &usual].concat()), None);
        let trial = r"GRANT CREATE, DROP, ALTER, INSERT ON `godwit\_trial\_%`.* TO `u`@`%`";
        assert_eq!(seen(&[own[0], own[1], trial]), None);
        assert!(seen(&["GRANT ALL PRIVILEGES ON `%`.* TO `u`@`%`"]).unwrap().contains("database %"));
        let root = seen(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"]).unwrap();
        for part in ["SUPER", "CREATE USER", "GRANT OPTION", "every database"] {
            assert!(root.contains(part), "{root}");
        }
        let listed = seen(&["GRANT SELECT, INSERT, SUPER, CREATE USER ON *.* TO `u`@`%`"]).unwrap();
        assert!(
            listed.contains("SUPER") && listed.contains("CREATE USER") && listed.contains("every database (INSERT)"),
            "{listed}"
        );
        let other = seen(&[
            own[0],
            own[1],
            "GRANT INSERT, SELECT ON `payroll`.* TO `u`@`%`",
            "GRANT UPDATE ON `mysql`.`user` TO `u`@`%`",
        ])
        .unwrap();
        assert!(other.contains("database payroll (INSERT)") && other.contains("database mysql (UPDATE)"), "{other}");
        let handed_on = seen(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%` WITH GRANT OPTION"]).unwrap();
        assert!(handed_on.contains("GRANT OPTION"), "{handed_on}");
    }

    #[test]
    fn the_remedy_is_an_account_with_what_the_task_needs() {
        let mut context = context();
        context.destination.grants = grants(&["GRANT SUPER ON *.* TO `u`@`%`"]);
        let remedy = check(&context).unwrap().remedy;
        assert!(
            remedy.contains("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP ON `godwit`.* TO 'godwit'@'%';"),
            "{remedy}"
        );
        assert!(remedy.contains("ON `shop`.* TO 'godwit'@'%';"), "{remedy}");
    }
}
