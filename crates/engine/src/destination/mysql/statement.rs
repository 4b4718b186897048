//! Statements that write rows. Pure: rows and a table in, SQL out.

use std::borrow::Cow;

use mysql_async::Conn;

use super::long::{self, Image, LongRow, long_places};
use crate::connection::{LENIENT_SQL_MODE, STRICT_SQL_MODE};
use crate::plan::{ColumnPlan, TablePlan};
use crate::rows::{Side, batches, keys_condition};
use crate::sql;
use crate::sql::{Failure, Name, Queries, Sql};
use crate::value::json_sql;
use crate::value::literal::{needs_lenience, push_compare_literal};
use godwit_model::definition::Kind;
use godwit_model::error::{Error, Result};
use godwit_model::row::{CellRef, Row, RowBuilder};
use godwit_model::text::Text;

/// How large statements may get.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of one statement; a single row may exceed it.
    pub statement_bytes: usize,
    /// The server's `max_allowed_packet`: what is larger breaks the connection, which looks like a server that went away.
    pub packet_bytes: usize,
    /// Rows of one statement.
    pub rows: usize,
    /// The server names the new row in ON DUPLICATE KEY UPDATE (MySQL 8.0.19) and warns of VALUES() (8.0.20).
    pub row_alias: bool,
    /// Rows that were there before the task stay, and are taken for the source's where the destination holds their keys for equal
    /// (`conflictPolicy: IgnoreErrorsAndProceed`). Else a row with a key of other bytes is another row, whatever the collation says.
    pub adopts_rows: bool,
    /// Stored values that the destination computes otherwise in every time zone are left so (the precheck's `GeneratedColumns` is ignored).
    pub leaves_computed: bool,
}

/// Statements below this size are sent as they are, or several in one packet. Every server takes it: the precheck demands as much.
pub(crate) const SMALL_BYTES: usize = 1 << 20;

impl Limits {
    /// For a server with this `max_allowed_packet`.
    pub(crate) fn of(packet_bytes: usize, row_alias: bool, adopts_rows: bool) -> Self {
        // Half: of the last row of a statement it is not known beforehand how much its escapes take.
        let statement_bytes = (packet_bytes / 2).min(SMALL_BYTES);
        Self { statement_bytes, packet_bytes, rows: 1000, row_alias, adopts_rows, leaves_computed: false }
    }

    /// Bytes of several statements in one packet.
    pub(crate) fn joined_bytes(&self) -> usize {
        self.statement_bytes.max(self.packet_bytes / 4 * 3).min(SMALL_BYTES)
    }

    /// The error of a statement that the server would not read to its end, or whose row it cannot hold as it is.
    ///
    /// # Errors
    /// Definite, with the size that is needed, or what cannot be written.
    pub(crate) fn check(&self, table: &TablePlan, statement: &Statement) -> Result<()> {
        if let Some(why) = &statement.refused {
            return Err(Error::definite(format!("the destination cannot be given {why}")));
        }
        let bytes = statement.sql.len();
        // One byte says that it is a statement.
        if bytes < self.packet_bytes {
            return Ok(());
        }
        let key = statement.subjects.first().map(|row| table.describe_key(row)).unwrap_or_default();
        Err(Error::definite(key.map(|key| {
            format!(
                "{} key {key}: the row takes a statement of {bytes} bytes, more than the destination's max_allowed_packet of {}; {}",
                table.destination,
                self.packet_bytes,
                long::raise_packet(bytes)
            )
        })))
    }
}

/// Which warnings of a statement say that a value was not stored as it is, or a row not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warnings {
    /// None is looked at: nothing is stored.
    Ignored,
    /// All but those of duplicates, which are meant to be passed over.
    Duplicates,
    /// All.
    Errors,
}

/// A statement and the rows it is about, so that an error can name them.
#[derive(Debug)]
pub(crate) struct Statement {
    pub table: u32,
    pub sql: Sql,
    /// Keys (or whole rows, for tables without a key) in the order they stand in the statement.
    pub subjects: Vec<Row>,
    /// The number of rows that the statement must find; None: any.
    pub must_find: Option<u64>,
    /// One row with a value that strict mode refuses ([`needs_lenience`]): the columns that hold it. Such a
    /// statement runs alone, by [`run`].
    pub lenient: Vec<String>,
    /// Values that are sent ahead. Such a statement holds one row and runs alone, by [`run`].
    pub long: Vec<LongRow>,
    /// What its warnings mean.
    pub warnings: Warnings,
    /// Why it is not sent at all: it holds one row, which the destination cannot hold as it is.
    pub refused: Option<String>,
}

impl Statement {
    /// Whether it can be sent together with others.
    pub(crate) fn is_plain(&self) -> bool {
        self.must_find.is_none() && self.lenient.is_empty() && self.long.is_empty() && self.refused.is_none()
    }
}

/// Runs a statement with all it needs; the number of rows found. Variables stay filled ([`long::forget`]).
///
/// # Errors
/// The server's; definite where a value would not be stored as it is.
pub(super) async fn run(conn: &mut Conn, table: &TablePlan, statement: &Statement, limits: Limits) -> Result<u64> {
    limits.check(table, statement)?;
    long::send(conn, &statement.long, limits.packet_bytes).await?;
    if !statement.lenient.is_empty() {
        return run_lenient(conn, statement).await;
    }
    conn.query_drop(&statement.sql).await.map_err(Failure::of_rows)?;
    let found = conn.affected_rows();
    refuse_warnings(conn, statement).await?;
    Ok(found)
}

/// Looks at the warnings of the statement that has just run. Strict mode is not enough: a DECIMAL that is rounded is a
/// note to it (MySQL manual, "Fixed-Point Types").
///
/// # Errors
/// Definite for any that is not expected.
pub(super) async fn refuse_warnings(conn: &mut Conn, statement: &Statement) -> Result<()> {
    refuse_warnings_of(conn, statement.warnings, &statement.lenient).await
}

/// As [`refuse_warnings`], of a statement that has just run with these meanings: `lenient` names columns that may be cut.
///
/// # Errors
/// Definite for any that is not expected.
pub(super) async fn refuse_warnings_of(conn: &mut Conn, meaning: Warnings, lenient: &[String]) -> Result<()> {
    let count = conn.get_warnings();
    if meaning == Warnings::Ignored || count == 0 {
        return Ok(());
    }
    let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await?;
    all_shown(count, warnings.len())?;
    unexpected(warnings, meaning, lenient)
}

/// A server that shows fewer warnings than there are may keep back the one that matters.
fn all_shown(count: u16, shown: usize) -> Result<()> {
    if shown >= usize::from(count) {
        return Ok(());
    }
    Err(Error::definite(format!(
        "the destination shows {shown} of {count} warnings of a statement, so that it is not known whether values were stored as they are; GRANT \
         SESSION_VARIABLES_ADMIN ON *.* to the destination account, or SET GLOBAL max_error_count=65535"
    )))
}

/// ER_WARN_DEPRECATED_SYNTAX, ER_DEPRECATED_UTF8_ALIAS, ER_WARN_DEPRECATED_UTF8MB3_COLLATION: of words, not of values.
const DEPRECATIONS: [u16; 3] = [1287, 3719, 3778];

/// ER_DUP_ENTRY.
const DUPLICATE: u16 = 1062;

fn unexpected(warnings: Vec<(String, u16, String)>, meaning: Warnings, lenient: &[String]) -> Result<()> {
    // WARN_DATA_TRUNCATED names the column.
    let expected = |code: u16, text: &str| {
        DEPRECATIONS.contains(&code)
            // MariaDB, of the SET with all of 64 labels by which a row is found.
            || code == 1105 && text.starts_with("Cast to unsigned converted")
            || code == DUPLICATE && meaning == Warnings::Duplicates
            || code == 1265 && lenient.iter().any(|column| text.contains(&format!("'{column}'")))
    };
    match warnings.into_iter().find(|(_, code, text)| !expected(*code, text)) {
        None => Ok(()),
        Some((_, code, text)) => {
            let said = Text::of_server(code, &text, true);
            Err(Error::definite(said.map(|text| format!("the destination does not take the value as it is: {text} ({code})"))))
        }
    }
}

/// Runs a statement without strict mode, and makes sure that nothing was changed on the way but what had to be.
///
/// # Errors
/// The server's; definite for any warning that another value caused.
async fn run_lenient(conn: &mut Conn, statement: &Statement) -> Result<u64> {
    conn.query_drop(sql!("SET SESSION sql_mode='{}'", LENIENT_SQL_MODE)).await?;
    let result = conn.query_drop(&statement.sql).await;
    let (found, count) = (conn.affected_rows(), conn.get_warnings());
    let warnings: Vec<(String, u16, String)> = if result.is_ok() { conn.query("SHOW WARNINGS").await? } else { Vec::new() };
    // Before anything else: the session may be used again after a lock conflict.
    conn.query_drop(sql!("SET SESSION sql_mode='{}'", STRICT_SQL_MODE)).await?;
    result.map_err(Failure::of_rows)?;
    all_shown(count, warnings.len())?;
    unexpected(warnings, statement.warnings, &statement.lenient)?;
    Ok(found)
}

fn lenient_columns(table: &TablePlan, row: &Row) -> Vec<String> {
    let written = table.columns.iter().zip(row.cells()).filter(|(column, _)| column.write);
    written.filter(|(c, cell)| needs_lenience(&c.column, *cell)).map(|(c, _)| c.destination_name.clone()).collect()
}

/// What a row that is there already means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDuplicate {
    /// It is overwritten in place (the log).
    Update,
    /// It is replaced (the copy: it can only be the same row, written by the log before the copy came).
    Replace,
    /// It stays (`conflictPolicy: IgnoreErrorsAndProceed`).
    Keep,
    /// It is an error (tables without a key have no duplicates).
    Fail,
}

/// Why the destination cannot be given a row as it is.
pub(crate) fn refusal(table: &TablePlan, row: &Row) -> Option<String> {
    let mut documents =
        table.columns.iter().zip(row.cells()).filter(|(column, _)| column.write && column.column.kind == Kind::Json);
    documents.find_map(|(column, cell)| {
        let why = json_sql::refusal(cell?, column.json.destination)?;
        Some(format!("{why} (column {})", column.destination_name))
    })
}

/// The columns that are written, with commas between them.
pub(crate) fn column_list(table: &TablePlan) -> Sql {
    Sql::list(table.columns.iter().filter(|column| column.write).map(|column| Name(&column.destination_name)))
}

fn insert_head(table: &TablePlan, on_duplicate: OnDuplicate) -> Sql {
    let verb = match on_duplicate {
        OnDuplicate::Replace => "REPLACE INTO",
        OnDuplicate::Keep => "INSERT IGNORE INTO",
        OnDuplicate::Update | OnDuplicate::Fail => "INSERT INTO",
    };
    sql!("{} {} ({}) VALUES ", verb, table.destination, column_list(table))
}

/// The row alias of [`Limits::row_alias`].
const NEW_ROW: &str = "`godwit new`";

fn insert_tail(table: &TablePlan, on_duplicate: OnDuplicate, limits: Limits) -> Sql {
    let mut tail = Sql::default();
    if on_duplicate != OnDuplicate::Update {
        return tail;
    }
    if limits.row_alias {
        tail.add(&sql!(" AS {}", NEW_ROW));
    }
    tail.push(" ON DUPLICATE KEY UPDATE ");
    let value = |name: Name<'_>| if limits.row_alias { sql!("{}.{}", NEW_ROW, name) } else { sql!("VALUES({})", name) };
    let guards = guarded_key(table, limits).map(|column| {
        let name = Name(&column.destination_name);
        let own = sql!("{}.{}", table.destination, name);
        let same = match is_exact(column, limits) {
            true => sql!("CAST({} AS BINARY)=CAST({} AS BINARY)", own, value(name)),
            false => sql!("{}={}", own, value(name)),
        };
        sql!("{}=IF({},{},NULL)", name, same, own)
    });
    // Key columns too: under a case-insensitive collation 'a' may have become 'A'.
    let values = table.columns.iter().filter(|column| column.write).map(|column| {
        let name = Name(&column.destination_name);
        sql!("{}={}", name, value(name))
    });
    tail.add_list(guards.chain(values));
    tail
}

/// Key columns that are set to NULL, which they refuse, when the duplicate is another row: one that holds a unique value of
/// this row, or one whose key has other bytes and is equal for the destination alone. Rule A3 leaves none of the first kind; whoever
/// else writes to the destination might. A TIMESTAMP takes NULL for now.
fn guarded_key(table: &TablePlan, limits: Limits) -> impl Iterator<Item = &ColumnPlan> {
    let key = table.key.iter().map(|&place| &table.columns[place]);
    key.filter(move |column| {
        let guarded = table.secondary_unique || is_exact(column, limits);
        guarded && column.write && !matches!(column.column.kind, Kind::Timestamp { .. })
    })
}

/// Whether values of a key's column are told apart by their bytes: text, which the destination may compare by another collation
/// than the source. MariaDB has no UCA 9.0.0, and of one name two servers need not mean the same.
fn is_exact(column: &ColumnPlan, limits: Limits) -> bool {
    !limits.adopts_rows && is_text(column)
}

fn is_text(column: &ColumnPlan) -> bool {
    matches!(column.column.kind, Kind::Char | Kind::Varchar | Kind::Text)
}

/// Whether the destination may hold two keys for one that the source tells apart.
pub(super) fn has_text_key(table: &TablePlan) -> bool {
    table.key.iter().any(|&place| is_text(&table.columns[place]))
}

/// What to make of a server's "Duplicate entry" where the key is text; empty where it says enough by itself.
pub(super) fn collision(table: &TablePlan, message: &str) -> &'static str {
    if has_text_key(table) && message.contains("Duplicate entry") { ANOTHER_KEY } else { "" }
}

/// How a row can meet another one whose key has other bytes.
pub(super) const ANOTHER_KEY: &str = "; if the source has both rows, the destination compares the key by another collation and takes two values for \
                           one: give the column a collation at the source that compares bytes (utf8mb4_0900_bin or utf8mb4_bin)";

/// ER_BAD_NULL_ERROR.
const BAD_NULL: u16 = 1048;

/// Whether the error is the one that [`guarded_key`] causes.
pub(super) fn is_other_row(table: &TablePlan, limits: Limits, error: &crate::sql::Failure) -> bool {
    matches!(error, crate::sql::Failure::Server(server) if server.code == BAD_NULL
        && guarded_key(table, limits).any(|column| server.message.contains(&format!("'{}'", column.destination_name))))
}

/// Appends `(v1,v2,…)`; the values at `long` are variables.
fn push_values(sql: &mut Sql, table: &TablePlan, row: &Row, long: &[usize]) {
    sql.push("(");
    let mut first = true;
    for (place, (column, cell)) in table.columns.iter().zip(row.cells()).enumerate() {
        if column.write {
            if !first {
                sql.push(",");
            }
            first = false;
            if long.contains(&place) {
                sql.add(&long::variable(Image::After, place));
            } else {
                column.push_value(sql, cell);
            }
        }
    }
    sql.push(")");
}

/// Bytes of a value that a message can show.
const SHOWN_BYTES: usize = 256;

/// What names a row in a message: its key, or the beginnings of its values where the table has none.
pub(super) fn subject(table: &TablePlan, row: &Row) -> Row {
    if table.has_key() {
        return row.project(&table.key);
    }
    let mut beginnings = RowBuilder::default();
    for cell in row.cells() {
        beginnings.push(cell.map(|bytes| &bytes[..bytes.len().min(SHOWN_BYTES)]));
    }
    beginnings.finish()
}

/// The number in a server's `… at row N`.
pub(super) fn row_number(message: &str) -> Option<usize> {
    let (_, rest) = message.rsplit_once("at row ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Multi-row inserts of the rows.
pub(super) fn inserts<'a>(
    table: &TablePlan,
    rows: impl IntoIterator<Item = Cow<'a, Row>>,
    on_duplicate: OnDuplicate,
    limits: Limits,
) -> Vec<Statement> {
    let head = insert_head(table, on_duplicate);
    let tail = insert_tail(table, on_duplicate, limits);
    let warnings = if on_duplicate == OnDuplicate::Keep { Warnings::Duplicates } else { Warnings::Errors };
    let mut statements: Vec<Statement> = Vec::new();
    let mut open: Option<Statement> = None;
    for row in rows {
        let (lenient, long) = (lenient_columns(table, &row), long_places(table, &row, limits.packet_bytes));
        let refused = refusal(table, &row);
        if !lenient.is_empty() || !long.is_empty() || refused.is_some() {
            let mut sql = head.clone();
            push_values(&mut sql, table, &row, &long);
            sql.add(&tail);
            let subjects = vec![subject(table, &row)];
            let long = LongRow::new(row.into_owned(), Image::After, long).into_iter().collect();
            statements.push(Statement { table: table.id, sql, subjects, must_find: None, lenient, long, warnings, refused });
            continue;
        }
        let begin = |sql: Sql| Statement {
            table: table.id,
            sql,
            subjects: Vec::new(),
            must_find: None,
            lenient: Vec::new(),
            long: Vec::new(),
            warnings,
            refused: None,
        };
        let mut statement = open.take().unwrap_or_else(|| begin(head.clone()));
        let before = statement.sql.mark();
        if !statement.subjects.is_empty() {
            statement.sql.push(",");
        }
        let values = statement.sql.mark();
        push_values(&mut statement.sql, table, &row, &[]);
        // What a row takes is known when it stands there.
        let full = statement.subjects.len() >= limits.rows || statement.sql.len() + tail.len() > limits.statement_bytes;
        if full && !statement.subjects.is_empty() {
            let mut next = begin(head.clone());
            next.sql.add(&statement.sql.cut(values));
            statement.sql.cut(before);
            statement.sql.add(&tail);
            statements.push(statement);
            statement = next;
        }
        statement.subjects.push(subject(table, &row));
        open = Some(statement);
    }
    if let Some(mut statement) = open {
        statement.sql.add(&tail);
        statements.push(statement);
    }
    statements
}

/// `k IN (…)` for a key of one column, which servers turn into one range scan; OR-ed conjunctions else. Keys are told apart by their
/// bytes where [`is_exact`] says so.
fn push_key_condition(sql: &mut Sql, table: &TablePlan, keys: &[Row], limits: Limits) {
    let single = match table.key.as_slice() {
        [place] => Some(&table.columns[*place]).filter(|column| !matches!(column.column.kind, Kind::Set { .. })),
        _ => None,
    };
    if let Some(column) = single {
        let name = Name(&column.destination_name);
        push_list(sql, &sql!("{}", name), keys, |sql, cell| push_compare_literal(sql, &column.column, cell));
        if is_exact(column, limits) {
            sql.push(" AND ");
            push_list(sql, &sql!("CAST({} AS BINARY)", name), keys, |sql, cell| sql.push_string(cell.unwrap_or_default()));
        }
        return;
    }
    for (number, key) in keys.iter().enumerate() {
        sql.push(if number == 0 { "(" } else { " OR (" });
        sql.add(&keys_condition(table, Side::Destination, [key]));
        for (&place, cell) in table.key.iter().zip(key.cells()) {
            let column = &table.columns[place];
            if is_exact(column, limits) {
                sql.add(&sql!(" AND CAST({} AS BINARY)=", Name(&column.destination_name)));
                sql.push_string(cell.unwrap_or_default());
            }
        }
        sql.push(")");
    }
}

/// `name IN (…)` with the first cell of each key.
fn push_list(sql: &mut Sql, name: &Sql, keys: &[Row], literal: impl Fn(&mut Sql, CellRef<'_>)) {
    sql.add(name);
    let mut separator = " IN (";
    for key in keys {
        sql.push(separator);
        separator = ",";
        literal(sql, key.cells().next().flatten());
    }
    sql.push(")");
}

/// Deletes rows by key.
pub(super) fn deletes(table: &TablePlan, keys: &[Row], limits: Limits) -> Vec<Statement> {
    // A key stands there twice where its bytes count.
    batches(table, &table.key, keys, limits.rows.min(1000), limits.statement_bytes / 2)
        .map(|keys| {
            let mut sql = sql!("DELETE FROM {} WHERE ", table.destination);
            push_key_condition(&mut sql, table, keys, limits);
            Statement {
                table: table.id,
                sql,
                subjects: keys.to_vec(),
                must_find: None,
                lenient: Vec::new(),
                long: Vec::new(),
                warnings: Warnings::Ignored,
                refused: None,
            }
        })
        .collect()
}

/// Appends `WHERE …` for one row like this; the values at `long` are variables.
fn push_identities(sql: &mut Sql, table: &TablePlan, row: &Row, long: &[usize]) {
    let mut first = true;
    for (place, (column, cell)) in table.columns.iter().zip(row.cells()).enumerate() {
        if !column.write {
            continue;
        }
        sql.push(if first { " WHERE " } else { " AND " });
        first = false;
        if long.contains(&place) {
            let (name, variable) = (Name(&column.destination_name), long::variable(Image::Before, place));
            // Without an index of its own: no key holds a value as long as this.
            sql.add(&sql!("CAST({} AS BINARY)={}", name, variable));
        } else {
            column.push_identity(sql, cell);
        }
    }
    sql.push(" LIMIT 1");
}

/// Takes one row like this away.
pub(super) fn remove_one(table: &TablePlan, row: Row, limits: Limits) -> Statement {
    let mut sql = sql!("DELETE FROM {}", table.destination);
    let long = long_places(table, &row, limits.packet_bytes);
    push_identities(&mut sql, table, &row, &long);
    let subjects = vec![subject(table, &row)];
    let long = LongRow::new(row, Image::Before, long).into_iter().collect();
    let warnings = Warnings::Ignored;
    Statement { table: table.id, sql, subjects, must_find: Some(1), lenient: Vec::new(), long, warnings, refused: None }
}

/// Turns one row like `before` into `after`.
pub(super) fn replace_one(table: &TablePlan, before: Row, after: Row, limits: Limits) -> Statement {
    let half = limits.packet_bytes / 2;
    let (long_before, long_after) = (long_places(table, &before, half), long_places(table, &after, half));
    let mut sql = sql!("UPDATE {} SET ", table.destination);
    let mut first = true;
    for (place, (column, cell)) in table.columns.iter().zip(after.cells()).enumerate() {
        if column.write {
            if !first {
                sql.push(",");
            }
            first = false;
            sql.push_name(&column.destination_name);
            sql.push("=");
            if long_after.contains(&place) {
                sql.add(&long::variable(Image::After, place));
            } else {
                column.push_value(&mut sql, cell);
            }
        }
    }
    push_identities(&mut sql, table, &before, &long_before);
    let (lenient, subjects, refused) = (lenient_columns(table, &after), vec![subject(table, &before)], refusal(table, &after));
    let rows = [LongRow::new(before, Image::Before, long_before), LongRow::new(after, Image::After, long_after)];
    let long = rows.into_iter().flatten().collect();
    let warnings = Warnings::Errors;
    Statement { table: table.id, sql, subjects, must_find: Some(1), lenient, long, warnings, refused }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
