//! Whether the destination has the tables, columns, indexes, foreign keys and views that were meant.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::Conn;
use tokio_util::sync::CancellationToken;

use super::session::{Patience, Session};
use crate::api::verification::SchemaDifference;
use crate::engine::connection::{Connector, Role};
use crate::engine::error::Result;
use crate::engine::plan::{Plan, TableName, TablePlan};
use crate::engine::schema::compare::differences;
use crate::engine::schema::definition::{Index, TableDefinition};
use crate::engine::schema::names::{NameMap, PlanNames};
use crate::engine::schema::read::{ObjectKind, list_tables, read_tables};

/// Tables whose definitions are held at once.
const BATCH: usize = 200;

/// Compares the definitions of all tables and looks for all views.
///
/// # Errors
/// A server that stays away; a destination column of a type that is not known.
pub async fn compare(
    plan: &Plan,
    destination: &Connector,
    retry: std::time::Duration,
    cancel: &CancellationToken,
) -> Result<Vec<SchemaDifference>> {
    let names = PlanNames::new(plan);
    let mut session = Session::new(destination, Role::Metadata);
    let mut found = Vec::new();
    for tables in plan.tables.chunks(BATCH) {
        let mut patience = Patience::new(retry);
        loop {
            match compare_batch(&mut session, tables, &names).await {
                Ok(batch) => break found.extend(batch),
                Err(error) => {
                    session.reset();
                    patience.wait(error.context("comparing definitions"), cancel).await?;
                }
            }
        }
    }
    let mut patience = Patience::new(retry);
    loop {
        match missing_views(&mut session, plan).await {
            Ok(missing) => break found.extend(missing),
            Err(error) => {
                session.reset();
                patience.wait(error.context("looking for views"), cancel).await?;
            }
        }
    }
    session.close().await;
    Ok(found)
}

async fn compare_batch(session: &mut Session, tables: &[Arc<TablePlan>], names: &PlanNames) -> Result<Vec<SchemaDifference>> {
    let conn: &mut Conn = session.get().await?;
    let wanted: Vec<TableName> = tables.iter().map(|table| table.destination.clone()).collect();
    let definitions = read_tables(conn, &wanted).await?;
    let by_name: HashMap<(&str, &str), &TableDefinition> =
        definitions.iter().map(|definition| ((definition.database.as_str(), definition.table.as_str()), definition)).collect();
    let mut found = Vec::new();
    for table in tables {
        let name = &table.destination;
        match by_name.get(&(name.database.as_str(), name.table.as_str())) {
            None => found.push(absent(format!("table {name}"))),
            Some(definition) => found.extend(compare_table(table, definition, names)),
        }
    }
    Ok(found)
}

fn absent(object: String) -> SchemaDifference {
    SchemaDifference { object, what: "the object itself".into(), source: Some("present".into()), destination: None }
}

fn compare_table(table: &TablePlan, destination: &TableDefinition, names: &dyn NameMap) -> Vec<SchemaDifference> {
    let object = format!("table {}", table.destination);
    let sentences = differences(&table.definition, destination, names, true);
    let difference = |sentence: String| explain(object.clone(), sentence, &table.definition, destination);
    sentences.into_iter().map(difference).collect()
}

/// A sentence of the comparison, taken apart into what each side has.
fn explain(object: String, sentence: String, source: &TableDefinition, destination: &TableDefinition) -> SchemaDifference {
    let present = || Some("present".to_owned());
    let other =
        |what: &str, source, destination| SchemaDifference { object: object.clone(), what: what.into(), source, destination };
    if let Some((what, values)) = sentence.split_once(" is ") {
        if values == "missing" {
            return other(what, present(), None);
        }
        if values == "not expected" {
            return other(what, None, present());
        }
        if let Some(name) = what.strip_prefix("index ") {
            return other(what, index_text(source, name), index_text(destination, name));
        }
        if let Some((has, should)) = values.rsplit_once(", not ") {
            return other(what, Some(should.into()), Some(has.into()));
        }
    }
    other(&sentence, present(), present())
}

fn index_text(definition: &TableDefinition, name: &str) -> Option<String> {
    let index: &Index = definition.indexes.iter().find(|index| index.name.eq_ignore_ascii_case(name))?;
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let column = part.column.as_deref().unwrap_or("(expression)");
            part.prefix.map_or_else(|| column.to_owned(), |length| format!("{column}({length})"))
        })
        .collect();
    let unique = if index.unique { "UNIQUE " } else { "" };
    Some(format!("{unique}{} ({})", index.kind, parts.join(",")))
}

async fn missing_views(session: &mut Session, plan: &Plan) -> Result<Vec<SchemaDifference>> {
    let mut listed: HashMap<&str, Vec<String>> = HashMap::new();
    let mut found = Vec::new();
    for view in &plan.views {
        let name = &view.destination;
        if !listed.contains_key(name.database.as_str()) {
            let tables = list_tables(session.get().await?, &name.database).await?;
            let views = tables.into_iter().filter(|table| table.kind == ObjectKind::View).map(|table| table.name).collect();
            listed.insert(&name.database, views);
        }
        if !listed.get(name.database.as_str()).is_some_and(|views| views.contains(&name.table)) {
            found.push(absent(format!("view {name}")));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> TableDefinition {
        TableDefinition {
            database: "d".into(),
            table: "t".into(),
            engine: "InnoDB".into(),
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            create_statement: String::new(),
            estimated_rows: 0,
            average_row_bytes: 0,
            unread: Vec::new(),
        }
    }

    #[test]
    fn sentences_are_taken_apart() {
        let explained = |sentence: &str| {
            let found = explain("table d.t".into(), sentence.into(), &empty(), &empty());
            (found.what, found.source, found.destination)
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(explained("column a: type is int, not bigint"), ("column a: type".into(), text("bigint"), text("int")));
        assert_eq!(explained("column a is missing"), ("column a".into(), text("present"), None));
        assert_eq!(explained("column a is not expected"), ("column a".into(), None, text("present")));
        assert_eq!(
            explained("the columns stand in another order"),
            ("the columns stand in another order".into(), text("present"), text("present"))
        );
    }
}
