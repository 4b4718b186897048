//! What stands at the destination under the names that the task will use.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::context::{ExistingColumn, ExistingTable};
use super::finding::quote_name;
use super::read_server::permitted;
use crate::engine::error::{Context, Result};
use crate::engine::ownership;
use crate::engine::plan::mapping::NameRules;
use crate::engine::plan::{Plan, TableName};
use crate::engine::schema::edit::quote_string;

/// Tables and views of the planned names. Those that the task made itself are not looked into: after a restart there may be
/// 10,000 of them.
///
/// # Errors
/// When the connection is lost.
pub async fn existing(
    conn: &mut Conn,
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
            .query(format!(
                "SELECT TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
                quote_string(database)
            ))
            .await
            .context("reading the destination's tables")?;
        for (table, kind, engine) in listed {
            let Some(name) = planned.get(&key(database, &table)) else { continue };
            let mut existing =
                ExistingTable { is_view: kind == "VIEW", engine: engine.unwrap_or_default(), ..ExistingTable::default() };
            if !existing.is_view {
                fill(conn, name, &mut existing).await?;
            }
            found.insert((*name).clone(), existing);
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
    let table = |name: &str| quote_name(&TableName { database: records.to_owned(), table: name.to_owned() });
    let statement = format!(
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

type ColumnRow = (String, String, String, Option<String>, String);

async fn fill(conn: &mut Conn, name: &TableName, existing: &mut ExistingTable) -> Result<()> {
    let (database, table) = (quote_string(&name.database), quote_string(&name.table));
    let columns: Vec<ColumnRow> = conn
        .query(format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {database} AND TABLE_NAME = {table} ORDER BY ORDINAL_POSITION"
        ))
        .await
        .context("reading the destination's columns")?;
    existing.columns = columns
        .into_iter()
        .map(|(name, column_type, nullable, default, extra)| {
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
                column_type,
            }
        })
        .collect();
    existing.triggers = conn
        .query(format!(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = {database} AND EVENT_OBJECT_TABLE = {table}"
        ))
        .await
        .context("reading the destination's triggers")?;
    // A table that may not be read counts as one with rows.
    let first = permitted::<u8>(conn, &format!("SELECT 1 FROM {} LIMIT 1", quote_name(name))).await?;
    existing.has_rows = first.is_none_or(|rows| !rows.is_empty());
    Ok(())
}
