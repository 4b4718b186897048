//! Columns and tables for tests, as plain as they come: what a test is about, it changes.

use std::sync::Arc;

use super::plan::{ColumnPlan, DmlSelection, JsonSides, Plan, TablePlan};
use godwit_model::definition::{Column, Generated, Kind, TableDefinition};
use godwit_model::names::TableName;

/// NOT NULL, nothing declared.
pub(crate) fn column(name: &str, kind: Kind) -> Column {
    Column {
        name: name.into(),
        column_type: String::new(),
        kind,
        character_set: None,
        collation: None,
        nullable: false,
        generated: Generated::No,
        invisible: false,
        auto_increment: false,
    }
}

/// Without an index and without rows.
pub(crate) fn definition(database: &str, table: &str, columns: Vec<Column>) -> TableDefinition {
    TableDefinition {
        database: database.into(),
        table: table.into(),
        engine: "InnoDB".into(),
        columns,
        indexes: vec![],
        foreign_keys: vec![],
        create_statement: String::new(),
        estimated_rows: 0,
        average_row_bytes: 0,
        unread: Vec::new(),
    }
}

/// All of a table, under the same names; its first column is its key.
pub(crate) fn table_plan(definition: TableDefinition) -> TablePlan {
    let name = TableName { database: definition.database.clone(), table: definition.table.clone() };
    let planned = |(image, column): (usize, Column)| ColumnPlan {
        image,
        destination_name: column.name.clone(),
        write: true,
        column,
        json: JsonSides::default(),
    };
    TablePlan {
        id: 0,
        source: name.clone(),
        destination: name,
        columns: definition.columns.iter().cloned().enumerate().map(planned).collect(),
        definition: Arc::new(definition),
        key: vec![0],
        key_index: Some("PRIMARY".into()),
        range_columns: 1,
        secondary_unique: false,
        dml: DmlSelection::default(),
        zoned: Vec::new(),
        row_filter: None,
        chosen: Default::default(),
    }
}

/// The log of one table is followed.
pub(crate) fn plan_of(table: TablePlan) -> Plan {
    Plan {
        schema: false,
        full: false,
        incremental: true,
        databases: vec![],
        tables: vec![Arc::new(table)],
        views: vec![],
        programs: Vec::new(),
        holds_triggers: false,
        names: crate::plan::mapping::NameRules::default(),
        unsupported: vec![],
    }
}
