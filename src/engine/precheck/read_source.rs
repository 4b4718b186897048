//! What the source holds, as far as the selection reaches.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::context::SourceObjects;
use super::finding::quote_name;
use super::read_server::permitted;
use crate::engine::connection::ServerInfo;
use crate::engine::error::{Context, Result};
use crate::engine::plan::resolve::{Catalog, CatalogDatabase, CatalogView};
use crate::engine::plan::select::Selection;
use crate::engine::plan::{Plan, TableName};
use crate::engine::schema::edit::quote_string;
use crate::engine::schema::read::{ObjectKind, list_databases, list_tables, read_database, read_tables};

/// Reads the definitions of everything that is covered.
///
/// # Errors
/// Definite when a table has a column that cannot be carried.
pub async fn catalog(conn: &mut Conn, selection: &Selection) -> Result<Catalog> {
    let (mut catalog, wanted) = frame(conn, selection).await?;
    catalog.tables = read_tables(conn, &wanted).await?.into_iter().map(Arc::new).collect();
    Ok(catalog)
}

/// The same without tables, whose definitions a resumed task takes from its record.
///
/// # Errors
/// When the connection is lost.
pub async fn databases_and_views(conn: &mut Conn, selection: &Selection) -> Result<Catalog> {
    frame(conn, selection).await.map(|(catalog, _)| catalog)
}

/// Databases and views, and the names of the tables.
async fn frame(conn: &mut Conn, selection: &Selection) -> Result<(Catalog, Vec<TableName>)> {
    let mut catalog = Catalog::default();
    let mut wanted = Vec::new();
    for database in list_databases(conn).await? {
        if selection.database(&database).is_none() {
            continue;
        }
        let Some((character_set, collation)) = read_database(conn, &database).await? else { continue };
        for object in list_tables(conn, &database).await? {
            let covered = selection.covers(&database, &object.name).is_some();
            let name = TableName { database: database.clone(), table: object.name };
            match object.kind {
                ObjectKind::BaseTable | ObjectKind::SystemVersioned if covered => wanted.push(name),
                ObjectKind::View if covered => {
                    let create_statement = show_create_view(conn, &name).await?.unwrap_or_default();
                    catalog.views.push(CatalogView { name, create_statement });
                }
                _ => {}
            }
        }
        catalog.databases.push(CatalogDatabase { name: database, character_set, collation });
    }
    Ok((catalog, wanted))
}

/// None when the account may not see it, which the check of privileges says.
async fn show_create_view(conn: &mut Conn, name: &TableName) -> Result<Option<String>> {
    let rows = permitted::<Row>(conn, &format!("SHOW CREATE VIEW {}", quote_name(name))).await?;
    let row = rows.and_then(|rows| rows.into_iter().next());
    Ok(row.and_then(|mut row| row.take_opt::<String, _>(1)?.ok()))
}

/// Triggers of the selected databases; routines, events and sequences of those that are selected as a whole.
///
/// # Errors
/// When the connection is lost.
pub async fn objects(conn: &mut Conn, info: &ServerInfo, plan: &Plan) -> Result<SourceObjects> {
    let mut found = SourceObjects::default();
    for database in &plan.databases {
        let name = quote_string(&database.source);
        let triggers: Vec<(String, String)> = conn
            .query(format!(
                "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {name} ORDER BY TRIGGER_NAME"
            ))
            .await
            .context("reading triggers")?;
        found.triggers.extend(
            triggers.into_iter().map(|(table, trigger)| (TableName { database: database.source.clone(), table }, trigger)),
        );
        if !database.whole {
            continue;
        }
        let qualified =
            |names: Vec<String>| names.into_iter().map(|object| format!("{}.{object}", database.source)).collect::<Vec<_>>();
        let routines: Vec<String> = conn
            .query(format!(
                "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {name} ORDER BY ROUTINE_NAME"
            ))
            .await
            .context("reading routines")?;
        found.routines.extend(qualified(routines));
        let events: Vec<String> = conn
            .query(format!("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {name} ORDER BY EVENT_NAME"))
            .await
            .context("reading events")?;
        found.events.extend(qualified(events));
        if info.is_mariadb() {
            let listed = list_tables(conn, &database.source).await?;
            let sequences = listed.into_iter().filter(|object| object.kind == ObjectKind::Sequence).map(|object| object.name);
            found.sequences.extend(qualified(sequences.collect()));
        }
    }
    Ok(found)
}
