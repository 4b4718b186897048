//! What stands at the destination under the names that the task will use.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use mysql_async::Conn;

use super::context::{Constraint, ExistingColumn, ExistingTable};
use super::finding::some;
use super::fit::misfits;
use super::read_server::permitted;
use crate::destination::mysql::records::ownership;
use crate::plan::Plan;
use crate::plan::mapping::NameRules;
use crate::plan::statements::Statements;
use crate::schema::column_type::parse_column_type;
use crate::schema::read::indexes_of;
use crate::schema::view_session::unsayable;
use crate::sql;
use crate::sql::{Qualified, Queries, Quoted};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Tables and views of the planned names. Those that the task made itself are not looked into: after a restart there may be
/// 10,000 of them.
///
/// # Errors
/// When the connection is lost.
pub async fn existing(
    conn: &mut Conn,
    info: &ServerInfo,
    plan: &Plan,
    names: NameRules,
    owned: &BTreeSet<TableName>,
) -> Result<BTreeMap<TableName, ExistingTable>> {
    let key = |database: &str, table: &str| (names.destination_key(database), names.destination_key(table));
    let planned: HashMap<(String, String), &TableName> = plan
        .tables
        .iter()
        .map(|table| &table.destination)
        .chain(plan.views.iter().map(|view| &view.destination))
        .filter(|name| !owned.contains(*name))
        .map(|name| (key(&name.database, &name.table), name))
        .collect();
    let databases: BTreeSet<&str> = plan.databases.iter().map(|database| database.destination.as_str()).collect();
    let mut found = BTreeMap::new();
    for database in databases {
        let listed: Vec<(String, String, Option<String>)> = conn
            .query(sql!(
                "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
                Quoted(database)
            ))
            .await
            .context("reading the destination's tables")?;
        for (table, kind, engine) in listed {
            let Some(name) = planned.get(&key(database, &table)) else { continue };
            let mut existing =
                ExistingTable { is_view: kind == "VIEW", engine: engine.unwrap_or_default(), ..ExistingTable::default() };
            if !existing.is_view {
                fill(conn, info, &TableName { database: database.to_owned(), table }, &mut existing).await?;
            }
            found.insert((*name).clone(), existing);
        }
    }
    Ok(found)
}

/// Foreign keys and checks of the databases that tables are made in.
///
/// # Errors
/// When the connection is lost.
pub async fn constraints(conn: &mut Conn, plan: &Plan) -> Result<Vec<Constraint>> {
    let databases: BTreeSet<&str> = plan.databases.iter().map(|database| database.destination.as_str()).collect();
    let mut found = Vec::new();
    for database in databases {
        let rows: Vec<(String, String, String)> = conn
            .query(sql!(
                "SELECT CONSTRAINT_NAME, TABLE_NAME, CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS \
                 WHERE CONSTRAINT_SCHEMA = {} AND TABLE_SCHEMA = {} AND CONSTRAINT_TYPE IN ('FOREIGN KEY', 'CHECK')",
                Quoted(database),
                Quoted(database)
            ))
            .await
            .context("reading the destination's constraints")?;
        found.extend(rows.into_iter().map(|(name, table, kind)| Constraint {
            name,
            table: TableName { database: database.to_owned(), table },
            foreign_key: kind == "FOREIGN KEY",
        }));
    }
    Ok(found)
}

/// The views that cannot be said in the character sets of the clients that made them once the names are the destination's: the server
/// that will make them knows those character sets.
///
/// # Errors
/// When the connection is lost.
pub async fn unsayable_views(conn: &mut Conn, context: &super::context::Context) -> Result<BTreeMap<TableName, String>> {
    let statements = Statements::new(&context.spec, &context.plan, &context.source.info, &context.destination.info);
    let mut found = BTreeMap::new();
    for (view, statement) in statements.of_views(&context.plan.views) {
        // One that cannot be written at all is told as such.
        let Ok(statement) = statement else { continue };
        if let Some(why) = unsayable(conn, &statement).await? {
            found.insert(view.source, why);
        }
    }
    Ok(found)
}

/// The planned tables that a task has entered in the records as its own and may still write, with the task's name. Where there are no
/// records yet, none is.
///
/// # Errors
/// When the connection is lost.
pub async fn owners(conn: &mut Conn, records: &str, plan: &Plan, names: NameRules) -> Result<BTreeMap<TableName, String>> {
    let table = |object: &'static str| Qualified { database: records, object };
    let statement = sql!(
        "SELECT owner.destination_database, owner.destination_table, owner.task, recorded.stage FROM {} AS owner JOIN {} AS recorded \
         ON recorded.task = owner.task",
        table(ownership::TABLE),
        table("task")
    );
    let Some(rows) = permitted::<(String, String, String, String)>(conn, &statement).await? else { return Ok(BTreeMap::new()) };
    let owners: HashMap<TableName, String> = rows
        .into_iter()
        .filter(|(_, _, _, stage)| ownership::may_write(stage))
        .map(|(database, table, task, _)| (TableName { database, table }, task))
        .collect();
    let found = plan.tables.iter().filter_map(|table| {
        let owner = owners.get(&names.destination_name(&table.destination))?;
        Some((table.destination.clone(), owner.clone()))
    });
    Ok(found.collect())
}

/// Whether the tables that a task did not make itself still take its rows as they are: looked at whenever it is taken up.
///
/// # Errors
/// Definite where one does not, with table and reason; when the connection is lost.
pub async fn still_fit(conn: &mut Conn, info: &ServerInfo, plan: &Plan, names: NameRules) -> Result<()> {
    let existing = existing(conn, info, plan, names, &BTreeSet::new()).await?;
    let mut problems = Vec::new();
    for table in &plan.tables {
        match existing.get(&table.destination) {
            Some(existing) => problems.extend(misfits(table, existing)),
            None => problems.push(format!("{} does not exist", table.destination)),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::definite(format!(
        "the destination's tables do not take the source's rows as they are: {}; alter them there (`godwit plan` prints what is needed)",
        some(&problems)
    )))
}

/// Name, type, nullability, default, extra, character set, collation.
type ColumnRow = (String, String, String, Option<String>, String, Option<String>, Option<String>);

async fn fill(conn: &mut Conn, info: &ServerInfo, name: &TableName, existing: &mut ExistingTable) -> Result<()> {
    let (database, table) = (Quoted(&name.database), Quoted(&name.table));
    let columns: Vec<ColumnRow> = conn
        .query(sql!(
            "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, CHARACTER_SET_NAME, COLLATION_NAME \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} ORDER BY ORDINAL_POSITION",
            database,
            table
        ))
        .await
        .context("reading the destination's columns")?;
    existing.columns = columns
        .into_iter()
        .map(|(name, column_type, nullable, default, extra, character_set, collation)| {
            let extra = extra.to_ascii_lowercase();
            ExistingColumn {
                generated: extra.contains("virtual generated")
                    || extra.contains("stored generated")
                    || extra.contains("persistent"),
                optional: nullable == "YES"
                    || default.is_some()
                    || extra.contains("auto_increment")
                    || extra.contains("default_generated"),
                name,
                kind: parse_column_type(&column_type),
                column_type,
                character_set,
                collation,
                nullable: nullable == "YES",
                auto_increment: extra.contains("auto_increment"),
            }
        })
        .collect();
    let mut indexes = indexes_of(conn, info, &name.database, &HashSet::from([name.table.clone()])).await?;
    existing.indexes = indexes.remove(&name.table).unwrap_or_default();
    existing.triggers = conn
        .query(sql!(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {} AND EVENT_OBJECT_TABLE = {}",
            database,
            table
        ))
        .await
        .context("reading the destination's triggers")?;
    // A table that may not be read counts as one with rows.
    let first = permitted::<u8>(conn, &sql!("SELECT 1 FROM {} LIMIT 1", name)).await?;
    existing.has_rows = first.is_none_or(|rows| !rows.is_empty());
    Ok(())
}
