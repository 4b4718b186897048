//! Column names in the log. Read either way; told for the record.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};

pub(super) fn check(context: &Context) -> Option<Finding> {
    let value = context.source.variable("binlog_row_metadata")?;
    let is_full = value.eq_ignore_ascii_case("FULL");
    // Seen on 8.0.15 and not on 9.7 (`binlog::align`).
    let hides = context.source.info.is_mysql_since(8, 0, 13) && !context.source.info.is_mysql_since(9, 0, 0);
    if !is_full && hides {
        let tables = context.plan.tables.iter().map(|table| &table.definition);
        let functional =
            tables.filter(|table| table.indexes.iter().flat_map(|index| &index.parts).any(|part| part.column.is_none()));
        let functional: Vec<String> = functional.map(|table| table.qualified()).collect();
        if !functional.is_empty() {
            return Some(Finding::warning(
                format!("binlog_row_metadata is {value}, and there are functional indexes: {}", some(&functional)),
                "MySQL 8.0 logs hidden columns of such indexes; without names it may not be told which they are, and a change of the table \
                 stops the task for good",
                format!(
                    "{} or ignore this item where these tables do not change",
                    context.source.set_variable("binlog_row_metadata", "FULL")
                ),
            ));
        }
    }
    let meaning = if is_full {
        "every event carries its columns' names"
    } else {
        "the log carries types only; names come from the definitions, which are tracked through the log"
    };
    Some(Finding::passed(format!("binlog_row_metadata is {}: {meaning}", if value.is_empty() { "empty" } else { value })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context, set};
    use godwit_api::Verdict;
    use godwit_model::definition::{Index, IndexPart};
    use godwit_model::server::ServerInfo;

    #[test]
    fn functional_indexes_of_mysql_80_want_names() {
        let parts = vec![IndexPart { column: None, prefix: None, nullable: true }];
        let index = Index { name: "f".into(), unique: false, kind: "BTREE".into(), parts };
        for (version, value, expected) in
            [("8.0.36", "MINIMAL", Verdict::Warning), ("8.0.36", "FULL", Verdict::Passed), ("9.7.4", "MINIMAL", Verdict::Passed)]
        {
            let mut context = context();
            context.source.info = ServerInfo::parse(version);
            set(&mut context.source, "binlog_row_metadata", value);
            change_table(&mut context, |table| table.indexes.push(index.clone()));
            assert_eq!(check(&context).unwrap().verdict, expected, "{version} {value}");
        }
    }

    #[test]
    fn passes_either_way_and_is_left_out_where_unknown() {
        let mut context = context();
        for value in ["FULL", "SOMETHING"] {
            set(&mut context.source, "binlog_row_metadata", value);
            assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        }
        context.source.variables.remove("binlog_row_metadata");
        assert_eq!(check(&context), None);
    }
}
