//! The parts of a `CREATE TABLE` as SHOW CREATE TABLE prints it: name, items in parentheses, options.

use std::ops::Range;

use crate::sql::lexer::{LexMode, Token, TokenKind, closing, tokens};
use godwit_model::error::{Error, Result};

/// A `CREATE TABLE`, taken apart into ranges of its tokens.
#[derive(Debug)]
pub struct CreateTable<'a> {
    pub sql: &'a str,
    pub tokens: Vec<Token>,
    /// The table's name, as it stands (tokens).
    pub name: Range<usize>,
    pub items: Vec<Item>,
    /// From after the closing parenthesis to the end (tokens).
    pub options: Range<usize>,
}

/// One entry between the parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemKind,
    /// Its tokens, without the comma.
    pub tokens: Range<usize>,
}

/// What an entry defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    Column {
        name: String,
        auto_increment: bool,
    },
    PrimaryKey,
    Index {
        name: String,
        class: IndexClass,
    },
    ForeignKey {
        name: Option<String>,
    },
    Check {
        name: Option<String>,
    },
    /// MariaDB's PERIOD FOR, and what this version does not know.
    Other,
}

/// Kinds of secondary indexes that differ in how they can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexClass {
    Plain,
    Unique,
    Fulltext,
    Spatial,
    Vector,
}

/// A part of an index: a column, or an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// None for an expression.
    pub column: Option<String>,
    pub tokens: Range<usize>,
}

impl<'a> CreateTable<'a> {
    /// Takes a statement apart.
    ///
    /// # Errors
    /// When the text is not a CREATE TABLE with a column list, or has an open end.
    pub fn parse(sql: &'a str) -> Result<Self> {
        let bytes = sql.as_bytes();
        let tokens = tokens(bytes, &LexMode::default());
        let unreadable = |what: &str| Error::definite(format!("cannot read the table's definition ({what}): {}", excerpt(sql)));
        if tokens.iter().any(|token| token.kind == TokenKind::Broken) {
            return Err(unreadable("a name or string has no end"));
        }
        let open = tokens.iter().position(|token| token.is_punct(b'(')).ok_or_else(|| unreadable("no column list"))?;
        let table_word = tokens[..open].iter().position(|token| token.is_word(bytes, "TABLE"));
        let is_create = tokens.first().is_some_and(|token| token.is_word(bytes, "CREATE"));
        let mut name_start = table_word.filter(|_| is_create).ok_or_else(|| unreadable("not a CREATE TABLE"))? + 1;
        if tokens.get(name_start).is_some_and(|token| token.is_word(bytes, "IF")) {
            name_start += 3;
        }
        let close = closing(&tokens, open).ok_or_else(|| unreadable("a parenthesis is not closed"))?;
        if name_start >= open {
            return Err(unreadable("no table name"));
        }
        let mut create = Self { sql, name: name_start..open, items: Vec::new(), options: close + 1..tokens.len(), tokens };
        create.items = split_list(&create.tokens, open, close).into_iter().map(|range| create.item(range)).collect();
        Ok(create)
    }

    fn word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql.as_bytes(), word))
    }

    /// The name that stands at this token.
    pub fn name_at(&self, at: usize) -> Option<String> {
        self.tokens.get(at)?.name(self.sql.as_bytes())
    }

    /// Whether one of these words stands at this token.
    pub fn any_word(&self, at: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(at, word))
    }

    /// Byte range of a token range.
    pub fn bytes(&self, range: &Range<usize>) -> Range<usize> {
        match (self.tokens.get(range.start), range.end.checked_sub(1).and_then(|last| self.tokens.get(last))) {
            (Some(first), Some(last)) if !range.is_empty() => first.start..last.end,
            _ => self.sql.len()..self.sql.len(),
        }
    }

    fn item(&self, range: Range<usize>) -> Item {
        let kind = self.item_kind(&range);
        Item { kind, tokens: range }
    }

    fn item_kind(&self, range: &Range<usize>) -> ItemKind {
        let first = range.start;
        if self.tokens.get(first).is_some_and(|token| token.kind == TokenKind::Word) {
            let index = |class, name_at| ItemKind::Index { name: self.name_at(name_at).unwrap_or_default(), class };
            if self.word(first, "PRIMARY") {
                return ItemKind::PrimaryKey;
            }
            let class = [
                ("UNIQUE", IndexClass::Unique),
                ("FULLTEXT", IndexClass::Fulltext),
                ("SPATIAL", IndexClass::Spatial),
                ("VECTOR", IndexClass::Vector),
            ]
            .into_iter()
            .find(|(word, _)| self.word(first, word));
            if let Some((_, class)) = class {
                return index(class, first + 2);
            }
            if self.any_word(first, &["KEY", "INDEX"]) {
                return index(IndexClass::Plain, first + 1);
            }
            if self.word(first, "CONSTRAINT") {
                let name = self.name_at(first + 1);
                return match () {
                    () if self.word(first + 2, "FOREIGN") => ItemKind::ForeignKey { name },
                    () if self.word(first + 2, "CHECK") => ItemKind::Check { name },
                    () => ItemKind::Other,
                };
            }
            if self.word(first, "FOREIGN") {
                return ItemKind::ForeignKey { name: None };
            }
            if self.word(first, "CHECK") {
                return ItemKind::Check { name: None };
            }
            if self.word(first, "PERIOD") && self.word(first + 1, "FOR") {
                return ItemKind::Other;
            }
        }
        match self.name_at(first) {
            Some(name) => {
                let auto_increment = range.clone().skip(1).any(|at| self.word(at, "AUTO_INCREMENT"));
                ItemKind::Column { name, auto_increment }
            }
            None => ItemKind::Other,
        }
    }

    /// The table's columns, in order.
    pub fn column_names(&self) -> Vec<String> {
        let names = self.items.iter().filter_map(|item| match &item.kind {
            ItemKind::Column { name, .. } => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// The first parenthesised group at or after a token, both parentheses included.
    pub fn group(&self, from: usize, end: usize) -> Option<Range<usize>> {
        let open = (from..end).find(|&at| self.tokens.get(at).is_some_and(|token| token.is_punct(b'(')))?;
        Some(open..closing(&self.tokens, open)? + 1)
    }

    /// The parts of a PRIMARY KEY or index.
    pub fn parts(&self, item: &Item) -> Vec<Part> {
        let Some(group) = self.group(item.tokens.start, item.tokens.end) else { return Vec::new() };
        let part = |range: Range<usize>| {
            let column = if self.tokens.get(range.start).is_some_and(|token| token.is_punct(b'(')) {
                None
            } else {
                self.name_at(range.start)
            };
            Part { column, tokens: range }
        };
        split_list(&self.tokens, group.start, group.end - 1).into_iter().map(part).collect()
    }
}

/// The comma-separated token ranges between two parentheses; empty ones are left out.
pub fn split_list(tokens: &[Token], open: usize, close: usize) -> Vec<Range<usize>> {
    let mut list = Vec::new();
    let mut depth = 0usize;
    let mut start = open + 1;
    for at in open + 1..close {
        match tokens.get(at).map(|token| token.kind) {
            Some(TokenKind::Punct(b'(')) => depth += 1,
            Some(TokenKind::Punct(b')')) => depth = depth.saturating_sub(1),
            Some(TokenKind::Punct(b',')) if depth == 0 => {
                list.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push(start..close);
    list.retain(|range| !range.is_empty());
    list
}

/// The beginning of a statement, for messages.
pub fn excerpt(sql: &str) -> String {
    let mut text: String = sql.chars().take(120).collect();
    if text.len() < sql.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_definition() {
        let sql = "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `e` enum('a,b','c)''') DEFAULT 'a,b',\n  PRIMARY KEY (`id`),\n  \
                   UNIQUE KEY `u` (`e`(3),((`id` + 1)) DESC),\n  FULLTEXT KEY `f` (`e`),\n  CONSTRAINT `x` FOREIGN KEY (`id`) REFERENCES `p` (`a`),\n  \
                   CONSTRAINT `c` CHECK ((`id` > 0))\n) ENGINE=InnoDB";
        let create = CreateTable::parse(sql).unwrap();
        assert_eq!(create.column_names(), ["id", "e"]);
        let kinds: Vec<_> = create.items.iter().skip(2).map(|item| item.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                ItemKind::PrimaryKey,
                ItemKind::Index { name: "u".into(), class: IndexClass::Unique },
                ItemKind::Index { name: "f".into(), class: IndexClass::Fulltext },
                ItemKind::ForeignKey { name: Some("x".into()) },
                ItemKind::Check { name: Some("c".into()) },
            ]
        );
        let parts: Vec<_> = create.parts(&create.items[3]).into_iter().map(|part| part.column).collect();
        assert_eq!(parts, [Some("e".to_owned()), None]);
        assert_eq!(&sql[create.bytes(&create.options)], "ENGINE=InnoDB");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for sql in [
            "",
            "CREATE VIEW v AS SELECT 1",
            "CREATE TABLE t (a int",
            "CREATE TABLE `t (a int)",
            "CREATE TABLE (a int)",
            "SELECT (1)",
        ] {
            assert!(CreateTable::parse(sql).is_err(), "{sql}");
        }
    }
}
