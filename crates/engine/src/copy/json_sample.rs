//! Looks at some documents of each JSON column: what MySQL 5.7 has to be asked for (`value::json_paths`), and whether there are values that the
//! destination cannot be given.

use std::sync::Arc;

use mysql_async::Conn;

use crate::connection::{Connector, Role};
use crate::plan::{ColumnPlan, JsonSides, Plan, TablePlan};
use crate::rows::{RowReader, Side, table_expression};
use crate::sql;
use crate::sql::{Name, Sql};
use crate::value::json_paths::JsonPaths;
use crate::value::json_sql;
use crate::value::json_types::JsonServer;
use godwit_model::definition::Kind;
use godwit_model::error::{Class, Context, Result};

/// Documents of each end of a table.
const DOCUMENTS: usize = 100;

/// Larger ones are passed by. Those whose types 5.7 must take out singly are slow: the time is the square of their size.
const BYTES: usize = 64 << 10;
const BYTES_OF_57: usize = 2 << 10;

/// The plan with what was learned, and what was found that the destination cannot be given.
///
/// # Errors
/// A lost connection. What the account may not read tells nothing, and another item of the precheck says so.
pub(crate) async fn look(mut plan: Plan, source: &Connector) -> Result<(Plan, Vec<String>)> {
    let is_typed = |column: &ColumnPlan| column.column.kind == Kind::Json && column.json.source != JsonServer::Text;
    let mut refused = Vec::new();
    if !plan.tables.iter().any(|table| table.columns.iter().any(is_typed)) {
        return Ok((plan, refused));
    }
    let mut conn = source.connect(Role::Read).await?;
    for table in &mut plan.tables {
        for place in (0..table.columns.len()).filter(|place| is_typed(&table.columns[*place])).collect::<Vec<_>>() {
            match look_at(&mut conn, table, place).await {
                Ok((looked_at, why)) => {
                    *table = Arc::new(looked_at);
                    refused.extend(why);
                }
                Err(error) if error.class() == Class::Definite => {
                    tracing::debug!(%error, table = %table.source, "documents cannot be looked at");
                    conn = source.connect(Role::Read).await?;
                }
                Err(error) => return Err(error).context(format!("looking at documents of {}", table.source)),
            }
        }
    }
    let _ = conn.disconnect().await;
    Ok((plan, refused))
}

async fn look_at(conn: &mut Conn, table: &TablePlan, place: usize) -> Result<(TablePlan, Option<String>)> {
    let mut table = table.clone();
    let server = table.columns[place].json.source;
    if let JsonServer::MySql57 { measures } = server {
        let texts = documents(conn, &table, place, BYTES, false).await?;
        let paths = JsonPaths::of(texts.iter().map(Vec::as_slice), measures);
        let column = &mut table.columns[place];
        column.json = JsonSides { paths, ..column.json.clone() };
    }
    let bytes = if matches!(server, JsonServer::MySql57 { .. }) { BYTES_OF_57 } else { BYTES };
    let found = documents(conn, &table, place, bytes, true).await?;
    let column = &table.columns[place];
    let why = found.iter().find_map(|document| json_sql::refusal(document, column.json.destination));
    let why = why.map(|why| format!("{} column {}: {why}", table.source, column.column.name));
    Ok((table, why))
}

/// Some of the first and some of the last documents.
async fn documents(conn: &mut Conn, table: &TablePlan, place: usize, bytes: usize, typed: bool) -> Result<Vec<Vec<u8>>> {
    let planned = &table.columns[place];
    let name = sql!("{}", Name(Side::Source.column_name(planned)));
    let mut selected = sql!("IF(LENGTH({})<={},{},NULL)", name, bytes, name);
    if typed && let Some(types) = planned.json.source.types_expression(&name, &planned.json.paths) {
        selected.add(&sql!(",IF(LENGTH({})<={},{},'.')", name, bytes, types));
    }
    let from = table_expression(table, Side::Source, false);
    let key = Sql::list(table.key.iter().map(|place| sql!("{} DESC", Name(Side::Source.column_name(&table.columns[*place])))));
    let mut orders = vec![Sql::default()];
    if !key.is_empty() {
        orders.push(sql!(" ORDER BY {}", key));
    }
    let mut found = Vec::new();
    for order in orders {
        let statement = sql!("SELECT {} FROM {}{} LIMIT {}", selected, from, order, DOCUMENTS);
        let mut reader = RowReader::start_columns(conn, &statement, table, vec![place]).await?;
        while let Some(row) = reader.next().await? {
            found.extend(row.cells().flatten().map(<[u8]>::to_vec));
        }
    }
    Ok(found)
}
