//! Names in the body of a program.
//!
//! A body is the source's text, and stays it, but for names that provably stand for what is mapped and has another name at the destination: a
//! table with its database where the grammar has a table, a column with table and database, a routine with its database. What has
//! another name there and is not proven, a renamed table without its database, a name in a text that is prepared, makes the program wrong: it is
//! named and not made. So is what leads out of the mapping: triggers and events run with the rights of the destination's account, and a
//! source must not choose what they reach.
//!
//! The grammar is followed as far as that takes: per parenthesis the verb of the statement, and whether tables are listed. Where it is not
//! understood, nothing is proven.

use std::collections::BTreeSet;

use super::names::ProgramNames;
use crate::schema::edit::Edits;
use crate::schema::read::is_system_database;
use crate::sql::lexer::{LexMode, Token, TokenKind, string_value, tokens};
use godwit_model::names::{TableName, quote_identifier, quote_qualified};

/// Where a body belongs.
#[derive(Debug, Clone, Copy)]
pub struct Home<'a> {
    /// The program's database at the source.
    pub database: &'a str,
    /// The table of a trigger.
    pub table: Option<&'a TableName>,
}

/// The text with the destination's names.
///
/// # Errors
/// What is wrong with it there, a sentence each.
pub fn rewrite(sql: &str, mode: &LexMode, home: Home<'_>, names: &ProgramNames) -> Result<String, Vec<String>> {
    let list = tokens(sql.as_bytes(), mode);
    if list.iter().any(|token| token.kind == TokenKind::Broken) {
        return Err(vec!["a name, a string or a comment in it has no end".into()]);
    }
    let mut body = Body { sql, list, mode, home, names, edits: Edits::default(), problems: BTreeSet::new() };
    body.names_in_grammar();
    body.names_alone();
    body.names_in_texts();
    if body.problems.is_empty() { Ok(body.edits.apply_all(sql)) } else { Err(body.problems.into_iter().collect()) }
}

/// What a statement is about, as far as it decides what FROM, INTO and commas mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    None,
    /// SELECT, DELETE: tables stand behind FROM.
    Reads,
    Deletes,
    Inserts,
    Updates,
    /// CREATE, ALTER, DROP and their kin.
    Defines,
    Other,
}

/// Of one parenthesis.
#[derive(Debug, Clone, Copy)]
struct Level {
    verb: Verb,
    /// Commas stand between tables.
    lists: bool,
    /// A table comes next.
    table: bool,
    /// A routine, an event or a trigger comes next.
    routine: bool,
}

const FRESH: Level = Level { verb: Verb::None, lists: false, table: false, routine: false };

/// A run of names joined by dots.
struct Chain {
    start: usize,
    parts: Vec<String>,
    /// `.*` follows.
    star: bool,
    /// `(` follows.
    call: bool,
}

impl Chain {
    /// The token behind it.
    fn end(&self) -> usize {
        self.start + self.parts.len() * 2 - 1
    }
}

struct Body<'a> {
    sql: &'a str,
    list: Vec<Token>,
    mode: &'a LexMode,
    home: Home<'a>,
    names: &'a ProgramNames,
    edits: Edits,
    problems: BTreeSet<String>,
}

impl Body<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.list.get(at).is_some_and(|token| token.is_word(self.sql.as_bytes(), word))
    }

    fn is_any(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(at, word))
    }

    fn is_punct(&self, at: usize, byte: u8) -> bool {
        self.list.get(at).is_some_and(|token| token.is_punct(byte))
    }

    fn name_at(&self, at: usize) -> Option<String> {
        let token = self.list.get(at).filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))?;
        token.name(self.sql.as_bytes())
    }

    fn before(&self, at: usize, words: &[&str]) -> bool {
        at.checked_sub(1).is_some_and(|before| self.is_any(before, words))
    }

    fn chain(&self, start: usize) -> Option<Chain> {
        let mut parts = vec![self.name_at(start)?];
        let mut at = start + 1;
        while self.is_punct(at, b'.')
            && let Some(part) = self.name_at(at + 1)
        {
            parts.push(part);
            at += 2;
        }
        let star = self.is_punct(at, b'.') && self.is_punct(at + 1, b'*');
        Some(Chain { start, parts, star, call: self.is_punct(at, b'(') })
    }

    fn replace(&mut self, from: usize, to: usize, text: String) {
        if let (Some(first), Some(last)) = (self.list.get(from), to.checked_sub(1).and_then(|last| self.list.get(last))) {
            self.edits.replace(first.start..last.end, text);
        }
    }

    fn problem(&mut self, sentence: String) {
        self.problems.insert(sentence);
    }

    /// Goes through the statements and judges every qualified name.
    fn names_in_grammar(&mut self) {
        let mut levels = vec![FRESH];
        let mut at = 0;
        while let Some(kind) = self.list.get(at).map(|token| token.kind) {
            let Some(level) = levels.last().copied() else { break };
            let mut now = level;
            let mut next = at + 1;
            match kind {
                TokenKind::Punct(b'(') => {
                    let nested = if level.table { level } else { FRESH };
                    now.table = false;
                    now.routine = false;
                    if let Some(last) = levels.last_mut() {
                        *last = now;
                    }
                    levels.push(nested);
                    at += 1;
                    continue;
                }
                TokenKind::Punct(b')') => {
                    // A parenthesis that nothing opened ends what is understood.
                    if levels.len() > 1 {
                        levels.pop();
                    }
                    at += 1;
                    continue;
                }
                TokenKind::Punct(b';') => now = FRESH,
                TokenKind::Punct(b',') => now.table = level.lists,
                TokenKind::Word | TokenKind::Quoted => {
                    if let Some(chain) = self.chain(at).filter(|chain| chain.parts.len() > 1 || chain.star) {
                        self.qualified(&chain, level);
                        next = chain.end();
                        now.table = false;
                        now.routine = false;
                    } else {
                        now = self.word(at, level);
                    }
                }
                _ => {}
            }
            if let Some(last) = levels.last_mut() {
                *last = now;
            }
            at = next;
        }
    }

    /// What a word without dots makes of its level.
    fn word(&self, at: usize, level: Level) -> Level {
        let is = |words: &[&str]| self.is_any(at, words);
        let is_call = self.is_punct(at + 1, b'(');
        let plain = Level { lists: false, table: false, routine: false, ..level };
        let tables = |verb: Verb| Level { verb, lists: true, table: true, routine: false };
        let defines = level.verb == Verb::Defines;
        match () {
            () if is(&["SELECT"]) => Level { verb: Verb::Reads, ..plain },
            () if is(&["FROM"]) && matches!(level.verb, Verb::Reads | Verb::Deletes) => tables(level.verb),
            () if is(&["JOIN", "STRAIGHT_JOIN"]) && level.lists => tables(level.verb),
            () if is(&["UPDATE"]) && !self.before(at, &["KEY", "FOR", "ON", "BEFORE", "AFTER"]) => tables(Verb::Updates),
            () if is(&["DELETE"]) && !self.before(at, &["ON", "BEFORE", "AFTER"]) => tables(Verb::Deletes),
            () if is(&["INSERT", "REPLACE"]) && !is_call && !self.before(at, &["OR", "BEFORE", "AFTER"]) => {
                Level { verb: Verb::Inserts, table: true, ..plain }
            }
            () if is(&["INTO"]) && level.verb == Verb::Inserts => Level { table: true, ..plain },
            () if is(&["CREATE", "DROP", "ALTER", "RENAME", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECKSUM"]) && !is_call => {
                Level { verb: Verb::Defines, ..plain }
            }
            () if is(&["TRUNCATE"]) && !is_call => tables(Verb::Defines),
            () if defines && is(&["TABLE", "TABLES", "VIEW", "LIKE", "REFERENCES", "TO"]) => tables(Verb::Defines),
            () if defines && is(&["ON"]) && !self.is_any(at + 1, &["DELETE", "UPDATE"]) => tables(Verb::Defines),
            () if defines && is(&["PROCEDURE", "FUNCTION", "EVENT", "TRIGGER", "SEQUENCE"]) => Level { routine: true, ..plain },
            () if is(&["CALL"]) => Level { verb: Verb::Other, routine: true, ..plain },
            () if is(&["USING"]) && level.verb == Verb::Deletes && !is_call => tables(Verb::Deletes),
            () if is(&["SHOW", "FETCH", "PREPARE", "EXECUTE", "RETURN"]) => Level { verb: Verb::Other, ..plain },
            // Behind these the table still comes.
            () if is(&[
                "LOW_PRIORITY",
                "HIGH_PRIORITY",
                "DELAYED",
                "IGNORE",
                "QUICK",
                "IF",
                "NOT",
                "EXISTS",
                "ONLY",
                "LATERAL",
                "TEMPORARY",
            ]) && (level.table || level.routine) =>
            {
                level
            }
            () if is(&[
                "WHERE",
                "SET",
                "GROUP",
                "ORDER",
                "HAVING",
                "LIMIT",
                "UNION",
                "EXCEPT",
                "INTERSECT",
                "WINDOW",
                "VALUES",
                "RETURNING",
                "FOR",
                "LOCK",
                "INTO",
                "DUPLICATE",
                "THEN",
                "ELSE",
                "DO",
                "BEGIN",
                "LOOP",
                "END",
                "FROM",
                "WITH",
            ]) =>
            {
                plain
            }
            () => Level { table: false, routine: false, ..level },
        }
    }

    fn qualified(&mut self, chain: &Chain, level: Level) {
        match chain.parts.as_slice() {
            [database, object] if level.routine => self.routine(chain, database, object),
            [database, table] if level.table || chain.star => self.table(chain, database, table),
            [database, function] if chain.call => self.routine(chain, database, function),
            [database, table, column] => {
                let name = TableName { database: database.clone(), table: table.clone() };
                if self.names.changes_column(&name, column) {
                    self.problem(format!("it uses column {column} of {name}, which is renamed or left out"));
                }
                self.table(chain, database, table);
            }
            [qualifier, column] => self.column(qualifier, column),
            [table] => self.alone(table),
            _ => {}
        }
    }

    /// Names of the server's own databases stay; what accounts and their passwords are is nothing that a source may ask for.
    fn is_servers_own(&mut self, database: &str) -> bool {
        if database.eq_ignore_ascii_case("mysql") {
            self.problem("it uses the database mysql".into());
            return true;
        }
        is_system_database(database)
    }

    fn routine(&mut self, chain: &Chain, database: &str, name: &str) {
        if self.is_servers_own(database) {
            return;
        }
        match self.names.database(database).map(str::to_owned) {
            None => self.problem(format!("it calls {database}.{name}, whose database is not selected")),
            Some(destination) if self.names.moves_database(database) => {
                self.replace(chain.start, chain.start + 1, quote_identifier(&destination));
            }
            Some(_) => {}
        }
    }

    fn table(&mut self, chain: &Chain, database: &str, table: &str) {
        if self.is_servers_own(database) {
            return;
        }
        let name = TableName { database: database.to_owned(), table: table.to_owned() };
        match self.names.table(&name).cloned() {
            Some(destination) if self.names.moves_qualified(&name) => {
                let text = quote_qualified(&destination.database, &destination.table);
                self.replace(chain.start, chain.start + 3, text);
            }
            Some(_) => {}
            None if self.names.database(database).is_none() => {
                self.problem(format!("it uses {name}, whose database is not selected"));
            }
            None if self.names.moves_database(database) => {
                self.problem(format!("it uses {name}, which is not a part of the task, and the database is renamed"));
            }
            None => {}
        }
    }

    /// `` `a`.`b` `` where an expression stands: the column of a table or of what a table is called there.
    fn column(&mut self, qualifier: &str, column: &str) {
        if qualifier.eq_ignore_ascii_case("mysql") {
            self.problem("it uses the database mysql".into());
        }
        if self.names.moves_database(qualifier) {
            self.problem(format!("it uses {qualifier}.{column}, and the database {qualifier} is renamed"));
        }
        self.alone(qualifier);
        let is_row = qualifier.eq_ignore_ascii_case("NEW") || qualifier.eq_ignore_ascii_case("OLD");
        if let Some(table) = self.home.table.filter(|_| is_row)
            && self.names.changes_column(table, column)
        {
            self.problem(format!("it uses column {column} of {table}, which is renamed or left out"));
        }
    }

    /// A name without a database, which may be that of a table of the program's database.
    fn alone(&mut self, name: &str) {
        let table = TableName { database: self.home.database.to_owned(), table: name.to_owned() };
        if self.names.moves_table(&table) {
            self.problem(format!("it uses {name} without its database, and {table} is renamed"));
        }
    }

    /// Names without dots: of tables that are renamed, of columns that are renamed or left out while their table is named as well.
    fn names_alone(&mut self) {
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut columns: BTreeSet<String> = BTreeSet::new();
        for at in 0..self.list.len() {
            let Some(name) = self.name_at(at) else { continue };
            let is_first = !self.is_punct(at + 1, b'.');
            let is_last = at.checked_sub(1).is_none_or(|before| !self.is_punct(before, b'.'));
            if is_first && is_last {
                self.alone(&name);
                let names_database = self.before(at, &["DATABASE", "SCHEMA", "USE"])
                    || (self.before(at, &["FROM", "IN"])
                        && self.list.iter().any(|token| token.is_word(self.sql.as_bytes(), "SHOW")));
                if names_database && self.names.moves_database(&name) {
                    self.problem(format!("it uses the database {name}, which is renamed"));
                }
            }
            if self.names.changed_column(&name).next().is_some() {
                columns.insert(name.clone());
            }
            seen.insert(name);
        }
        for column in columns {
            let tables: Vec<String> = self
                .names
                .changed_column(&column)
                .filter(|key| {
                    let is_own = self.home.table.is_some_and(|own| self.names.is_table(&own.table, key));
                    is_own || seen.iter().any(|name| self.names.is_table(name, key))
                })
                .map(|(database, table)| format!("{database}.{table}"))
                .collect();
            for table in tables {
                self.problem(format!("it uses the name {column}, and column {column} of {table} is renamed or left out"));
            }
        }
    }

    /// Statements that are put together while the program runs.
    fn names_in_texts(&mut self) {
        if !(0..self.list.len()).any(|at| self.is(at, "PREPARE") || (self.is(at, "EXECUTE") && self.is(at + 1, "IMMEDIATE"))) {
            return;
        }
        let mut found = Vec::new();
        for token in self.list.iter().filter(|token| token.kind == TokenKind::String) {
            let value = string_value(token.bytes(self.sql.as_bytes()), self.mode.no_backslash_escapes);
            let text = String::from_utf8_lossy(&value).to_lowercase();
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let words: BTreeSet<&str> = text.split(|c: char| !is_part(c)).collect();
            found.extend(self.names.moved().filter(|name| words.contains(name.to_lowercase().as_str())).map(str::to_owned));
        }
        for name in found {
            self.problem(format!(
                "it prepares a statement from a text with the name {name}, which is another one at the destination"
            ));
        }
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
