//! What becomes of the types inside JSON documents that their text does not tell (`value::json_types`).

use crate::precheck::context::Context;
use crate::precheck::finding::{Finding, some};
use crate::value::json_types::JsonServer;
use godwit_model::definition::Kind;

pub(super) fn check(context: &Context) -> Option<Finding> {
    let with_documents =
        context.plan.tables.iter().filter(|table| table.columns.iter().any(|column| column.column.kind == Kind::Json));
    let found: Vec<String> = with_documents.map(|table| table.source.to_string()).collect();
    if found.is_empty() {
        return Some(Finding::passed("no JSON columns"));
    }
    let (source, destination) = (JsonServer::of(&context.source.info), JsonServer::of(&context.destination.info));
    if destination == JsonServer::Text {
        return Some(Finding::passed(format!(
            "MariaDB keeps documents as text: numbers that were DECIMAL, dates, times and bytes inside them are JSON numbers and strings \
             there, and are compared as such: {}",
            some(&found)
        )));
    }
    let refused = &context.source_objects.refused_documents;
    if !refused.is_empty() {
        return Some(Finding::failed(
            format!("documents hold values that the destination cannot be given: {}", some(refused)),
            "the copy would stop at the first such row",
            "change these values at the source, or leave the columns out",
        ));
    }
    let mut seen = format!("documents arrive with the types inside them: {}", some(&found));
    if destination != JsonServer::MySql8021 {
        seen.push_str(
            "; the destination has no expression for a TIMESTAMP, a BIT or a BINARY(n) inside a document (MySQL 8.0.21 has): a row with one \
             stops the task",
        );
    }
    if matches!(source, JsonServer::MySql57 { .. }) {
        seen.push_str(
            "; of a MySQL 5.7 source integers below 2^32 become INTEGER and others UNSIGNED INTEGER, as a parser reads them, and documents with \
             fractions or dates at places where the first and the last documents of their table have none are slow to read",
        );
    }
    Some(Finding::passed(seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precheck::fixture::{change_plan, context};
    use godwit_api::Verdict;
    use godwit_model::server::ServerInfo;

    #[test]
    fn what_gets_lost_is_said() {
        let mut context = context();
        assert_eq!(check(&context).unwrap().seen, "no JSON columns");
        change_plan(&mut context, |table| table.columns[1].column.kind = Kind::Json);
        context.source_objects.refused_documents = vec!["shop.orders column j: a TIMESTAMP".into()];
        (context.source.info, context.destination.info) = (ServerInfo::parse("8.0.36"), ServerInfo::parse("8.0.15"));
        let found = check(&context).unwrap();
        assert!(found.verdict == Verdict::Failed && found.seen.contains("shop.orders column j"), "{}", found.seen);
        context.source_objects.refused_documents.clear();
        for (source, destination, verdict, sentence) in [
            ("8.0.36", "9.7.4", Verdict::Passed, "with the types inside them: shop.orders"),
            ("5.7.22", "8.0.15", Verdict::Passed, "stops the task; of a MySQL 5.7 source"),
            ("8.0.36", "11.4.5-MariaDB", Verdict::Passed, "JSON numbers and strings there"),
        ] {
            (context.source.info, context.destination.info) = (ServerInfo::parse(source), ServerInfo::parse(destination));
            let found = check(&context).unwrap();
            assert_eq!(found.verdict, verdict);
            assert!(found.seen.contains(sentence), "{}", found.seen);
        }
    }
}
