//! With `definer: Keep`, definers of stored programs exist at the destination, and the account may name them.

use std::collections::BTreeSet;

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};
use godwit_api::DefinerMode;
use godwit_model::program::ProgramKind;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.schema() || context.spec.definer != DefinerMode::Keep {
        return None;
    }
    let is_made = |kind: ProgramKind| kind != ProgramKind::Trigger || !context.plan.holds_triggers;
    let definitions = context.plan.programs.iter().filter(|program| is_made(program.source.kind));
    let definers: BTreeSet<&(String, String)> =
        definitions.filter_map(|program| program.definition.as_ref().ok()).map(|definition| &definition.definer).collect();
    if definers.is_empty() {
        return None;
    }
    let text = |(account, host): &(String, String)| format!("'{account}'@'{host}'");
    let mut problems = Vec::new();
    let mut remedies = Vec::new();
    match &context.accounts {
        None => {
            problems.push("the account may not see the accounts of the destination".to_owned());
            remedies.push(format!("GRANT SELECT ON mysql.user TO {};", context.destination.grants.account));
        }
        Some(accounts) => {
            let missing: Vec<String> =
                definers.iter().filter(|definer| !accounts.contains(**definer)).map(|definer| text(definer)).collect();
            if !missing.is_empty() {
                problems.push(format!("these definers do not exist there: {}", some(&missing)));
                remedies.extend(missing.iter().map(|account| format!("CREATE USER {account} ACCOUNT LOCK;")));
            }
        }
    }
    let own = &context.destination.grants.account;
    let others = definers.iter().any(|definer| text(definer) != *own);
    let names = privileges(context);
    if others && !context.destination.grants.any_global(names) {
        let wanted = names.first().copied().unwrap_or("SUPER");
        problems.push(format!("{own} lacks {wanted}"));
        remedies.push(format!("GRANT {wanted} ON *.* TO {own};"));
    }
    if problems.is_empty() {
        return Some(Finding::passed(format!("{} exist at the destination", count(definers.len(), "definer"))));
    }
    Some(Finding::warning(
        problems.join("; "),
        "spec.definer is Keep: a program whose definer does not exist is not made, because whoever uses it gets error 1449, and every write to the \
         table of such a trigger as well",
        format!("{}\nor set spec.definer: Invoker", remedies.join("\n")),
    ))
}

/// What lets an account name another one as a definer, the least first.
fn privileges(context: &Context) -> &'static [&'static str] {
    let info = &context.destination.info;
    match () {
        () if info.is_mariadb() => &["SET USER", "SUPER"],
        () if info.is_mysql_since(8, 2, 0) => &["SET_ANY_DEFINER", "SUPER"],
        () if info.is_mysql_since(8, 0, 0) => &["SET_USER_ID", "SUPER"],
        () => &["SUPER"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants, procedure};
    use godwit_api::Verdict;

    #[test]
    fn definers_that_are_not_there_are_named() {
        let mut context = context();
        context.plan.programs.push(procedure("shop", "p", "SELECT 1"));
        assert_eq!(check(&context), None);
        context.spec.definer = DefinerMode::Keep;
        context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"]);
        let found = check(&context).unwrap();
        assert!(
            found.verdict == Verdict::Warning && found.remedy.contains("GRANT SELECT ON mysql.user TO 'u'@'%';"),
            "{found:?}"
        );
        context.accounts = Some(BTreeSet::new());
        let found = check(&context).unwrap();
        assert!(found.seen.contains("'app'@'%'") && found.remedy.contains("CREATE USER 'app'@'%' ACCOUNT LOCK;"), "{found:?}");
        assert!(found.remedy.contains("GRANT SET_USER_ID ON *.* TO 'u'@'%';"), "{found:?}");
        context.accounts = Some(BTreeSet::from([("app".to_owned(), "%".to_owned())]));
        context.destination.grants = grants(&["GRANT SUPER ON *.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
