//! Whether the destination has the tables, columns, indexes, foreign keys and views that were meant, and says in them what was meant.

use std::collections::HashMap;
use std::sync::Arc;

use mysql_async::Conn;
use tokio_util::sync::CancellationToken;

use super::programs;
use super::session::{Patience, Session};
use crate::connection::{Connector, Role, server_info};
use crate::plan::names::PlanNames;
use crate::plan::{Plan, TablePlan, ViewPlan};
use crate::schema::compare::{differences, normal_collation};
use crate::schema::compare_texts::{TextDifference, same_view, text_differences};
use crate::schema::names::NameMap;
use crate::schema::read::read_tables;
use crate::schema::read_views::{ViewDefinition, read_views};
use crate::schema::view::{Definer, rewrite_view};
use crate::schema::view_session::ViewSession;
use godwit_api::verification::SchemaDifference;
use godwit_model::definition::{Index, TableDefinition};
use godwit_model::error::Result;
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Tables whose definitions are held at once.
const BATCH: usize = 200;

/// Compares the definitions of all tables and looks for all views.
///
/// # Errors
/// A server that stays away; a destination column of a type that is not known.
pub(super) async fn compare(
    plan: &Plan,
    source: &Connector,
    destination: &Connector,
    retry: std::time::Duration,
    cancel: &CancellationToken,
) -> Result<Vec<SchemaDifference>> {
    let names = PlanNames::new(plan);
    let source_info = info(source, retry, cancel).await?;
    let mut session = Session::new(destination, Role::Metadata);
    let mut found = Vec::new();
    for tables in plan.tables.chunks(BATCH) {
        let mut patience = Patience::new(retry);
        loop {
            match compare_batch(&mut session, tables, &names, &source_info).await {
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
        match compare_views(&mut session, plan, &names, &source_info).await {
            Ok(views) => break found.extend(views),
            Err(error) => {
                session.reset();
                patience.wait(error.context("comparing views"), cancel).await?;
            }
        }
    }
    let mut patience = Patience::new(retry);
    loop {
        match programs::compare(&mut session, plan, &source_info).await {
            Ok(programs) => break found.extend(programs),
            Err(error) => {
                session.reset();
                patience.wait(error.context("comparing stored programs"), cancel).await?;
            }
        }
    }
    session.close().await;
    Ok(found)
}

/// What the source's server is.
async fn info(source: &Connector, retry: std::time::Duration, cancel: &CancellationToken) -> Result<ServerInfo> {
    let mut session = Session::new(source, Role::Metadata);
    let mut patience = Patience::new(retry);
    loop {
        let asked = async { server_info(session.get().await?).await };
        match asked.await {
            Ok(info) => {
                session.close().await;
                return Ok(info);
            }
            Err(error) => {
                session.reset();
                patience.wait(error.context("asking the source for its version"), cancel).await?;
            }
        }
    }
}

async fn compare_batch(
    session: &mut Session,
    tables: &[Arc<TablePlan>],
    names: &PlanNames,
    source_info: &ServerInfo,
) -> Result<Vec<SchemaDifference>> {
    let conn: &mut Conn = session.get().await?;
    let destination_info = server_info(conn).await?;
    let wanted: Vec<TableName> = tables.iter().map(|table| table.destination.clone()).collect();
    let definitions = read_tables(conn, &wanted).await?;
    let by_name: HashMap<(&str, &str), &TableDefinition> =
        definitions.iter().map(|definition| ((definition.database.as_str(), definition.table.as_str()), definition)).collect();
    let mut found = Vec::new();
    for table in tables {
        let name = &table.destination;
        match by_name.get(&(name.database.as_str(), name.table.as_str())) {
            None => found.push(absent(format!("table {name}"))),
            Some(definition) => {
                found.extend(compare_table(table, definition, names));
                let texts = text_differences(&table.definition, source_info, definition, &destination_info, names);
                let object = format!("table {name}");
                found.extend(texts.into_iter().map(|TextDifference { what, source, destination }| SchemaDifference {
                    object: object.clone(),
                    what,
                    source,
                    destination,
                }));
            }
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

/// Views that are missing, say something else, or say it in another session.
async fn compare_views(
    session: &mut Session,
    plan: &Plan,
    names: &PlanNames,
    source_info: &ServerInfo,
) -> Result<Vec<SchemaDifference>> {
    let mut found = Vec::new();
    let mut databases: Vec<&str> = plan.views.iter().map(|view| view.destination.database.as_str()).collect();
    databases.sort_unstable();
    databases.dedup();
    for database in databases {
        let conn = session.get().await?;
        let destination_info = server_info(conn).await?;
        let (shown, failures) = read_views(conn, database).await?;
        for view in plan.views.iter().filter(|view| view.destination.database == database) {
            let object = format!("view {}", view.destination);
            let broken = failures.iter().find(|failure| failure.object == view.destination);
            match (shown.iter().find(|own| own.name == view.destination), broken) {
                (Some(own), _) => found.extend(compare_view(object, view, own, names, source_info, &destination_info)),
                (None, Some(failure)) => found.push(SchemaDifference {
                    object,
                    what: "the definition cannot be read".into(),
                    source: Some(view.create_statement.clone()),
                    destination: Some(failure.error.clone()),
                }),
                (None, None) => found.push(absent(object)),
            }
        }
    }
    Ok(found)
}

fn compare_view(
    object: String,
    view: &ViewPlan,
    own: &ViewDefinition,
    names: &PlanNames,
    source_info: &ServerInfo,
    destination_info: &ServerInfo,
) -> Vec<SchemaDifference> {
    let difference = |what: &str, source: String, destination: String| SchemaDifference {
        object: object.clone(),
        what: what.into(),
        source: Some(source),
        destination: Some(destination),
    };
    // What the source cannot show, or reads what is not selected, was made at the destination by hand.
    let Ok(expected) = rewrite_view(&view.create_statement, &view.source, names, Definer::Keep) else { return Vec::new() };
    let mut found = Vec::new();
    if !same_view(&expected, source_info, &own.create_statement, destination_info) {
        found.push(difference("text", expected, own.create_statement.clone()));
    }
    let Ok(session) = view.session.at(destination_info) else { return found };
    let ViewSession { character_set_client, collation_connection } = &own.session;
    if session.character_set_client != *character_set_client {
        found.push(difference("character_set_client", session.character_set_client, character_set_client.clone()));
    }
    if normal_collation(&session.collation_connection) != normal_collation(collation_connection) {
        found.push(difference("collation_connection", session.collation_connection, collation_connection.clone()));
    }
    found
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
