//! Makes rows of the destination like the source's, for tables with a key.
//!
//! One transaction a batch: the destination's rows are locked first and must still be what was seen; then
//! the source is read again, which shows a state at or after everything applied so far, and that is written.
//! Afterwards both sides are compared once more: only what is equal then counts as repaired.

use std::collections::{HashMap, HashSet};

use mysql_async::Conn;

use super::Context;
use super::run::TableRun;
use super::session::{Patience, Session, Sessions};
use super::settle::{Candidate, Found, fetch_rows, look};
use crate::connection::STATEMENTS_OF_TEXT;
use crate::destination::mysql::zones::{self, Zones};
use crate::destination::mysql::{column_list, refusal};
use crate::plan::TablePlan;
use crate::rows::{CONDITION_BYTES, Side, batches, keys_condition};
use crate::sql;
use crate::sql::{Failure, Queries, Sql};
use godwit_model::error::{Class, Error, Result};
use godwit_model::row::Row;

/// Writes rows that differ.
pub(super) struct Repairer {
    pub writer: Session,
}

impl Repairer {
    /// Repairs what was found; gives the keys that are equal afterwards.
    ///
    /// # Errors
    /// A server that stays away; what a server refuses to store stays unrepaired and is logged.
    pub(super) async fn repair(
        &mut self,
        context: &Context,
        run: &TableRun,
        sessions: &mut Sessions,
        differing: &[(Candidate, Found)],
    ) -> Result<HashSet<Row>> {
        let mut patience = Patience::new(context.options.retry);
        loop {
            match self.attempt(context, run, sessions, differing).await {
                Ok(repaired) => return Ok(repaired),
                Err(error) => patience.wait(error, &context.cancel).await?,
            }
        }
    }

    async fn attempt(
        &mut self,
        context: &Context,
        run: &TableRun,
        sessions: &mut Sessions,
        differing: &[(Candidate, Found)],
    ) -> Result<HashSet<Row>> {
        let keys: Vec<Row> = differing.iter().map(|(candidate, _)| candidate.key.clone()).collect();
        let mut rest: Vec<&(Candidate, Found)> = differing.iter().collect();
        for batch in batches(&run.plan, &run.plan.key, &keys, keys.len(), CONDITION_BYTES) {
            let behind = rest.split_off(batch.len());
            let together = std::mem::replace(&mut rest, behind);
            if let Err(error) = self.write(context, run, sessions, &together).await {
                // One row may stand in the way of the others: each by itself.
                refused(run, &error)?;
                for one in together {
                    if let Err(error) = self.write(context, run, sessions, &[one]).await {
                        refused(run, &error)?;
                    }
                }
            }
        }
        let still = match look(run, sessions, &keys).await {
            Ok(still) => still,
            Err(error) => {
                sessions.reset();
                return Err(error);
            }
        };
        Ok(keys.into_iter().filter(|key| !still.contains_key(key)).collect())
    }

    async fn write(
        &mut self,
        context: &Context,
        run: &TableRun,
        sessions: &mut Sessions,
        batch: &[&(Candidate, Found)],
    ) -> Result<()> {
        let result = self.write_transaction(run, sessions, batch).await;
        if result.is_err() {
            // Rolls back whatever was begun.
            self.writer.reset();
            sessions.reset();
        }
        context.throttle.acquire(batch.len() as u64, 0).await;
        result
    }

    async fn write_transaction(&mut self, run: &TableRun, sessions: &mut Sessions, batch: &[&(Candidate, Found)]) -> Result<()> {
        let table = &*run.plan;
        let keys: Vec<Row> = batch.iter().map(|(candidate, _)| candidate.key.clone()).collect();
        let writer = self.writer.get().await?;
        writer.query_drop("START TRANSACTION").await?;
        let mut locking = run.select(Side::Destination, &keys_condition(table, Side::Destination, &keys));
        locking.push(" FOR UPDATE");
        let too_large = || Error::definite("the rows are too large to be repaired together");
        writer.query_drop(STATEMENTS_OF_TEXT).await?;
        let held = fetch_rows(run, writer, &locking, &keys).await;
        writer.query_drop("SET NAMES binary").await?;
        let held = held?.ok_or_else(too_large)?;
        let reading = run.select(Side::Source, &keys_condition(table, Side::Source, &keys));
        let wanted = fetch_rows(run, sessions.source.get().await?, &reading, &keys).await?.ok_or_else(too_large)?;
        let unchanged = |(candidate, found): &&&(Candidate, Found)| held.get(&candidate.key) == found.destination.as_ref();
        let keys: Vec<&Row> = batch.iter().filter(unchanged).map(|(candidate, _)| &candidate.key).collect();
        apply(run, writer, &keys, &held, &wanted).await?;
        if !table.zoned.is_empty() {
            let written = zones::wanted(table, keys.iter().filter_map(|key| wanted.get(*key)));
            Zones::default().settle(writer, table, &written, true).await?;
        }
        writer.query_drop("COMMIT").await?;
        Ok(())
    }
}

/// Deletes first, so that values of secondary unique keys can change places.
async fn apply(
    run: &TableRun,
    writer: &mut Conn,
    keys: &[&Row],
    held: &HashMap<Row, Row>,
    wanted: &HashMap<Row, Row>,
) -> Result<()> {
    let differs = |key: &Row| match (held.get(key), wanted.get(key)) {
        (Some(left), Some(right)) => !run.rows_equal(left, right),
        (left, right) => left.is_some() || right.is_some(),
    };
    let keys: Vec<&Row> = keys.iter().copied().filter(|key| differs(key)).collect();
    for key in keys.iter().filter(|key| held.contains_key(**key)) {
        writer.query_drop(delete_statement(&run.plan, key)).await?;
    }
    let most: Option<u64> = writer.query_first("SELECT @@max_allowed_packet").await?;
    for row in keys.iter().filter_map(|key| wanted.get(*key)) {
        if let Some(why) = refusal(&run.plan, row) {
            return Err(Error::definite(format!("the destination cannot be given {why}")));
        }
        let statement = insert_statement(&run.plan, row);
        if most.is_none_or(|most| statement.len() as u64 >= most) {
            // The server would break the connection, and look like one that went away.
            let bytes = statement.len();
            return Err(Error::definite(format!("a row of {bytes} bytes is larger than the destination's max_allowed_packet")));
        }
        writer.query_drop(statement).await.map_err(Failure::of_rows)?;
    }
    Ok(())
}

/// Ok when the error only means that these rows cannot be written.
fn refused(run: &TableRun, error: &Error) -> Result<()> {
    if error.class() != Class::Definite {
        return Err(error.clone());
    }
    tracing::warn!(table = %run.plan.destination, %error, "rows could not be repaired");
    Ok(())
}

fn delete_statement(table: &TablePlan, key: &Row) -> Sql {
    let mut sql = sql!("DELETE FROM {} WHERE ", table.destination);
    for (number, (&place, cell)) in table.key.iter().zip(key.cells()).enumerate() {
        if number > 0 {
            sql.push(" AND ");
        }
        let column = &table.columns[place];
        column.push_identity(&mut sql, cell);
    }
    sql
}

fn insert_statement(table: &TablePlan, row: &Row) -> Sql {
    let mut sql = sql!("INSERT INTO {} ({}) VALUES (", table.destination, column_list(table));
    let written = table.columns.iter().zip(row.cells()).filter(|(column, _)| column.write);
    for (number, (column, cell)) in written.enumerate() {
        if number > 0 {
            sql.push(",");
        }
        column.push_value(&mut sql, cell);
    }
    sql.push(")");
    sql
}
