//! Keys of text that the destination compares by another collation than the source.
//!
//! Two values that differ at the source may be one key there. Which rows hold such values, only the rows tell, so it is not refused
//! beforehand: keys are compared by their bytes when they are written, and the second of two such rows stops the task.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use crate::schema::collation::destination_collation;
use godwit_api::ConflictPolicy;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let mut found = Vec::new();
    for table in &context.plan.tables {
        let unique = table.definition.indexes.iter().filter(|index| index.unique).flat_map(|index| &index.parts);
        let in_unique: Vec<&str> = unique.filter_map(|part| part.column.as_deref()).collect();
        for column in table.columns.iter().map(|column| &column.column) {
            let Some(own) = column.collation.as_deref().filter(|_| in_unique.contains(&column.name.as_str())) else { continue };
            let Ok(there) = destination_collation(own, &context.destination.info) else { continue };
            // All of these compare code points.
            if own != there && !own.ends_with("_bin") {
                found.push(format!("{}.{} ({own} becomes {there})", table.source, column.name));
            }
        }
    }
    if !found.is_empty() && context.spec.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed {
        return Some(Finding::warning(
            format!("unique text that the destination compares by other rules: {}", some(&found)),
            "conflictPolicy IgnoreErrorsAndProceed passes over a row whose key is there already; of two rows whose keys are one for the \
             destination alone (აბ and ᲐᲑ, say) the second would be missing",
            "give the columns utf8mb4_0900_bin or utf8mb4_bin at the source, set conflictPolicy to PrecheckAndReportErrors, or ignore this \
             where no such keys exist",
        ));
    }
    Some(Finding::passed(if found.is_empty() {
        "keys and unique indexes compare text at the destination as at the source".to_owned()
    } else {
        format!(
            "unique text that the destination compares by other rules: {}. Where it takes two values for one that the source tells apart (აბ \
             and ᲐᲑ, say), the task stops at the second row; utf8mb4_0900_bin or utf8mb4_bin at the source avoids it",
            some(&found)
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, change_table, context};
    use godwit_api::Verdict;
    use godwit_model::definition::{Index, IndexPart, Kind};
    use godwit_model::server::ServerInfo;

    #[test]
    fn other_rules_are_told() {
        let mut context = context();
        change_table(&mut context, |table| {
            let part = IndexPart { column: Some(table.columns[1].name.clone()), prefix: None, nullable: false };
            table.indexes.push(Index { name: "u".into(), unique: true, kind: "BTREE".into(), parts: vec![part] });
        });
        for (collation, destination, told) in [
            ("utf8mb4_0900_ai_ci", "8.4.0", false),
            ("utf8mb4_0900_ai_ci", "11.4.5-MariaDB", true),
            ("utf8mb4_0900_bin", "11.4.5-MariaDB", false),
            ("utf8mb4_general_ci", "11.4.5-MariaDB", false),
        ] {
            context.destination.info = ServerInfo::parse(destination);
            change_plan(&mut context, |table| {
                table.columns[1].column.kind = Kind::Varchar;
                table.columns[1].column.collation = Some(collation.into());
            });
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, Verdict::Passed);
            assert_eq!(found.seen.contains("shop.orders"), told, "{collation} {destination}: {}", found.seen);
            context.spec.conflict_policy = ConflictPolicy::IgnoreErrorsAndProceed;
            assert_eq!(check(&context).unwrap().verdict, if told { Verdict::Warning } else { Verdict::Passed });
            context.spec.conflict_policy = ConflictPolicy::PrecheckAndReportErrors;
        }
    }
}
