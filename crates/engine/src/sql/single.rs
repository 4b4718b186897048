//! Definitions as single statements: CREATE TABLE, ALTER TABLE … ADD, CREATE VIEW.
//!
//! A definition is made of what the source shows. It is sent only when all of it is accounted for: the head with the object's own name,
//! each column, index and constraint, each option by its name, each word between partitions. What is not known is refused.
//! So nothing can stand behind the options, no table is made from a SELECT or like another, and none lies in a file or on another
//! server (DATA DIRECTORY, CONNECTION, FEDERATED, CONNECT, SPIDER, S3 …).

use mysql_async::Conn;

use super::tokens::Text;
use crate::sql;
use crate::sql::lexer::TokenKind;
use crate::sql::{Hex, Queries};
use godwit_model::error::Result;
use godwit_model::names::TableName;

/// One statement about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Single {
    text: String,
}

/// Engines that keep rows of their own in files of their own. MERGE reads the tables of its UNION, which are mapped.
pub(super) const ENGINES: &[&str] = &[
    "INNODB",
    "MYISAM",
    "ARIA",
    "MEMORY",
    "HEAP",
    "ARCHIVE",
    "CSV",
    "ROCKSDB",
    "XENGINE",
    "TOKUDB",
    "NDBCLUSTER",
    "NDB",
    "BLACKHOLE",
    "MRG_MYISAM",
    "MERGE",
    "MARIA",
    "ISAM",
    "COLUMNSTORE",
    "MROONGA",
];

/// Options of a table with one value.
const OPTIONS: &[&str] = &[
    "ENGINE",
    "TYPE",
    "AUTO_INCREMENT",
    "CHARSET",
    "COLLATE",
    "ROW_FORMAT",
    "KEY_BLOCK_SIZE",
    "COMMENT",
    "MIN_ROWS",
    "MAX_ROWS",
    "AVG_ROW_LENGTH",
    "PACK_KEYS",
    "STATS_PERSISTENT",
    "STATS_AUTO_RECALC",
    "STATS_SAMPLE_PAGES",
    "CHECKSUM",
    "PAGE_CHECKSUM",
    "TABLE_CHECKSUM",
    "DELAY_KEY_WRITE",
    "INSERT_METHOD",
    "COMPRESSION",
    "ENCRYPTION",
    "AUTOEXTEND_SIZE",
    "ENGINE_ATTRIBUTE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "TRANSACTIONAL",
    "SEQUENCE",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "ENCRYPTED",
    "ENCRYPTION_KEY_ID",
];

/// Words between the parentheses of a partitioning.
const PARTITIONING: &[&str] = &[
    "PARTITION",
    "PARTITIONS",
    "SUBPARTITION",
    "SUBPARTITIONS",
    "BY",
    "LINEAR",
    "HASH",
    "KEY",
    "ALGORITHM",
    "RANGE",
    "LIST",
    "COLUMNS",
    "SYSTEM_TIME",
    "INTERVAL",
    "LIMIT",
    "AUTO",
    "STARTS",
    "TIMESTAMP",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "CURRENT",
    "HISTORY",
];

/// Words of one partition.
const PARTITION: &[&str] = &[
    "PARTITION",
    "SUBPARTITION",
    "VALUES",
    "LESS",
    "THAN",
    "IN",
    "MAXVALUE",
    "ENGINE",
    "STORAGE",
    "COMMENT",
    "MAX_ROWS",
    "MIN_ROWS",
    "NODEGROUP",
    "HISTORY",
    "CURRENT",
    "DEFAULT",
];

/// What no expression of a table needs.
const NOT_IN_TABLES: &[&str] = &[
    "SELECT",
    "INTO",
    "TABLE",
    "UNION",
    "LOAD_FILE",
    "REFERENCES",
    "PROCEDURE",
    "DIRECTORY",
    "TABLESPACE",
    "CONNECTION",
    "OUTFILE",
    "DUMPFILE",
    "HANDLER",
];

/// What no view needs: files, and tables that are not named after FROM or JOIN.
const NOT_IN_VIEWS: &[&str] = &["INTO", "OUTFILE", "DUMPFILE", "LOAD_FILE", "TABLE", "PROCEDURE", "HANDLER"];

impl Single {
    /// A CREATE TABLE, an ALTER TABLE that adds, or a CREATE VIEW, of this object.
    ///
    /// # Errors
    /// Definite: it is not one, or there is more in it.
    pub fn parse(statement: &str, object: &TableName) -> Result<Self> {
        let text = Text::read(statement, object.to_string())?;
        match () {
            () if text.is_word(0, "CREATE") && text.is_word(1, "TABLE") => create_table(&text, object)?,
            () if text.is_word(0, "ALTER") && text.is_word(1, "TABLE") => alter_table(&text, object)?,
            () if text.is_word(0, "CREATE") => create_view(&text, object)?,
            () => return Err(text.refused("it is neither a table nor a view")),
        }
        Ok(Self { text: statement.to_owned() })
    }

    /// The statement.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A CREATE TABLE as one of a temporary table; None: it is something else.
    pub fn as_temporary(&self) -> Option<Self> {
        let rest = self.text.strip_prefix("CREATE TABLE ")?;
        Some(Self { text: format!("CREATE TEMPORARY TABLE {rest}") })
    }

    /// Runs it in a session whose client speaks UTF-8. PREPARE takes one statement, whatever this parser and the server's think of the text.
    ///
    /// # Errors
    /// The server's.
    pub async fn run(&self, conn: &mut Conn) -> crate::sql::Answer<()> {
        self.run_encoded(conn, self.text.as_bytes()).await
    }

    /// The same in a session whose client has another character set, in which `encoded` is the text.
    ///
    /// It goes as digits into a variable, which is a binary string and is taken as it is: PREPARE turns a literal into three-byte UTF-8, in
    /// which an emoji is `?`, and in some character sets a byte of a letter is a quote.
    ///
    /// # Errors
    /// The server's.
    pub async fn run_encoded(&self, conn: &mut Conn, encoded: &[u8]) -> crate::sql::Answer<()> {
        prepared(conn, encoded).await
    }
}

/// Runs one statement in the character set of the session's client: PREPARE takes no second one.
pub(super) async fn prepared(conn: &mut Conn, encoded: &[u8]) -> crate::sql::Answer<()> {
    let text = whole_characters(encoded);
    conn.query_drop(sql!(
        "SET @godwit={};PREPARE godwit FROM @godwit;EXECUTE godwit;DEALLOCATE PREPARE godwit;SET @godwit=NULL",
        Hex(&text)
    ))
    .await
}

/// The text with blanks behind it, so that PREPARE takes it as it is.
///
/// MySQL does that with a binary string whose length is a multiple of the shortest character of `collation_connection`, which is two bytes in
/// ucs2 and utf16 and four in utf32; any other it turns into that character set, and then nobody can read it (1064). A blank is one byte in
/// every character set that a client can have.
pub(super) fn whole_characters(encoded: &[u8]) -> Vec<u8> {
    let mut text = encoded.to_vec();
    text.resize(encoded.len().next_multiple_of(4), b' ');
    text
}

/// `` CREATE TABLE `d`.`t` (items) options ``
fn create_table(text: &Text<'_>, object: &TableName) -> Result<()> {
    if !text.is_object(2, &object.database, &object.table) || !text.is_punct(5, b'(') {
        return Err(text.refused("it creates another object"));
    }
    let end = text.after_group(5);
    for (from, to) in list(text, 6, end - 1) {
        item(text, from, to)?;
    }
    options(text, end)
}

/// `` ALTER TABLE `d`.`t` ADD item, ADD item ``
fn alter_table(text: &Text<'_>, object: &TableName) -> Result<()> {
    if !text.is_object(2, &object.database, &object.table) {
        return Err(text.refused("it alters another object"));
    }
    for (from, to) in list(text, 5, text.tokens.len()) {
        if !text.is_word(from, "ADD") || text.kind(from + 1) != Some(TokenKind::Word) {
            return Err(text.refused("it does more than to add"));
        }
        item(text, from + 1, to)?;
    }
    Ok(())
}

/// The pieces between commas that no parenthesis holds.
fn list(text: &Text<'_>, from: usize, to: usize) -> Vec<(usize, usize)> {
    let (mut pieces, mut start, mut at) = (Vec::new(), from, from);
    while at < to {
        if text.is_punct(at, b',') {
            pieces.push((start, at));
            start = at + 1;
        }
        at = if text.is_punct(at, b'(') { text.after_group(at) } else { at + 1 };
    }
    pieces.push((start, to));
    pieces
}

/// A column, an index, a check, a foreign key, or MariaDB's period.
fn item(text: &Text<'_>, from: usize, to: usize) -> Result<()> {
    // A column's name is in quotes wherever servers show it, so that a first word is what it says.
    let first = text.word(from);
    let named = usize::from(text.quoted(from + 1).is_some());
    let constraint = text.word(from + 1 + named);
    match first.as_deref() {
        None if text.quoted(from).is_some() && to > from + 1 => text.expression(from, to, NOT_IN_TABLES),
        Some("PRIMARY" | "UNIQUE" | "KEY" | "INDEX" | "FULLTEXT" | "SPATIAL" | "VECTOR" | "CHECK" | "PERIOD") => {
            text.expression(from, to, NOT_IN_TABLES)
        }
        Some("CONSTRAINT") if constraint.as_deref() == Some("CHECK") => text.expression(from, to, NOT_IN_TABLES),
        Some("CONSTRAINT") if constraint.as_deref() == Some("FOREIGN") => foreign_key(text, from + 1 + named, to),
        Some("FOREIGN") => foreign_key(text, from, to),
        _ => Err(text.refused("it contains what is neither a column nor an index nor a constraint")),
    }
}

/// `` FOREIGN KEY `name`? (`a`) REFERENCES `d`.`p` (`x`) ON DELETE … ``; where it leads, the rewrite has decided.
fn foreign_key(text: &Text<'_>, from: usize, to: usize) -> Result<()> {
    let unclear = || text.refused("a foreign key cannot be read");
    let own = from + 2 + usize::from(text.quoted(from + 2).is_some());
    let references = text.after_group(own);
    let parent = references + 1;
    let is_read = text.is_word(from + 1, "KEY")
        && text.is_punct(own, b'(')
        && text.is_word(references, "REFERENCES")
        && text.quoted(parent).is_some()
        && text.is_punct(parent + 1, b'.')
        && text.quoted(parent + 2).is_some()
        && text.is_punct(parent + 3, b'(');
    if !is_read {
        return Err(unclear());
    }
    let actions = text.after_group(parent + 3);
    let known =
        ["ON", "DELETE", "UPDATE", "CASCADE", "SET", "NULL", "DEFAULT", "NO", "ACTION", "RESTRICT", "MATCH", "FULL", "SIMPLE"];
    let is_known = |at: usize| text.word(at).is_some_and(|word| known.contains(&word.as_str()));
    if actions > to || !(actions..to).all(is_known) {
        return Err(unclear());
    }
    text.expression(own, references, NOT_IN_TABLES)
}

fn options(text: &Text<'_>, from: usize) -> Result<()> {
    let mut at = from;
    while let Some(kind) = text.kind(at) {
        at = match (kind, text.word(at).as_deref()) {
            (TokenKind::ExecOpen | TokenKind::ExecClose, _) => at + 1,
            (TokenKind::Punct(b','), _) => at + 1,
            (_, Some("DEFAULT")) => at + 1,
            (_, Some("CHARACTER")) if text.is_word(at + 1, "SET") => value(text, at + 2)?,
            (_, Some("WITH")) if text.is_word(at + 1, "SYSTEM") && text.is_word(at + 2, "VERSIONING") => at + 3,
            (_, Some("UNION")) => union(text, at)?,
            (_, Some("PARTITION")) if text.is_word(at + 1, "BY") => return partitions(text, at),
            (_, Some("ENGINE" | "TYPE")) => engine(text, at)?,
            (TokenKind::Word, Some(name)) if OPTIONS.contains(&name) => value(text, at + 1)?,
            // MariaDB quotes options that belong to an engine.
            (TokenKind::Quoted, _)
                if text.quoted(at).is_some_and(|name| OPTIONS.contains(&name.to_ascii_uppercase().as_str())) =>
            {
                value(text, at + 1)?
            }
            _ => {
                let token = text.tokens[at];
                let shown: String = text.sql.get(token.span()).unwrap_or_default().chars().take(40).collect();
                return Err(text.refused(&format!("there is {shown} among the table's options, which is none that is carried")));
            }
        };
    }
    Ok(())
}

/// The place behind a value, which is one word, name, number or string.
fn value(text: &Text<'_>, at: usize) -> Result<usize> {
    let at = at + usize::from(text.is_punct(at, b'='));
    match text.kind(at) {
        Some(TokenKind::Word | TokenKind::Quoted | TokenKind::String | TokenKind::Number) => Ok(at + 1),
        _ => Err(text.refused("an option of the table has no value")),
    }
}

fn engine(text: &Text<'_>, at: usize) -> Result<usize> {
    let end = value(text, at + 1)?;
    match text.word(end - 1) {
        Some(name) if ENGINES.contains(&name.as_str()) => Ok(end),
        _ => Err(text.refused("its engine reads files, other tables or other servers, or is not known")),
    }
}

/// UNION=(`` `d`.`a`,`d`.`b` ``), mapped by the rewrite.
fn union(text: &Text<'_>, at: usize) -> Result<usize> {
    let open = at + 1 + usize::from(text.is_punct(at + 1, b'='));
    let end = text.after_group(open);
    let mapped = |&(from, to): &(usize, usize)| to == from + 3 && text.quoted(from).is_some() && text.quoted(from + 2).is_some();
    if !text.is_punct(open, b'(') || !list(text, open + 1, end - 1).iter().all(mapped) {
        return Err(text.refused("it reads tables that are not selected"));
    }
    Ok(end)
}

fn partitions(text: &Text<'_>, from: usize) -> Result<()> {
    text.expression(from, text.tokens.len(), NOT_IN_TABLES)?;
    let mut at = from;
    while let Some(kind) = text.kind(at) {
        at = match kind {
            TokenKind::ExecClose | TokenKind::ExecOpen | TokenKind::Number | TokenKind::String | TokenKind::Punct(b'=') => at + 1,
            TokenKind::Punct(b'(') if text.is_word(at + 1, "PARTITION") => {
                let end = text.after_group(at);
                partition(text, at + 1, end - 1)?;
                end
            }
            TokenKind::Punct(b'(') => text.after_group(at),
            TokenKind::Word if text.word(at).is_some_and(|word| PARTITIONING.contains(&word.as_str())) => at + 1,
            _ => return Err(text.refused("there is more than the partitions behind PARTITION BY")),
        };
    }
    Ok(())
}

fn partition(text: &Text<'_>, from: usize, to: usize) -> Result<()> {
    let mut at = from;
    while at < to {
        let word = text.word(at);
        at = match (text.kind(at), word.as_deref()) {
            // Its name follows, in any form.
            (_, Some("PARTITION" | "SUBPARTITION")) => value(text, at + 1)?,
            (_, Some("ENGINE")) => engine(text, at)?,
            (_, Some(word)) if PARTITION.contains(&word) => at + 1,
            (Some(TokenKind::Punct(b'(')), _) if text.is_word(at + 1, "SUBPARTITION") => at + 1,
            (Some(TokenKind::Punct(b'(')), _) => text.after_group(at),
            (Some(TokenKind::Punct(b',' | b')' | b'=') | TokenKind::Number | TokenKind::String), _) => at + 1,
            _ => return Err(text.refused("a partition cannot be read")),
        };
    }
    Ok(())
}

/// `` CREATE ALGORITHM=… DEFINER=… SQL SECURITY … VIEW `d`.`v` (columns) AS select … ``
fn create_view(text: &Text<'_>, object: &TableName) -> Result<()> {
    let view = (1..text.tokens.len()).find(|&at| text.is_word(at, "VIEW"));
    let Some(view) = view else { return Err(text.refused("it is neither a table nor a view")) };
    let head = ["OR", "REPLACE", "ALGORITHM", "UNDEFINED", "MERGE", "TEMPTABLE", "DEFINER", "INVOKER", "SQL", "SECURITY"];
    for at in 1..view {
        let known = match text.kind(at) {
            Some(TokenKind::Word) => text.word(at).is_some_and(|word| head.contains(&word.as_str())),
            Some(TokenKind::Quoted) => text.is_punct(at.wrapping_sub(1), b'='),
            Some(TokenKind::UserVariable) => text.quoted(at - 1).is_some(),
            Some(TokenKind::Punct(byte)) => byte == b'=',
            _ => false,
        };
        if !known {
            return Err(text.refused("the head of the view cannot be read"));
        }
    }
    if !text.is_object(view + 1, &object.database, &object.table) {
        return Err(text.refused("it creates another object"));
    }
    let columns = view + 4;
    let body = if text.is_punct(columns, b'(') { text.after_group(columns) } else { columns };
    if !text.is_word(body, "AS") {
        return Err(text.refused("the view has no query"));
    }
    let starts = ["SELECT", "WITH", "VALUES"];
    let first = (body + 1..text.tokens.len()).find(|&at| !text.is_punct(at, b'('));
    if !first.and_then(|at| text.word(at)).is_some_and(|word| starts.contains(&word.as_str())) {
        return Err(text.refused("a view is a query and nothing else"));
    }
    text.expression(body + 1, text.tokens.len(), NOT_IN_VIEWS)?;
    joins_only(text, body + 1)
}

/// Tables stand after FROM and JOIN, where the rewrite maps them. Servers show no list with commas there.
fn joins_only(text: &Text<'_>, from: usize) -> Result<()> {
    // Per parenthesis: whether tables are listed.
    let mut levels = vec![false];
    for at in from..text.tokens.len() {
        let Some(listing) = levels.last().copied() else { return Err(text.refused("a parenthesis is not opened")) };
        let word = text.word(at);
        let now = match (text.kind(at), word.as_deref()) {
            (Some(TokenKind::ExecOpen), _) => return Err(text.refused("there is an executable comment in the view")),
            (Some(TokenKind::Punct(b'(')), _) => {
                let in_list = ["FROM", "JOIN", "STRAIGHT_JOIN"].iter().any(|word| text.is_word(at.wrapping_sub(1), word))
                    || listing && text.is_punct(at.wrapping_sub(1), b'(');
                levels.push(in_list);
                continue;
            }
            (Some(TokenKind::Punct(b')')), _) => {
                levels.pop();
                continue;
            }
            (Some(TokenKind::Punct(b',')), _) if listing => return Err(text.refused("it lists tables with a comma")),
            (_, Some("FROM" | "JOIN" | "STRAIGHT_JOIN")) => true,
            (
                _,
                Some("SELECT" | "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "UNION" | "WINDOW" | "EXCEPT" | "INTERSECT"),
            ) => false,
            _ => continue,
        };
        if let Some(level) = levels.last_mut() {
            *level = now;
        }
    }
    Ok(())
}
