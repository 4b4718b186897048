//! Values, keys and rows as a person reads them in a report: as SQL writes them, long ones cut.

use std::borrow::Cow;

use super::options::ColumnDifference;
use crate::plan::{ColumnPlan, TablePlan};
use crate::rows::Side;
use godwit_model::definition::{Column, Kind};
use godwit_model::row::{CellRef, Row};

/// Bytes of a value that are shown.
const SHOWN: usize = 120;
/// Bytes shown before the first difference of long values.
const BEFORE: usize = 24;
/// Characters of a whole row that are shown.
const ROW_SHOWN: usize = 600;

/// A value as SQL writes it.
pub(super) fn cell_text(column: &Column, cell: CellRef<'_>) -> String {
    window_text(column, cell, 0)
}

/// A value as SQL writes it; of a long one the part from `start` on, with a note on place and length.
fn window_text(column: &Column, cell: CellRef<'_>, start: usize) -> String {
    let Some(bytes) = cell else { return "NULL".into() };
    let start = if bytes.len() <= SHOWN { 0 } else { start.saturating_sub(BEFORE).min(bytes.len() - SHOWN) };
    let shown = &bytes[start..bytes.len().min(start + SHOWN)];
    let mut text = value_text(column, shown);
    if shown.len() < bytes.len() {
        text.push_str(&format!(" (bytes {}..{} of {})", start + 1, start + shown.len(), bytes.len()));
    }
    text
}

fn value_text(column: &Column, bytes: &[u8]) -> String {
    let plain = || String::from_utf8_lossy(bytes).into_owned();
    match &column.kind {
        Kind::Enum { labels } => {
            let place = plain().parse::<usize>().ok().and_then(|index| index.checked_sub(1));
            place.and_then(|place| labels.get(place)).map_or_else(plain, |label| quoted(label.as_bytes(), ""))
        }
        Kind::Set { labels } => match plain().parse::<u64>() {
            Ok(bits) => {
                let chosen = labels.iter().take(64).enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
                quoted(chosen.map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(",").as_bytes(), "")
            }
            Err(_) => plain(),
        },
        kind if kind.is_written_as_number() => plain(),
        Kind::Bit { .. } | Kind::Binary { .. } | Kind::VarBinary | Kind::Blob | Kind::Geometry | Kind::Vector => hex(bytes, ""),
        Kind::Char | Kind::Varchar | Kind::Text => match column.character_set.as_deref() {
            Some("utf8" | "utf8mb3" | "utf8mb4" | "ascii") | None => quoted(bytes, "utf8mb4"),
            Some(character_set) if bytes.is_ascii() && !matches!(character_set, "ucs2" | "utf16" | "utf16le" | "utf32") => {
                quoted(bytes, character_set)
            }
            Some(character_set) => hex(bytes, character_set),
        },
        _ => quoted(bytes, ""),
    }
}

fn hex(bytes: &[u8], introducer: &str) -> String {
    let mut out = if introducer.is_empty() { "x'".to_owned() } else { format!("_{introducer} x'") };
    for byte in bytes {
        out.push_str(&format!("{byte:02x}"));
    }
    out.push('\'');
    out
}

/// `'…'`, or hexadecimal when the bytes are no UTF-8 (apart from a character cut at either end).
fn quoted(bytes: &[u8], character_set: &str) -> String {
    let is_continuation = |byte: &&u8| **byte & 0xC0 == 0x80;
    let start = bytes.iter().take(3).take_while(is_continuation).count();
    let text = match std::str::from_utf8(&bytes[start..]) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[start..start + error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return hex(bytes, character_set),
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for character in text.chars() {
        match character {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

fn named(column: &ColumnPlan, cell: CellRef<'_>) -> String {
    format!("{}={}", Side::Source.column_name(column), cell_text(&column.column, cell))
}

/// `id=17, part='x'`
pub(super) fn key_text(table: &TablePlan, key: &Row) -> String {
    let parts: Vec<String> = table.key.iter().zip(key.cells()).map(|(&place, cell)| named(&table.columns[place], cell)).collect();
    parts.join(", ")
}

/// `id=17, name='x', …` of all columns, cut.
pub(super) fn row_text(table: &TablePlan, row: &Row) -> String {
    let mut out = String::new();
    for (column, cell) in table.columns.iter().zip(row.cells()) {
        if !out.is_empty() {
            out.push_str(", ");
        }
        if out.len() > ROW_SHOWN {
            out.push('…');
            break;
        }
        out.push_str(&named(column, cell));
    }
    out
}

/// The columns in which two rows differ, with both values; `equal` judges a column.
pub(super) fn column_differences(
    table: &TablePlan,
    source: &Row,
    destination: &Row,
    equal: impl Fn(usize, CellRef<'_>, CellRef<'_>) -> bool,
) -> Vec<ColumnDifference> {
    let pairs = table.columns.iter().zip(source.cells().zip(destination.cells())).enumerate();
    pairs
        .filter(|(place, (_, (left, right)))| !equal(*place, *left, *right))
        .map(|(_, (column, (left, right)))| {
            let first = first_difference(left, right);
            ColumnDifference {
                column: Side::Source.column_name(column).to_owned(),
                source: window_text(&column.column, left, first),
                destination: window_text(&column.column, right, first),
            }
        })
        .collect()
}

fn first_difference(left: CellRef<'_>, right: CellRef<'_>) -> usize {
    let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}

/// Cut at a character, with a mark.
pub(super) fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn column(kind: Kind, character_set: Option<&str>) -> Column {
        Column { character_set: character_set.map(Into::into), nullable: true, ..fixture::column("c", kind) }
    }

    #[test]
    fn values_are_written_as_sql_does() {
        let labels = vec!["a".to_owned(), "b'c".to_owned()];
        let text = |kind, set, bytes: &[u8]| cell_text(&column(kind, set), Some(bytes));
        assert_eq!(text(Kind::Int { unsigned: false }, None, b"-5"), "-5");
        assert_eq!(text(Kind::Enum { labels: labels.clone() }, None, b"2"), "'b''c'");
        assert_eq!(text(Kind::Enum { labels: labels.clone() }, None, b"0"), "0");
        assert_eq!(text(Kind::Set { labels }, None, b"3"), "'a,b''c'");
        assert_eq!(text(Kind::Varchar, Some("utf8mb4"), "ä\n ".as_bytes()), "'ä\\n '");
        assert_eq!(text(Kind::Varchar, Some("latin1"), b"\xe4"), "_latin1 x'e4'");
        assert_eq!(text(Kind::Varchar, Some("utf8mb4"), b"\xe4x"), "_utf8mb4 x'e478'");
        assert_eq!(text(Kind::Blob, None, b"\x00\x01"), "x'0001'");
        assert_eq!(cell_text(&column(Kind::Blob, None), None), "NULL");
        assert_eq!(text(Kind::Text, Some("utf8mb4"), b""), "''");
    }

    #[test]
    fn long_values_show_where_they_differ() {
        let (mut left, mut right) = (vec![b'x'; 1000], vec![b'x'; 1000]);
        left[700] = b'L';
        right[700] = b'R';
        let first = first_difference(Some(&left), Some(&right));
        let shown = window_text(&column(Kind::Text, Some("utf8mb4")), Some(&left), first);
        assert!(shown.contains('L') && shown.ends_with("(bytes 677..796 of 1000)"), "{shown}");
    }

    #[test]
    fn a_character_cut_at_the_edge_stays_text() {
        let long = "ä".repeat(200);
        assert!(cell_text(&column(Kind::Text, Some("utf8mb4")), Some(&long.as_bytes()[1..])).starts_with("'ä"));
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äö", 2), "äö");
    }
}
