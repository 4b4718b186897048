//! TIMESTAMP columns at the destination get just the defaults that their definitions say.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use godwit_model::definition::Kind;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let destination = &context.destination;
    let explicit = destination.flag("explicit_defaults_for_timestamp")?;
    if !context.schema() {
        return None;
    }
    if explicit || destination.sets_restricted_variables() {
        return Some(Finding::passed("TIMESTAMP columns are created as their definitions say"));
    }
    let mut found = Vec::new();
    for table in &context.plan.tables {
        let timestamps =
            table.columns.iter().filter(|column| matches!(column.column.kind, Kind::Timestamp { .. }) && !column.column.nullable);
        found.extend(timestamps.map(|column| format!("{}.{}", table.source, column.column.name)));
    }
    if found.is_empty() {
        return Some(Finding::passed(
            "explicit_defaults_for_timestamp is OFF at the destination, which no selected column minds",
        ));
    }
    Some(Finding::warning(
        format!(
            "explicit_defaults_for_timestamp is OFF at the destination, and the account may not turn it on for its sessions: {}",
            some(&found)
        ),
        "a TIMESTAMP NOT NULL column without a default is given DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP there",
        destination.set_variable("explicit_defaults_for_timestamp", "ON"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context, grants, set};
    use godwit_api::Verdict;

    #[test]
    fn implicit_defaults_are_a_warning() {
        let mut context = context();
        set(&mut context.destination, "explicit_defaults_for_timestamp", "OFF");
        change_plan(&mut context, |table| table.columns[1].column.kind = Kind::Timestamp { fsp: 0 });
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        context.destination.grants = grants(&["GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"]);
        assert_eq!(check(&context).unwrap().verdict, Verdict::Warning);
        set(&mut context.destination, "explicit_defaults_for_timestamp", "ON");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
