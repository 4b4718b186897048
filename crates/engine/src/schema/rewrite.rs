//! `SHOW CREATE TABLE` of the source to the destination's statements: one CREATE before the rows, ALTERs after.
//!
//! Only names, the engine and what the destination cannot keep are replaced; comments, defaults and expressions
//! stay byte for byte. Secondary indexes and foreign keys wait for the rows.

use std::collections::HashSet;

use crate::schema::create::{CreateTable, IndexClass, Item, ItemKind};
use crate::schema::edit::Edits;
use crate::schema::names::NameMap;
use crate::schema::options;
use crate::sql::lexer::TokenKind;
use crate::sql::single::Single;
use godwit_model::error::{Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::names::{quote_identifier, quote_qualified};

/// The destination table's engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Engine {
    #[default]
    AsSource,
    /// `InnoDB`, `XENGINE`, …
    Named(String),
}

/// What becomes of one table.
pub struct TableRewrite<'a> {
    pub source: TableName,
    pub destination: TableName,
    /// Name of the index that identifies rows; stays in the CREATE.
    pub key_index: Option<String>,
    pub engine: Engine,
    /// Indexes that are needed while rows are copied; they stay in the CREATE.
    pub needed: Vec<String>,
    /// False: everything stays in the CREATE but foreign keys.
    pub defer_indexes: bool,
    /// Names of columns, and of the tables that foreign keys point at.
    pub names: &'a dyn NameMap,
}

/// What an ALTER adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeferredKind {
    /// Everything that one ALTER can add together.
    Indexes,
    /// FULLTEXT, and indexes on expressions: one to a statement.
    SingleIndex,
    /// After all indexes of all tables: the parent needs its own index first.
    ForeignKeys,
}

/// One thing to add, by name, so that a restart can leave out what exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Name of the index or foreign key.
    pub name: String,
    /// `` ADD KEY `k` (`a`) ``.
    pub clause: String,
}

/// One ALTER TABLE to run after the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    pub kind: DeferredKind,
    pub table: TableName,
    pub additions: Vec<Addition>,
}

impl Deferred {
    /// The statement that adds everything.
    pub fn statement(&self) -> String {
        self.statement_without(|_| false).unwrap_or_default()
    }

    /// The statement without what exists already; None when nothing is left.
    pub fn statement_without(&self, exists: impl Fn(&str) -> bool) -> Option<String> {
        let clauses: Vec<&str> =
            self.additions.iter().filter(|addition| !exists(&addition.name)).map(|addition| addition.clause.as_str()).collect();
        let table = quote_qualified(&self.table.database, &self.table.table);
        (!clauses.is_empty()).then(|| format!("ALTER TABLE {table} {}", clauses.join(", ")))
    }
}

/// The destination's statements of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrittenTable {
    pub create: String,
    /// In the order to run them.
    pub deferred: Vec<Deferred>,
    /// What the destination will not have, a sentence each.
    pub notes: Vec<String>,
}

/// Rewrites a definition.
///
/// # Errors
/// Definite: the text cannot be read, or what remains depends on a column that is left out.
pub fn rewrite_create_table(create: &str, rules: &TableRewrite) -> Result<RewrittenTable> {
    let create = CreateTable::parse(create).map_err(|error| error.context(&rules.source))?;
    let columns = create.column_names().into_iter().map(|name| name.to_lowercase()).collect();
    let rewritten = Rewriter { create, rules, columns, edits: Edits::default(), notes: Vec::new() }.run()?;
    // What would be refused when it is run is refused before anything is.
    Single::parse(&rewritten.create, &rules.destination).context(format!("table {}", rules.source))?;
    for deferred in &rewritten.deferred {
        Single::parse(&deferred.statement(), &rules.destination).context(format!("table {}", rules.source))?;
    }
    Ok(rewritten)
}

pub(super) struct Rewriter<'a> {
    pub(super) create: CreateTable<'a>,
    pub(super) rules: &'a TableRewrite<'a>,
    /// Lower case.
    columns: HashSet<String>,
    pub(super) edits: Edits,
    pub(super) notes: Vec<String>,
}

impl Rewriter<'_> {
    fn run(mut self) -> Result<RewrittenTable> {
        let items = self.create.items.clone();
        let mut kept = Vec::with_capacity(items.len());
        let mut indexes = Vec::new();
        let mut single = Vec::new();
        let mut foreign_keys = Vec::new();
        let auto_increment = self.auto_increment_column(&items);
        let stays = self.index_for_auto_increment(&items, auto_increment.as_deref())?;
        for item in &items {
            if !self.keep(item, auto_increment.as_deref())? {
                continue;
            }
            let text = self.edits.apply(self.create.sql, self.create.bytes(&item.tokens));
            match &item.kind {
                ItemKind::ForeignKey { name } => {
                    let name = self.constraint_name(name.as_deref().unwrap_or_default());
                    foreign_keys.push(Addition { clause: format!("ADD {text}"), name });
                }
                ItemKind::Index { name, class } if self.rules.defer_indexes && !self.stays(name, stays.as_deref()) => {
                    let addition = Addition { name: name.clone(), clause: format!("ADD {text}") };
                    match class {
                        IndexClass::Fulltext | IndexClass::Vector => single.push(addition),
                        _ if self.create.parts(item).iter().any(|part| part.column.is_none()) => single.push(addition),
                        _ => indexes.push(addition),
                    }
                }
                _ => kept.push(text),
            }
        }
        if !items.iter().any(|item| self.is_kept_column(item)) {
            return Err(self.error("no column is left"));
        }
        options::rewrite(&mut self)?;
        let head = quote_qualified(&self.rules.destination.database, &self.rules.destination.table);
        let tail = self.edits.apply(self.create.sql, self.create.bytes(&self.create.options));
        let create = format!("CREATE TABLE {head} (\n  {}\n) {tail}", kept.join(",\n  "));
        let table = &self.rules.destination;
        let deferred = |kind, additions| Deferred { kind, table: table.clone(), additions };
        let mut all = Vec::new();
        if !indexes.is_empty() {
            all.push(deferred(DeferredKind::Indexes, indexes));
        }
        all.extend(single.into_iter().map(|addition| deferred(DeferredKind::SingleIndex, vec![addition])));
        if !foreign_keys.is_empty() {
            all.push(deferred(DeferredKind::ForeignKeys, foreign_keys));
        }
        Ok(RewrittenTable { create: create.trim_end().to_owned(), deferred: all, notes: self.notes })
    }

    pub(super) fn error(&self, message: &str) -> Error {
        Error::definite(format!("{}: {message}", self.rules.source))
    }

    fn stays(&self, index: &str, for_auto_increment: Option<&str>) -> bool {
        self.rules.key_index.as_deref() == Some(index)
            || for_auto_increment == Some(index)
            || self.rules.needed.iter().any(|needed| needed == index)
    }

    fn is_kept_column(&self, item: &Item) -> bool {
        matches!(&item.kind, ItemKind::Column { name, .. } if self.column(name).is_some())
    }

    pub(super) fn column(&self, name: &str) -> Option<String> {
        self.rules.names.column(&self.rules.source, name)
    }

    pub(super) fn is_column(&self, name: &str) -> bool {
        self.columns.contains(&name.to_lowercase())
    }

    fn auto_increment_column(&self, items: &[Item]) -> Option<String> {
        let name = items.iter().find_map(|item| match &item.kind {
            ItemKind::Column { name, auto_increment: true } => Some(name.clone()),
            _ => None,
        })?;
        self.column(&name).map(|_| name)
    }

    /// The secondary index without which the CREATE would be refused: AUTO_INCREMENT needs an index that begins
    /// with its column (MyISAM: that has it at all).
    fn index_for_auto_increment(&self, items: &[Item], column: Option<&str>) -> Result<Option<String>> {
        let Some(column) = column else { return Ok(None) };
        let place = |item: &Item| {
            let parts = self.create.parts(item);
            parts.iter().position(|part| part.column.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(column)))
        };
        let indexes = || items.iter().filter(|item| matches!(item.kind, ItemKind::PrimaryKey | ItemKind::Index { .. }));
        let is_there = |item: &&Item| match &item.kind {
            ItemKind::Index { name, .. } => self.rules.key_index.as_ref() == Some(name),
            _ => true,
        };
        if indexes().filter(is_there).any(|item| place(item) == Some(0)) {
            return Ok(None);
        }
        let first = indexes().find(|item| place(item) == Some(0));
        if first.is_none() && matches!(self.rules.engine, Engine::Named(_)) {
            let name = quote_identifier(column);
            let remedy = format!("add one at the source (ALTER TABLE … ADD KEY ({name}))");
            return Err(self.error(&format!(
                "column {name} is AUTO_INCREMENT and no index begins with it, which InnoDB does not take; {remedy}"
            )));
        }
        let any = || indexes().find(|item| place(item).is_some());
        Ok(first.or_else(any).and_then(|item| match &item.kind {
            ItemKind::Index { name, .. } => Some(name.clone()),
            _ => None,
        }))
    }

    /// Whether an item stays, with its edits made.
    fn keep(&mut self, item: &Item, auto_increment: Option<&str>) -> Result<bool> {
        match &item.kind {
            ItemKind::Column { name, .. } => self.keep_column(item, name),
            ItemKind::PrimaryKey => self.keep_index(item, "the primary key", auto_increment),
            ItemKind::Index { name, .. } => self.keep_index(item, &format!("index {}", quote_identifier(name)), auto_increment),
            ItemKind::ForeignKey { name } => self.keep_foreign_key(item, name.as_deref()),
            ItemKind::Check { name } => {
                if let Some(column) = self.edit_expression(item.tokens.start + name_length(name.as_deref()), item.tokens.end)? {
                    let name = name.as_deref().map(quote_identifier).unwrap_or_default();
                    self.notes.push(format!("check {name} is left out: it uses column {}", quote_identifier(&column)));
                    return Ok(false);
                }
                self.rename_constraint(item, name.as_deref());
                Ok(true)
            }
            ItemKind::Other => {
                if let Some(column) = self.edit_expression(item.tokens.start, item.tokens.end)? {
                    return Err(
                        self.error(&format!("column {} cannot be left out: the definition needs it", quote_identifier(&column)))
                    );
                }
                Ok(true)
            }
        }
    }

    fn keep_column(&mut self, item: &Item, name: &str) -> Result<bool> {
        let Some(new_name) = self.column(name) else { return Ok(false) };
        let first = item.tokens.start;
        if new_name != name {
            self.edits.replace(self.create.bytes(&(first..first + 1)), quote_identifier(&new_name));
        }
        let mut at = first + 1;
        while at < item.tokens.end {
            // MariaDB keeps a column's own check in the column.
            let check = self.create.any_word(at, &["CHECK"]).then(|| self.create.group(at, item.tokens.end)).flatten();
            match check {
                Some(group) => {
                    let end = group.end;
                    if let Some(used) = self.edit_expression(group.start, end)? {
                        self.notes.push(format!(
                            "the check of column {} is left out: it uses column {}",
                            quote_identifier(name),
                            quote_identifier(&used)
                        ));
                        self.edits.delete(self.create.bytes(&(at..end)));
                    }
                    at = end;
                }
                None => {
                    if let Some(used) = self.edit_expression(at, at + 1)? {
                        return Err(self.error(&format!(
                            "column {} is computed from {}, which is left out; leave it out too",
                            quote_identifier(name),
                            quote_identifier(&used)
                        )));
                    }
                    at += 1;
                }
            }
        }
        Ok(true)
    }

    fn keep_index(&mut self, item: &Item, what: &str, auto_increment: Option<&str>) -> Result<bool> {
        let Some(group) = self.create.group(item.tokens.start, item.tokens.end) else {
            return Err(self.error(&format!("cannot read {what}")));
        };
        let Some(missing) = self.edit_expression(group.start, group.end)? else { return Ok(true) };
        let leads = auto_increment.filter(|column| {
            let parts = self.create.parts(item);
            parts.first().and_then(|part| part.column.as_deref()).is_some_and(|name| name.eq_ignore_ascii_case(column))
        });
        let (Some(column), ItemKind::Index { name, .. }) = (leads, &item.kind) else {
            self.notes.push(format!("{what} is left out: it uses column {}", quote_identifier(&missing)));
            return Ok(false);
        };
        // Not unique any more, but AUTO_INCREMENT needs an index.
        let new_name = self.column(column).unwrap_or_else(|| column.to_owned());
        self.edits.replace(
            self.create.bytes(&item.tokens),
            format!("KEY {} ({})", quote_identifier(name), quote_identifier(&new_name)),
        );
        self.notes.push(format!(
            "{what} keeps only column {}: it uses column {}",
            quote_identifier(column),
            quote_identifier(&missing)
        ));
        Ok(true)
    }

    fn keep_foreign_key(&mut self, item: &Item, name: Option<&str>) -> Result<bool> {
        let label = format!("foreign key {}", name.map(quote_identifier).unwrap_or_default());
        let unreadable = || Error::definite(format!("{}: cannot read {label}", self.rules.source));
        let (start, end) = (item.tokens.start, item.tokens.end);
        let references = (start..end).find(|&at| self.create.any_word(at, &["REFERENCES"])).ok_or_else(unreadable)?;
        let own = self.create.group(start, references).ok_or_else(unreadable)?;
        let theirs = self.create.group(references, end).ok_or_else(unreadable)?;
        let parent = self.table_name(references + 1, theirs.start).ok_or_else(unreadable)?;
        let Some(new_parent) = self.rules.names.table(&parent) else {
            self.notes.push(format!("{label} is left out: its parent {parent} is not selected"));
            return Ok(false);
        };
        if let Some(missing) = self.edit_expression(own.start, own.end)? {
            self.notes.push(format!("{label} is left out: it uses column {}", quote_identifier(&missing)));
            return Ok(false);
        }
        for at in theirs.clone() {
            let Some(column) = self
                .create
                .tokens
                .get(at)
                .filter(|token| !matches!(token.kind, TokenKind::Punct(_)))
                .and_then(|_| self.create.name_at(at))
            else {
                continue;
            };
            match self.rules.names.column(&parent, &column) {
                Some(new_name) if new_name != column => {
                    self.edits.replace(self.create.bytes(&(at..at + 1)), quote_identifier(&new_name))
                }
                Some(_) => {}
                None => {
                    self.notes.push(format!("{label} is left out: column {} of {parent} is left out", quote_identifier(&column)));
                    return Ok(false);
                }
            }
        }
        self.edits.replace(
            self.create.bytes(&(references + 1..theirs.start)),
            quote_qualified(&new_parent.database, &new_parent.table),
        );
        self.rename_constraint(item, name);
        Ok(true)
    }

    /// A table's name in these tokens; without a database it is the table's own.
    pub(super) fn table_name(&self, start: usize, end: usize) -> Option<TableName> {
        let database = || self.rules.source.database.clone();
        match end.checked_sub(start)? {
            1 => Some(TableName { database: database(), table: self.create.name_at(start)? }),
            3 => Some(TableName { database: self.create.name_at(start)?, table: self.create.name_at(start + 2)? }),
            _ => None,
        }
    }

    /// Edits the column names in these tokens; gives back the first that is left out.
    pub(super) fn edit_expression(&mut self, start: usize, end: usize) -> Result<Option<String>> {
        let is_dot = |at: Option<usize>| at.and_then(|at| self.create.tokens.get(at)).is_some_and(|token| token.is_punct(b'.'));
        let mut found = Vec::new();
        for at in start..end {
            let Some(token) = self.create.tokens.get(at).filter(|token| token.kind == TokenKind::Quoted) else { continue };
            let Some(name) = self.create.name_at(at) else { continue };
            if is_dot(at.checked_sub(1)) {
                continue;
            }
            if is_dot(Some(at + 1)) {
                // `db`.`sequence` of a MariaDB default.
                let table = self.table_name(at, at + 3);
                let new_name = table.as_ref().and_then(|table| self.rules.names.table(table));
                let new_name = new_name.or_else(|| {
                    let table = table.clone()?;
                    Some(TableName { database: self.rules.names.database(&table.database)?, table: table.table })
                });
                let Some(new_name) = new_name else {
                    return Err(self.error(&format!(
                        "its definition names {}, which is not selected; change the definition at the source or leave the table out",
                        table.map(|table| table.to_string()).unwrap_or_default()
                    )));
                };
                let range = self.create.bytes(&(at..at + 3));
                found.push((range, quote_qualified(&new_name.database, &new_name.table)));
            } else if self.is_column(&name) {
                match self.column(&name) {
                    None => return Ok(Some(name)),
                    Some(new_name) if new_name != name => found.push((token.span(), quote_identifier(&new_name))),
                    Some(_) => {}
                }
            }
        }
        for (range, text) in found {
            self.edits.replace(range, text);
        }
        Ok(None)
    }

    /// `orders_ibfk_1` of a table that is now `orders_v2` becomes `orders_v2_ibfk_1`, as RENAME TABLE does it.
    fn constraint_name(&self, name: &str) -> String {
        let (old, new) = (&self.rules.source.table, &self.rules.destination.table);
        let generated = name.strip_prefix(old.as_str()).filter(|rest| {
            let number = rest.strip_prefix("_ibfk_").or_else(|| rest.strip_prefix("_chk_"));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        generated.map_or_else(|| name.to_owned(), |rest| format!("{new}{rest}"))
    }

    fn rename_constraint(&mut self, item: &Item, name: Option<&str>) {
        let Some(name) = name else { return };
        let new_name = self.constraint_name(name);
        if new_name != name {
            let at = item.tokens.start + 1;
            self.edits.replace(self.create.bytes(&(at..at + 1)), quote_identifier(&new_name));
        }
    }
}

/// Tokens of `` CONSTRAINT `name` ``.
fn name_length(name: Option<&str>) -> usize {
    if name.is_some() { 2 } else { 0 }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
