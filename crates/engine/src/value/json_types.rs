//! The types inside JSON documents, which their text does not tell: 1.5 is a DECIMAL or a DOUBLE, "2024-01-02" a DATE or a STRING.
//!
//! The canonical form of a document is the text that MySQL 8 prints if a parser makes the same document of it. Where it would
//! not, the form begins with [`MARK`], and so does each value that the parser would get wrong: a mark, a letter, the text:
//! `#{"price": #D1.50, "day": #d"2024-01-02", "plain": 1.5}`.
//!
//! | letter | type |
//! |---|---|
//! | `D` | DECIMAL |
//! | `U` | UNSIGNED INTEGER below 2^32, which a parser takes for INTEGER |
//! | `I` | INTEGER from 2^32 on, which a parser takes for UNSIGNED INTEGER |
//! | `d` `t` `m` `s` | DATE, TIME, DATETIME, TIMESTAMP |
//! | `b` | BLOB, BIT and other bytes, printed as `"base64:typeN:…"` |
//!
//! The log holds the types. A SELECT has to ask for them: beside each document it selects [`JsonServer::types_expression`], one
//! letter for each value, `.` where the text says enough, and [`typed`] puts both together. MySQL 5.7 has no quick way to list
//! the types of a document; there a comparison of storage sizes first tells the documents of which nothing can be lost, others are asked
//! for the types at known paths (`json_paths`), and integers count as what a parser makes of their digits, by the copy and by the log.

use std::borrow::Cow;

use super::json_nodes::{Node, nodes, places};
use super::json_paths::{DOUBTFUL, JsonPaths};
use crate::sql;
use crate::sql::{Quoted, Sql};
use godwit_model::error::{Error, Result};
use godwit_model::server::{Flavor, ServerInfo};

/// Begins a document with types, and each of its values that has one. No JSON text holds it outside strings.
pub const MARK: u8 = b'#';

/// In what SELECT gives beside a document: nothing but the text is needed.
pub(super) const PLAIN: u8 = b'.';

/// What a server knows of types inside documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JsonServer {
    /// Nothing: MariaDB, where JSON is text.
    #[default]
    Text,
    /// Its functions tell the type of one place; `measures`: and the size of a document (5.7.22).
    MySql57 { measures: bool },
    /// JSON_TABLE tells the types of all places.
    MySql80,
    /// JSON_TABLE can be used by sessions of any character set, and gives a value whatever type a column can have.
    MySql8021,
}

impl JsonServer {
    /// By what a server says of itself.
    pub fn of(info: &ServerInfo) -> Self {
        if info.flavor == Flavor::MariaDb {
            Self::Text
        } else if info.is_mysql_since(8, 0, 21) {
            Self::MySql8021
        } else if info.is_mysql_since(8, 0, 4) {
            Self::MySql80
        } else {
            Self::MySql57 { measures: info.is_mysql_since(5, 7, 22) }
        }
    }

    /// What to select beside a document; `column` is its quoted name, `paths` are those that [`typed`] gets. None: the text is all there is.
    pub fn types_expression(self, column: &Sql, paths: &JsonPaths) -> Option<Sql> {
        match self {
            Self::Text => None,
            Self::MySql57 { measures } => Some(types_of_57(column, measures, paths)),
            Self::MySql80 | Self::MySql8021 => {
                // 8.0.15 takes a path in the character set of the session's statements only, which must be one of text.
                let text = if self == Self::MySql8021 { "_utf8mb4" } else { "" };
                let below = |path: &'static str| {
                    sql!(
                        "COALESCE((SELECT GROUP_CONCAT({} ORDER BY godwit_n SEPARATOR '') FROM JSON_TABLE({},{}'{}' \
                         COLUMNS (godwit_n FOR ORDINALITY,godwit_v JSON PATH {}'$')) godwit_t),'')",
                        letter_of(&Sql::new("godwit_v"), OF_INTEGERS),
                        column,
                        text,
                        path,
                        text
                    )
                };
                Some(sql!("CONCAT({},{},{})", letter_of(column, OF_INTEGERS), below("$**.*"), below("$**[*]")))
            }
        }
    }
}

/// Behind it stand the letters of the values at known paths.
const BY_PATH: u8 = b'+';

/// Names of JSON_TYPE and their letters.
const LETTERS: &[(&str, char)] = &[
    ("DECIMAL", 'D'),
    ("DATE", 'd'),
    ("TIME", 't'),
    ("DATETIME", 'm'),
    ("TIMESTAMP", 's'),
    ("BLOB", 'b'),
    ("BIT", 'b'),
    ("OPAQUE", 'b'),
    ("GEOMETRY", 'b'),
];

/// Where integers are told apart, too.
const OF_INTEGERS: &[(&str, char)] = &[("UNSIGNED INTEGER", 'U'), ("INTEGER", 'I')];

/// 5.7 prints the DOUBLE 1 as `1`.
const OF_57: &[(&str, char)] = &[("DOUBLE", 'f')];

/// The letter of a value's type; `more`: types besides those that every server has.
fn letter_of(value: &Sql, more: &'static [(&'static str, char)]) -> Sql {
    let letters = || LETTERS.iter().chain(more);
    let names = Sql::list(letters().map(|(name, _)| sql!("_utf8mb4{}", Quoted(name))));
    let all: String = std::iter::once('.').chain(letters().map(|(_, letter)| *letter)).collect();
    sql!("SUBSTRING(_utf8mb4{},1+COALESCE(FIELD(JSON_TYPE({}),{}),0),1)", Quoted(&all), value, names)
}

/// Values in an array or object tree of 5.7 at most, ten to the power of this.
const DIGITS_57: usize = 4;

/// Whether the text of a document tells its types.
fn is_plain_on_57(document: &Sql, measures: bool) -> Sql {
    let text = sql!("CAST({} AS CHAR CHARACTER SET utf8mb4)", document);
    if !measures {
        return sql!("{} NOT REGEXP _utf8mb4'[0-9]' AND {} NOT LIKE _utf8mb4'%base64:type%'", text, text);
    }
    // What text loses changes the size, and always in one direction once these are not there: bytes, dates and times, which
    // grow when they become strings; numbers with a fraction, of which a DECIMAL may have any size; and numbers beyond 32 bits,
    // which take as much as a DOUBLE.
    sql!("{} NOT REGEXP _utf8mb4{} AND JSON_STORAGE_SIZE({})=JSON_STORAGE_SIZE(CAST({} AS JSON))", text, DOUBTFUL, document, text)
}

fn types_of_57(column: &Sql, measures: bool, paths: &JsonPaths) -> Sql {
    let mut by_path = Sql::default();
    let literals: Vec<Sql> = paths.literals().collect();
    if let Some(first) = literals.first() {
        let nulls = Sql::list(literals.iter().map(|path| sql!("{},NULL", path)));
        let replaced = sql!("JSON_REPLACE({},{})", column, nulls);
        let letters = Sql::list(literals.iter().map(|path| letter_of(&sql!("JSON_EXTRACT({},{})", column, path), OF_57)));
        // What is at the paths must be no containers, in which there might be more. The first path comes twice: what one path alone finds
        // does not come in an array.
        by_path = sql!(
            " WHEN {} AND COALESCE(JSON_DEPTH(JSON_EXTRACT({},{},{})),1)<=2 THEN CONCAT(_utf8mb4'+',{})",
            is_plain_on_57(&replaced, measures),
            column,
            first,
            Sql::list(&literals),
            letters
        );
    }
    let all = sql!("CONCAT({},{},{})", letter_of(column, OF_57), below_57(column, "$**.*"), below_57(column, "$**[*]"));
    let plain = is_plain_on_57(column, measures);
    sql!("CASE WHEN {} IS NULL THEN '.' WHEN {} THEN '.'{} ELSE {} END", column, plain, by_path, all)
}

/// Each of the values below the root is taken out of the array of all of them, by its number.
fn below_57(column: &Sql, path: &'static str) -> Sql {
    let all = sql!("JSON_EXTRACT({},_utf8mb4'{}')", column, path);
    let digits = "(SELECT 0 godwit_d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 \
                  UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
    let (mut tables, mut conditions, mut number) = (Sql::default(), Sql::default(), Sql::default());
    for digit in (0..DIGITS_57).rev() {
        if !tables.is_empty() {
            tables.push(" STRAIGHT_JOIN ");
            conditions.push(" AND ");
            number.push("+");
        }
        let place = u32::try_from(digit).unwrap_or_default();
        tables.add(&sql!("{} godwit_{}", digits, place));
        number.add(&sql!("{}*godwit_{}.godwit_d", 10u32.pow(place), place));
        // The join stops at the last value's number, at every digit.
        conditions.add(&sql!("{}<JSON_LENGTH({})", number, all));
    }
    let letter = letter_of(&sql!("JSON_EXTRACT({},CONCAT(_utf8mb4'$[',{},_utf8mb4']'))", all, number), OF_57);
    sql!("COALESCE((SELECT GROUP_CONCAT({} ORDER BY {} SEPARATOR '') FROM {} WHERE {}),'')", letter, number, tables, conditions)
}

/// Whether a canonical document holds types that its text does not tell.
pub fn is_typed(document: &[u8]) -> bool {
    document.first() == Some(&MARK)
}

/// A canonical document's text.
pub fn plain(document: &[u8]) -> Cow<'_, [u8]> {
    if !is_typed(document) {
        return Cow::Borrowed(document);
    }
    let mut out = Vec::with_capacity(document.len());
    let mut place = 1;
    while let Some(&byte) = document.get(place) {
        let end = match byte {
            b'"' => skip_string(document, place),
            MARK => {
                place += 2;
                continue;
            }
            _ => place + 1,
        };
        out.extend_from_slice(&document[place..end]);
        place = end;
    }
    Cow::Owned(out)
}

/// Place after the string that begins at `start`.
pub(super) fn skip_string(text: &[u8], start: usize) -> usize {
    let mut place = start + 1;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'\\' => place += 2,
            b'"' => return place + 1,
            _ => place += 1,
        }
    }
    text.len()
}

/// Place after the number that begins at `start`.
pub(super) fn number_end(text: &[u8], start: usize) -> usize {
    text[start..]
        .iter()
        .position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        .map_or(text.len(), |length| start + length)
}

/// Whether servers read an integer of this value as UNSIGNED INTEGER when they parse a document: from 2^32 on (seen on 5.7.22, 8.0.15
/// and 9.7.4).
pub fn is_unsigned_by_text(number: u64) -> bool {
    number > u64::from(u32::MAX)
}

/// The same of its digits.
fn is_beyond_integer(number: &[u8]) -> bool {
    std::str::from_utf8(number).is_ok_and(|text| text.parse::<u64>().is_ok_and(is_unsigned_by_text))
}

/// The canonical form of a document from its text and the letters of its values: of the root, then of all members of objects,
/// then of all elements of arrays; within both, a container's children stand together, before those of its children. Or, behind a `+`, the letters
/// of the values at `paths`.
///
/// # Errors
/// Definite when the letters are not those of this text.
pub fn typed<'a>(text: &'a [u8], letters: &[u8], paths: &JsonPaths) -> Result<Cow<'a, [u8]>> {
    let (letters, by_path) = letters.strip_prefix(&[BY_PATH]).map_or((letters, false), |letters| (letters, true));
    // Most documents: integers, if any, are small.
    let is_small = || !text.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > 9);
    let integers = |letters: &[u8]| letters.iter().all(|letter| matches!(*letter, PLAIN | b'I'));
    if letters.iter().all(|letter| *letter == PLAIN) || integers(letters) && is_small() {
        return Ok(Cow::Borrowed(text));
    }
    let mut nodes = nodes(text).map_err(mismatch)?;
    if by_path {
        if letters.len() != paths.len() || !paths.assign(text, &mut nodes, letters, PLAIN) {
            return Err(mismatch("there is no value where a type was found"));
        }
        return print(text, &nodes);
    }
    if letters.len() != nodes.len() {
        return Err(mismatch(format!("{} values, {} types", nodes.len(), letters.len())));
    }
    let places = places(&nodes);
    for (node, place) in nodes.iter_mut().zip(places) {
        node.letter = letters.get(place).copied().unwrap_or(b'?');
    }
    print(text, &nodes)
}

fn mismatch(why: impl std::fmt::Display) -> Error {
    Error::definite(format!(
        "the types inside a JSON document cannot be told ({why}); MySQL 5.7 tells those of {} values",
        10u32.pow(u32::try_from(DIGITS_57).unwrap_or_default())
    ))
}

fn print<'a>(text: &'a [u8], nodes: &[Node]) -> Result<Cow<'a, [u8]>> {
    let mut out = vec![MARK];
    let (mut copied, mut marked) = (0, false);
    for node in nodes.iter().filter(|node| node.letter != PLAIN) {
        let first = text.get(node.start).copied().unwrap_or_default();
        let is_number = matches!(first, b'-' | b'0'..=b'9');
        let fits = match node.letter {
            b'D' | b'U' | b'I' | b'f' => is_number,
            b'd' | b't' | b'm' | b's' | b'b' => first == b'"',
            _ => false,
        };
        if !fits {
            return Err(mismatch("a type does not fit its value"));
        }
        out.extend_from_slice(&text[copied..node.start]);
        copied = node.start;
        match node.letter {
            b'f' => {
                let number = &text[node.start..number_end(text, node.start)];
                out.extend_from_slice(number);
                copied += number.len();
                if !number.iter().any(|byte| matches!(byte, b'.' | b'e')) {
                    out.extend_from_slice(b".0");
                }
            }
            letter @ (b'U' | b'I') if is_beyond_integer(&text[node.start..number_end(text, node.start)]) == (letter == b'U') => {}
            letter => {
                marked = true;
                out.extend_from_slice(&[MARK, letter]);
                if letter == b'b' && text[node.start..].starts_with(OLD_STRING) {
                    out.extend_from_slice(NEW_STRING);
                    copied += OLD_STRING.len();
                }
            }
        }
    }
    out.extend_from_slice(&text[copied..]);
    if !marked {
        out.remove(0);
    }
    Ok(Cow::Owned(out))
}

/// Bytes that MySQL 5.7 made by CAST. Later servers know one type of such strings, the second.
const OLD_STRING: &[u8] = b"\"base64:type253:";
const NEW_STRING: &[u8] = b"\"base64:type15:";

/// The type of bytes that stands for another.
pub fn current_type(field_type: u8) -> u8 {
    if field_type == 253 { 15 } else { field_type }
}

#[cfg(test)]
#[path = "json_types_tests.rs"]
mod tests;
