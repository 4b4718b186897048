//! CREATE, ALTER, DROP and RENAME of the head parser.

use crate::logged::parse::{Parsed, Parser};
use crate::logged::{DdlKind, NameRole, Statement};
use crate::sql::lexer::{Token, TokenKind, closing};

impl Parser<'_> {
    /// `DEFINER = account`, `ALGORITHM = x`, `SQL SECURITY x`, `OR REPLACE` and the like before the object's kind.
    fn skip_modifiers(&mut self) -> Parsed<()> {
        loop {
            if self.eat("OR") {
                self.eat("REPLACE").then_some(())?;
            } else if self.eat("ALGORITHM") {
                self.eat_punct(b'=');
                self.ident()?;
            } else if self.eat("DEFINER") {
                self.eat_punct(b'=');
                self.at += 1;
                if self.eat_punct(b'(') {
                    self.eat_punct(b')').then_some(())?;
                } else if self.tokens.get(self.at).is_some_and(|token| token.kind == TokenKind::UserVariable) {
                    self.at += 1;
                }
            } else if self.is("SQL") && self.is_at(1, "SECURITY") {
                self.at += 3;
            } else if !self.eat_any(&["ONLINE", "OFFLINE", "IGNORE", "AGGREGATE", "UNIQUE", "FULLTEXT", "VECTOR"]) {
                return Some(());
            }
        }
    }

    pub(super) fn create(mut self) -> Parsed<Statement> {
        self.skip_modifiers()?;
        let temporary = self.eat("TEMPORARY");
        if self.is("SPATIAL") && self.is_at(1, "INDEX") {
            self.at += 1;
        }
        let what = self.word()?;
        self.at += 1;
        match what.as_str() {
            "TABLE" => self.create_table(temporary),
            "VIEW" => {
                self.if_exists();
                self.name(NameRole::Changed)?;
                self.done(DdlKind::CreateView)
            }
            "JSON" => {
                self.eat("RELATIONAL");
                (self.eat("DUALITY") && self.eat("VIEW")).then_some(())?;
                self.if_exists();
                self.name(NameRole::Changed)?;
                self.done(DdlKind::CreateView)
            }
            "INDEX" => self.index_on(DdlKind::CreateIndex),
            "DATABASE" | "SCHEMA" => {
                self.if_exists();
                self.database_name()?;
                self.done(DdlKind::CreateDatabase)
            }
            "TRIGGER" => {
                self.if_exists();
                self.name(NameRole::Object)?;
                while !self.eat("ON") {
                    self.word()?;
                    self.at += 1;
                }
                self.name(NameRole::Changed)?;
                self.done(DdlKind::CreateTrigger)
            }
            "PROCEDURE" => self.object(DdlKind::CreateProcedure),
            "FUNCTION" => {
                if self.tokens.iter().any(|token| token.is_word(self.sql, "SONAME")) {
                    return Some(Statement::Harmless("CREATE FUNCTION … SONAME".into()));
                }
                self.object(DdlKind::CreateFunction)
            }
            "EVENT" => self.object(DdlKind::CreateEvent),
            "SEQUENCE" => {
                self.if_exists();
                self.name(NameRole::Changed)?;
                self.ddl(DdlKind::CreateSequence, temporary, false, false)
            }
            "PACKAGE" => {
                self.eat("BODY");
                self.object(DdlKind::OtherRoutine)
            }
            "LIBRARY" => self.object(DdlKind::OtherRoutine),
            _ => server_object("CREATE", &what),
        }
    }

    fn object(mut self, kind: DdlKind) -> Parsed<Statement> {
        self.if_exists();
        self.name(NameRole::Object)?;
        self.done(kind)
    }

    /// `INDEX [IF …] name [USING x] ON table`.
    fn index_on(mut self, kind: DdlKind) -> Parsed<Statement> {
        self.if_exists();
        self.ident()?;
        while !self.eat("ON") {
            self.word()?;
            self.at += 1;
        }
        self.name(NameRole::Changed)?;
        self.done(kind)
    }

    fn create_table(mut self, temporary: bool) -> Parsed<Statement> {
        self.if_exists();
        self.name(NameRole::Changed)?;
        if self.eat("LIKE") || (self.tokens.get(self.at).is_some_and(|token| token.is_punct(b'(')) && self.is_at(1, "LIKE")) {
            if self.eat_punct(b'(') {
                self.eat("LIKE");
            }
            self.name(NameRole::Referenced)?;
            return self.ddl(DdlKind::CreateTable, temporary, false, false);
        }
        let open = self.tokens.get(self.at).is_some_and(|token| token.is_punct(b'('));
        let after = if open && !self.is_at(1, "SELECT") { closing(&self.tokens, self.at)? + 1 } else { self.at };
        self.references();
        self.merged();
        let rest = self.tokens.get(after..).unwrap_or_default();
        let begins_query = |token: &Token| ["SELECT", "VALUES", "WITH", "TABLE"].iter().any(|word| token.is_word(self.sql, word));
        let select = top_level(rest, |at| {
            let follows = rest.get(at + 1);
            match rest.get(at) {
                // WITH SYSTEM VERSIONING; VALUES of a partition is never on the top level.
                Some(token) if token.is_word(self.sql, "WITH") => !follows.is_some_and(|next| next.is_word(self.sql, "SYSTEM")),
                Some(token) if token.is_word(self.sql, "TABLE") => {
                    at == 0 || rest.get(at - 1).is_some_and(|before| before.is_word(self.sql, "AS"))
                }
                Some(token) if token.is_punct(b'(') => follows.is_some_and(begins_query),
                Some(token) => begins_query(token),
                None => false,
            }
        });
        let start_transaction =
            rest.windows(2).any(|pair| pair[0].is_word(self.sql, "START") && pair[1].is_word(self.sql, "TRANSACTION"));
        self.ddl(DdlKind::CreateTable, temporary, select, start_transaction)
    }

    /// Every `REFERENCES table` from here on.
    fn references(&mut self) {
        let from = self.at;
        for at in from..self.tokens.len() {
            let before = self.tokens.get(at.wrapping_sub(1));
            if self.tokens[at].is_word(self.sql, "REFERENCES") && !before.is_some_and(|token| token.is_punct(b'.')) {
                self.at = at + 1;
                // Without a database the parent is beside its child, whatever the session's database is.
                let database = self.first_database();
                let _ = self.name_in(NameRole::Referenced, &database);
            }
        }
        self.at = from;
    }

    /// `UNION [=] (table, …)` of a MERGE table, from here on. A set operation goes on with ALL, DISTINCT or a query.
    fn merged(&mut self) {
        let from = self.at;
        for at in from..self.tokens.len() {
            if !self.tokens[at].is_word(self.sql, "UNION") {
                continue;
            }
            self.at = at + 1;
            self.eat_punct(b'=');
            let is_query = ["SELECT", "VALUES", "WITH", "TABLE"].iter().any(|word| self.is_at(1, word));
            if self.eat_punct(b'(') && !is_query {
                let _ = self.names(NameRole::Merged);
            }
        }
        self.at = from;
    }

    pub(super) fn alter(mut self) -> Parsed<Statement> {
        self.skip_modifiers()?;
        let what = self.word()?;
        self.at += 1;
        match what.as_str() {
            "TABLE" => self.alter_table(),
            "VIEW" => {
                self.if_exists();
                self.name(NameRole::Changed)?;
                self.done(DdlKind::AlterView)
            }
            "JSON" => {
                self.eat("RELATIONAL");
                (self.eat("DUALITY") && self.eat("VIEW")).then_some(())?;
                self.name(NameRole::Changed)?;
                self.done(DdlKind::AlterView)
            }
            "DATABASE" | "SCHEMA" => self.alter_database(),
            "PROCEDURE" => self.object(DdlKind::AlterProcedure),
            "FUNCTION" => self.object(DdlKind::AlterFunction),
            "EVENT" => self.alter_event(),
            "SEQUENCE" => {
                self.if_exists();
                self.name(NameRole::Changed)?;
                self.done(DdlKind::AlterSequence)
            }
            "LIBRARY" => self.object(DdlKind::OtherRoutine),
            _ => server_object("ALTER", &what),
        }
    }

    fn alter_event(mut self) -> Parsed<Statement> {
        self.if_exists();
        self.name(NameRole::Object)?;
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        if let Some(at) = rest.windows(2).position(|pair| pair[0].is_word(self.sql, "RENAME") && pair[1].is_word(self.sql, "TO"))
        {
            self.at += at + 2;
            self.name(NameRole::Object)?;
        }
        self.done(DdlKind::AlterEvent)
    }

    /// The database may be left out; then the default one is meant.
    fn alter_database(mut self) -> Parsed<Statement> {
        let options = ["DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "ENCRYPTION", "READ", "COMMENT", "UPGRADE"];
        if self.word().is_some_and(|word| options.contains(&word.as_str())) {
            self.databases.push(self.database.to_owned());
        } else {
            self.database_name()?;
            // UPGRADE DATA DIRECTORY NAME: a database comes into being under the name without the mark.
            let upgraded = self.databases.last().and_then(|name| name.strip_prefix("#mysql50#")).map(str::to_owned);
            self.databases.extend(upgraded);
        }
        self.done(DdlKind::AlterDatabase)
    }

    fn alter_table(mut self) -> Parsed<Statement> {
        self.if_exists();
        self.name(NameRole::Changed)?;
        // MariaDB: WAIT n, NOWAIT.
        if self.eat("WAIT") {
            self.at += 1;
        }
        self.eat("NOWAIT");
        self.references();
        self.merged();
        let mut depth = 0usize;
        while let Some(token) = self.tokens.get(self.at).copied() {
            match token.kind {
                TokenKind::Punct(b'(') => depth += 1,
                TokenKind::Punct(b')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            let follows_dot =
                self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).is_some_and(|before| before.is_punct(b'.'));
            self.at += 1;
            if depth > 0 || follows_dot {
                continue;
            }
            // Reserved, so it begins a clause wherever it stands.
            if token.is_word(self.sql, "RENAME") && !["COLUMN", "INDEX", "KEY", "CONSTRAINT"].iter().any(|word| self.is(word)) {
                self.eat_any(&["TO", "AS"]);
                self.eat_punct(b'=');
                self.name(NameRole::Changed)?;
            } else if token.is_word(self.sql, "EXCHANGE") && self.is("PARTITION") {
                self.other_table("WITH")?;
            } else if token.is_word(self.sql, "CONVERT") && self.is("PARTITION") {
                self.other_table("TO")?;
            } else if token.is_word(self.sql, "CONVERT") && self.is("TABLE") {
                self.opens_more = true;
                self.at += 1;
                self.name(NameRole::Changed)?;
            }
        }
        self.done(DdlKind::AlterTable)
    }

    /// `PARTITION p WITH TABLE t`.
    fn other_table(&mut self, preposition: &str) -> Parsed<()> {
        self.opens_more = true;
        self.at += 1;
        self.ident()?;
        (self.eat(preposition) && self.eat("TABLE")).then_some(())?;
        self.name(NameRole::Changed).map(|_| ())
    }

    pub(super) fn drop(mut self) -> Parsed<Statement> {
        let temporary = self.eat("TEMPORARY");
        self.eat_any(&["ONLINE", "OFFLINE"]);
        let what = self.word()?;
        self.at += 1;
        match what.as_str() {
            "TABLE" | "TABLES" => {
                self.if_exists();
                self.names(NameRole::Changed)?;
                self.ddl(DdlKind::DropTable, temporary, false, false)
            }
            "VIEW" => {
                self.if_exists();
                self.names(NameRole::Changed)?;
                self.done(DdlKind::DropView)
            }
            "INDEX" => self.index_on(DdlKind::DropIndex),
            "DATABASE" | "SCHEMA" => {
                self.if_exists();
                self.database_name()?;
                self.done(DdlKind::DropDatabase)
            }
            "TRIGGER" => self.object(DdlKind::DropTrigger),
            "PROCEDURE" => self.object(DdlKind::DropProcedure),
            "FUNCTION" => self.object(DdlKind::DropFunction),
            "EVENT" => self.object(DdlKind::DropEvent),
            "SEQUENCE" => {
                self.if_exists();
                self.names(NameRole::Changed)?;
                self.ddl(DdlKind::DropSequence, temporary, false, false)
            }
            "PACKAGE" => {
                self.eat("BODY");
                self.object(DdlKind::OtherRoutine)
            }
            "LIBRARY" => self.object(DdlKind::OtherRoutine),
            "PREPARE" => Some(Statement::Harmless("DROP PREPARE".into())),
            _ => server_object("DROP", &what),
        }
    }

    pub(super) fn rename(mut self) -> Parsed<Statement> {
        if self.eat("USER") {
            return Some(Statement::Harmless("RENAME USER".into()));
        }
        self.eat_any(&["TABLE", "TABLES"]).then_some(())?;
        self.if_exists();
        loop {
            self.name(NameRole::Changed)?;
            if self.eat("WAIT") {
                self.at += 1;
            }
            self.eat("NOWAIT");
            self.eat("TO").then_some(())?;
            self.name(NameRole::Changed)?;
            if !self.eat_punct(b',') {
                return self.done(DdlKind::RenameTable);
            }
        }
    }
}

/// Objects of the server, not of a database.
fn server_object(verb: &str, what: &str) -> Parsed<Statement> {
    let known = ["USER", "ROLE", "SERVER", "TABLESPACE", "LOGFILE", "UNDO", "RESOURCE", "SPATIAL", "INSTANCE", "DEFINER"];
    known.contains(&what).then(|| Statement::Harmless(format!("{verb} {what}")))
}

/// Whether `found` holds for a token outside of parentheses, or for an opening one.
fn top_level(tokens: &[Token], found: impl Fn(usize) -> bool) -> bool {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        if depth == 0 && found(at) {
            return true;
        }
        match token.kind {
            TokenKind::Punct(b'(') => depth += 1,
            TokenKind::Punct(b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
