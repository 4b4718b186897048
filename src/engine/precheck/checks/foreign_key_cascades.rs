//! Rows that a cascade changes at the source are in its log.

use crate::engine::precheck::context::{Context, Server};
use crate::engine::precheck::finding::{Finding, some};

pub fn check(context: &Context) -> Option<Finding> {
    let mut cascades = Vec::new();
    for table in &context.plan.tables {
        for foreign in &table.definition.foreign_keys {
            let acts = |rule: &str| matches!(rule.to_ascii_uppercase().as_str(), "CASCADE" | "SET NULL" | "SET DEFAULT");
            if acts(&foreign.on_delete) || acts(&foreign.on_update) {
                cascades.push(format!("{} of {}", foreign.name, table.source));
            }
        }
    }
    if cascades.is_empty() {
        return Some(Finding::passed("no foreign key cascades"));
    }
    if are_logged(&context.source) {
        return Some(Finding::passed(format!("the source logs the rows that cascades change ({})", some(&cascades))));
    }
    Some(Finding::warning(
        format!(
            "{} cascades at the source, which does not log the rows that cascades change: {}",
            context.source.describe(),
            some(&cascades)
        ),
        "when a parent row is deleted or its key changed, the child rows change at the source without a trace in its binary log; at the \
         destination they stay as they were, and `godwit verify` will show them",
        "do not delete parents or change their keys during the migration, or run `godwit verify --repair` at its end, or use a source from \
         MySQL 9.6 on; ignore this item to go on",
    ))
}

/// From 9.6 on the SQL layer carries cascades out and logs them, unless InnoDB is told to do it as before.
fn are_logged(source: &Server) -> bool {
    source.info.is_mysql_since(9, 6, 0) && source.flag("innodb_native_foreign_keys") != Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Verdict;
    use crate::engine::connection::ServerInfo;
    use crate::engine::precheck::fixture::{change_table, context, foreign_key, set};

    #[test]
    fn cascades_are_logged_from_9_6_on() {
        for (version, native, rule, expected) in [
            ("8.0.36", "", "RESTRICT", Verdict::Passed),
            ("8.0.36", "", "CASCADE", Verdict::Warning),
            ("8.0.36", "", "SET NULL", Verdict::Warning),
            ("9.7.4", "OFF", "CASCADE", Verdict::Passed),
            ("9.7.4", "ON", "CASCADE", Verdict::Warning),
            ("11.4.5-MariaDB", "", "CASCADE", Verdict::Warning),
        ] {
            let mut context = context();
            context.source.info = ServerInfo::parse(version);
            set(&mut context.source, "innodb_native_foreign_keys", native);
            change_table(&mut context, |table| table.foreign_keys = vec![foreign_key("orders", rule)]);
            assert_eq!(check(&context).unwrap().verdict, expected, "{version} {rule}");
        }
    }
}
