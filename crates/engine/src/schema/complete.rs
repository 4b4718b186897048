//! What servers do not show of a definition, read another way.
//!
//! ENUM and SET labels and, before MySQL 9, defaults are shown in three-byte UTF-8 whatever is asked for: an emoji comes as
//! `?`. A default is asked for by DEFAULT(), which needs no row. A label is asked for by its number: the first part of
//! a recursive CTE makes a temporary column of the type, the second puts numbers into it. Servers without CTEs, and those
//! that settle the type from both parts (8.0.15), show a label only in rows that have it. What stays unknown is named in
//! [`TableDefinition::unread`], and the precheck refuses to create such a table.

use mysql_async::Conn;

use crate::schema::create::{CreateTable, ItemKind};
use crate::schema::edit::{Edits, quote_string};
use crate::schema::exact::{decode, hex, introducer, is_utf8_name, literal_bytes, unhex};
use crate::sql;
use crate::sql::lexer::TokenKind;
use crate::sql::{Name, Qualified, Queries, Sql};
use godwit_model::definition::{Column, Kind, TableDefinition};
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Asks for what `definition` shows in part only, and puts it there.
///
/// # Errors
/// From the connection.
pub(super) async fn complete(conn: &mut Conn, info: &ServerInfo, definition: &mut TableDefinition) -> Result<()> {
    let name = TableName { database: definition.database.clone(), table: definition.table.clone() };
    for at in 0..definition.columns.len() {
        let doubtful = doubtful_labels(&definition.columns[at]);
        if !doubtful.is_empty() {
            complete_labels(conn, &name, definition, at, &doubtful).await.context(format!("labels of {name}"))?;
        }
    }
    let Ok(create) = CreateTable::parse(&definition.create_statement) else { return Ok(()) };
    if info.is_mariadb() {
        definition.unread.extend(misprinted_literals(&create));
        definition.unread.extend(misprinted_defaults(&create));
    }
    let mut edits = label_edits(&create, &definition.columns);
    for (column, token) in shown_defaults(&create, &definition.columns) {
        let shown = create.tokens[token];
        let text = match (shown.kind, is_default_doubtful(&create, column, token)) {
            (TokenKind::String, false) => continue,
            (TokenKind::String, true) => default_bytes(conn, &name, &column.name).await?.map(|bytes| said(&bytes, column)),
            // How MySQL 9 shows what three bytes cannot say.
            _ => literal_bytes(&shown, create.sql.as_bytes()).map(|bytes| said(&bytes, column)),
        };
        match text {
            Some(text) => edits.replace(shown.span(), text),
            None => definition.unread.push(format!("column {}: the default cannot be read", column.name)),
        }
    }
    definition.create_statement = edits.apply_all(&definition.create_statement);
    Ok(())
}

/// Whether the character set has characters that a server turns into a `?` when it shows them.
fn has_unshown(character_set: &str) -> bool {
    !matches!(character_set, "utf8" | "utf8mb3" | "ucs2" | "latin1" | "ascii" | "binary")
}

/// Places of labels with a `?`, which may stand for a lost character.
fn doubtful_labels(column: &Column) -> Vec<usize> {
    let (Kind::Enum { labels } | Kind::Set { labels }) = &column.kind else { return Vec::new() };
    if !column.character_set.as_deref().is_some_and(has_unshown) {
        return Vec::new();
    }
    labels.iter().enumerate().filter(|(_, label)| label.contains('?')).map(|(at, _)| at).collect()
}

async fn complete_labels(
    conn: &mut Conn,
    name: &TableName,
    definition: &mut TableDefinition,
    at: usize,
    doubtful: &[usize],
) -> Result<()> {
    let column = &mut definition.columns[at];
    let is_set = matches!(column.kind, Kind::Set { .. });
    let numbers: Vec<u64> = doubtful.iter().map(|&label| if is_set { 1 << (label % 64) } else { label as u64 + 1 }).collect();
    let asked = labels_by_number(conn, name, &column.name, &numbers).await?;
    let (Kind::Enum { labels } | Kind::Set { labels }) = &mut column.kind else { return Ok(()) };
    for (&label, number) in doubtful.iter().zip(numbers) {
        let is_it = |text: &String| as_shown(text) == labels[label];
        let found = asked.iter().find(|(other, _)| *other == number).map(|(_, text)| text.clone()).filter(is_it);
        let found = match found {
            Some(found) => Some(found),
            None => label_in_rows(conn, name, &column.name, number, is_set).await?.filter(is_it),
        };
        match found {
            Some(text) => labels[label] = text,
            None => definition.unread.push(format!(
                "column {}: label {} is shown as '{}', and ? may stand for another character; this server shows it only in a row \
                 that has it",
                column.name,
                label + 1,
                labels[label]
            )),
        }
    }
    let list: Vec<String> = labels.iter().map(|label| quote_string(label)).collect();
    column.column_type = format!("{}({})", if is_set { "set" } else { "enum" }, list.join(","));
    Ok(())
}

/// How servers show a text of more than three bytes a character.
fn as_shown(text: &str) -> String {
    text.chars().map(|letter| if letter > '\u{ffff}' { '?' } else { letter }).collect()
}

/// Labels by their numbers, as far as the server tells them.
async fn labels_by_number(conn: &mut Conn, name: &TableName, column: &str, numbers: &[u64]) -> Result<Vec<(u64, String)>> {
    let table = Qualified::from(name);
    let mut asked = Sql::default();
    for number in numbers {
        asked.push(if asked.is_empty() { "" } else { " UNION ALL " });
        asked.add(&sql!("SELECT {} AS k", *number));
    }
    let statement = sql!(
        "WITH RECURSIVE x AS (SELECT 0 AS n, MAX({}) AS c FROM {} WHERE FALSE UNION ALL \
         SELECT d.k, d.k FROM x JOIN ({}) d WHERE x.n = 0) \
         SELECT CAST(n AS UNSIGNED), HEX(CONVERT(c USING utf8mb4)) FROM x WHERE n > 0 AND c + 0 = n",
        Name(column),
        table,
        asked
    );
    match conn.query::<(u64, Option<String>)>(statement).await {
        Ok(rows) => Ok(rows.into_iter().filter_map(|(number, text)| Some((number, utf8(&text?)?))).collect()),
        // MySQL 5.7 has no CTE.
        Err(crate::sql::Failure::Server(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn utf8(hexadecimal: &str) -> Option<String> {
    String::from_utf8(unhex(hexadecimal)?).ok()
}

/// A label from a row that has it, if one is found within two seconds.
async fn label_in_rows(conn: &mut Conn, name: &TableName, column: &str, number: u64, is_set: bool) -> Result<Option<String>> {
    let table = Qualified::from(name);
    let column = Name(column);
    let condition = sql!("{} {} {}", column, if is_set { "&" } else { "=" }, number);
    let statement = sql!(
        "SELECT /*+ MAX_EXECUTION_TIME(2000) */ CAST({} + 0 AS UNSIGNED), HEX(CONVERT({} USING utf8mb4)) \
         FROM {} WHERE {} LIMIT 1",
        column,
        column,
        table,
        condition
    );
    let row: Option<(u64, Option<String>)> = match conn.query_first(statement).await {
        Ok(row) => row,
        Err(crate::sql::Failure::Server(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let Some((value, Some(text))) = row else { return Ok(None) };
    let Some(text) = utf8(&text) else { return Ok(None) };
    if !is_set {
        return Ok(Some(text));
    }
    // Labels hold no commas; they stand in the order of their bits.
    let before = (value & (number - 1)).count_ones() as usize;
    Ok(text.split(',').nth(before).map(str::to_owned))
}

/// The labels that were completed, where they stand in the text.
fn label_edits(create: &CreateTable, columns: &[Column]) -> Edits {
    let mut edits = Edits::default();
    for item in &create.items {
        let ItemKind::Column { name, .. } = &item.kind else { continue };
        let Some(column) = columns.iter().find(|column| column.name == *name) else { continue };
        let (Kind::Enum { labels } | Kind::Set { labels }) = &column.kind else { continue };
        let Some(group) = create.group(item.tokens.start + 1, item.tokens.end) else { continue };
        let literals = group.filter(|&at| matches!(create.tokens[at].kind, TokenKind::String | TokenKind::HexOrBit));
        for (at, label) in literals.zip(labels) {
            let token = create.tokens[at];
            let shown = literal_bytes(&token, create.sql.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
            if token.kind == TokenKind::String && shown.is_some_and(|shown| shown != *label && shown == as_shown(label)) {
                edits.replace(token.span(), quote_string(label));
            }
        }
    }
    edits
}

/// Literals that MariaDB would read otherwise than it shows them: a byte that is no letter as `\x08`, which is `x08` for every reader.
fn misprinted_literals(create: &CreateTable) -> Vec<String> {
    let sql = create.sql.as_bytes();
    let tokens = create.items.iter().flat_map(|item| item.tokens.clone()).filter_map(|at| create.tokens.get(at));
    let misprinted = tokens.filter(|token| token.kind == TokenKind::String && escapes_bytes(token.bytes(sql)));
    let named = misprinted.map(|token| {
        format!(
            "an expression holds {}, which MariaDB shows for a byte and reads as text; say it at the source as CONVERT(0x… USING …)",
            String::from_utf8_lossy(token.bytes(sql))
        )
    });
    named.collect()
}

/// Whether there is a `\xE9` in it, the backslash not escaped itself.
fn escapes_bytes(literal: &[u8]) -> bool {
    let mut at = 0;
    while let Some(offset) = literal.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        let escaped = literal.get(at + offset + 1..).unwrap_or_default();
        if matches!(escaped, [b'x', first, second, ..] if first.is_ascii_hexdigit() && second.is_ascii_hexdigit()) {
            return true;
        }
        at += offset + 2;
    }
    false
}

/// Defaults that MariaDB may show otherwise than rows get them.
///
/// It keeps a byte of a literal that has a character set of its own as `\xE9` and a backslash as one backslash, and reads that as `xE9` and as
/// nothing. What it shows, DEFAULT() as well, is the latter. But a default that depends on no column was computed once, when the table
/// was made, and rows get that: the letter that was meant (measured on MariaDB 11.4).
fn misprinted_defaults(create: &CreateTable) -> Vec<String> {
    let sql = create.sql.as_bytes();
    let mut found = Vec::new();
    for item in &create.items {
        let ItemKind::Column { name, .. } = &item.kind else { continue };
        let Some(range) = default_expression(create, &item.tokens) else { continue };
        if range.clone().any(|at| create.tokens[at].kind == TokenKind::Quoted) {
            continue;
        }
        let is_doubtful = |at: &usize| {
            let token = create.tokens[*at];
            token.kind == TokenKind::String && (shows_bytes(token.bytes(sql)) || introducer(sql, &create.tokens, *at).is_some())
        };
        if let Some(at) = range.clone().find(is_doubtful) {
            found.push(format!(
                "column {name}: the default holds {}, which MariaDB shows for other texts of a literal with a character set (_latin1 0xE9), too; say \
                 it at the source without a character set",
                String::from_utf8_lossy(create.tokens[at].bytes(sql))
            ));
        }
    }
    found
}

/// Whether there is an `xE9` in it: two digits of a byte that MariaDB does not print as it is.
fn shows_bytes(literal: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    literal.windows(3).any(|three| match three {
        [b'x', first, second] if is_digit(first) && is_digit(second) => {
            matches!(first, b'0' | b'1' | b'8' | b'9' | b'A'..=b'F') || (*first, *second) == (b'7', b'F')
        }
        _ => false,
    })
}

/// The tokens of a default that is an expression.
fn default_expression(create: &CreateTable, item: &std::ops::Range<usize>) -> Option<std::ops::Range<usize>> {
    let start = default_of(create, item)?;
    let first = create.tokens.get(start)?;
    if !first.is_punct(b'(') && first.kind != TokenKind::Word {
        return None;
    }
    let mut depth = 0_usize;
    let end = (start..item.end).find(|&at| match create.tokens[at].kind {
        TokenKind::Punct(b'(') => {
            depth += 1;
            false
        }
        TokenKind::Punct(b')') => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0 && create.any_word(at, &["COMMENT", "CHECK", "ON", "INVISIBLE"]),
    });
    Some(start..end.unwrap_or(item.end))
}

/// Literal defaults of columns with text: the column, and the token.
fn shown_defaults<'a>(create: &CreateTable, columns: &'a [Column]) -> Vec<(&'a Column, usize)> {
    let mut found = Vec::new();
    for item in &create.items {
        let ItemKind::Column { name, .. } = &item.kind else { continue };
        let column = columns.iter().find(|column| column.name == *name);
        let Some(column) = column.filter(|column| column.character_set.as_deref().is_some_and(|set| set != "binary")) else {
            continue;
        };
        let Some(default) = default_of(create, &item.tokens) else { continue };
        if matches!(create.tokens[default].kind, TokenKind::String | TokenKind::HexOrBit) {
            found.push((column, default));
        }
    }
    found
}

/// The token behind a column's DEFAULT.
pub(super) fn default_of(create: &CreateTable, item: &std::ops::Range<usize>) -> Option<usize> {
    let mut depth = 0usize;
    for at in item.clone() {
        match create.tokens.get(at)?.kind {
            TokenKind::Punct(b'(') => depth += 1,
            TokenKind::Punct(b')') => depth = depth.saturating_sub(1),
            _ if depth == 0 && create.any_word(at, &["DEFAULT"]) => return (at + 1 < item.end).then_some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether the shown default may be another text: it has a `?`, or the character set has several codes for one letter.
fn is_default_doubtful(create: &CreateTable, column: &Column, token: usize) -> bool {
    let shown = create.tokens[token].bytes(create.sql.as_bytes());
    let character_set = column.character_set.as_deref().unwrap_or_default();
    let ambiguous = || !is_utf8_name(character_set) && decode(b"", character_set).is_none() && !shown.is_ascii();
    has_unshown(character_set) && (shown.contains(&b'?') || ambiguous())
}

/// A column's default, in its character set.
async fn default_bytes(conn: &mut Conn, name: &TableName, column: &str) -> Result<Option<Vec<u8>>> {
    let table = Qualified::from(name);
    let column = Name(column);
    let statement = sql!("SELECT HEX(DEFAULT(t.{})) FROM (SELECT 1) d LEFT JOIN {} t ON FALSE", column, table);
    match conn.query_first::<Option<String>>(&statement).await {
        Ok(found) => Ok(found.flatten().as_deref().and_then(unhex)),
        Err(crate::sql::Failure::Server(_)) => Ok(None),
        Err(error) => Err(Error::from(error)).context(statement),
    }
}

/// A literal for these bytes as a default of the column: text where we can read it.
fn said(bytes: &[u8], column: &Column) -> String {
    let text = decode(bytes, column.character_set.as_deref().unwrap_or_default());
    text.map_or_else(|| format!("0x{}", hex(bytes)), |text| quote_string(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn column(name: &str, character_set: &str, labels: &[&str]) -> Column {
        let kind = Kind::Enum { labels: labels.iter().map(|label| (*label).to_owned()).collect() };
        Column { character_set: Some(character_set.into()), ..fixture::column(name, kind) }
    }

    #[test]
    fn question_marks_are_doubtful() {
        assert_eq!(doubtful_labels(&column("a", "utf8mb4", &["a", "?", "b?"])), [1, 2]);
        assert!(doubtful_labels(&column("a", "latin1", &["?"])).is_empty());
        assert_eq!(as_shown("a😀é"), "a?é");
    }

    #[test]
    fn completed_labels_are_put_into_the_text() {
        let columns = [column("a", "utf8mb4", &["?", "it's 😀", "é"]), column("b", "utf8mb4", &["?"])];
        let sql = "CREATE TABLE `t` (\n  `a` enum('?','it''s ?','é') DEFAULT 'é',\n  `b` enum('?')\n)";
        let create = CreateTable::parse(sql).unwrap();
        let text = label_edits(&create, &columns).apply_all(sql);
        assert_eq!(text, "CREATE TABLE `t` (\n  `a` enum('?','it''s 😀','é') DEFAULT 'é',\n  `b` enum('?')\n)");
    }

    #[test]
    fn defaults_that_may_be_others() {
        let sql = "CREATE TABLE `t` (\n  `a` varchar(9) DEFAULT '?é',\n  `b` varchar(9) DEFAULT '誠',\n  `c` varchar(9) DEFAULT 'x' COMMENT '?'\n)";
        let create = CreateTable::parse(sql).unwrap();
        let doubtful = |character_set: &str| {
            let columns = ["a", "b", "c"]
                .map(|name| Column { character_set: Some(character_set.into()), ..fixture::column(name, Kind::Varchar) });
            let defaults = shown_defaults(&create, &columns);
            assert_eq!(defaults.len(), 3);
            defaults.into_iter().map(|(column, token)| is_default_doubtful(&create, column, token)).collect::<Vec<_>>()
        };
        assert_eq!(doubtful("utf8mb4"), [true, false, false]);
        assert_eq!(doubtful("cp932"), [true, true, false]);
        assert_eq!(doubtful("latin1"), [false, false, false]);
    }

    #[test]
    fn bytes_that_mariadb_shows_as_text() {
        for (literal, expected) in [
            (r"'\x08a'", true),
            (r"'a\\\xE9'", true),
            (r"'a\\xE9'", false),
            (r"'xE9'", false),
            (r"'\n\0'", false),
            (r"'\'", false),
        ] {
            assert_eq!(escapes_bytes(literal.as_bytes()), expected, "{literal}");
        }
        let sql = r"CREATE TABLE `t` (
  `a` varchar(9) GENERATED ALWAYS AS (concat(`b`,_utf8mb4'\x08a')) STORED,
  CONSTRAINT `c` CHECK (`a` <> 'x08')
)";
        assert_eq!(misprinted_literals(&CreateTable::parse(sql).unwrap()).len(), 1);
    }

    #[test]
    fn defaults_of_mariadb_that_show_bytes() {
        for (default, expected) in [
            ("concat('xE9','a')", true),
            ("concat('4',concat(_utf16'x00A'))", true),
            ("concat(_utf8mb4')b','a')", true),
            ("concat('xE9',_latin1'a',`b`)", false),
            ("concat('xA','Exe','x41','x5A','xe9')", false),
            ("'xE9'", false),
            ("(current_timestamp()) COMMENT 'xE9'", false),
            ("concat('a') CHECK (`a` <> 'xE9')", false),
        ] {
            let sql = format!("CREATE TABLE `t` (\n  `a` varchar(9) DEFAULT {default},\n  `b` varchar(9) DEFAULT 'xE9'\n)");
            let create = CreateTable::parse(&sql).unwrap();
            assert_eq!(!misprinted_defaults(&create).is_empty(), expected, "{default}");
        }
    }

    #[test]
    fn bytes_are_said_as_text_where_they_can_be_read() {
        let of = |character_set: &str, bytes: &[u8]| said(bytes, &column("a", character_set, &[]));
        assert_eq!(of("utf8mb4", "😀é".as_bytes()), "'😀é'");
        assert_eq!(of("utf16", b"\xd8\x3d\xde\x00"), "'😀'");
        assert_eq!(of("gbk", b"\x8f\x5c"), "0x8F5C");
    }
}
