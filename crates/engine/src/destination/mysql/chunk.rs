//! Writes copied rows: LOAD DATA LOCAL where the server allows it, multi-row INSERT otherwise.
//!
//! LOAD DATA LOCAL turns errors into warnings and goes on (MySQL manual, "LOAD DATA Statement"); so every load
//! must report as many records as were sent and not one warning, or the transaction is rolled back. The stream
//! comes from memory and cannot fail half-way, which the driver would turn into a truncated load.
//!
//! Rows that the log has brought before are replaced. REPLACE takes away whatever stands in its way on any unique index, and what
//! the destination's collation holds for the same key; so where it took something away, the destination's indexes are looked at, and
//! unless a row can only have replaced itself the rows are written once more: those of the same keys, byte for byte, deleted, and no other.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use mysql_async::{Conn, Row as SqlRow};

use super::apply::LOCK_TRIES;
use super::records::{Fence, Record, fenced_error};
use super::statement::{Limits, OnDuplicate, Statement, collision, deletes, has_text_key, inserts, row_number, run, subject};
use super::zones::{self, Zones};
use crate::checkpoint::Claim;
use crate::connection::{Connector, Role};
use crate::destination::{ChunkSink, Done, Existing};
use crate::plan::TablePlan;
use crate::sql;
use crate::sql::{Name, Queries, Sql};
use crate::stall::Watch;
use crate::value::literal::{fits_load_data, load_expression, push_load_field};
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;
use godwit_model::text::Text;

/// Size of the pieces in which LOAD DATA is sent.
const PIECE_BYTES: usize = 256 << 10;

/// A copy worker's connection to the destination.
pub(super) struct ChunkWriter {
    connector: Connector,
    conn: Conn,
    record: Record,
    fence: Fence,
    limits: Limits,
    load_data: bool,
    zones: Zones,
    watch: Arc<Watch>,
}

impl ChunkWriter {
    /// Connects; `load_data` says whether the server allows LOAD DATA LOCAL.
    pub(super) async fn connect(
        connector: &Connector,
        record: Record,
        claim: Claim,
        worker: u32,
        limits: Limits,
        load_data: bool,
    ) -> Result<Self> {
        let conn = connector.connect(Role::Write).await?;
        let watch = Arc::new(Watch::new(connector, &conn));
        let fence = record.worker(claim, worker);
        Ok(Self { connector: connector.clone(), conn, record, fence, limits, load_data, zones: Zones::default(), watch })
    }

    /// Writes the rows and runs `tail` in one fenced transaction.
    async fn transact(
        &mut self,
        table: &Arc<TablePlan>,
        rows: &Arc<Vec<Row>>,
        on_duplicate: OnDuplicate,
        tail: Option<&Sql>,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            let watch = Arc::clone(&self.watch);
            match watch.over(self.try_transact(table, rows, on_duplicate, tail)).await {
                Err(error) if error.is_lock_conflict() && tries < LOCK_TRIES => tries += 1,
                other => return other,
            }
        }
    }

    async fn try_transact(
        &mut self,
        table: &Arc<TablePlan>,
        rows: &Arc<Vec<Row>>,
        on_duplicate: OnDuplicate,
        tail: Option<&Sql>,
    ) -> Result<()> {
        let mode = if table.has_key() { on_duplicate } else { OnDuplicate::Fail };
        let mut written = self.write_open(table, rows, mode, false).await;
        if mode == OnDuplicate::Replace
            && let Ok(1..) = written
        {
            // The log came first, as a rule. Other rows can have gone only where there is another unique index, or a key of text.
            written = match self.replaces_itself(table).await {
                Ok(true) => written,
                Ok(false) => {
                    self.conn.query_drop("ROLLBACK").await?;
                    self.write_open(table, rows, OnDuplicate::Fail, true).await
                }
                Err(error) => Err(error),
            };
        }
        let mut written = written.map(drop);
        if written.is_ok() && !table.zoned.is_empty() && mode != OnDuplicate::Keep {
            written = self.settle(table, rows).await;
        }
        if let Err(error) = written {
            // Dropping the connection would do; saying it is clearer in the server's log.
            let _ = self.conn.query_drop("ROLLBACK").await;
            return Err(error);
        }
        let mut tail = tail.cloned().unwrap_or_default();
        if !tail.is_empty() {
            tail.push(";");
        }
        tail.push("COMMIT");
        self.conn.query_drop(tail).await?;
        Ok(())
    }

    /// Some rows at a time: what they must have is held beside the chunk.
    async fn settle(&mut self, table: &TablePlan, rows: &[Row]) -> Result<()> {
        for rows in rows.chunks(self.limits.rows) {
            let wanted = zones::wanted(table, rows);
            self.zones.settle(&mut self.conn, table, &wanted, self.limits.leaves_computed).await?;
        }
        Ok(())
    }

    /// Opens the transaction and writes the rows; the number of rows that went for them. `anew`: what has their keys goes first.
    async fn write_open(&mut self, table: &Arc<TablePlan>, rows: &Arc<Vec<Row>>, mode: OnDuplicate, anew: bool) -> Result<u64> {
        let mut head = Sql::new("START TRANSACTION;");
        head.add(&self.fence.statement(None)?);
        self.conn.query_drop(head).await.map_err(fenced_error)?;
        if anew {
            let keys: Vec<Row> = rows.iter().map(|row| row.project(&table.key)).collect();
            for statement in deletes(table, &keys, self.limits) {
                run(&mut self.conn, table, &statement, self.limits).await.map_err(|error| error.context(&table.destination))?;
            }
        }
        self.write_rows(table, rows, mode).await
    }

    async fn write_rows(&mut self, table: &Arc<TablePlan>, rows: &Arc<Vec<Row>>, mode: OnDuplicate) -> Result<u64> {
        if rows.is_empty() {
            return Ok(0);
        }
        if !self.load_data || mode == OnDuplicate::Keep {
            return self.insert(table, rows.iter(), mode).await;
        }
        let loadable: Vec<bool> = rows
            .iter()
            .map(|row| table.columns.iter().zip(row.cells()).all(|(c, cell)| !c.write || fits_load_data(&c.column, cell)))
            .collect();
        let loaded = loadable.iter().filter(|fits| **fits).count() as u64;
        let mut replaced = 0;
        if loaded > 0 {
            replaced += self.load(table, rows, Arc::new(loadable.clone()), loaded, mode).await?;
        }
        let rest = rows.iter().zip(&loadable).filter(|(_, fits)| !**fits).map(|(row, _)| row);
        replaced += self.insert(table, rest, mode).await?;
        Ok(replaced)
    }

    /// The number of rows that were replaced.
    async fn insert<'a>(
        &mut self,
        table: &TablePlan,
        rows: impl Iterator<Item = &'a Row>,
        on_duplicate: OnDuplicate,
    ) -> Result<u64> {
        let mut replaced = 0;
        for statement in inserts(table, rows.map(Cow::Borrowed), on_duplicate, self.limits) {
            match run(&mut self.conn, table, &statement, self.limits).await {
                Ok(affected) => replaced += affected.saturating_sub(statement.subjects.len() as u64),
                Err(error) => return Err(self.name_row(table, &statement, error)),
            }
        }
        Ok(replaced)
    }

    /// Whether a row can only replace itself: each unique index that stands at the destination contains the whole key, and what
    /// differs in it for the source differs for the destination.
    async fn replaces_itself(&mut self, table: &TablePlan) -> Result<bool> {
        if has_text_key(table) {
            return Ok(false);
        }
        let name = &table.destination;
        let parts: Vec<SqlRow> = self.conn.query(sql!("SHOW INDEX FROM {} WHERE Non_unique=0", table.destination)).await?;
        let mut columns: HashMap<String, Vec<String>> = HashMap::new();
        for mut part in parts {
            let (index, column) = (part.take::<String, _>("Key_name"), part.take::<Option<String>, _>("Column_name").flatten());
            let is_prefix = part.take::<Option<u64>, _>("Sub_part").flatten().is_some();
            let index = index.ok_or_else(|| Error::definite(format!("SHOW INDEX FROM {name}: an index without a name")))?;
            let whole = columns.entry(index).or_default();
            whole.extend(column.filter(|_| !is_prefix));
        }
        let key: Vec<&str> = table.key.iter().map(|&place| table.columns[place].destination_name.as_str()).collect();
        let contains = |index: &Vec<String>, wanted: &str| index.iter().any(|column| column.eq_ignore_ascii_case(wanted));
        Ok(columns.values().all(|index| key.iter().all(|wanted| contains(index, wanted))))
    }

    fn name_row(&self, table: &TablePlan, statement: &Statement, error: Error) -> Error {
        let alone = (statement.subjects.len() == 1).then_some(1);
        let number = row_number(error.whole()).or(alone);
        let row = number.and_then(|number| statement.subjects.get(number.saturating_sub(1)));
        let why = collision(table, error.whole());
        error.context_of(&named(table, row)).explained(why)
    }

    /// The number of rows that were replaced.
    async fn load(
        &mut self,
        table: &Arc<TablePlan>,
        rows: &Arc<Vec<Row>>,
        loadable: Arc<Vec<bool>>,
        expected: u64,
        on_duplicate: OnDuplicate,
    ) -> Result<u64> {
        let (shared_table, shared_rows) = (Arc::clone(table), Arc::clone(rows));
        // The driver wants a future that is Sync; so the stream, which is not, is made inside it.
        self.conn.set_infile_handler(async move {
            let pieces = futures_util::stream::unfold(Place::default(), move |start| {
                let piece = next_piece(&shared_table, &shared_rows, &loadable, start);
                async move { piece.map(|(bytes, next)| (Ok::<Bytes, std::io::Error>(bytes), next)) }
            });
            Ok(pieces.boxed())
        });
        self.conn
            .query_drop(load_statement(table, on_duplicate))
            .await
            .map_err(|error| error.of_rows().context(&table.destination))?;
        let info = self.conn.info().into_owned();
        let (records, skipped) = (info_number(&info, "Records"), info_number(&info, "Skipped"));
        let warnings = self.conn.get_warnings();
        if warnings == 0 && records == Some(expected) && skipped == Some(0) {
            // What makes sure that no row of another key went hangs on this number.
            return info_number(&info, "Deleted").ok_or_else(|| {
                Error::definite(format!(
                    "{}: the destination does not say how many rows were replaced: {info}",
                    table.destination
                ))
            });
        }
        let shown: Option<SqlRow> = self.conn.query_first("SHOW WARNINGS").await?;
        let warning = shown.and_then(|mut row| Some((row.take::<u16, _>(1)?, row.take::<String, _>(2)?)));
        let said = match &warning {
            Some((code, text)) => Text::of_server(*code, text, true),
            None => info.into(),
        };
        let row = row_number(said.whole()).and_then(|number| rows.get(number.saturating_sub(1)));
        let row = row.map(|row| subject(table, row));
        let why = collision(table, said.whole());
        let error = Error::definite(said.map(|text| format!("the destination does not take the value as it is: {text}")));
        Err(error.context_of(&named(table, row.as_ref())).explained(why))
    }
}

impl ChunkSink for ChunkWriter {
    fn write<'a>(
        &'a mut self,
        table: &'a Arc<TablePlan>,
        rows: &'a Arc<Vec<Row>>,
        existing: Existing,
        done: Option<Done<'a>>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mode = match existing {
                Existing::Replaced => OnDuplicate::Replace,
                Existing::Kept => OnDuplicate::Keep,
                Existing::Refused => OnDuplicate::Fail,
            };
            let tail = done.map(|done| self.record.done(&table.definition, done)).transpose()?;
            self.transact(table, rows, mode, tail.as_ref()).await
        })
    }

    fn is_empty<'a>(&'a mut self, table: &'a TablePlan) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let mut conn = self.connector.connect(Role::Read).await?;
            let found: Option<u8> = conn.query_first(sql!("SELECT 1 FROM {} LIMIT 1", table.destination)).await?;
            let _ = conn.disconnect().await;
            Ok(found.is_none())
        })
    }

    fn empty<'a>(&'a mut self, table: &'a Arc<TablePlan>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // Some at a time: a transaction that deletes a large table is rolled back for as long.
            let delete = sql!("DELETE FROM {} LIMIT 100000", table.destination);
            let no_rows = Arc::new(Vec::new());
            while !self.is_empty(table).await? {
                self.transact(table, &no_rows, OnDuplicate::Fail, Some(&delete)).await?;
            }
            Ok(())
        })
    }
}

/// The table, and the row's key where it is known.
fn named(table: &TablePlan, row: Option<&Row>) -> Text {
    match row {
        Some(row) => table.describe_key(row).map(|key| format!("{} key {key}", table.destination)),
        None => table.destination.to_string().into(),
    }
}

/// A number of `Records: 3  Deleted: 0  Skipped: 0  Warnings: 0`.
fn info_number(info: &str, name: &str) -> Option<u64> {
    let (_, rest) = info.split_once(name)?;
    rest.trim_start_matches([':', ' ']).split_whitespace().next()?.parse().ok()
}

/// Where the next piece of a load begins: in this row and column, at this byte of the value.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    row: usize,
    column: usize,
    byte: usize,
}

/// The next piece of the load, and where it ends. Large values are cut: a piece, which the driver copies, stays small.
fn next_piece(table: &TablePlan, rows: &[Row], loadable: &[bool], start: Place) -> Option<(Bytes, Place)> {
    let mut piece = Vec::with_capacity(PIECE_BYTES + 4096);
    let mut place = start;
    let first_written = table.columns.iter().position(|column| column.write).unwrap_or(0);
    while place.row < rows.len() && piece.len() < PIECE_BYTES {
        if loadable[place.row] {
            let cells = table.columns.iter().zip(rows[place.row].cells()).enumerate().skip(place.column);
            for (number, (column, cell)) in cells.filter(|(_, (column, _))| column.write) {
                let begun = if number == place.column { place.byte } else { 0 };
                // A row of many large values is cut too: no packet is larger than a server takes.
                if begun == 0 && piece.len() >= PIECE_BYTES {
                    return Some((Bytes::from(piece), Place { row: place.row, column: number, byte: 0 }));
                }
                if begun == 0 && number > first_written {
                    piece.push(b'\t');
                }
                let rest = cell.map(|bytes| &bytes[begun..]);
                match rest {
                    Some(bytes) if bytes.len() > PIECE_BYTES => {
                        push_load_field(&mut piece, &column.column, Some(&bytes[..PIECE_BYTES]));
                        return Some((Bytes::from(piece), Place { row: place.row, column: number, byte: begun + PIECE_BYTES }));
                    }
                    rest => push_load_field(&mut piece, &column.column, rest),
                }
            }
            piece.push(b'\n');
        }
        place = Place { row: place.row + 1, column: 0, byte: 0 };
    }
    (!piece.is_empty()).then(|| (Bytes::from(piece), place))
}

fn load_statement(table: &TablePlan, on_duplicate: OnDuplicate) -> Sql {
    let (mut fields, mut assignments) = (Vec::new(), Vec::new());
    for (place, column) in table.columns.iter().enumerate().filter(|(_, column)| column.write) {
        let name = Name(&column.destination_name);
        let variable = sql!("@godwit_{}", place);
        match load_expression(&column.column.kind, &variable) {
            None => fields.push(sql!("{}", name)),
            Some(expression) => {
                fields.push(variable);
                assignments.push(sql!("{}={}", name, expression));
            }
        }
    }
    let replace = if on_duplicate == OnDuplicate::Replace { "REPLACE " } else { "" };
    let mut statement = sql!(
        "LOAD DATA LOCAL INFILE 'godwit' {}INTO TABLE {} CHARACTER SET binary FIELDS TERMINATED BY '\\t' \
         ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({})",
        replace,
        table.destination,
        Sql::list(fields)
    );
    if !assignments.is_empty() {
        statement.push(" SET ");
        statement.add_list(assignments);
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_report_is_read() {
        let info = "Records: 3  Deleted: 1  Skipped: 0  Warnings: 2";
        assert_eq!(
            (info_number(info, "Records"), info_number(info, "Skipped"), info_number(info, "Nothing")),
            (Some(3), Some(0), None)
        );
        assert_eq!(row_number("Data too long for column 'a' at row 17"), Some(17));
    }
}
