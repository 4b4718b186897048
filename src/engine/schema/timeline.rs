//! The schema timeline: which definition a table had at which place of the log (law 4).
//!
//! Keyed by an ordered sequence that the caller gives (the count of DDL statements taken from the log, or any
//! other number that only grows). Kept at the destination as JSON, one definition a row.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::error::{Error, Result};
use crate::engine::plan::TableName;
use crate::engine::schema::definition::TableDefinition;

/// A change of one table: its definition from a place on, or None from where it was dropped or renamed away.
pub type Version = (u64, Option<Arc<TableDefinition>>);

/// Definitions of the source's tables by place in the log.
#[derive(Debug, Clone, Default)]
pub struct SchemaTimeline {
    /// In ascending order of the sequence.
    tables: HashMap<TableName, Vec<Version>>,
}

impl SchemaTimeline {
    /// From `sequence` on, the table has this definition. The same place again replaces it.
    pub fn put(&mut self, sequence: u64, definition: Arc<TableDefinition>) {
        let name = TableName { database: definition.database.clone(), table: definition.table.clone() };
        self.set(sequence, name, Some(definition));
    }

    /// From `sequence` on, the table does not exist.
    pub fn remove(&mut self, sequence: u64, name: TableName) {
        self.set(sequence, name, None);
    }

    fn set(&mut self, sequence: u64, name: TableName, definition: Option<Arc<TableDefinition>>) {
        let versions = self.tables.entry(name).or_default();
        match versions.binary_search_by_key(&sequence, |version| version.0) {
            Ok(place) => versions[place].1 = definition,
            Err(place) => versions.insert(place, (sequence, definition)),
        }
    }

    /// The newest definition.
    pub fn current(&self, name: &TableName) -> Option<&Arc<TableDefinition>> {
        self.tables.get(name)?.last()?.1.as_ref()
    }

    /// The definition in force at `sequence`.
    pub fn at(&self, name: &TableName, sequence: u64) -> Option<&Arc<TableDefinition>> {
        let versions = self.tables.get(name)?;
        let place = versions.partition_point(|version| version.0 <= sequence).checked_sub(1)?;
        versions.get(place)?.1.as_ref()
    }

    /// Forgets what was replaced at or before `sequence`: nothing earlier will be read again.
    pub fn forget_before(&mut self, sequence: u64) {
        self.tables.retain(|_, versions| {
            let keep_from = versions.partition_point(|version| version.0 <= sequence).saturating_sub(1);
            versions.drain(..keep_from);
            !versions.iter().all(|version| version.1.is_none() && version.0 <= sequence)
        });
    }

    /// All versions, for storage.
    pub fn versions(&self) -> impl Iterator<Item = (&TableName, &Version)> {
        self.tables.iter().flat_map(|(name, versions)| versions.iter().map(move |version| (name, version)))
    }

    /// Tables that exist now.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableDefinition>> {
        self.tables.values().filter_map(|versions| versions.last()?.1.as_ref())
    }
}

/// A definition as JSON, for storage at the destination.
///
/// # Errors
/// Definite; a definition always has a JSON form.
pub fn to_json(definition: &TableDefinition) -> Result<String> {
    serde_json::to_string(definition).map_err(|error| Error::definite(format!("{}: {error}", definition.qualified())))
}

/// Reads what [`to_json`] wrote.
///
/// # Errors
/// Definite when a record at the destination was changed or comes from a newer version.
pub fn from_json(json: &str) -> Result<TableDefinition> {
    serde_json::from_str(json).map_err(|error| Error::definite(format!("a stored table definition cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schema::definition::{Column, Generated, Kind};

    fn definition(columns: usize) -> Arc<TableDefinition> {
        let column = |at: usize| Column {
            name: format!("c{at}"),
            column_type: "enum('ü')".into(),
            kind: Kind::Enum { labels: vec!["ü".into()] },
            character_set: None,
            collation: None,
            nullable: true,
            generated: Generated::No,
            invisible: false,
            auto_increment: false,
        };
        Arc::new(TableDefinition {
            database: "d".into(),
            table: "t".into(),
            engine: "InnoDB".into(),
            columns: (0..columns).map(column).collect(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            create_statement: "CREATE TABLE".into(),
            estimated_rows: 1,
            average_row_bytes: 2,
        })
    }

    #[test]
    fn lookup_by_place() {
        let name = TableName { database: "d".into(), table: "t".into() };
        let mut timeline = SchemaTimeline::default();
        timeline.put(0, definition(1));
        timeline.put(5, definition(2));
        timeline.remove(8, name.clone());
        let columns = |timeline: &SchemaTimeline, at| timeline.at(&name, at).map(|definition| definition.columns.len());
        assert_eq!([0, 4, 5, 7, 8].map(|at| columns(&timeline, at)), [Some(1), Some(1), Some(2), Some(2), None]);
        assert!(timeline.current(&name).is_none());
        timeline.put(9, definition(3));
        assert_eq!(timeline.current(&name).map(|definition| definition.columns.len()), Some(3));
        timeline.forget_before(6);
        assert_eq!([4, 6, 8, 9].map(|at| columns(&timeline, at)), [None, Some(2), None, Some(3)]);
        assert_eq!(timeline.versions().count(), 3);
        assert_eq!(timeline.tables().count(), 1);
        timeline.remove(10, name.clone());
        timeline.forget_before(10);
        assert_eq!(timeline.versions().count(), 0);
    }

    #[test]
    fn json_round_trip() {
        let one = definition(2);
        assert_eq!(from_json(&to_json(&one).unwrap()).unwrap(), *one);
        assert!(from_json("{}").is_err());
    }
}
