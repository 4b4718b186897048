//! Full-text indexes with a document id of the table's own.
//!
//! InnoDB numbers the rows of a full-text index. Where the table has a column FTS_DOC_ID, the application does, and InnoDB takes each new
//! id only if it is greater than all before (MySQL manual, "InnoDB Full-Text Indexes"; error 182 otherwise). Transactions that ran side by
//! side stand in the log in the order of their commits, not of their ids, so that the log cannot be followed.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use godwit_model::definition::TableDefinition;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let found: Vec<String> = context
        .plan
        .tables
        .iter()
        .filter(|table| numbers_its_documents(&table.definition))
        .map(|table| table.source.to_string())
        .collect();
    if found.is_empty() {
        return Some(Finding::passed("no full-text index with a column FTS_DOC_ID"));
    }
    Some(Finding::failed(
        format!("a full-text index and a column FTS_DOC_ID: {}", some(&found)),
        "InnoDB takes the ids of such a table in rising order only, and transactions commit in another order: a change would be refused \
         (error 182) each time it is tried",
        "drop the full-text index at the source until the migration has ended, leave the tables out with excludeTables, or copy them without \
         Incremental in spec.migrationTypes",
    ))
}

fn numbers_its_documents(definition: &TableDefinition) -> bool {
    // InnoDB knows the column by its name in capital letters; in others it refuses the table.
    definition.columns.iter().any(|column| column.name.eq_ignore_ascii_case("FTS_DOC_ID"))
        && definition.indexes.iter().any(|index| index.kind == "FULLTEXT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context};
    use godwit_api::Verdict;
    use godwit_model::definition::Index;

    #[test]
    fn both_together_are_refused() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| table.columns[1].name = "FTS_DOC_ID".into());
        assert_eq!(check(&context).unwrap().verdict, Verdict::Passed);
        change_table(&mut context, |table| {
            table.indexes.push(Index { name: "f".into(), unique: false, kind: "FULLTEXT".into(), parts: vec![] });
        });
        let found = check(&context).unwrap();
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("shop.orders"));
    }
}
