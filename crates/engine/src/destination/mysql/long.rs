//! Values too large for the text of a statement.
//!
//! A statement exists three times while it is sent: as text, as the driver's packet, and as the bytes that the
//! driver frames for the network. A value of many megabytes therefore goes ahead in pieces, into a user variable
//! of the session, and the statement names the variable. Variables are no part of a transaction and write
//! nothing; what is written still is one statement. Sessions that write run `SET NAMES binary`, so a variable is
//! a binary string like the literal it stands for.

use mysql_async::Conn;

use crate::plan::TablePlan;
use crate::sql;
use crate::sql::{Queries, Sql};
use godwit_model::definition::Kind;
use godwit_model::error::{Error, Result};
use godwit_model::row::Row;

/// Values from this size on are sent ahead.
pub(super) const LONG_BYTES: usize = 4 << 20;

/// The same where the whole row may not fit into a packet otherwise.
const SHORT_BYTES: usize = 1 << 10;

/// What else stands in a statement with a large row.
const REST_OF_STATEMENT: usize = 64 << 10;

/// Bytes of a value that are sent at once.
const PIECE_BYTES: usize = 2 << 20;

/// A row of a statement, and which of its values are sent ahead.
#[derive(Debug)]
pub(crate) struct LongRow {
    row: Row,
    /// Tells the images of an update apart.
    image: Image,
    places: Vec<usize>,
}

/// Which row of a statement a value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Image {
    /// The row as it was.
    Before,
    /// The row as it shall be.
    After,
}

impl LongRow {
    /// The row, if `places` are any.
    pub(crate) fn new(row: Row, image: Image, places: Vec<usize>) -> Option<Self> {
        (!places.is_empty()).then_some(Self { row, image, places })
    }
}

/// Places of the values that are sent ahead of a statement with this row, for which a packet has so much room. Each byte may need an escape.
pub(super) fn long_places(table: &TablePlan, row: &Row, room: usize) -> Vec<usize> {
    let is_tight = |bytes: usize| 2 * bytes + REST_OF_STATEMENT > room;
    if row.size() < LONG_BYTES && !is_tight(row.size()) {
        return Vec::new();
    }
    let places = places_from(table, row, LONG_BYTES);
    let ahead: usize = places.iter().filter_map(|place| row.cells().nth(*place).flatten()).map(<[u8]>::len).sum();
    if is_tight(row.size().saturating_sub(ahead)) { places_from(table, row, SHORT_BYTES) } else { places }
}

/// Places of the strings of at least so many bytes.
fn places_from(table: &TablePlan, row: &Row, least: usize) -> Vec<usize> {
    let long = |place: &usize| {
        let column = &table.columns[*place];
        let is_string = matches!(
            column.column.kind,
            Kind::Char | Kind::Varchar | Kind::Text | Kind::Binary { .. } | Kind::VarBinary | Kind::Blob | Kind::Geometry
        );
        column.write && is_string && row.cells().nth(*place).flatten().is_some_and(|bytes| bytes.len() >= least)
    };
    (0..table.columns.len()).filter(long).collect()
}

/// The variable that holds a value.
pub(super) fn variable(image: Image, place: usize) -> Sql {
    match image {
        Image::Before => sql!("@godwit_old_{}", place),
        Image::After => sql!("@godwit_new_{}", place),
    }
}

/// Fills the variables of a statement.
///
/// # Errors
/// Definite when the server cuts a value: it is larger than `max_allowed_packet`.
pub(super) async fn send(conn: &mut Conn, rows: &[LongRow], packet_bytes: usize) -> Result<()> {
    for long in rows {
        for (place, cell) in long.row.cells().enumerate().filter(|(place, _)| long.places.contains(place)) {
            send_value(conn, &variable(long.image, place), cell.unwrap_or_default(), packet_bytes).await?;
        }
    }
    Ok(())
}

/// What to do where a packet of so many bytes is not taken.
pub(super) fn raise_packet(bytes: usize) -> String {
    format!("raise it there (SET GLOBAL max_allowed_packet = {})", (2 * bytes).next_power_of_two().min(1 << 30))
}

async fn send_value(conn: &mut Conn, variable: &Sql, value: &[u8], packet_bytes: usize) -> Result<()> {
    let too_large = || {
        let bytes = value.len();
        let what =
            format!("a value of {bytes} bytes is larger than the destination's max_allowed_packet; {}", raise_packet(bytes));
        Err(Error::definite(what))
    };
    if value.len() > packet_bytes {
        return too_large();
    }
    let mut sent = 0;
    // With all bytes escaped a piece takes half of a packet.
    for piece in value.chunks(PIECE_BYTES.min(packet_bytes / 4).max(1)) {
        let mut sql = sql!("SET {}=", variable);
        if sent > 0 {
            sql.add(&sql!("CONCAT({},", variable));
        }
        sql.push_string(piece);
        if sent > 0 {
            sql.push(")");
        }
        conn.query_drop(sql).await?;
        sent += piece.len();
    }
    // CONCAT beyond max_allowed_packet gives NULL and a warning.
    let held: Option<Option<u64>> = conn.query_first(sql!("SELECT LENGTH({})", variable)).await?;
    if held.flatten() == Some(value.len() as u64) { Ok(()) } else { too_large() }
}

/// Gives the variables' memory back to the server.
///
/// # Errors
/// The server's.
pub(super) async fn forget(conn: &mut Conn, rows: &[LongRow]) -> Result<()> {
    let names = rows.iter().flat_map(|long| long.places.iter().map(|place| sql!("{}=NULL", variable(long.image, *place))));
    let names = Sql::list(names);
    if !names.is_empty() {
        conn.query_drop(sql!("SET {}", names)).await?;
    }
    Ok(())
}
