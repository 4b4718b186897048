//! The head parser behind [`super::classify`].

use std::ops::Range;

use crate::logged::{Ddl, DdlKind, NameRef, NameRole, Statement, xid_key};
use crate::sql::lexer::{LexMode, Token, TokenKind, string_value, tokens};
use godwit_model::names::TableName;

pub(super) struct Parser<'a> {
    pub(super) sql: &'a [u8],
    pub(super) database: &'a str,
    no_backslash_escapes: bool,
    /// Without the frames of executable comments: their contents count.
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    names: Vec<NameRef>,
    pub(super) databases: Vec<String>,
    /// Other tables are opened than the one that is changed.
    pub(super) opens_more: bool,
}

/// None: the statement does not go on as expected.
pub(super) type Parsed<T> = Option<T>;

impl<'a> Parser<'a> {
    pub(super) fn new(sql: &'a [u8], database: &'a str, mode: &LexMode) -> Self {
        let mut tokens = tokens(sql, mode);
        tokens.retain(|token| !matches!(token.kind, TokenKind::ExecOpen | TokenKind::ExecClose));
        let no_backslash_escapes = mode.no_backslash_escapes;
        Self { sql, database, no_backslash_escapes, tokens, at: 0, names: Vec::new(), databases: Vec::new(), opens_more: false }
    }

    pub(super) fn statement(self) -> Statement {
        if self.tokens.iter().any(|token| token.kind == TokenKind::Broken) {
            return Statement::Unknown("a name, string or comment has no end".into());
        }
        if self.tokens.iter().all(|token| token.is_punct(b';')) {
            return Statement::Harmless("empty".into());
        }
        let head = self.head();
        self.parse().unwrap_or_else(|| Statement::Unknown(format!("{head} is not understood")))
    }

    /// The first words, for messages.
    fn head(&self) -> String {
        let words = self.tokens.iter().take(4).map(|token| String::from_utf8_lossy(token.bytes(self.sql)).into_owned());
        words.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    pub(super) fn is_at(&self, ahead: usize, word: &str) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|token| token.is_word(self.sql, word))
    }

    pub(super) fn eat(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    pub(super) fn eat_punct(&mut self, byte: u8) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|token| token.is_punct(byte));
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&self) -> Parsed<String> {
        let token = self.tokens.get(self.at).filter(|token| token.kind == TokenKind::Word)?;
        Some(token.name(self.sql)?.to_ascii_uppercase())
    }

    pub(super) fn ident(&mut self) -> Parsed<(String, Range<usize>)> {
        let token = self.tokens.get(self.at)?;
        let name = token.name(self.sql)?;
        let span = token.span();
        self.at += 1;
        Some((name, span))
    }

    /// `[db.]name`, remembered with its role.
    pub(super) fn name(&mut self, role: NameRole) -> Parsed<TableName> {
        let database = self.database;
        self.name_in(role, database)
    }

    /// The database of the first name.
    pub(super) fn first_database(&self) -> String {
        self.names.first().map_or_else(|| self.database.to_owned(), |name| name.name.database.clone())
    }

    /// The same with another database for a name without one.
    pub(super) fn name_in(&mut self, role: NameRole, database: &str) -> Parsed<TableName> {
        let (first, mut span) = self.ident()?;
        let name = if self.eat_punct(b'.') {
            let (table, end) = self.ident()?;
            span.end = end.end;
            TableName { database: first, table }
        } else {
            TableName { database: database.to_owned(), table: first }
        };
        self.names.push(NameRef { role, name: name.clone(), span });
        Some(name)
    }

    pub(super) fn names(&mut self, role: NameRole) -> Parsed<()> {
        self.name(role)?;
        while self.eat_punct(b',') {
            self.name(role)?;
        }
        Some(())
    }

    pub(super) fn database_name(&mut self) -> Parsed<()> {
        let (name, span) = self.ident()?;
        self.databases.push(name.clone());
        self.names.push(NameRef { role: NameRole::Database, name: TableName { database: name, table: String::new() }, span });
        Some(())
    }

    pub(super) fn if_exists(&mut self) {
        if self.eat("IF") {
            self.eat("NOT");
            self.eat("EXISTS");
        }
    }

    pub(super) fn done(self, kind: DdlKind) -> Parsed<Statement> {
        self.ddl(kind, false, false, false)
    }

    pub(super) fn ddl(mut self, kind: DdlKind, temporary: bool, select: bool, start_transaction: bool) -> Parsed<Statement> {
        self.names.sort_by_key(|name| name.span.start);
        let mut tables: Vec<TableName> = Vec::new();
        for name in self.names.iter().filter(|name| name.role == NameRole::Changed) {
            if !tables.contains(&name.name) {
                tables.push(name.name.clone());
            }
        }
        let merged: Vec<TableName> =
            self.names.iter().filter(|name| name.role == NameRole::Merged).map(|name| name.name.clone()).collect();
        let of_one = matches!(kind, DdlKind::AlterTable | DdlKind::CreateIndex | DdlKind::DropIndex | DdlKind::TruncateTable);
        let opens_one = of_one && !self.opens_more && self.names.iter().all(|name| name.role == NameRole::Changed);
        let (names, databases) = (self.names, self.databases);
        Some(Statement::Ddl(Ddl { kind, tables, databases, temporary, merged, opens_one, select, start_transaction, names }))
    }

    fn parse(mut self) -> Parsed<Statement> {
        let first = self.word()?;
        self.at += 1;
        match first.as_str() {
            "BEGIN" => (!self.is("NOT")).then_some(Statement::Begin),
            "START" if self.is("TRANSACTION") => Some(Statement::Begin),
            "COMMIT" => Some(Statement::Commit),
            "ROLLBACK" => self.rollback(),
            "SAVEPOINT" => Some(Statement::Savepoint(self.ident()?.0)),
            "RELEASE" => {
                self.eat("SAVEPOINT");
                Some(Statement::ReleaseSavepoint(self.ident()?.0))
            }
            "XA" => self.xa(),
            "CREATE" => self.create(),
            "ALTER" => self.alter(),
            "DROP" => self.drop(),
            "RENAME" => self.rename(),
            "TRUNCATE" => {
                self.eat("TABLE");
                self.name(NameRole::Changed)?;
                self.done(DdlKind::TruncateTable)
            }
            "SET" if self.is("STATEMENT") => self.set_statement(),
            "ANALYZE" if !self.is_maintenance() => self.parse(),
            "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "LOAD" | "WITH" | "CALL" | "DO" | "SELECT" | "VALUES" => {
                Some(self.dml(&first))
            }
            "GRANT" | "REVOKE" | "SET" | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "CHECK" | "REPAIR" | "CHECKSUM" | "INSTALL"
            | "UNINSTALL" | "CACHE" | "USE" | "KILL" | "RESET" | "PURGE" | "CHANGE" | "STOP" | "SHOW" | "LOCK" | "UNLOCK"
            | "RESTART" | "SHUTDOWN" | "DEALLOCATE" | "SIGNAL" | "EXPLAIN" | "DESCRIBE" | "DESC" | "HELP" => {
                Some(Statement::Harmless(first))
            }
            _ => None,
        }
    }

    fn is_maintenance(&self) -> bool {
        self.is("TABLE") || self.is("TABLES") || ((self.is("LOCAL") || self.is("NO_WRITE_TO_BINLOG")) && self.is_at(1, "TABLE"))
    }

    fn rollback(mut self) -> Parsed<Statement> {
        self.eat("WORK");
        if self.eat("TO") {
            self.eat("SAVEPOINT");
            return Some(Statement::RollbackTo(self.ident()?.0));
        }
        Some(Statement::Rollback)
    }

    /// MariaDB: `SET STATEMENT variable = value, … FOR statement`.
    fn set_statement(mut self) -> Parsed<Statement> {
        let rest = self.tokens.get(self.at..)?;
        let skip = rest.iter().position(|token| token.is_word(self.sql, "FOR"))?;
        self.at += skip + 1;
        self.parse()
    }

    fn xa(mut self) -> Parsed<Statement> {
        let verb = self.word()?;
        self.at += 1;
        let xid = self.xid()?;
        match verb.as_str() {
            "START" | "BEGIN" => Some(Statement::XaStart(xid)),
            "END" => Some(Statement::XaEnd(xid)),
            "PREPARE" => Some(Statement::XaPrepare(xid)),
            "COMMIT" => Some(Statement::XaCommit { xid, one_phase: self.is("ONE") && self.is_at(1, "PHASE") }),
            "ROLLBACK" => Some(Statement::XaRollback(xid)),
            _ => None,
        }
    }

    fn xid(&mut self) -> Parsed<String> {
        let gtrid = self.xid_part()?;
        let mut bqual = Vec::new();
        let mut format_id = 1;
        if self.eat_punct(b',') {
            bqual = self.xid_part()?;
            if self.eat_punct(b',') {
                let negative = self.eat_punct(b'-');
                let token = self.tokens.get(self.at)?;
                let text = std::str::from_utf8(token.bytes(self.sql)).ok()?;
                let number: i64 = match text.strip_prefix("0x") {
                    Some(hex) => i64::from_str_radix(hex, 16).ok()?,
                    None => text.parse().ok()?,
                };
                format_id = if negative { -number } else { number };
                self.at += 1;
            }
        }
        Some(xid_key(&gtrid, &bqual, format_id))
    }

    fn xid_part(&mut self) -> Parsed<Vec<u8>> {
        let token = self.tokens.get(self.at)?;
        let bytes = token.bytes(self.sql);
        self.at += 1;
        match token.kind {
            TokenKind::String => Some(string_value(bytes, self.no_backslash_escapes)),
            TokenKind::HexOrBit => {
                let digits: Vec<u8> = match bytes {
                    [b'x' | b'X', b'\'', digits @ .., b'\''] | [b'0', b'x', digits @ ..] => digits.to_vec(),
                    _ => return None,
                };
                let padded = if digits.len() % 2 == 1 { [b"0".as_slice(), &digits].concat() } else { digits };
                let pairs = padded.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
                pairs.collect()
            }
            _ => None,
        }
    }

    /// The tables that a DML statement may change, as far as its head tells.
    fn dml(mut self, verb: &str) -> Statement {
        self.eat_any(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "QUICK"]);
        self.eat("IGNORE");
        match verb {
            "INSERT" | "REPLACE" => {
                self.eat("INTO");
                let _ = self.name(NameRole::Changed);
            }
            "UPDATE" | "DELETE" => self.dml_targets(),
            "LOAD" => {
                let into = |pair: &[Token]| pair[0].is_word(self.sql, "INTO") && pair[1].is_word(self.sql, "TABLE");
                if let Some(at) = self.tokens.windows(2).position(into) {
                    self.at = at + 2;
                    let _ = self.name(NameRole::Changed);
                }
            }
            _ => {}
        }
        Statement::Dml { tables: self.names.into_iter().map(|name| name.name).collect() }
    }

    /// All tables named up to SET or WHERE: a join may change any of them.
    fn dml_targets(&mut self) {
        let mut expect = true;
        while let Some(token) = self.tokens.get(self.at).copied() {
            if ["SET", "WHERE", "ORDER", "LIMIT"].iter().any(|word| token.is_word(self.sql, word)) {
                return;
            }
            let leads = ["FROM", "JOIN", "USING", "STRAIGHT_JOIN"].iter().any(|word| token.is_word(self.sql, word));
            if leads || token.is_punct(b',') || token.is_punct(b'(') {
                expect = true;
                self.at += 1;
            } else if expect && matches!(token.kind, TokenKind::Word | TokenKind::Quoted) {
                let _ = self.name(NameRole::Changed);
                expect = false;
            } else {
                self.at += 1;
            }
        }
    }
}
