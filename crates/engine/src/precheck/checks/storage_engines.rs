//! Storage engines that hold rows of their own, and keep them consistently.

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use godwit_api::TableEngine;

/// Their rows lie elsewhere, in other tables, or nowhere.
const REFUSED: [&str; 9] = ["blackhole", "federated", "mrg_myisam", "mrgsort", "connect", "spider", "sequence", "s3", "example"];
/// Transactions, and with them consistent snapshots.
const TRANSACTIONAL: [&str; 6] = ["innodb", "xengine", "rocksdb", "tokudb", "ndbcluster", "ndb"];

pub(super) fn check(context: &Context) -> Option<Finding> {
    let as_source = context.spec.destination.mysql.as_ref().is_some_and(|mysql| mysql.table_engine == TableEngine::AsSource);
    let (mut refused, mut missing, mut shaky) = (Vec::new(), Vec::new(), Vec::new());
    for table in &context.plan.tables {
        let engine = table.definition.engine.to_lowercase();
        let named = format!("{} ({})", table.source, table.definition.engine);
        if REFUSED.contains(&engine.as_str()) {
            refused.push(named);
        } else if as_source && context.schema() && !context.destination.engines.contains(&engine) {
            missing.push(named);
        } else if !TRANSACTIONAL.contains(&engine.as_str()) {
            shaky.push(named);
        }
    }
    if !refused.is_empty() {
        return Some(Finding::failed(
            some(&refused),
            "these tables hold no rows of their own: reading them reads nothing, another server or other tables, and the log has changes of \
             rows that are not there (BLACKHOLE), or has them under other names",
            "leave them out with excludeTables, and create them at the destination by hand",
        ));
    }
    let enforced = context.destination.variable("enforce_storage_engine").unwrap_or_default();
    if !enforced.is_empty() && !enforced.eq_ignore_ascii_case("InnoDB") {
        return Some(Finding::failed(
            format!("enforce_storage_engine is {enforced} at the destination"),
            "the task's records need transactions, and the tables are created with an engine of their own choice; the server would refuse both",
            "SET GLOBAL enforce_storage_engine = NULL; at the destination until the task is done",
        ));
    }
    if !missing.is_empty() {
        return Some(Finding::failed(
            format!("the destination lacks the storage engine of {}", some(&missing)),
            "with tableEngine: AsSource the tables are created with the source's engine",
            "set spec.destination.mysql.tableEngine: InnoDB",
        ));
    }
    if !shaky.is_empty() {
        return Some(Finding::warning(
            format!("not transactional: {}", some(&shaky)),
            if as_source {
                "rows and position cannot be committed together in such a table: after a crash of the task or the destination changes may be \
                 applied twice or be lost there"
            } else {
                "such a table becomes InnoDB at the destination; at the source its changes are not part of transactions, so that a row may be \
                 logged later than it can be read. FULLTEXT and AUTO_INCREMENT behave a little differently"
            },
            "ALTER TABLE … ENGINE = InnoDB; at the source (and tableEngine: InnoDB in the task), or ignore this item",
        ));
    }
    Some(Finding::passed("every table's engine is transactional"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_table, context};
    use godwit_api::Verdict;

    #[test]
    fn an_engine_that_the_destination_enforces() {
        let mut context = context();
        for (enforced, expected) in [("", Verdict::Passed), ("innodb", Verdict::Passed), ("MyISAM", Verdict::Failed)] {
            context.destination.variables.insert("enforce_storage_engine".into(), enforced.into());
            assert_eq!(check(&context).unwrap().verdict, expected, "{enforced}");
        }
    }

    #[test]
    fn engines() {
        for (engine, as_source, expected) in [
            ("InnoDB", false, Verdict::Passed),
            ("InnoDB", true, Verdict::Passed),
            ("MyISAM", false, Verdict::Warning),
            ("Aria", true, Verdict::Failed),
            ("FEDERATED", false, Verdict::Failed),
            ("BLACKHOLE", false, Verdict::Failed),
            ("MRG_MYISAM", false, Verdict::Failed),
        ] {
            let mut context = context();
            if as_source {
                context.spec.destination.mysql.get_or_insert_default().table_engine = TableEngine::AsSource;
            }
            change_table(&mut context, |table| table.engine = engine.into());
            assert_eq!(check(&context).unwrap().verdict, expected, "{engine}");
        }
    }
}
