//! Tables whose keys the two ends order differently: other collations, or MariaDB's UUID and INET types kept as text.
//!
//! Pieces are cut along the source's order, `(lo, hi]`. On such a table the destination's rows of a piece are those behind the
//! *greatest* bound so far, by its own order: so every row there belongs to exactly one piece. A bound that is compared
//! wrongly makes pieces overlap, and never leaves rows between them.

use mysql_async::Conn;

use crate::plan::TablePlan;
use crate::rows::{KeyBound, range_places};
use crate::sql;
use crate::sql::{Hex, Queries, Sql};
use crate::value::literal::push_compare_literal;
use godwit_model::definition::{Column, Kind};
use godwit_model::error::{Error, Result};
use godwit_model::row::CellRef;
use godwit_model::words::Word;

/// A column of the destination as information_schema has it.
pub(super) struct DestinationColumn {
    pub name: String,
    pub data_type: String,
    pub character_set: Option<String>,
    pub collation: Option<String>,
}

/// Character set and collation of text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    character_set: String,
    collation: String,
}

/// How the destination orders the columns that pieces are cut along; None inside: not as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order(Vec<Option<Text>>);

impl Order {
    /// None where it is the source's order.
    pub(super) fn of(table: &TablePlan, columns: &[DestinationColumn]) -> Option<Self> {
        let mut order = Vec::new();
        let mut same = true;
        for &place in range_places(table) {
            let column = &table.columns[place];
            let there = columns.iter().find(|there| there.name.eq_ignore_ascii_case(&column.destination_name))?;
            let theirs = text(is_text(&there.data_type), there.character_set.as_deref(), there.collation.as_deref());
            let own = &column.column;
            let ours = text(
                matches!(own.kind, Kind::Char | Kind::Varchar | Kind::Text),
                own.character_set.as_deref(),
                own.collation.as_deref(),
            );
            same &= ours == theirs;
            order.push(theirs);
        }
        (!same).then_some(Self(order))
    }

    /// The greater one of two bounds at the destination; None is less than all.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn greater(
        &self,
        conn: &mut Conn,
        table: &TablePlan,
        known: Option<KeyBound>,
        new: &KeyBound,
    ) -> Result<KeyBound> {
        let Some(known) = known else { return Ok(new.clone()) };
        let mut sql = Sql::new("SELECT CONCAT(");
        let columns = range_places(table).iter().map(|&place| &table.columns[place].column);
        for (number, ((column, text), (left, right))) in
            columns.zip(&self.0).zip(new.row().cells().zip(known.row().cells())).enumerate()
        {
            sql.push(if number == 0 { "(" } else { ",(" });
            push_literal(&mut sql, column, text.as_ref(), left);
            sql.push(">");
            push_literal(&mut sql, column, text.as_ref(), right);
            sql.push(")-(");
            push_literal(&mut sql, column, text.as_ref(), left);
            sql.push("<");
            push_literal(&mut sql, column, text.as_ref(), right);
            sql.push(")+1");
        }
        sql.push(")");
        // A digit a column: 0 less, 1 equal, 2 greater.
        let digits: Option<String> = conn.query_first(sql).await?;
        let digits = digits.ok_or_else(|| Error::transient("two bounds could not be compared"))?;
        let greater = digits.bytes().find(|digit| *digit != b'1') == Some(b'2');
        Ok(if greater { new.clone() } else { known })
    }
}

fn is_text(data_type: &str) -> bool {
    matches!(data_type, "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext")
}

fn text(is_text: bool, character_set: Option<&str>, collation: Option<&str>) -> Option<Text> {
    let (true, Some(character_set), Some(collation)) = (is_text, character_set, collation) else { return None };
    let character_set = if character_set == "utf8" { "utf8mb3" } else { character_set };
    let collation = match collation.strip_prefix("utf8_") {
        Some(rest) => format!("utf8mb3_{rest}"),
        None => collation.to_owned(),
    };
    Some(Text { character_set: character_set.to_owned(), collation })
}

fn push_literal(sql: &mut Sql, column: &Column, text: Option<&Text>, cell: CellRef<'_>) {
    let hex = Hex(cell.unwrap_or_default());
    match text {
        Some(text) => {
            let of = |name| Word::of(name).map_or_else(Sql::default, |word| sql!("{}", word));
            sql.add(&sql!("(_{} {} COLLATE {})", of(&text.character_set), hex, of(&text.collation)));
        }
        None if matches!(column.kind, Kind::Binary { .. } | Kind::VarBinary | Kind::Blob) => sql.add(&hex),
        None => push_compare_literal(sql, column, cell),
    }
}
