//! Cutting a table along its key, and the statements that read the pieces.
//!
//! Pure functions from a [`TablePlan`] to SQL, and [`RowReader`], which runs such a statement. A piece
//! is half open, `(lo, hi]`, in the *server's* order: bounds are values the server returned, never computed
//! here, of all key columns. Statements are bytes, not text: literals
//! hold values in the column's own character set (sessions run `SET NAMES binary`).
//!
//! Rows are read through the binary protocol, one at a time: memory holds one row per reader, and a slow
//! consumer slows the server down.

use mysql_async::{BinaryProtocol, Conn, QueryResult, Value};

use crate::plan::{ColumnPlan, TablePlan};
use crate::sql;
use crate::sql::{Failure, Name, Queries, Sql};
use crate::value::json_types::JsonServer;
use crate::value::literal::push_compare_literal;
use crate::value::read::{push_document, push_value, select_expression};
use godwit_model::definition::Kind;
use godwit_model::error::{Error, Result};
use godwit_model::names::TableName;
use godwit_model::row::{CellRef, Row, RowBuilder};

/// Whose names a statement uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

impl Side {
    /// The table's name on this side.
    pub(crate) fn table_name(self, table: &TablePlan) -> &TableName {
        match self {
            Side::Source => &table.source,
            Side::Destination => &table.destination,
        }
    }

    /// What the server of this side knows of types inside JSON documents.
    fn json(self, column: &ColumnPlan) -> JsonServer {
        match self {
            Side::Source => column.json.source,
            Side::Destination => column.json.destination,
        }
    }

    /// The column's name on this side.
    pub(crate) fn column_name(self, column: &ColumnPlan) -> &str {
        match self {
            Side::Source => &column.column.name,
            Side::Destination => &column.destination_name,
        }
    }
}

/// A place in the key's order: the canonical cells of the first `range_columns` key columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyBound(Row);

impl KeyBound {
    /// The bound at a full row of the table.
    pub(crate) fn of_row(table: &TablePlan, row: &Row) -> Self {
        Self(row.project(range_places(table)))
    }

    /// A bound from its cells, as [`KeyBound::row`] gave them.
    pub(crate) fn from_cells(cells: Row) -> Self {
        Self(cells)
    }

    /// The cells.
    pub(crate) fn row(&self) -> &Row {
        &self.0
    }
}

/// Places in `columns` of the key columns that chunks are cut along.
pub(crate) fn range_places(table: &TablePlan) -> &[usize] {
    &table.key[..table.range_columns.min(table.key.len())]
}

fn push_name(out: &mut Sql, column: &ColumnPlan, side: Side) {
    out.push_name(side.column_name(column));
}

/// The number by which an ENUM's value travels.
fn number_of(cell: &[u8]) -> Option<usize> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

/// `name IN (3,4)` for `name>2`: servers find single numbers of an ENUM in an index, and no range of them. 0 is the value that was
/// refused without strict mode.
fn push_numbers(out: &mut Sql, column: &ColumnPlan, side: Side, operator: &'static str, number: usize, labels: usize) {
    let numbers = match operator {
        ">" => number + 1..labels + 1,
        "<" => 0..number,
        _ => 0..number + 1,
    };
    if numbers.is_empty() {
        out.push("FALSE");
        return;
    }
    push_name(out, column, side);
    for (place, number) in numbers.enumerate() {
        out.push(if place == 0 { " IN (" } else { "," });
        out.add(&number);
    }
    out.push(")");
}

/// `name OPERATOR literal`.
fn push_comparison(out: &mut Sql, column: &ColumnPlan, side: Side, operator: &'static str, cell: CellRef<'_>) {
    if let (Kind::Enum { labels }, Some(number), true) = (&column.column.kind, cell.and_then(number_of), operator != "=") {
        push_numbers(out, column, side, operator, number, labels.len());
        return;
    }
    if matches!(column.column.kind, Kind::Set { .. }) && cell.is_some() {
        // Compared with a number a SET may become a double, which has no 64 bits.
        out.push("CAST(");
        push_name(out, column, side);
        out.push(" AS UNSIGNED)");
    } else {
        push_name(out, column, side);
    }
    out.push(operator);
    push_compare_literal(out, &column.column, cell);
}

type Part<'a> = (&'a ColumnPlan, CellRef<'a>);

/// `(a>1 OR (a=1 AND (b>2 OR (b=2 AND c>3))))`: the form the range optimizer understands, which a row
/// comparison is not (MySQL manual, "Range Optimization of Row Constructor Expressions"). `last` is the
/// operator of the innermost comparison.
fn push_expanded(out: &mut Sql, side: Side, parts: &[Part<'_>], strict: &'static str, last: &'static str) {
    let Some(((column, cell), rest)) = parts.split_first() else { return };
    if rest.is_empty() {
        push_comparison(out, column, side, last, *cell);
        return;
    }
    out.push("(");
    push_comparison(out, column, side, strict, *cell);
    out.push(" OR (");
    push_comparison(out, column, side, "=", *cell);
    out.push(" AND ");
    push_expanded(out, side, rest, strict, last);
    out.push("))");
}

/// The condition for the keys in `(lo, hi]`; empty when both are open.
///
/// Leading columns on which both bounds agree become plain equalities.
pub(crate) fn range_condition(table: &TablePlan, side: Side, lo: Option<&KeyBound>, hi: Option<&KeyBound>) -> Sql {
    fn parts<'a>(table: &'a TablePlan, bound: Option<&'a KeyBound>) -> Vec<Part<'a>> {
        let Some(bound) = bound else { return Vec::new() };
        range_places(table).iter().map(|&place| &table.columns[place]).zip(bound.0.cells()).collect()
    }
    let (lo, hi) = (parts(table, lo), parts(table, hi));
    let mut out = Sql::with_capacity(256);
    let mut common = 0;
    // The last column stays: (x, x] is empty, and `a>x AND a<=x` says so.
    while common + 1 < lo.len().min(hi.len()) && lo[common].1 == hi[common].1 {
        if common > 0 {
            out.push(" AND ");
        }
        push_comparison(&mut out, lo[common].0, side, "=", lo[common].1);
        common += 1;
    }
    for (rest, strict, last) in [(lo.get(common..), ">", ">"), (hi.get(common..), "<", "<=")] {
        let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { continue };
        if !out.is_empty() {
            out.push(" AND ");
        }
        push_expanded(&mut out, side, rest, strict, last);
    }
    out
}

/// The condition for rows whose key equals one of `keys` (all key columns, in key order) by the server's
/// own comparison: under a case-insensitive collation that is more than byte equality.
pub(crate) fn keys_condition<'a>(table: &TablePlan, side: Side, keys: impl IntoIterator<Item = &'a Row>) -> Sql {
    let mut out = Sql::with_capacity(1024);
    for key in keys {
        out.push(if out.is_empty() { "(" } else { " OR (" });
        for (number, (&place, cell)) in table.key.iter().zip(key.cells()).enumerate() {
            if number > 0 {
                out.push(" AND ");
            }
            push_comparison(&mut out, &table.columns[place], side, "=", cell);
        }
        out.push(")");
    }
    out
}

/// Bytes that a condition for keys may take, so that a statement with it stays below any server's `max_allowed_packet`, of which the
/// precheck demands 1 MiB.
pub(crate) const CONDITION_BYTES: usize = 256 << 10;

/// Cuts keys into runs whose condition takes no more than `bytes`, at most `most` keys each; a single key may exceed it. `columns`: the
/// places of the keys' cells. Literals count with every byte escaped.
pub(crate) fn batches<'a>(
    table: &'a TablePlan,
    columns: &'a [usize],
    keys: &'a [Row],
    most: usize,
    bytes: usize,
) -> impl Iterator<Item = &'a [Row]> + 'a {
    // Quotes, an introducer, `CAST(… AS UNSIGNED)`, and the name with each letter doubled.
    let around =
        |place: &usize| table.columns.get(*place).map_or(0, |c| 2 * c.destination_name.len().max(c.column.name.len())) + 48;
    let overhead: usize = columns.iter().map(around).sum();
    let mut rest = keys;
    std::iter::from_fn(move || {
        let mut taken = 0;
        let fits = |key: &&Row| {
            taken += 2 * key.size() + overhead;
            taken <= bytes
        };
        let count = rest.iter().take(most.max(1)).take_while(fits).count().max(1).min(rest.len());
        let (batch, behind) = rest.split_at(count);
        rest = behind;
        (!batch.is_empty()).then_some(batch)
    })
}

/// `` `database`.`table` `` with the hint that keeps the server on the key's index.
pub(crate) fn table_expression(table: &TablePlan, side: Side, force_index: bool) -> Sql {
    let name = side.table_name(table);
    match table.key_index.as_deref().filter(|_| force_index) {
        Some(index) => sql!("{} FORCE INDEX ({})", name, Name(index)),
        None => sql!("{}", name),
    }
}

fn push_order(out: &mut Sql, table: &TablePlan, side: Side, places: &[usize]) {
    for (number, &place) in places.iter().enumerate() {
        out.push(if number == 0 { " ORDER BY " } else { "," });
        push_name(out, &table.columns[place], side);
    }
}

fn push_where(out: &mut Sql, condition: &Sql) {
    if !condition.is_empty() {
        out.push(" WHERE ");
        out.add(condition);
    }
}

/// How a [`select_statement`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SelectOptions {
    /// Name the key's index; it must exist on that side (error 1176 otherwise).
    pub force_index: bool,
    /// `ORDER BY` all key columns, which is the index's order.
    pub ordered: bool,
    /// Beside each JSON document what its text does not tell of it (`value::json_types`), where the server can say it.
    pub json_types: bool,
}

/// Reads all columns of the plan, in its order, so that [`RowReader`] makes canonical rows of them.
pub(crate) fn select_statement(table: &TablePlan, side: Side, condition: &Sql, options: SelectOptions) -> Sql {
    let mut out = Sql::new("SELECT ");
    for (number, column) in table.columns.iter().enumerate() {
        if number > 0 {
            out.push(",");
        }
        let name = side.column_name(column);
        out.add(&select_expression(name, &column.column.kind));
        if column.column.kind == Kind::Json
            && options.json_types
            && let Some(types) = side.json(column).types_expression(&sql!("{}", Name(name)), &column.json.paths)
        {
            out.push(",");
            out.add(&types);
        }
    }
    out.push(" FROM ");
    out.add(&table_expression(table, side, options.force_index));
    push_where(&mut out, condition);
    if options.ordered {
        push_order(&mut out, table, side, &table.key);
    }
    out
}

/// Reads the range columns of the row that stands `offset` rows after the first one behind `lo`:
/// offset `n - 1` gives the `hi` of a chunk of n rows, no row says that fewer are left.
pub(crate) fn boundary_statement(table: &TablePlan, side: Side, lo: Option<&KeyBound>, offset: u64, force_index: bool) -> Sql {
    let places = range_places(table);
    let mut out = Sql::new("SELECT ");
    for (number, &place) in places.iter().enumerate() {
        if number > 0 {
            out.push(",");
        }
        let column = &table.columns[place];
        out.add(&select_expression(side.column_name(column), &column.column.kind));
    }
    out.push(" FROM ");
    out.add(&table_expression(table, side, force_index));
    push_where(&mut out, &range_condition(table, side, lo, None));
    push_order(&mut out, table, side, places);
    out.add(&sql!(" LIMIT 1 OFFSET {}", offset));
    out
}

/// Counts the rows of a piece.
pub(crate) fn count_statement(table: &TablePlan, side: Side, condition: &Sql, force_index: bool) -> Sql {
    let mut out = Sql::new("SELECT COUNT(*) FROM ");
    out.add(&table_expression(table, side, force_index));
    push_where(&mut out, condition);
    out
}

/// Rows of one statement, one at a time, as canonical rows.
///
/// A reader that is dropped before its end leaves rows on the wire: the connection has to be dropped too.
pub(crate) struct RowReader<'a> {
    result: QueryResult<'a, 'static, BinaryProtocol>,
    table: &'a TablePlan,
    places: Vec<usize>,
    builder: RowBuilder,
    scratch: Vec<u8>,
}

impl<'a> RowReader<'a> {
    /// Runs a [`select_statement`] on a `Role::Read` connection.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn start(conn: &'a mut Conn, statement: &Sql, table: &'a TablePlan) -> Result<Self> {
        Self::start_columns(conn, statement, table, (0..table.columns.len()).collect()).await
    }

    /// Runs a statement that selects only the columns at `places`, in that order.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn start_columns(
        conn: &'a mut Conn,
        statement: &Sql,
        table: &'a TablePlan,
        places: Vec<usize>,
    ) -> Result<Self> {
        let result = conn.exec_rows(statement).await?;
        Ok(Self::over(result, table, places))
    }

    /// Reads what a statement of this kind has answered.
    pub(crate) fn over(result: QueryResult<'a, 'static, BinaryProtocol>, table: &'a TablePlan, places: Vec<usize>) -> Self {
        Self { result, table, places, builder: RowBuilder::default(), scratch: Vec::new() }
    }

    /// The next row; None at the end.
    ///
    /// # Errors
    /// A lost connection, or a value that does not belong to the column's kind.
    pub(crate) async fn next(&mut self) -> Result<Option<Row>> {
        let Some(row) = self.result.next().await.map_err(Failure::from)? else { return Ok(None) };
        let values = row.unwrap();
        // Documents come with their types, or all without.
        let is_json = |place: &&usize| self.table.columns[**place].column.kind == Kind::Json;
        let documents = self.places.iter().filter(is_json).count();
        let with_types = documents > 0 && values.len() == self.places.len() + documents;
        if values.len() != self.places.len() && !with_types {
            return Err(Error::definite(format!(
                "{}: the server sent {} columns where {} were asked for",
                self.table.source,
                values.len(),
                self.places.len()
            )));
        }
        let mut values = values.into_iter();
        for &place in &self.places {
            let planned = &self.table.columns[place];
            let column = &planned.column;
            let value = values.next().unwrap_or(Value::NULL);
            if with_types && column.kind == Kind::Json {
                let types = values.next().unwrap_or(Value::NULL);
                push_document(&mut self.builder, value, types, &planned.json.paths)
                    .map_err(|error| error.context(format!("{} column {}", self.table.source, column.name)))?;
                continue;
            }
            push_value(&mut self.builder, value, column, &mut self.scratch)?;
        }
        Ok(Some(self.builder.take()))
    }
}

/// The upper bound of a chunk of `rows` rows behind `lo`; None when fewer are left.
///
/// # Errors
/// What the server says.
pub(crate) async fn read_boundary(
    conn: &mut Conn,
    table: &TablePlan,
    side: Side,
    lo: Option<&KeyBound>,
    rows: u64,
    force_index: bool,
) -> Result<Option<KeyBound>> {
    let statement = boundary_statement(table, side, lo, rows.saturating_sub(1), force_index);
    let mut reader = RowReader::start_columns(conn, &statement, table, range_places(table).to_vec()).await?;
    let bound = reader.next().await?;
    if bound.is_some() {
        // LIMIT 1: this reads the end of the result, which frees the connection.
        reader.next().await?;
    }
    Ok(bound.map(KeyBound))
}

#[cfg(test)]
pub(crate) mod tests;
