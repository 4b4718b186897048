//! What the source holds, as far as the selection reaches.

use std::sync::Arc;

use mysql_async::Conn;

use super::context::SourceObjects;
use crate::change::cascade::Cascades;
use crate::logged::{Statement, classify};
use crate::plan::Plan;
use crate::plan::resolve::{Catalog, CatalogDatabase, CatalogView};
use crate::plan::select::Selection;
use crate::schema::program::read::read_programs;
use crate::schema::read::{ObjectKind, list_databases, list_tables, read_database, read_tables};
use crate::schema::read_views::read_views;
use crate::schema::view_session::ViewSession;
use crate::sql;
use crate::sql::lexer::LexMode;
use crate::sql::{Queries, Quoted};
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Reads the definitions of everything that is covered.
///
/// # Errors
/// Definite when a table has a column that cannot be carried.
pub async fn catalog(conn: &mut Conn, selection: &Selection) -> Result<Catalog> {
    let mut catalog = databases_and_views(conn, selection).await?;
    let mut wanted = Vec::new();
    for database in &catalog.databases {
        for object in list_tables(conn, &database.name).await? {
            let is_table = matches!(object.kind, ObjectKind::BaseTable | ObjectKind::SystemVersioned);
            if is_table && selection.covers(&database.name, &object.name).is_some() {
                wanted.push(TableName { database: database.name.clone(), table: object.name });
            }
        }
    }
    catalog.tables = read_tables(conn, &wanted).await?.into_iter().map(Arc::new).collect();
    Ok(catalog)
}

/// A catalog of recorded definitions. Databases that are gone at the source are part of it nevertheless.
///
/// # Errors
/// From the server.
pub async fn recorded_catalog(conn: &mut Conn, selection: &Selection, tables: Vec<Arc<TableDefinition>>) -> Result<Catalog> {
    let mut catalog = databases_and_views(conn, selection).await?;
    let recorded = tables.iter().map(|table| table.database.as_str());
    let named = selection.exact_databases().map(|(_, name)| name);
    for name in recorded.chain(named) {
        if !catalog.databases.iter().any(|database| database.name == name) {
            catalog.databases.push(CatalogDatabase {
                name: name.to_owned(),
                character_set: String::new(),
                collation: String::new(),
            });
        }
    }
    catalog.tables = tables;
    Ok(catalog)
}

/// A view of which only the name is known.
fn unshown(name: TableName) -> CatalogView {
    CatalogView { name, create_statement: String::new(), session: ViewSession::default() }
}

/// Databases, with the views and programs of those that are covered as a whole.
async fn databases_and_views(conn: &mut Conn, selection: &Selection) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    for database in list_databases(conn).await? {
        let Some(found) = selection.database(&database) else { continue };
        let Some((character_set, collation)) = read_database(conn, &database).await? else { continue };
        if found.whole {
            // What cannot be shown is part of the plan without a text; the check of views says why.
            let (views, failures) = read_views(conn, &database).await?;
            for failure in &failures {
                tracing::warn!(view = %failure.object, error = %failure.error, "the view's definition cannot be read");
            }
            let failed = failures.into_iter().map(|failure| unshown(failure.object));
            let shown = views.into_iter().map(|view| CatalogView {
                name: view.name,
                create_statement: view.create_statement,
                session: view.session,
            });
            let covered = |view: &CatalogView| selection.covers(&view.name.database, &view.name.table).is_some();
            catalog.views.extend(shown.chain(failed).filter(covered));
            catalog.programs.extend(read_programs(conn, &database).await?);
        } else {
            // Their names only: to say that a name in the manifest is a view.
            let views = list_tables(conn, &database).await?.into_iter().filter(|object| object.kind == ObjectKind::View);
            let name = |table: String| TableName { database: database.clone(), table };
            catalog.views.extend(views.map(|view| unshown(name(view.name))));
        }
        catalog.databases.push(CatalogDatabase { name: database, character_set, collation });
    }
    Ok(catalog)
}

/// Triggers of the selected databases; routines, events and sequences of those that are selected as a whole.
///
/// # Errors
/// When the connection is lost.
pub async fn objects(conn: &mut Conn, info: &ServerInfo, plan: &Plan) -> Result<SourceObjects> {
    let mut found = SourceObjects { merges: merges(conn, plan).await?, ..SourceObjects::default() };
    for database in &plan.databases {
        let name = Quoted(&database.source);
        let triggers: Vec<(String, String)> = conn
            .query(sql!("SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} ORDER BY TRIGGER_NAME", name))
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
            .query(sql!(
                "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {} ORDER BY ROUTINE_NAME",
                name
            ))
            .await
            .context("reading routines")?;
        found.routines.extend(qualified(routines));
        let events: Vec<String> = conn
            .query(sql!("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {} ORDER BY EVENT_NAME", name))
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

/// Parents that are not migrated and that a foreign key of their own changes: what that does to migrated children stands in no event, not
/// even in one of the parent. A table that refers to itself is told by the event of the row that began.
///
/// # Errors
/// When the connection is lost.
pub async fn unseen_parents(conn: &mut Conn, cascades: &Cascades) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for stranger in cascades.strangers() {
        let Some(name) = &stranger.name else { continue };
        let keys: Vec<(String, String, String, String, String)> = conn
            .query(sql!(
                "SELECT CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE \
                 FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = {} AND TABLE_NAME = {} ORDER BY CONSTRAINT_NAME",
                Quoted(&name.database),
                Quoted(&name.table)
            ))
            .await
            .context(format_args!("reading the foreign keys of {name}"))?;
        for (key, database, table, on_delete, on_update) in keys {
            let upper = TableName { database, table };
            let takes_rows = on_delete == "CASCADE" && stranger.on_delete;
            let changes_rows = (on_delete == "SET NULL" || matches!(&*on_update, "CASCADE" | "SET NULL")) && stranger.on_update;
            if upper != *name && (takes_rows || changes_rows) {
                let children = stranger.keys.join(", ");
                found.push(format!("{children} (through {name}, which is not migrated, by its foreign key {key} to {upper})"));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// MERGE tables over migrated ones; only MyISAM tables have any.
async fn merges(conn: &mut Conn, plan: &Plan) -> Result<Vec<(TableName, Vec<TableName>)>> {
    let is_migrated = |name: &TableName| plan.tables.iter().any(|table| table.source == *name);
    if !plan.tables.iter().any(|table| table.definition.engine.eq_ignore_ascii_case("MyISAM")) {
        return Ok(Vec::new());
    }
    let statement = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE ENGINE = 'MRG_MYISAM'";
    let all: Vec<(String, String)> = conn.query(statement).await.context("reading MERGE tables")?;
    let mut found = Vec::new();
    for (database, table) in all {
        let merge = TableName { database, table };
        if is_migrated(&merge) {
            continue;
        }
        let shown: Option<(String, String)> = conn
            .query_first(sql!("SHOW CREATE TABLE {}", merge))
            .await
            .context(format_args!("reading what the MERGE table {merge} consists of"))?;
        let text = shown.map(|(_, text)| text).unwrap_or_default();
        if let Statement::Ddl(ddl) = classify(text.as_bytes(), &merge.database, &LexMode::default()) {
            let below: Vec<TableName> = ddl.merged.into_iter().filter(is_migrated).collect();
            if !below.is_empty() {
                found.push((merge, below));
            }
        }
    }
    Ok(found)
}
