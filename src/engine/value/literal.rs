//! The writing side of the codec: canonical bytes as SQL literals and as LOAD DATA fields.
//!
//! Statements run on a `Role::Write` connection (`SET NAMES binary`): a quoted string is bytes, and bytes
//! are stored as they are after a check that they are well formed in the column's character set.

use super::CellRef;
use super::json_sql;
use super::json_types::{self, JsonServer};
use crate::engine::plan::ColumnPlan;
use crate::engine::quote::quote_identifier;
use crate::engine::schema::definition::{Column, Kind};
use crate::engine::sql::words::{is_number, is_word};

/// Values from this size on are measured before they are written.
const LARGE: usize = 1 << 20;

/// What else stands in a statement with a large value, most of the time.
const REST_OF_STATEMENT: usize = 16 << 10;

/// Appends `'…'` with the bytes escaped for a session without NO_BACKSLASH_ESCAPES.
pub fn push_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() > LARGE {
        // Exactly: growing by doubling would take twice the room of a value that is large already.
        let escapes = bytes.iter().filter(|byte| matches!(byte, 0 | b'\'' | b'\\')).count();
        out.reserve_exact(bytes.len() + escapes + REST_OF_STATEMENT);
    } else {
        out.reserve(bytes.len() + 2);
    }
    out.push(b'\'');
    let mut start = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        let escape = match byte {
            0 => b'0',
            b'\'' => b'\'',
            b'\\' => b'\\',
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..place]);
        out.push(b'\\');
        out.push(escape);
        start = place + 1;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'\'');
}

/// Appends the value as BIT's number.
fn push_bits(out: &mut Vec<u8>, bytes: &[u8]) {
    let number = bytes.iter().take(8).fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    super::read::push_u64(out, number);
}

/// Appends the value of a numeric column. Only a number stands without quotes; whatever else came for one is text, which strict mode refuses.
fn push_number(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_number(bytes) { out.extend_from_slice(bytes) } else { push_quoted(out, bytes) }
}

/// Appends the literal that stores this value in the column at the destination.
pub fn push_insert_literal(out: &mut Vec<u8>, column: &ColumnPlan, cell: CellRef<'_>) {
    match (&column.column.kind, cell) {
        (Kind::Json, Some(document)) => json_sql::push_json(out, document, column.json.destination),
        _ => push_literal(out, &column.column, cell),
    }
}

fn push_literal(out: &mut Vec<u8>, column: &Column, cell: CellRef<'_>) {
    let Some(bytes) = cell else {
        out.extend_from_slice(b"NULL");
        return;
    };
    match &column.kind {
        Kind::TinyInt { .. }
        | Kind::SmallInt { .. }
        | Kind::MediumInt { .. }
        | Kind::Int { .. }
        | Kind::BigInt { .. }
        | Kind::Decimal { .. }
        | Kind::Float
        | Kind::Double
        | Kind::Year
        | Kind::Enum { .. }
        | Kind::Set { .. } => push_number(out, bytes),
        Kind::Bit { .. } => push_bits(out, bytes),
        Kind::Json => json_sql::push_json(out, bytes, JsonServer::Text),
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => {
            out.extend_from_slice(b"_latin1");
            push_quoted(out, bytes);
        }
        Kind::Date
        | Kind::Time { .. }
        | Kind::DateTime { .. }
        | Kind::Timestamp { .. }
        | Kind::Char
        | Kind::Varchar
        | Kind::Text
        | Kind::Binary { .. }
        | Kind::VarBinary
        | Kind::Blob
        | Kind::Geometry
        | Kind::Vector => push_quoted(out, bytes),
    }
}

/// Appends the literal that compares with the column under the column's own collation.
///
/// The introducer gives the bytes the column's character set and leaves the collation to the column
/// (a literal is coercible; MySQL manual, "Collation Coercibility in Expressions").
pub fn push_compare_literal(out: &mut Vec<u8>, column: &Column, cell: CellRef<'_>) {
    match (&column.kind, cell, &column.character_set) {
        // Definitions with another name than a word are refused where they are read.
        (Kind::Char | Kind::Varchar | Kind::Text, Some(bytes), Some(character_set)) if is_word(character_set) => {
            out.push(b'_');
            out.extend_from_slice(character_set.as_bytes());
            push_quoted(out, bytes);
        }
        // Sessions that read rows may have another character set than bytes.
        (Kind::Binary { .. } | Kind::VarBinary | Kind::Blob | Kind::Geometry | Kind::Vector, Some(bytes), _) => {
            out.extend_from_slice(b"_binary");
            push_quoted(out, bytes);
        }
        _ => push_literal(out, column, cell),
    }
}

/// Appends a condition that holds for exactly the same stored value, byte for byte, NULL included.
pub fn push_identity(out: &mut Vec<u8>, planned: &ColumnPlan, cell: CellRef<'_>) {
    let column = &planned.column;
    let quoted = quote_identifier(&planned.destination_name);
    let Some(bytes) = cell else {
        out.extend_from_slice(format!("{quoted} IS NULL").as_bytes());
        return;
    };
    match &column.kind {
        Kind::Char | Kind::Varchar | Kind::Text => {
            // The first half can use an index, the second tells 'a' from 'A'.
            out.extend_from_slice(format!("({quoted}=").as_bytes());
            push_compare_literal(out, column, cell);
            out.extend_from_slice(format!(" AND CAST({quoted} AS BINARY)=").as_bytes());
            push_quoted(out, bytes);
            out.push(b')');
        }
        Kind::Json => {
            out.extend_from_slice(
                format!("CAST({quoted} AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_bin=_utf8mb4").as_bytes(),
            );
            push_quoted(out, &json_sql::printed(bytes, planned.json.destination));
        }
        // As a number, and as an exact one: MariaDB compares a SET with a number beyond 63 bits as doubles.
        Kind::Enum { .. } | Kind::Set { .. } => {
            out.extend_from_slice(format!("CAST({quoted} AS UNSIGNED)=").as_bytes());
            push_number(out, bytes);
        }
        Kind::Geometry | Kind::Vector => {
            out.extend_from_slice(format!("HEX({quoted})='").as_bytes());
            for byte in bytes {
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            out.push(b'\'');
        }
        // 0 and -0 are equal. A comparison with `=` would be no help to ATAN2: servers put the constant in the column's place then.
        Kind::Float | Kind::Double if is_zero(bytes) => {
            let sign = if bytes.starts_with(b"-") { '<' } else { '>' };
            out.extend_from_slice(format!("({quoted}>=0e0 AND {quoted}<=0e0 AND ATAN2({quoted},-1){sign}0)").as_bytes());
        }
        _ => {
            out.extend_from_slice(format!("{quoted}=").as_bytes());
            push_compare_literal(out, column, cell);
        }
    }
}

/// Whether the text of a FLOAT or DOUBLE is that of zero, with either sign.
fn is_zero(text: &[u8]) -> bool {
    std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) == Some(0.0)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Whether LOAD DATA can carry the value; the rest goes through INSERT.
pub fn fits_load_data(column: &Column, cell: CellRef<'_>) -> bool {
    match (&column.kind, cell) {
        (Kind::Json, Some(bytes)) => !json_types::is_typed(bytes),
        (Kind::Enum { .. }, _) => !needs_lenience(column, cell),
        // MySQL 8.0.15 finds no value for such a column in any file (error 1364).
        (Kind::Geometry, _) => column.nullable,
        _ => true,
    }
}

/// Whether the value is one that a column holds but strict mode never takes: the index 0 that an ENUM has
/// where a value was refused in a session without strict mode.
pub fn needs_lenience(column: &Column, cell: CellRef<'_>) -> bool {
    matches!(column.kind, Kind::Enum { .. }) && cell == Some(b"0")
}

/// Appends a LOAD DATA field (tab separated, backslash escaped, `\N` for NULL).
pub fn push_load_field(out: &mut Vec<u8>, column: &Column, cell: CellRef<'_>) {
    let Some(bytes) = cell else {
        out.extend_from_slice(b"\\N");
        return;
    };
    if let Kind::Bit { .. } = column.kind {
        push_bits(out, bytes);
        return;
    }
    let mut start = 0;
    for (place, &byte) in bytes.iter().enumerate() {
        let escape = match byte {
            0 => b'0',
            b'\t' => b't',
            b'\n' => b'n',
            b'\\' => b'\\',
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..place]);
        out.push(b'\\');
        out.push(escape);
        start = place + 1;
    }
    out.extend_from_slice(&bytes[start..]);
}

/// How LOAD DATA assigns a column that cannot take its field as it stands: the expression over the
/// user variable.
pub fn load_expression(kind: &Kind, variable: &str) -> Option<String> {
    match kind {
        Kind::Enum { .. } | Kind::Set { .. } | Kind::Bit { .. } => Some(format!("CAST({variable} AS UNSIGNED)")),
        Kind::Json => Some(format!("CONVERT({variable} USING utf8mb4)")),
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => Some(format!("CONVERT({variable} USING latin1)")),
        // The text "0" would be read as the year 2000.
        Kind::Year => Some(format!("CAST({variable} AS UNSIGNED)")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{column, definition, table_plan};

    #[test]
    fn zeros_are_told_apart_by_their_sign() {
        let identity = |kind: Kind, text: &str| {
            let mut sql = Vec::new();
            let table = table_plan(definition("d", "t", vec![column("d", kind)]));
            push_identity(&mut sql, &table.columns[0], Some(text.as_bytes()));
            String::from_utf8(sql).unwrap()
        };
        for kind in [Kind::Float, Kind::Double] {
            assert_eq!(identity(kind.clone(), "0e0"), "(`d`>=0e0 AND `d`<=0e0 AND ATAN2(`d`,-1)>0)");
            assert_eq!(identity(kind.clone(), "-0e0"), "(`d`>=0e0 AND `d`<=0e0 AND ATAN2(`d`,-1)<0)");
            assert_eq!(identity(kind.clone(), "-1e0"), "`d`=-1e0");
            assert_eq!(identity(kind, "5e-324"), "`d`=5e-324");
        }
        assert_eq!(identity(Kind::Decimal { precision: 5, scale: 2 }, "0.00"), "`d`=0.00");
    }
}
