//! MariaDB's system-versioned tables: their history cannot be carried, and their log has period columns of its own.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use crate::sql::lexer::{LexMode, tokens};

pub(super) fn check(context: &Context) -> Option<Finding> {
    if !context.source.info.is_mariadb() {
        return None;
    }
    let tables = context.plan.tables.iter().filter(|table| is_versioned(&table.definition.create_statement));
    let found: Vec<String> = tables.map(|table| table.source.to_string()).collect();
    if found.is_empty() {
        return Some(Finding::passed("no system-versioned tables"));
    }
    Some(Finding::failed(
        format!("system-versioned: {}", some(&found)),
        "no session can write the rows that a system-versioned table keeps of the past with their own times, and the log has columns for \
         the times that a SELECT does not show",
        "leave the tables out with excludeTables, or ALTER TABLE … DROP SYSTEM VERSIONING; at the source, which forgets the past",
    ))
}

/// Whether `WITH SYSTEM VERSIONING` stands among the words of a CREATE TABLE, not in a name or a comment.
fn is_versioned(create: &str) -> bool {
    let sql = create.as_bytes();
    let words = tokens(sql, &LexMode::default());
    let is = |place: usize, word: &str| words.get(place).is_some_and(|token| token.is_word(sql, word));
    (0..words.len()).any(|place| is(place, "WITH") && is(place + 1, "SYSTEM") && is(place + 2, "VERSIONING"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::precheck::fixture::{change_plan, context};
    use godwit_api::Verdict;
    use godwit_model::definition::TableDefinition;
    use godwit_model::server::ServerInfo;

    #[test]
    fn versioned_tables_are_refused_by_name() {
        let mut context = context();
        assert!(check(&context).is_none());
        context.source.info = ServerInfo::parse("11.4.5-MariaDB");
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_plan(&mut context, |table| {
            let create_statement = "CREATE TABLE `orders` (`id` int NOT NULL) ENGINE=InnoDB WITH SYSTEM VERSIONING".into();
            table.definition = Arc::new(TableDefinition { create_statement, ..TableDefinition::clone(&table.definition) });
        });
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.orders"));
    }

    #[test]
    fn words_count_not_names() {
        assert!(is_versioned("CREATE TABLE `t` (`a` int) WITH SYSTEM VERSIONING\n PARTITION BY SYSTEM_TIME"));
        assert!(!is_versioned("CREATE TABLE `WITH SYSTEM VERSIONING` (`a` int COMMENT 'WITH SYSTEM VERSIONING')"));
        assert!(!is_versioned("CREATE TABLE `t` (`a` int) /* WITH SYSTEM VERSIONING */"));
    }
}
