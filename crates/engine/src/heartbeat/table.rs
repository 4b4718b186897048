//! The table on the source: its statements, and its definition for the decoder of the log.
//!
//! One row a task and destination, so that tasks share it. `at` is for people; the engine reads `run` and `beat` only.

use crate::plan::select::HEARTBEAT_TABLE;
use crate::sql;
use crate::sql::{Name, Qualified, Sql};
use godwit_model::definition::{Column, Generated, Kind, TableDefinition};

/// Places of the columns in the row image.
pub(super) const RUN: usize = 2;
pub(super) const BEAT: usize = 3;

/// The table in one database of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeartbeatTable {
    database: String,
}

impl HeartbeatTable {
    /// In this database.
    pub(crate) fn new(database: &str) -> Self {
        Self { database: database.to_owned() }
    }

    /// `database.table`, for people.
    pub(crate) fn shown(&self) -> String {
        format!("{}.{HEARTBEAT_TABLE}", self.database)
    }

    fn name(&self) -> Qualified<'_> {
        Qualified { database: &self.database, object: HEARTBEAT_TABLE }
    }

    /// Makes the database.
    pub(crate) fn create_database(&self) -> Sql {
        sql!("CREATE DATABASE IF NOT EXISTS {}", Name(&self.database))
    }

    /// Makes the table. Nothing is left to the server's defaults; the key takes 2600 bytes of the 3072 that DYNAMIC has.
    pub(crate) fn create_table(&self) -> Sql {
        sql!(
            "CREATE TABLE IF NOT EXISTS {} (\
             task VARCHAR(320) NOT NULL, destination VARCHAR(330) NOT NULL, run BIGINT UNSIGNED NOT NULL, beat BIGINT UNSIGNED NOT NULL, \
             at DATETIME(6) NOT NULL COMMENT 'UTC', PRIMARY KEY (task, destination)\
             ) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin \
             COMMENT='Heartbeats of Godwit; may be dropped when no task has spec.heartbeat on'",
            self.name()
        )
    }

    /// Takes the row over from whoever had it. Parameters: task, destination, run, beat.
    pub(crate) fn take(&self) -> Sql {
        sql!(
            "INSERT INTO {} (task, destination, run, beat, at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6)) \
             ON DUPLICATE KEY UPDATE run=VALUES(run), beat=VALUES(beat), at=VALUES(at)",
            self.name()
        )
    }

    /// Beats, if the row still is this run's. Parameters: beat, task, destination, run.
    pub(crate) fn beat(&self) -> Sql {
        sql!("UPDATE {} SET beat=?, at=UTC_TIMESTAMP(6) WHERE task=? AND destination=? AND run=?", self.name())
    }
}

/// As the log describes it.
pub(super) fn definition() -> TableDefinition {
    let column = |name: &str, column_type: &str, kind: Kind| {
        let text = kind == Kind::Varchar;
        Column {
            name: name.into(),
            column_type: column_type.into(),
            kind,
            character_set: text.then(|| "utf8mb4".into()),
            collation: text.then(|| "utf8mb4_bin".into()),
            nullable: false,
            generated: Generated::No,
            invisible: false,
            auto_increment: false,
        }
    };
    TableDefinition {
        database: String::new(),
        table: HEARTBEAT_TABLE.into(),
        engine: "InnoDB".into(),
        columns: vec![
            column("task", "varchar(320)", Kind::Varchar),
            column("destination", "varchar(330)", Kind::Varchar),
            column("run", "bigint unsigned", Kind::BigInt { unsigned: true }),
            column("beat", "bigint unsigned", Kind::BigInt { unsigned: true }),
            column("at", "datetime(6)", Kind::DateTime { fsp: 6 }),
        ],
        indexes: vec![],
        foreign_keys: vec![],
        create_statement: String::new(),
        estimated_rows: 0,
        average_row_bytes: 0,
        unread: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_columns_stand_where_they_are_read() {
        let table = HeartbeatTable::new("od`d");
        for statement in [table.create_table(), table.take(), table.beat()] {
            assert!(statement.to_string().contains("`od``d`.`godwit_heartbeat`"), "{statement}");
        }
        let definition = definition();
        assert_eq!((&*definition.columns[RUN].name, &*definition.columns[BEAT].name), ("run", "beat"));
        let statement = table.create_table().to_string();
        let places: Vec<_> = definition
            .columns
            .iter()
            .map(|column| statement.find(&format!("{} {}", column.name, column.column_type.to_uppercase())))
            .collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {statement}");
    }
}
