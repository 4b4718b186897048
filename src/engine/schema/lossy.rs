//! What servers do not show of a definition.
//!
//! ENUM and SET labels and defaults are shown in three-byte UTF-8: characters beyond U+FFFF (emoji) come as `?` from
//! 5.7, 8.0 and MariaDB, labels from 9.7 too (measured). A destination made from such a text would have other
//! labels under the same numbers, so the precheck has to name them.

use crate::engine::schema::create::{CreateTable, ItemKind};
use crate::engine::schema::definition::{Kind, TableDefinition};
use crate::engine::schema::lexer::TokenKind;

/// Labels and defaults that hold a `?`, which may stand for a lost character; a sentence each. Empty for nearly
/// every table.
pub fn doubtful_texts(definition: &TableDefinition) -> Vec<String> {
    let mut found = Vec::new();
    for column in &definition.columns {
        let (Kind::Enum { labels } | Kind::Set { labels }) = &column.kind else { continue };
        // A single-byte column cannot hold such characters.
        if !column.character_set.as_deref().is_some_and(can_hold_them) {
            continue;
        }
        for (at, label) in labels.iter().enumerate().filter(|(_, label)| label.contains('?')) {
            let name = &column.name;
            found.push(format!(
                "column {name}: label {} is shown as '{label}'; ? may stand for a character beyond U+FFFF",
                at + 1
            ));
        }
    }
    let Ok(create) = CreateTable::parse(&definition.create_statement) else { return found };
    for item in &create.items {
        let ItemKind::Column { name, .. } = &item.kind else { continue };
        let wide =
            definition.columns.iter().any(|own| own.name == *name && own.character_set.as_deref().is_some_and(can_hold_them));
        let default = item.tokens.clone().find(|&at| create.any_word(at, &["DEFAULT"]));
        let text = default.and_then(|at| create.tokens.get(at + 1)).filter(|token| token.kind == TokenKind::String);
        if wide && text.is_some_and(|token| token.bytes(create.sql.as_bytes()).contains(&b'?')) {
            found.push(format!("column {name}: the default holds a ?, which may stand for a character beyond U+FFFF"));
        }
    }
    found
}

fn can_hold_them(character_set: &str) -> bool {
    matches!(character_set, "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture;
    use crate::engine::schema::definition::Column;

    #[test]
    fn question_marks_are_named() {
        let kind = Kind::Enum { labels: vec!["a".into(), "?".into()] };
        let column = |name: &str, character_set: &str| Column {
            character_set: Some(character_set.into()),
            nullable: true,
            ..fixture::column(name, kind.clone())
        };
        let columns = vec![column("a", "utf8mb4"), column("b", "latin1")];
        let create = "CREATE TABLE `t` (\n  `a` enum('a','?') DEFAULT '?',\n  `b` enum('a','?') DEFAULT '?'\n)";
        let definition = TableDefinition { create_statement: create.into(), ..fixture::definition("d", "t", columns) };
        let found = doubtful_texts(&definition);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("label 2") && found[1].contains("default"));
    }
}
