//! A destination with a binary log takes functions and triggers of trusted accounts only.
//!
//! Without `log_bin_trust_function_creators` it asks for SUPER (error 1419), and of functions, from whomever they come, that they say what they do
//! (error 1418). (MySQL manual, "Stored Program Binary Logging"; the same in MariaDB.)

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};
use crate::schema::program::{Access, Head};
use godwit_model::program::ProgramKind;

const VARIABLE: &str = "log_bin_trust_function_creators";

pub(super) fn check(context: &Context) -> Option<Finding> {
    let of = |kind: ProgramKind| context.plan.programs.iter().filter(move |program| program.source.kind == kind);
    let triggers = if context.plan.holds_triggers { 0 } else { of(ProgramKind::Trigger).count() };
    let functions = of(ProgramKind::Function).count();
    if !context.schema() || functions + triggers == 0 {
        return None;
    }
    if context.destination.flag("log_bin") != Some(true) || context.destination.flag(VARIABLE) == Some(true) {
        return Some(Finding::passed("the destination takes functions and triggers of every account that may create them"));
    }
    let mut problems = Vec::new();
    if !context.destination.grants.any_global(&["SUPER"]) {
        let account = &context.destination.grants.account;
        problems.push(format!("{account} lacks SUPER for {} and {}", count(functions, "function"), count(triggers, "trigger")));
    }
    let is_silent = |head: &Head| matches!(head, Head::Routine { access, deterministic: false, .. } if !matches!(access, Access::NoSql | Access::ReadsSqlData));
    let silent: Vec<String> = of(ProgramKind::Function)
        .filter(|program| program.definition.as_ref().is_ok_and(|definition| is_silent(&definition.head)))
        .map(|program| program.source.to_string())
        .collect();
    if !silent.is_empty() {
        problems.push(format!("neither DETERMINISTIC nor NO SQL nor READS SQL DATA: {}", some(&silent)));
    }
    if problems.is_empty() {
        return Some(Finding::passed("functions say what they do, and the account may create them in spite of the binary log"));
    }
    Some(Finding::warning(
        format!("{VARIABLE} is OFF at the destination, which has a binary log; {}", problems.join("; ")),
        "the destination refuses these functions and triggers; they would be missing",
        context.destination.set_variable(VARIABLE, "1"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{context, grants, procedure, set};
    use godwit_api::Verdict;

    #[test]
    fn what_the_binary_log_refuses_is_told() {
        let mut context = context();
        assert_eq!(check(&context), None);
        let mut function = procedure("shop", "f", "RETURN 1");
        function.source.kind = ProgramKind::Function;
        context.plan.programs.push(function);
        set(&mut context.destination, "log_bin", "ON");
        set(&mut context.destination, VARIABLE, "OFF");
        context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"]);
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Warning);
        assert!(found.seen.contains("lacks SUPER for 1 function") && found.seen.contains("neither DETERMINISTIC"), "{found:?}");
        assert!(found.remedy.contains(VARIABLE));
        context.destination.grants = grants(&["GRANT SUPER ON *.* TO `u`@`%`"]);
        assert!(!check(&context).unwrap().seen.contains("SUPER"));
        set(&mut context.destination, VARIABLE, "ON");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        set(&mut context.destination, VARIABLE, "OFF");
        set(&mut context.destination, "log_bin", "OFF");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
