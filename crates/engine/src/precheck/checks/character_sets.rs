//! The destination has every collation that the definitions name.

use std::collections::BTreeMap;

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, count, some};
use crate::schema::collation::destination_collation;

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.schema() {
        return None;
    }
    // Collation -> the first place that names it.
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for database in &context.plan.databases {
        used.entry(database.collation.clone()).or_insert_with(|| format!("database {}", database.source));
    }
    for table in &context.plan.tables {
        if let Some(collation) = table_collation(&table.definition.create_statement) {
            used.entry(collation).or_insert_with(|| table.source.to_string());
        }
        for column in &table.columns {
            if let Some(collation) = &column.column.collation {
                used.entry(collation.clone()).or_insert_with(|| format!("{}.{}", table.source, column.column.name));
            }
        }
    }
    used.remove("");
    let missing: Vec<String> = used
        .iter()
        .filter(|(collation, _)| !is_there(context, collation))
        .map(|(collation, place)| format!("{collation} (first in {place})"))
        .collect();
    if missing.is_empty() {
        return Some(Finding::passed(format!("the destination has what is used: {}", count(used.len(), "collation"))));
    }
    Some(Finding::failed(
        format!("the destination lacks {}", some(&missing)),
        "a table with such a collation cannot be created there, and another one compares and sorts differently",
        "change the collation at the source (ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;), use a destination \
         that has it, or create the tables by hand and leave Schema out of spec.migrationTypes",
    ))
}

/// As it is, or in the words of the destination, into which definitions are put.
fn is_there(context: &Context, collation: &str) -> bool {
    let known = |name: &String| context.destination.collations.contains(name);
    let translated = destination_collation(collation, &context.destination.info).ok();
    spellings(collation).iter().chain(&translated).any(known)
}

/// `COLLATE=` of the table's options, which stand after the last parenthesis of the columns.
fn table_collation(create: &str) -> Option<String> {
    let options = create.rsplit_once("\n)").map(|(_, options)| options)?;
    let after = options.split_once("COLLATE=")?.1;
    Some(after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
}

/// `utf8_general_ci` is called `utf8mb3_general_ci` since 8.0.30 and in MariaDB.
fn spellings(collation: &str) -> Vec<String> {
    let mut names = vec![collation.to_owned()];
    if let Some(rest) = collation.strip_prefix("utf8mb3_") {
        names.push(format!("utf8_{rest}"));
    } else if let Some(rest) = collation.strip_prefix("utf8_") {
        names.push(format!("utf8mb3_{rest}"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context};
    use godwit_api::Verdict;

    #[test]
    fn every_collation_must_exist() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| {
            table.create_statement = "CREATE TABLE `t` (\n `a` int\n) ENGINE=InnoDB COLLATE=nice_ci COMMENT='x'".into()
        });
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("nice_ci (first in shop.orders)"), "{}", found.seen);
        context.destination.collations.insert("nice_ci".into());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }

    #[test]
    fn utf8_has_two_names() {
        let mut context = context();
        context.plan.databases[0].collation = "utf8_general_ci".into();
        context.destination.collations.insert("utf8mb3_general_ci".into());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
    }
}
