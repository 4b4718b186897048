//! Views: names mapped, definer and security rewritten, ordered by what they read.
//!
//! Works on what SHOW CREATE VIEW prints, where every name is in backticks and, from a session whose database is
//! another one, qualified (`read_views` sees to that).

use std::collections::{HashMap, HashSet};

use crate::schema::create::excerpt;
use crate::schema::edit::Edits;
use crate::schema::names::NameMap;
use crate::schema::read::is_system_database;
use crate::sql::lexer::{LexMode, Token, TokenKind, tokens};
use crate::sql::single::Single;
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::names::{quote_identifier, quote_qualified};

/// What becomes of a view's definer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Definer {
    /// No definer, SQL SECURITY INVOKER: the account need not exist at the destination.
    #[default]
    Invoker,
    Keep,
}

/// Rewrites `SHOW CREATE VIEW` of `source` to the destination's names.
///
/// # Errors
/// Definite: not a view, or it reads a table or column that the destination will not have.
pub fn rewrite_view(create: &str, source: &TableName, names: &dyn NameMap, definer: Definer) -> Result<String> {
    let view = View::parse(create, source)?;
    let destination = names.table(source).ok_or_else(|| Error::definite(format!("view {source} is not selected")))?;
    let mut edits = Edits::default();
    if definer == Definer::Invoker {
        view.drop_definer(&mut edits);
    }
    edits.replace(view.span(view.name.0, view.name.1), quote_qualified(&destination.database, &destination.table));
    for name in view.names() {
        let text = view.mapped(&name, names)?;
        if let Some(text) = text {
            edits.replace(view.span(name.start, name.start + name.parts.len() * 2 - 1), text);
        }
    }
    let statement = edits.apply_all(create);
    // What would be refused when it is run is refused before anything is.
    Single::parse(&statement, &destination).context(format!("view {source}"))?;
    Ok(statement)
}

/// The tables and views that a view reads.
///
/// # Errors
/// Definite when the text is not a view.
pub fn view_references(create: &str, source: &TableName) -> Result<Vec<TableName>> {
    let view = View::parse(create, source)?;
    let mut tables: Vec<TableName> =
        view.names().into_iter().filter(|name| name.role == Role::Table).filter_map(|name| view.table(&name)).collect();
    tables.sort();
    tables.dedup();
    Ok(tables)
}

/// Orders views so that each stands after the views it reads. `views`: name and SHOW CREATE VIEW. A text that
/// cannot be read counts as reading nothing; creating it will fail with the server's reason.
pub fn order_views(views: &[(TableName, String)]) -> Vec<usize> {
    let place: HashMap<&TableName, usize> = views.iter().enumerate().map(|(at, view)| (&view.0, at)).collect();
    let needs: Vec<Vec<usize>> = views
        .iter()
        .map(|(name, create)| {
            view_references(create, name).unwrap_or_default().iter().filter_map(|table| place.get(table).copied()).collect()
        })
        .collect();
    let mut order = Vec::with_capacity(views.len());
    let mut seen = vec![false; views.len()];
    for start in 0..views.len() {
        // Depth first without recursion: (view, how many of its needs were looked at).
        let mut stack = vec![(start, 0usize)];
        while let Some((view, looked)) = stack.pop() {
            if looked == 0 && std::mem::replace(&mut seen[view], true) {
                continue;
            }
            match needs[view].get(looked) {
                Some(&need) => {
                    stack.push((view, looked + 1));
                    if !seen[need] {
                        stack.push((need, 0));
                    }
                }
                None => order.push(view),
            }
        }
    }
    order
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Stands where a table stands.
    Table,
    /// `` `db`.`function`( ``
    Function,
    /// A column, qualified or not.
    Column,
}

/// A run of names joined by dots.
#[derive(Debug)]
struct Name {
    role: Role,
    parts: Vec<String>,
    /// Token of the first part.
    start: usize,
    /// For a table: the alias it is read under.
    alias: Option<String>,
}

struct View<'a> {
    sql: &'a [u8],
    source: &'a TableName,
    tokens: Vec<Token>,
    /// Tokens of the view's own name: first, and the one after the last.
    name: (usize, usize),
    body: usize,
}

impl<'a> View<'a> {
    fn parse(create: &'a str, source: &'a TableName) -> Result<Self> {
        let sql = create.as_bytes();
        let tokens = tokens(sql, &LexMode::default());
        let unreadable = || Error::definite(format!("{source}: cannot read the view's definition: {}", excerpt(create)));
        let broken = tokens.iter().any(|token| token.kind == TokenKind::Broken);
        let start = tokens.iter().position(|token| token.is_word(sql, "VIEW")).filter(|_| !broken).ok_or_else(unreadable)? + 1;
        let body = tokens.iter().skip(start).position(|token| token.is_word(sql, "AS")).ok_or_else(unreadable)? + start;
        // A list of column names may stand between name and AS.
        let end = tokens[start..body].iter().position(|token| token.is_punct(b'(')).map_or(body, |at| start + at);
        if start >= end || !tokens.first().is_some_and(|token| token.is_word(sql, "CREATE")) {
            return Err(unreadable());
        }
        Ok(Self { sql, source, tokens, name: (start, end), body: body + 1 })
    }

    fn span(&self, start: usize, end: usize) -> std::ops::Range<usize> {
        match (self.tokens.get(start), end.checked_sub(1).and_then(|last| self.tokens.get(last))) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql, word))
    }

    fn is_punct(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_punct(byte))
    }

    fn drop_definer(&self, edits: &mut Edits) {
        for at in 0..self.name.0 {
            if self.is_word(at, "DEFINER") && self.is_punct(at + 1, b'=') {
                // name or 'name', then @host; CURRENT_USER has none.
                let host = self.tokens.get(at + 3).is_some_and(|token| token.kind == TokenKind::UserVariable);
                let end = at + 3 + usize::from(host);
                let next = self.tokens.get(end).map_or(0, |token| token.start);
                edits.delete(self.span(at, at + 1).start..next);
            }
            if self.is_word(at, "SECURITY") && self.is_word(at + 1, "DEFINER") {
                edits.replace(self.span(at + 1, at + 2), "INVOKER");
            }
        }
    }

    /// All names of the body, with what they stand for.
    fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        // Per parenthesis: whether a SELECT stands in it (then FROM and commas have that meaning), and whether
        // a table comes next.
        let mut levels = vec![(false, false)];
        let mut at = self.body;
        while let Some(token) = self.tokens.get(at) {
            let Some(level) = levels.last_mut() else { break };
            match token.kind {
                TokenKind::Punct(b'(') => {
                    // `from (a join b)`: the parenthesis is part of the table list. Others are calls and queries.
                    let nested = if self.opens_table_list(at) { *level } else { (false, false) };
                    levels.push(nested);
                }
                TokenKind::Punct(b')') => {
                    levels.pop();
                    if let Some(level) = levels.last_mut() {
                        level.1 = false;
                    }
                }
                TokenKind::Word => {
                    let is = |words: &[&str]| words.iter().any(|word| token.is_word(self.sql, word));
                    if is(&["SELECT"]) {
                        *level = (true, false);
                    } else if (is(&["FROM"]) && level.0) || is(&["JOIN", "STRAIGHT_JOIN"]) {
                        *level = (level.0, true);
                        level.0 = true;
                    } else if is(&["ON", "WHERE", "GROUP", "ORDER", "HAVING", "USING", "LIMIT", "UNION"]) {
                        level.1 = false;
                    }
                }
                TokenKind::Quoted => {
                    let expects_table = std::mem::take(&mut level.1);
                    let name = self.name(at, expects_table);
                    at += name.parts.len() * 2 - 1;
                    names.push(name);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        names
    }

    fn opens_table_list(&self, open: usize) -> bool {
        let before = open.wrapping_sub(1);
        self.is_punct(before, b'(') || ["FROM", "JOIN", "STRAIGHT_JOIN", "LATERAL"].iter().any(|word| self.is_word(before, word))
    }

    fn name(&self, start: usize, expects_table: bool) -> Name {
        let mut parts = vec![self.tokens[start].name(self.sql).unwrap_or_default()];
        let mut at = start + 1;
        while self.is_punct(at, b'.') {
            let Some(part) = self.tokens.get(at + 1).and_then(|token| token.name(self.sql)) else { break };
            parts.push(part);
            at += 2;
        }
        let role = match () {
            () if self.is_punct(at, b'(') && parts.len() == 2 => Role::Function,
            () if expects_table && parts.len() <= 2 => Role::Table,
            () => Role::Column,
        };
        let alias_at = at + usize::from(self.is_word(at, "AS"));
        let alias =
            self.tokens.get(alias_at).filter(|token| token.kind == TokenKind::Quoted).and_then(|token| token.name(self.sql));
        Name { role, parts, start, alias }
    }

    fn table(&self, name: &Name) -> Option<TableName> {
        match name.parts.as_slice() {
            [database, table] => Some(TableName { database: database.clone(), table: table.clone() }),
            // Tables and views are qualified, so this is WITH `x` AS (…), a name of the view's own; MariaDB prints it without quotes
            // there, and it may be called like a real table.
            _ => None,
        }
    }

    /// The text that stands for a name at the destination; None: it stays.
    fn mapped(&self, name: &Name, names: &dyn NameMap) -> Result<Option<String>> {
        match name.role {
            Role::Table => {
                let Some(table) = self.table(name) else { return Ok(None) };
                let new = self.destination(&table, names)?;
                Ok(Some(quote_qualified(&new.database, &new.table)))
            }
            Role::Function => {
                let [database, function] = name.parts.as_slice() else { return Ok(None) };
                match names.database(database) {
                    Some(database) => Ok(Some(quote_qualified(&database, function))),
                    None if database.eq_ignore_ascii_case("sys") => Ok(None),
                    None => Err(Error::definite(format!(
                        "view {} calls {database}.{function}, whose database is not selected",
                        self.source
                    ))),
                }
            }
            Role::Column => self.mapped_column(name, names),
        }
    }

    fn destination(&self, table: &TableName, names: &dyn NameMap) -> Result<TableName> {
        // What accounts and their passwords are at the destination is nothing that a source may ask for.
        if is_system_database(&table.database) && !table.database.eq_ignore_ascii_case("mysql") {
            return Ok(table.clone());
        }
        names.table(table).ok_or_else(|| Error::definite(format!("view {} reads {table}, which is not selected", self.source)))
    }

    fn mapped_column(&self, name: &Name, names: &dyn NameMap) -> Result<Option<String>> {
        match name.parts.as_slice() {
            [database, table, column] => {
                let table = TableName { database: database.clone(), table: table.clone() };
                let aliased = self.is_aliased_view(&table);
                let is_read = self
                    .names()
                    .iter()
                    .any(|name| name.role == Role::Table && name.alias.is_none() && self.table(name).as_ref() == Some(&table));
                match (is_read, aliased) {
                    (_, false) => {
                        let new = self.destination(&table, names)?;
                        let column = self.column(&table, column, names)?;
                        Ok(Some(format!("{}.{}", quote_qualified(&new.database, &new.table), quote_identifier(&column))))
                    }
                    // Without the database it is right in both places, as long as the names do not part.
                    (true, true) if self.destination(&table, names)?.table != table.table => Err(self.ambiguous(&table.table)),
                    (_, true) => self.aliased_column(&table.table, column, names),
                }
            }
            [known_as, column] => self.aliased_column(known_as, column, names),
            _ => Ok(None),
        }
    }

    /// MySQL 9 puts the alias of a view behind the view's database: `` `d`.`x`.`a` `` of `` `d`.`a view` `x` ``.
    fn is_aliased_view(&self, qualifier: &TableName) -> bool {
        self.names().iter().any(|name| {
            name.role == Role::Table
                && name.alias.as_deref() == Some(qualifier.table.as_str())
                && self.table(name).is_some_and(|table| table.database == qualifier.database)
        })
    }

    /// Whether columns of a table stand with its database: then all do that are read under its own name.
    fn is_in_full(&self, table: &TableName) -> bool {
        let qualifier = [table.database.as_str(), table.table.as_str()];
        self.names().iter().any(|name| name.role == Role::Column && name.parts.len() == 3 && name.parts[..2] == qualifier)
    }

    fn ambiguous(&self, known_as: &str) -> Error {
        Error::definite(format!(
            "view {} uses the name {} for several tables that are renamed differently; create it at the destination by hand",
            self.source,
            quote_identifier(known_as)
        ))
    }

    fn column(&self, table: &TableName, column: &str, names: &dyn NameMap) -> Result<String> {
        let left_out = || Error::definite(format!("view {} reads column {column} of {table}, which is left out", self.source));
        names.column(table, column).ok_or_else(left_out)
    }

    /// `` `alias`.`column` ``, or `` `table`.`column` `` of a table that is read under its own name.
    fn aliased_column(&self, known_as: &str, column: &str, names: &dyn NameMap) -> Result<Option<String>> {
        let mut texts = HashSet::new();
        for name in self.names().iter().filter(|name| name.role == Role::Table) {
            let own_name = name.parts.last();
            if name.alias.as_ref().or(own_name).is_none_or(|other| other != known_as) {
                continue;
            }
            let Some(table) = self.table(name) else {
                texts.insert(format!("{}.{}", quote_identifier(known_as), quote_identifier(column)));
                continue;
            };
            if name.alias.is_none() && self.is_in_full(&table) {
                continue;
            }
            let new_column = self.column(&table, column, names)?;
            let new_table = self.destination(&table, names)?.table;
            let qualifier = if name.alias.is_some() { known_as } else { &new_table };
            texts.insert(format!("{}.{}", quote_identifier(qualifier), quote_identifier(&new_column)));
        }
        if texts.len() > 1 {
            return Err(self.ambiguous(known_as));
        }
        Ok(texts.into_iter().next())
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
