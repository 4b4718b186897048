//! Stored generated columns that depend on the time zone of the session that wrote the row.
//!
//! Which zone that was is told by nothing: a copied row has none, and the log names that of a transaction's first statement at
//! most. The stored value is known, however, by copy and log. So these columns are read along with the others, and the destination
//! computes a row again in another zone until it holds the source's value (`destination/mysql/zones.rs`).

use super::{ColumnPlan, JsonSides, TablePlan};
use crate::schema::zone::stored_columns;
use godwit_model::definition::{Generated, Index, Kind};
use godwit_model::server::ServerInfo;

/// Places in the definition of those columns whose values arrive as the source has them.
///
/// None where a row has to be right when it is written first (a unique index would refuse it), where it is not found by a key, or by
/// a key whose literals themselves depend on the zone or that is computed itself, where foreign keys write rows whose values nobody tells, and at MariaDB, which does
/// not compute a row again whose other columns stay what they are.
pub fn carried(table: &TablePlan, destination: &ServerInfo) -> Vec<usize> {
    let definition = &table.definition;
    let key_kind = |place: &usize| table.columns.get(*place).map(|column| &column.column.kind);
    let key_is_instant = table.key.iter().any(|place| matches!(key_kind(place), Some(Kind::Timestamp { .. }) | None));
    // A row is written to itself by its key; one that is computed cannot be set.
    let key_is_computed = table.key.iter().any(|place| table.columns.get(*place).is_none_or(|column| !column.write));
    let acts = |rule: &str| !matches!(rule.to_ascii_uppercase().as_str(), "RESTRICT" | "NO ACTION" | "");
    let is_child = definition.foreign_keys.iter().any(|key| acts(&key.on_delete) || acts(&key.on_update));
    if destination.is_mariadb() || !table.has_key() || key_is_instant || key_is_computed || is_child {
        return Vec::new();
    }
    let is_generated = |name: &Option<String>| {
        let column =
            definition.columns.iter().find(|column| name.as_ref().is_some_and(|name| column.name.eq_ignore_ascii_case(name)));
        column.is_none_or(|column| column.generated != Generated::No)
    };
    let holds_computed = |index: &Index| index.unique && index.parts.iter().any(|part| is_generated(&part.column));
    if definition.indexes.iter().any(holds_computed) {
        return Vec::new();
    }
    let places = stored_columns(definition);
    let compares = |place: &usize| {
        let kind = definition.columns.get(*place).map(|column| &column.kind);
        !matches!(kind, None | Some(Kind::Json | Kind::Geometry | Kind::Vector))
    };
    if places.iter().all(compares) { places } else { Vec::new() }
}

/// The table with these columns among those that are read.
pub(super) fn with_zoned(table: &TablePlan, destination: &ServerInfo) -> Option<TablePlan> {
    let images = carried(table, destination);
    if images.is_empty() {
        return None;
    }
    let definition = &table.definition;
    let added = images.iter().filter_map(|&image| {
        let column = definition.columns.get(image)?;
        let destination_name = column.name.clone();
        Some(ColumnPlan { image, destination_name, write: false, column: column.clone(), json: JsonSides::default() })
    });
    // Behind the others: places of the key stay what they are.
    let columns: Vec<ColumnPlan> = table.columns.iter().cloned().chain(added).collect();
    let zoned = (table.columns.len()..columns.len()).collect();
    Some(TablePlan { columns, zoned, ..table.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, definition, table_plan};
    use godwit_model::definition::{Column, ForeignKey, IndexPart, TableDefinition};

    fn table(change: impl Fn(&mut TableDefinition), key: Kind) -> TablePlan {
        let day = Column { generated: Generated::Stored, ..column("day", Kind::Date) };
        let mut table = definition("d", "t", vec![column("id", key), day, column("at", Kind::Timestamp { fsp: 0 })]);
        table.create_statement =
            "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `day` date GENERATED ALWAYS AS (cast(`at` as date)) STORED,\n  \
            `at` timestamp NULL,\n  PRIMARY KEY (`id`)\n)"
                .into();
        change(&mut table);
        let mut plan = table_plan(table);
        plan.columns.retain(|column| column.column.generated == Generated::No);
        plan
    }

    #[test]
    fn columns_are_read_where_their_values_can_be_reached() {
        let (mysql, maria) = (ServerInfo::parse("9.7.4"), ServerInfo::parse("11.4.5-MariaDB"));
        let int = || Kind::Int { unsigned: false };
        let index = |column: &str| Index {
            name: "u".into(),
            unique: true,
            kind: "BTREE".into(),
            parts: vec![IndexPart { column: Some(column.into()), prefix: None, nullable: true }],
        };
        let cascades = || ForeignKey {
            name: "f".into(),
            columns: vec!["id".into()],
            parent_database: "d".into(),
            parent_table: "p".into(),
            parent_columns: vec!["id".into()],
            on_delete: "SET NULL".into(),
            on_update: "NO ACTION".into(),
        };
        let plain = table(|_| {}, int());
        let read = with_zoned(&plain, &mysql).unwrap();
        assert_eq!((read.zoned.as_slice(), read.columns[2].image, read.columns[2].write), ([2].as_slice(), 1, false));
        assert!(with_zoned(&plain, &maria).is_none());
        assert!(with_zoned(&table(|t| t.indexes.push(index("at")), int()), &mysql).is_some());
        assert!(with_zoned(&table(|t| t.indexes.push(index("day")), int()), &mysql).is_none());
        assert!(with_zoned(&table(|t| t.foreign_keys.push(cascades()), int()), &mysql).is_none());
        assert!(with_zoned(&table(|_| {}, Kind::Timestamp { fsp: 0 }), &mysql).is_none());
        let mut computed = plain.clone();
        computed.columns[0].write = false;
        assert!(with_zoned(&computed, &mysql).is_none());
        assert!(with_zoned(&TablePlan { key: Vec::new(), ..plain }, &mysql).is_none());
    }
}
