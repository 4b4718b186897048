//! A definition of one server in the words of another: the step before the rewrite, text to text.

#[path = "adapt_literals.rs"]
mod literals;

use crate::schema::collation::{default_collation, destination_collation};
use crate::schema::create::{CreateTable, Item, ItemKind};
use crate::schema::edit::Edits;
use crate::sql::lexer::TokenKind;
use godwit_model::error::{Error, Result};
use godwit_model::names::quote_identifier;
use godwit_model::server::{Flavor, ServerInfo};

/// The adapted definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapted {
    pub create: String,
    /// What the destination will have otherwise, a sentence each.
    pub notes: Vec<String>,
}

/// Puts a SHOW CREATE TABLE of `source` into words that mean the same at `destination`.
///
/// Collations that the source leaves out because they are its defaults are said. From MySQL to MariaDB, what
/// stands in MySQL's executable comments (which MariaDB skips) is translated or named in the notes.
///
/// # Errors
/// Definite: the destination has no counterpart (indexes on expressions, some collations), or the direction is
/// MariaDB to MySQL.
pub fn adapt_for(create: &str, source: &ServerInfo, destination: &ServerInfo) -> Result<Adapted> {
    if source.flavor == Flavor::MariaDb && destination.flavor == Flavor::MySql {
        return Err(Error::definite(
            "definitions cannot be migrated from MariaDB to MySQL yet; create the tables at the destination and leave Schema out of migrationTypes",
        ));
    }
    let create = CreateTable::parse(create)?;
    let mut adapter = Adapter { create, source, destination, edits: Edits::default(), notes: Vec::new() };
    adapter.say_collations();
    adapter.leave_inherited_collations();
    if source.flavor == Flavor::MySql && destination.flavor == Flavor::MariaDb {
        adapter.translate_to_mariadb()?;
    }
    Ok(Adapted { create: adapter.edits.apply_all(adapter.create.sql), notes: adapter.notes })
}

struct Adapter<'a> {
    create: CreateTable<'a>,
    source: &'a ServerInfo,
    destination: &'a ServerInfo,
    edits: Edits,
    notes: Vec<String>,
}

impl Adapter<'_> {
    fn word(&self, at: usize, word: &str) -> bool {
        self.create.any_word(at, &[word])
    }

    fn say_collations(&mut self) {
        for item in self.create.items.clone() {
            let mut depth = 0usize;
            for at in item.tokens.clone() {
                match self.create.tokens.get(at).map(|token| token.kind) {
                    Some(TokenKind::Punct(b'(')) => depth += 1,
                    Some(TokenKind::Punct(b')')) => depth = depth.saturating_sub(1),
                    // Not the CHARSET of a CAST inside an expression.
                    _ if depth == 0 && self.word(at, "CHARACTER") && self.word(at + 1, "SET") => self.say_collation(at + 2, " "),
                    _ => {}
                }
            }
        }
        for at in self.create.options.clone() {
            if self.word(at, "CHARSET") {
                let value = at + 1 + usize::from(self.create.tokens.get(at + 1).is_some_and(|token| token.is_punct(b'=')));
                self.say_collation(value, "=");
            }
        }
    }

    fn say_collation(&mut self, character_set: usize, separator: &str) {
        if self.word(character_set + 1, "COLLATE") {
            return;
        }
        let Some(name) = self.create.name_at(character_set) else { return };
        let Some(collation) = default_collation(&name, self.source) else { return };
        // What both servers mean stays unsaid, or the definition would be spelled otherwise for no reason. That of utf8mb4 is a
        // setting in some versions.
        let same_servers = self.source.flavor == self.destination.flavor;
        if same_servers && name != "utf8mb4" && default_collation(&name, self.destination).as_ref() == Some(&collation) {
            return;
        }
        let end = self.create.bytes(&(character_set..character_set + 1)).end;
        let collation = destination_collation(&collation, self.destination).unwrap_or(collation);
        self.edits.replace(end..end, format!(" COLLATE{separator}{collation}"));
    }

    /// MySQL 8 shows a collation that a column has from its table as COLLATE without CHARACTER SET. Said in a CREATE, it would be the
    /// column's own and be shown with both.
    fn leave_inherited_collations(&mut self) {
        if !self.source.is_mysql_since(8, 0, 0) || !self.destination.is_mysql_since(8, 0, 0) {
            return;
        }
        let value = |at: usize| at + 1 + usize::from(self.create.tokens.get(at + 1).is_some_and(|token| token.is_punct(b'=')));
        let of_table = self.create.options.clone().find(|&at| self.word(at, "COLLATE"));
        let Some(of_table) = of_table.and_then(|at| self.create.name_at(value(at))) else { return };
        for item in self.create.items.clone() {
            let ItemKind::Column { .. } = item.kind else { continue };
            let at = item.tokens.start + 2;
            // Right behind the type, with its length or labels.
            let group = self
                .create
                .tokens
                .get(at)
                .filter(|token| token.is_punct(b'('))
                .and_then(|_| self.create.group(at, item.tokens.end));
            let at = group.map_or(at, |group| group.end);
            if self.word(at, "COLLATE") && self.create.name_at(at + 1).as_deref() == Some(of_table.as_str()) {
                self.edits.delete(self.create.bytes(&(at..at + 2)));
            }
        }
    }

    fn translate_to_mariadb(&mut self) -> Result<()> {
        self.say_literals()?;
        for at in 0..self.create.tokens.len() {
            self.collation(at)?;
        }
        for item in self.create.items.clone() {
            self.item(&item)?;
        }
        for at in self.create.options.clone() {
            let named = ["COMPRESSION", "ENCRYPTION", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE", "AUTOEXTEND_SIZE"];
            let followed = self.create.tokens.get(at + 1).is_some_and(|token| token.is_punct(b'='));
            if followed && self.create.any_word(at, &named) {
                self.leave_out(at, at + 3);
            }
        }
        self.drop_mysql_comments();
        Ok(())
    }

    fn collation(&mut self, at: usize) -> Result<()> {
        let Some(token) = self.create.tokens.get(at).copied().filter(|token| token.kind == TokenKind::Word) else {
            return Ok(());
        };
        let Some(name) = self.create.name_at(at).filter(|name| name.starts_with("utf8mb4_")) else { return Ok(()) };
        let mapped = destination_collation(&name, self.destination)?;
        if mapped != name {
            self.edits.replace(token.span(), mapped.clone());
            let note = format!("collation {name} becomes {mapped}");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<()> {
        match &item.kind {
            ItemKind::Index { name, .. } if self.create.parts(item).iter().any(|part| part.column.is_none()) => {
                Err(Error::definite(format!(
                    "index {} is on an expression, which MariaDB does not have; replace it at the source by an index on a generated column",
                    quote_identifier(name)
                )))
            }
            ItemKind::Index { .. } => {
                self.translate_comment(item, "INVISIBLE", "IGNORED");
                Ok(())
            }
            ItemKind::Check { name } => {
                if self.words(item, "NOT", "ENFORCED") {
                    // The comma before it goes too; the first item is always a column.
                    let start = self.create.bytes(&(item.tokens.start - 2..item.tokens.start - 1)).end;
                    self.edits.delete(start..self.create.bytes(&item.tokens).end);
                    let name = name.as_deref().map(quote_identifier).unwrap_or_default();
                    self.notes.push(format!("check {name} is left out: it is NOT ENFORCED, which MariaDB does not have"));
                }
                Ok(())
            }
            ItemKind::Column { name, .. } => self.column(item, name),
            _ => Ok(()),
        }
    }

    fn words(&self, item: &Item, first: &str, second: &str) -> bool {
        item.tokens.clone().any(|at| self.word(at, first) && self.word(at + 1, second))
    }

    fn column(&mut self, item: &Item, name: &str) -> Result<()> {
        self.translate_comment(item, "INVISIBLE", "INVISIBLE");
        let of_type = item.tokens.start + 1;
        if self.word(of_type, "geomcollection") {
            self.edits.replace(self.create.bytes(&(of_type..of_type + 1)), "geometrycollection");
        }
        if self.word(of_type, "vector") && self.destination.version < (11, 7, 1) {
            return Err(Error::definite(format!("column {} is a VECTOR, which MariaDB has since 11.7", quote_identifier(name))));
        }
        // MariaDB takes no nullability on a generated column.
        let generated = item.tokens.clone().find(|&at| self.word(at, "GENERATED") && self.word(at + 1, "ALWAYS"));
        if let Some(generated) = generated {
            let end = self.create.group(generated, item.tokens.end).map_or(generated, |group| group.end);
            let nullability = (end..item.tokens.end).find(|&at| self.word(at, "NOT") && self.word(at + 1, "NULL"));
            if let Some(at) = nullability {
                self.edits.delete(self.create.bytes(&(at..at + 2)));
                self.notes.push(format!(
                    "generated column {} loses NOT NULL, which MariaDB does not take there",
                    quote_identifier(name)
                ));
            }
        }
        Ok(())
    }

    /// An executable comment that holds just this word is replaced by another word.
    fn translate_comment(&mut self, item: &Item, word: &str, replacement: &str) {
        for at in item.tokens.clone() {
            let kind = |at: usize| self.create.tokens.get(at).map(|token| token.kind);
            if kind(at) == Some(TokenKind::ExecOpen) && self.word(at + 1, word) && kind(at + 2) == Some(TokenKind::ExecClose) {
                self.edits.replace(self.create.bytes(&(at..at + 3)), replacement);
            }
        }
    }

    fn leave_out(&mut self, start: usize, end: usize) {
        let range = self.create.bytes(&(start..end));
        let text = self.create.sql.get(range.clone()).unwrap_or_default();
        self.notes.push(format!("{text} is left out: MariaDB does not have it"));
        self.edits.delete(range);
    }

    /// What MySQL says in a comment for versions from 5.7 on, MariaDB takes for a comment.
    fn drop_mysql_comments(&mut self) {
        let mut at = 0;
        while at < self.create.tokens.len() {
            let Some(token) = self.create.tokens.get(at).copied() else { return };
            at += 1;
            if token.kind != TokenKind::ExecOpen || !is_for_mysql_only(token.bytes(self.create.sql.as_bytes())) {
                continue;
            }
            let Some(close) = (at..self.create.tokens.len()).find(|&end| self.create.tokens[end].kind == TokenKind::ExecClose)
            else {
                return;
            };
            let translated = self.word(at, "INVISIBLE") || (self.word(at, "NOT") && self.word(at + 1, "ENFORCED"));
            if !translated && close > at {
                self.leave_out(at - 1, close + 1);
            }
            at = close + 1;
        }
    }
}

/// `/*!50700` to `/*!99999`.
fn is_for_mysql_only(open: &[u8]) -> bool {
    let digits = open.get(3..).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse::<u32>().ok()).is_some_and(|version| (50_700..=99_999).contains(&version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(create: &str, from: &str, to: &str) -> Adapted {
        adapt_for(create, &ServerInfo::parse(from), &ServerInfo::parse(to)).unwrap()
    }

    #[test]
    fn default_collations_are_said() {
        let create = "CREATE TABLE `t` (\n  `a` char(3) CHARACTER SET latin1,\n  `b` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        assert_eq!(
            adapted(create, "5.7.22", "9.7.4").create,
            "CREATE TABLE `t` (\n  `a` char(3) CHARACTER SET latin1,\n  `b` char(3) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin\n) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"
        );
    }

    #[test]
    fn what_both_mean_stays_unsaid() {
        let create = "CREATE TABLE `t` (\n  `a` varchar(5) COLLATE utf8mb4_general_ci DEFAULT NULL,\n  `b` char(3) CHARACTER SET latin1,\n  \
                      `c` enum('COLLATE') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,\n  `d` text COLLATE utf8mb4_general_ci\n) \
                      ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci";
        assert_eq!(
            adapted(create, "9.7.4", "9.7.4").create,
            "CREATE TABLE `t` (\n  `a` varchar(5)  DEFAULT NULL,\n  `b` char(3) CHARACTER SET latin1,\n  \
             `c` enum('COLLATE') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,\n  `d` text \n) \
             ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"
        );
    }

    #[test]
    fn mysql_comments_become_mariadb_words() {
        let create = "CREATE TABLE `t` (\n  `a` int DEFAULT NULL /*!80023 INVISIBLE */,\n  `g` geometry NOT NULL /*!80003 SRID 4326 */,\n  \
                      `c` int GENERATED ALWAYS AS ((`a` + 1)) STORED NOT NULL,\n  KEY `k` (`a`) /*!80000 INVISIBLE */,\n  \
                      CONSTRAINT `n` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */\n) ENGINE=InnoDB COLLATE=utf8mb4_0900_ai_ci /*!80016 ENCRYPTION='Y' */\n\
                      /*!50100 PARTITION BY KEY (a) */";
        let adapted = adapted(create, "8.0.36", "11.4.5-MariaDB");
        assert_eq!(
            adapted.create,
            "CREATE TABLE `t` (\n  `a` int DEFAULT NULL INVISIBLE,\n  `g` geometry NOT NULL ,\n  `c` int GENERATED ALWAYS AS ((`a` + 1)) STORED ,\n  \
             KEY `k` (`a`) IGNORED\n) ENGINE=InnoDB COLLATE=utf8mb4_uca1400_nopad_ai_ci \n/*!50100 PARTITION BY KEY (a) */"
        );
        assert!(adapted.notes.len() >= 4, "{:?}", adapted.notes);
        let functional = "CREATE TABLE `t` (\n  `a` int,\n  KEY `k` ((`a` + 1))\n) ENGINE=InnoDB";
        let error = adapt_for(functional, &ServerInfo::parse("8.0.36"), &ServerInfo::parse("11.4.5-MariaDB")).unwrap_err();
        assert!(error.to_string().contains("`k`"), "{error}");
        assert!(adapt_for(functional, &ServerInfo::parse("11.4.5-MariaDB"), &ServerInfo::parse("8.0.36")).is_err());
    }
}
