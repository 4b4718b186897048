//! Which task writes which table at the destination: two tasks that write one table would undo each other's rows without ever noticing.
//!
//! Every task enters its destination tables when it records itself, in the same transaction. The primary key is the table's name, so of two tasks that
//! start at the same moment exactly one gets through. A task that is completed or stopped writes no more, and its tables are free. Only tasks with the
//! same record database know of each other.

use std::collections::HashMap;

use mysql_async::{Conn, Params, Value};

use crate::sql;
use crate::sql::{Queries, Sql};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;

/// Name of the record table.
pub(crate) const TABLE: &str = "destination_table";

/// Its columns. Names are written in lower case where the destination does not tell cases apart.
pub(crate) const COLUMNS: &str = "destination_database VARCHAR(64) NOT NULL, destination_table VARCHAR(64) NOT NULL, task VARCHAR(255) NOT NULL, \
                           PRIMARY KEY (destination_database, destination_table)";

/// Tables in one statement.
const BATCH: usize = 200;

/// What to do about a table of another task.
pub(crate) const REMEDY: &str = "stop the other task (desiredState: Stopped; where its resource is gone, create it again with that), or choose other names with \
                          renameTo";

/// The record tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a> {
    pub owners: &'a TableName,
    pub tasks: &'a TableName,
}

/// Enters the task's tables, within the transaction that records it (READ COMMITTED).
///
/// # Errors
/// A definite one that names both tasks when a table belongs to another that still may write; a lock conflict when another task enters its tables at
/// the same moment. The transaction is then to be given up.
pub(crate) async fn take(conn: &mut Conn, tables: Tables<'_>, task: &str, names: &[TableName]) -> Result<()> {
    // In one order, so that two tasks wait for each other in one direction only.
    let mut sorted: Vec<&TableName> = names.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut stages: HashMap<String, Option<String>> = HashMap::new();
    for batch in sorted.chunks(BATCH) {
        let list = |each: &'static str| Sql::list(batch.iter().map(|_| each));
        let mut values: Vec<Value> = Vec::with_capacity(batch.len() * 3);
        for name in batch {
            values.extend([name.database.as_str().into(), name.table.as_str().into(), task.into()]);
        }
        // Waits for a task that is entering one of them just now.
        conn.exec_drop(sql!("INSERT IGNORE INTO {} VALUES {}", tables.owners, list("(?,?,?)")), Params::Positional(values))
            .await
            .context("recording the destination's tables")?;
        let mut values: Vec<Value> = vec![task.into()];
        values.extend(batch.iter().flat_map(|name| [name.database.as_str().into(), name.table.as_str().into()]));
        let others: Vec<(String, String, String)> = conn
            .exec(
                sql!(
                    "SELECT destination_database, destination_table, task FROM {} \
                     WHERE task<>? AND (destination_database, destination_table) IN ({}) FOR UPDATE",
                    tables.owners,
                    list("(?,?)")
                ),
                Params::Positional(values),
            )
            .await?;
        for (database, table, other) in others {
            let stage = match stages.get(&other) {
                Some(stage) => stage.clone(),
                None => {
                    let stage = conn.exec_first(sql!("SELECT stage FROM {} WHERE task=?", tables.tasks), (&other,)).await?;
                    stages.insert(other.clone(), stage.clone());
                    stage
                }
            };
            if stage.as_deref().is_some_and(may_write) {
                return Err(Error::definite(format!(
                    "table {database}.{table} at the destination belongs to task {other}, and task {task} would write it too; {REMEDY}"
                )));
            }
            conn.exec_drop(
                sql!("UPDATE {} SET task=? WHERE destination_database=? AND destination_table=?", tables.owners),
                (task, &database, &table),
            )
            .await?;
        }
    }
    Ok(())
}

/// Whether a task of this stage may write again.
pub(crate) fn may_write(stage: &str) -> bool {
    stage != "Completed" && stage != "Stopped"
}
