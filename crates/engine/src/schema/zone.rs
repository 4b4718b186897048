//! Expressions whose value depends on the session's time zone.

use super::create::{CreateTable, ItemKind};
use crate::sql::lexer::TokenKind;
use godwit_model::definition::{Column, Generated, Kind, TableDefinition};

/// Functions that answer by the session's time zone.
const FUNCTIONS: &[&str] = &["FROM_UNIXTIME", "UNIX_TIMESTAMP", "CONVERT_TZ"];

/// The expressions of one table.
#[derive(Clone, Copy)]
pub struct Expressions<'a> {
    pub create: &'a CreateTable<'a>,
    pub columns: &'a [Column],
}

impl Expressions<'_> {
    /// Why what is computed with this token depends on the zone; None: it does not.
    pub fn dependence(&self, at: usize) -> Option<String> {
        match self.create.tokens.get(at)?.kind {
            TokenKind::Quoted => self.of_column(at),
            TokenKind::Word => self.of_function(at),
            _ => None,
        }
    }

    fn of_function(&self, at: usize) -> Option<String> {
        // A name without a parenthesis is a keyword here.
        let is_call = self.create.group(at, at + 2).is_some_and(|group| group.start == at + 1);
        let asks = is_call && self.create.any_word(at, FUNCTIONS) && !self.takes_an_instant(at);
        asks.then(|| format!("{}: the session's time zone", self.create.name_at(at).unwrap_or_default().to_lowercase()))
    }

    /// A TIMESTAMP is an instant; whatever makes a date or a text of it asks the session's zone.
    fn of_column(&self, at: usize) -> Option<String> {
        let name = self.create.name_at(at)?;
        let column = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&name))?;
        let is_instant = matches!(column.kind, Kind::Timestamp { .. });
        (is_instant && !self.is_only_an_instant(at)).then(|| format!("time zone: `{name}` is a TIMESTAMP"))
    }

    /// `x IS NULL`, `isnull(x)`, `unix_timestamp(x)`: the same in every zone.
    fn is_only_an_instant(&self, at: usize) -> bool {
        self.create.any_word(at + 1, &["IS"])
            || at.checked_sub(2).is_some_and(|function| {
                self.create.any_word(function, &["ISNULL", "UNIX_TIMESTAMP"])
                    && self.is_punct(at - 1, b'(')
                    && self.is_punct(at + 1, b')')
            })
    }

    /// Whether it is `unix_timestamp(x)` of a TIMESTAMP.
    fn takes_an_instant(&self, at: usize) -> bool {
        let name = self.create.name_at(at + 2);
        let column = self.columns.iter().find(|column| name.as_ref().is_some_and(|name| column.name.eq_ignore_ascii_case(name)));
        self.create.any_word(at, &["UNIX_TIMESTAMP"])
            && self.is_punct(at + 3, b')')
            && column.is_some_and(|column| matches!(column.kind, Kind::Timestamp { .. }))
    }

    fn is_punct(&self, at: usize, byte: u8) -> bool {
        self.create.tokens.get(at).is_some_and(|token| token.is_punct(byte))
    }
}

/// Places of the stored generated columns whose values depend on the zone of the session that wrote the row.
pub fn stored_columns(definition: &TableDefinition) -> Vec<usize> {
    let is_stored = |column: &Column| column.generated == Generated::Stored;
    if !definition.columns.iter().any(is_stored) {
        return Vec::new();
    }
    // What cannot be read is the item Definitions.
    let Ok(create) = CreateTable::parse(&definition.create_statement) else { return Vec::new() };
    let expressions = Expressions { create: &create, columns: &definition.columns };
    let mut places = Vec::new();
    for item in &create.items {
        let ItemKind::Column { name, .. } = &item.kind else { continue };
        let place = definition.columns.iter().position(|column| is_stored(column) && column.name.eq_ignore_ascii_case(name));
        let start = item.tokens.clone().find(|&at| create.any_word(at, &["AS"]));
        let group = start.and_then(|at| create.group(at, item.tokens.end));
        if let (Some(place), Some(mut group)) = (place, group)
            && group.any(|at| expressions.dependence(at).is_some())
        {
            places.push(place);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, definition};

    #[test]
    fn stored_columns_of_the_zone_are_found() {
        let generated = |name: &str, generated| Column { generated, ..column(name, Kind::Date) };
        let columns = vec![
            column("id", Kind::Int { unsigned: false }),
            column("at", Kind::Timestamp { fsp: 0 }),
            generated("day", Generated::Stored),
            generated("today", Generated::Virtual),
            generated("since", Generated::Stored),
            generated("from", Generated::Stored),
        ];
        let mut table = definition("d", "t", columns);
        table.create_statement = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `at` timestamp NULL,\n  \
            `day` date GENERATED ALWAYS AS (cast(`at` as date)) STORED,\n  `today` date GENERATED ALWAYS AS (cast(`at` as date)) VIRTUAL,\n  \
            `since` date GENERATED ALWAYS AS (unix_timestamp(`at`)) STORED COMMENT 'cast(`at` as date)',\n  \
            `from` date GENERATED ALWAYS AS (from_unixtime(`id`)) STORED,\n  PRIMARY KEY (`id`)\n)"
            .into();
        assert_eq!(stored_columns(&table), [2, 5]);
    }
}
