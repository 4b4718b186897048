//! The writing side of the codec: canonical bytes as SQL literals and as LOAD DATA fields.
//!
//! Statements run on a `Role::Write` connection (`SET NAMES binary`): a quoted string is bytes, and bytes
//! are stored as they are after a check that they are well formed in the column's character set.

use super::json_identity::push_types_condition;
use super::json_sql;
use super::json_types::{self, JsonServer};
use crate::sql;
use crate::sql::{Name, Sql};
use godwit_model::definition::{Column, Kind};
use godwit_model::row::CellRef;
use godwit_model::words::{Word, is_word};

/// The value of a BIT column as a number.
fn bits(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// Appends the literal that stores this value in a column; `json`: what the server knows of types inside JSON documents.
pub fn push_insert_literal(out: &mut Sql, column: &Column, json: JsonServer, cell: CellRef<'_>) {
    match (&column.kind, cell) {
        (Kind::Json, Some(document)) => json_sql::push_json(out, document, json),
        _ => push_literal(out, column, cell),
    }
}

fn push_literal(out: &mut Sql, column: &Column, cell: CellRef<'_>) {
    let Some(bytes) = cell else { return out.push("NULL") };
    match &column.kind {
        // What came for a number and is none is text, which strict mode refuses.
        kind if kind.is_written_as_number() => out.push_number(bytes),
        Kind::Bit { .. } => out.add(&bits(bytes)),
        Kind::Json => json_sql::push_json(out, bytes, JsonServer::Text),
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => {
            out.push("_latin1");
            out.push_string(bytes);
        }
        _ => out.push_string(bytes),
    }
}

/// Appends the literal that compares with the column under the column's own collation.
///
/// The introducer gives the bytes the column's character set and leaves the collation to the column
/// (a literal is coercible; MySQL manual, "Collation Coercibility in Expressions").
pub fn push_compare_literal(out: &mut Sql, column: &Column, cell: CellRef<'_>) {
    match (&column.kind, cell, &column.character_set) {
        // Definitions with another name than a word are refused where they are read.
        (Kind::Char | Kind::Varchar | Kind::Text, Some(bytes), Some(character_set)) if is_word(character_set) => {
            if let Some(word) = Word::of(character_set) {
                out.push("_");
                out.add(&word);
            }
            out.push_string(bytes);
        }
        // Sessions that read rows may have another character set than bytes.
        (Kind::Binary { .. } | Kind::VarBinary | Kind::Blob | Kind::Geometry | Kind::Vector, Some(bytes), _) => {
            out.push("_binary");
            out.push_string(bytes);
        }
        _ => push_literal(out, column, cell),
    }
}

/// Appends a condition that holds for exactly the same stored value, byte for byte, NULL included. `name`: the column's on that server.
pub fn push_identity(out: &mut Sql, name: &str, column: &Column, json: JsonServer, cell: CellRef<'_>) {
    let name = Name(name);
    let Some(bytes) = cell else {
        return out.add(&sql!("{} IS NULL", name));
    };
    match &column.kind {
        Kind::Char | Kind::Varchar | Kind::Text => {
            // The first half can use an index, the second tells 'a' from 'A'.
            out.add(&sql!("({}=", name));
            push_compare_literal(out, column, cell);
            out.add(&sql!(" AND CAST({} AS BINARY)=", name));
            out.push_string(bytes);
            out.push(")");
        }
        Kind::Json => {
            out.add(&sql!("CAST({} AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_bin=_utf8mb4", name));
            out.push_string(&json_sql::printed(bytes, json));
            push_types_condition(out, &sql!("{}", name), bytes, json);
        }
        // As a number, and as an exact one: MariaDB compares a SET with a number beyond 63 bits as doubles.
        Kind::Enum { .. } | Kind::Set { .. } => {
            out.add(&sql!("CAST({} AS UNSIGNED)=", name));
            out.push_number(bytes);
        }
        Kind::Geometry | Kind::Vector => {
            out.add(&sql!("HEX({})='", name));
            out.push_hex(bytes);
            out.push("'");
        }
        // 0 and -0 are equal. A comparison with `=` would be no help to ATAN2: servers put the constant in the column's place then.
        Kind::Float | Kind::Double if is_zero(bytes) => {
            let sign = if bytes.starts_with(b"-") { "<" } else { ">" };
            out.add(&sql!("({}>=0e0 AND {}<=0e0 AND ATAN2({},-1){}0)", name, name, name, sign));
        }
        _ => {
            out.add(&sql!("{}=", name));
            push_compare_literal(out, column, cell);
        }
    }
}

/// Whether the text of a FLOAT or DOUBLE is that of zero, with either sign.
fn is_zero(text: &[u8]) -> bool {
    std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) == Some(0.0)
}

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
        super::read::push_u64(out, bits(bytes));
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
pub fn load_expression(kind: &Kind, variable: &Sql) -> Option<Sql> {
    match kind {
        Kind::Enum { .. } | Kind::Set { .. } | Kind::Bit { .. } => Some(sql!("CAST({} AS UNSIGNED)", variable)),
        Kind::Json => Some(sql!("CONVERT({} USING utf8mb4)", variable)),
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => Some(sql!("CONVERT({} USING latin1)", variable)),
        // The text "0" would be read as the year 2000.
        Kind::Year => Some(sql!("CAST({} AS UNSIGNED)", variable)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::column;

    #[test]
    fn zeros_are_told_apart_by_their_sign() {
        let identity = |kind: Kind, text: &str| {
            let mut sql = Sql::default();
            push_identity(&mut sql, "d", &column("d", kind), JsonServer::Text, Some(text.as_bytes()));
            sql.to_string()
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
