//! Which column of the definition a column of the log is.
//!
//! One to one, but for hidden columns. MariaDB keeps one of hashes for each unique index over whole texts, and logs it behind all
//! others (`DB_ROW_HASH_1`). For functional indexes MySQL 8.0 (seen on 8.0.15, not on 9.7) keeps a hidden generated
//! column for each of their parts and logs it, behind the columns that the table had when the index was made.

use super::column::ColumnDecoder;
use super::table_map::{MapColumn, TableMap};
use godwit_model::definition::{Column, TableDefinition};
use godwit_model::error::{Error, Result};

/// For each column of the log its place in the definition; None for a hidden one.
pub(super) fn align(definition: &TableDefinition, map: &TableMap) -> Result<Vec<Option<usize>>> {
    let (defined, logged) = (definition.columns.len(), map.columns.len());
    if defined == logged {
        return Ok((0..defined).map(Some).collect());
    }
    let hashes = definition.indexes.iter().filter(|index| definition.is_hashed(index)).count();
    if hashes > 0 && logged == defined + hashes {
        return Ok((0..logged).map(|place| (place < defined).then_some(place)).collect());
    }
    let functional_parts = definition.indexes.iter().flat_map(|index| &index.parts).filter(|part| part.column.is_none()).count();
    if logged != defined + functional_parts {
        return Err(Error::definite(format!(
            "the binary log does not agree with the known definition of {}: it should have {defined} columns, the log has {logged}",
            definition.qualified()
        )));
    }
    if let Some(by_name) = by_name(definition, map) {
        return Ok(by_name);
    }
    match by_type(&definition.columns, &map.columns) {
        Ways::One(places) => Ok(places),
        Ways::None => Err(Error::definite(format!(
            "the binary log does not agree with the known definition of {}: its {defined} columns are not among the {logged} of the log",
            definition.qualified()
        ))),
        Ways::Several => Err(Error::definite(format!(
            "this version of the source logs the hidden columns of the functional indexes of {}, and it cannot be told which they are; \
             SET GLOBAL binlog_row_metadata=FULL on the source names them, then copy this table again",
            definition.qualified()
        ))),
    }
}

/// None when the log has no names, or not all of the definition's in their order.
fn by_name(definition: &TableDefinition, map: &TableMap) -> Option<Vec<Option<usize>>> {
    let mut next = 0;
    let mut places = Vec::with_capacity(map.columns.len());
    for column in &map.columns {
        let name = column.name.as_deref()?;
        let found = definition.columns.get(next).is_some_and(|defined| defined.name == name);
        places.push(found.then_some(next));
        next += usize::from(found);
    }
    (next == definition.columns.len()).then_some(places)
}

enum Ways {
    None,
    One(Vec<Option<usize>>),
    Several,
}

fn fits(defined: &Column, logged: &MapColumn) -> bool {
    defined.nullable == logged.nullable && ColumnDecoder::new(defined, logged).is_ok()
}

/// Counts the ways in which the definition's columns can lie among the log's, hidden ones (which may be NULL)
/// in between.
fn by_type(defined: &[Column], logged: &[MapColumn]) -> Ways {
    // ways[i]: ways in which the columns from here on of the log hold the definition's from i on; 2: or more.
    let mut ways = vec![0u8; defined.len() + 1];
    if let Some(last) = ways.last_mut() {
        *last = 1;
    }
    let mut tables = vec![ways];
    for column in logged.iter().rev() {
        let below = tables.last().cloned().unwrap_or_default();
        let way = |i: usize| below.get(i).copied().unwrap_or_default();
        let row = (0..=defined.len()).map(|i| {
            let hidden = if column.nullable { way(i) } else { 0 };
            let taken = if defined.get(i).is_some_and(|defined| fits(defined, column)) { way(i + 1) } else { 0 };
            (hidden + taken).min(2)
        });
        tables.push(row.collect());
    }
    tables.reverse();
    match tables.first().and_then(|ways| ways.first()) {
        Some(1) => {}
        Some(0) | None => return Ways::None,
        Some(_) => return Ways::Several,
    }
    let mut next = 0;
    let mut places = Vec::with_capacity(logged.len());
    for (column, rest) in logged.iter().zip(tables.iter().skip(1)) {
        let taken = defined.get(next).is_some_and(|defined| fits(defined, column)) && rest.get(next + 1) == Some(&1);
        places.push(taken.then_some(next));
        next += usize::from(taken);
    }
    Ways::One(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, definition};
    use godwit_model::definition::{Index, IndexPart, Kind};

    fn defined(name: &str, kind: Kind, nullable: bool) -> Column {
        Column { nullable, ..column(name, kind) }
    }

    fn logged(column_type: u8, nullable: bool) -> MapColumn {
        MapColumn { column_type, nullable, ..MapColumn::default() }
    }

    fn places(defined: &[Column], logged: &[MapColumn]) -> Option<Vec<Option<usize>>> {
        match by_type(defined, logged) {
            Ways::One(places) => Some(places),
            _ => None,
        }
    }

    #[test]
    fn hashes_of_unique_texts_lie_behind_all_others() {
        let text = Index {
            name: "t".into(),
            unique: true,
            kind: "HASH".into(),
            parts: vec![IndexPart { column: Some("t".into()), prefix: None, nullable: false }],
        };
        let columns = vec![defined("id", Kind::Int { unsigned: false }, false), defined("t", Kind::Text, false)];
        let table = TableDefinition { indexes: vec![text], ..definition("shop", "notes", columns) };
        let map = |columns: usize| TableMap {
            id: 1,
            flags: 0,
            database: "shop".into(),
            table: "notes".into(),
            columns: vec![logged(8, true); columns],
            primary_key: Vec::new(),
            raw: Box::default(),
            size: 0,
        };
        assert_eq!(align(&table, &map(3)).unwrap(), [Some(0), Some(1), None]);
        assert_eq!(align(&table, &map(2)).unwrap(), [Some(0), Some(1)]);
        assert!(align(&table, &map(4)).is_err());
        assert!(table.row_key().is_none());
    }

    #[test]
    fn one_way_is_found_and_more_are_refused() {
        let int = |name| defined(name, Kind::Int { unsigned: false }, true);
        let key = defined("id", Kind::BigInt { unsigned: false }, false);
        let columns = [key, int("a"), defined("d", Kind::Double, true)];
        // id, a, hidden BIGINT, d
        let log = [logged(8, false), logged(3, true), logged(8, true), logged(5, true)].map(|mut column| {
            column.metadata = if column.column_type == 5 { 8 } else { 0 };
            column
        });
        assert_eq!(places(&columns, &log), Some(vec![Some(0), Some(1), None, Some(2)]));
        assert_eq!(places(&columns[..2], &log[..3]), Some(vec![Some(0), Some(1), None]));
        // Two INT columns after the key: either may be the hidden one.
        assert!(matches!(by_type(&columns[..2], &[log[0].clone(), log[1].clone(), log[1].clone()]), Ways::Several));
        assert!(matches!(by_type(&columns[..2], &[log[0].clone(), log[2].clone(), log[3].clone()]), Ways::None));
    }
}
