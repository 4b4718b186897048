//! Objects, mapping and filters, resolved into tables. Every later step reads a [`Plan`]; it depends on none of them.
//!
//! `resolve` makes it from the manifest and the definitions read at the source.

pub mod columns;
pub mod mapping;
pub mod names;
pub mod pattern;
pub mod programs;
pub mod render;
pub mod resolve;
pub mod select;
pub mod statements;
pub mod unsupported;
pub mod zoned;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use self::mapping::NameRules;
use crate::schema::program::ProgramDefinition;
use crate::schema::view_session::ViewSession;
use crate::sql::Sql;
use crate::value::json_paths::JsonPaths;
use crate::value::json_types::JsonServer;
use crate::value::literal::{push_identity, push_insert_literal};
use godwit_api::TablestoreType;
use godwit_model::definition::{Column, Generated, Kind, TableDefinition};
use godwit_model::names::TableName;
use godwit_model::program::ProgramName;
use godwit_model::row::{CellRef, Row};
use godwit_model::server::ServerInfo;
use godwit_model::text::Text;

/// Everything a task will do, resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    pub schema: bool,
    pub full: bool,
    pub incremental: bool,
    pub databases: Vec<DatabasePlan>,
    /// Sorted by source name; `tables[i].id == i`.
    pub tables: Vec<Arc<TablePlan>>,
    pub views: Vec<ViewPlan>,
    /// Procedures, functions, triggers and events of the databases that are selected as a whole, in the order in which they are made.
    pub programs: Vec<ProgramPlan>,
    /// Triggers are left to a person (`spec.triggers: Manual`).
    pub holds_triggers: bool,
    /// How names are compared.
    pub names: NameRules,
    /// What the manifest asks for and this version cannot do, one sentence each with the field's path; the
    /// precheck refuses the task with them.
    pub unsupported: Vec<String>,
}

impl Plan {
    /// The same plan for these servers.
    #[must_use]
    pub fn between(mut self, source: &ServerInfo, destination: &ServerInfo) -> Self {
        let json = JsonSides { source: JsonServer::of(source), destination: JsonServer::of(destination), ..JsonSides::default() };
        for table in &mut self.tables {
            let with_json = |column: &ColumnPlan| column.column.kind == Kind::Json;
            if table.columns.iter().any(with_json) {
                let columns = table.columns.iter().cloned().map(|column| ColumnPlan { json: json.clone(), ..column });
                *table = Arc::new(TablePlan { columns: columns.collect(), ..TablePlan::clone(table) });
            }
            if let Some(with_zoned) = zoned::with_zoned(table, destination) {
                *table = Arc::new(with_zoned);
            }
        }
        self
    }

    /// Ids of a table and of those that it refers to or that refer to it by foreign keys. Names that differ in case
    /// alone count as one.
    pub fn relations(&self, table: &TablePlan) -> Vec<u32> {
        let refers = |from: &TablePlan, to: &TablePlan| {
            from.definition.foreign_keys.iter().any(|key| {
                key.parent_database.eq_ignore_ascii_case(&to.source.database)
                    && key.parent_table.eq_ignore_ascii_case(&to.source.table)
            })
        };
        let related = |other: &&Arc<TablePlan>| other.id == table.id || refers(table, other) || refers(other, table);
        self.tables.iter().filter(related).map(|other| other.id).collect()
    }
}

/// A database to create.
#[derive(Debug, Clone, Serialize)]
pub struct DatabasePlan {
    pub source: String,
    pub destination: String,
    pub character_set: String,
    pub collation: String,
    /// Selected as a whole: later tables, views and routines belong to it.
    pub whole: bool,
}

/// A view to create.
#[derive(Debug, Clone, Serialize)]
pub struct ViewPlan {
    pub source: TableName,
    pub destination: TableName,
    /// `SHOW CREATE VIEW` of the source; empty when it cannot be shown.
    pub create_statement: String,
    /// That made the view at the source.
    pub session: ViewSession,
}

/// A stored program to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPlan {
    pub source: ProgramName,
    pub destination: ProgramName,
    /// Of a trigger, at the destination.
    pub table: Option<TableName>,
    /// As the source has it, or why that cannot be read.
    pub definition: std::result::Result<ProgramDefinition, String>,
}

/// A table and what becomes of it.
#[derive(Debug, Clone)]
pub struct TablePlan {
    /// Place in `Plan::tables`.
    pub id: u32,
    pub source: TableName,
    pub destination: TableName,
    /// The source's definition at the task's start.
    pub definition: Arc<TableDefinition>,
    /// The columns that are read, in ordinal order; a row's cells stand in this order.
    pub columns: Vec<ColumnPlan>,
    /// Places in `columns` that identify a row, in index order; empty: a table without a key.
    pub key: Vec<usize>,
    /// Name of that index at the source.
    pub key_index: Option<String>,
    /// The key's columns if a server compares all of them the way it orders them, so that chunks can be cut along it
    /// ([`is_range_safe`]): any number of rows may share the values of a part. 0: read from one snapshot.
    pub range_columns: usize,
    /// A second unique index exists: rows can collide on more than the key.
    pub secondary_unique: bool,
    /// Places in `columns` of what depends on the time zone of the session that wrote the row; filled by [`Plan::between`].
    pub zoned: Vec<usize>,
    pub dml: DmlSelection,
    /// Row condition, carried for a later version; refused by the precheck for now.
    pub row_filter: Option<String>,
    /// What the manifest chooses for a destination that is not of the MySQL family.
    pub chosen: Chosen,
}

/// Choices for tables in Tablestore, by the source's column names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The key's columns in order; empty: the source's.
    pub primary_key: Vec<String>,
    pub column_types: BTreeMap<String, TablestoreType>,
}

/// Which operations are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DmlSelection {
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

impl Default for DmlSelection {
    fn default() -> Self {
        Self { insert: true, update: true, delete: true }
    }
}

/// A column that is read, and written unless the destination computes it.
#[derive(Debug, Clone)]
pub struct ColumnPlan {
    /// Place in `definition.columns`, which is the place in a row image.
    pub image: usize,
    pub destination_name: String,
    /// False for a generated column that is read only because it is part of the key, or because it depends on a time zone.
    pub write: bool,
    pub column: Column,
    /// What the servers know of types inside JSON documents.
    pub json: JsonSides,
}

impl ColumnPlan {
    /// Appends the literal that stores this value in the column at the destination.
    pub(crate) fn push_value(&self, out: &mut Sql, cell: CellRef<'_>) {
        push_insert_literal(out, &self.column, self.json.destination, cell);
    }

    /// Appends a condition that holds at the destination for exactly the same stored value, byte for byte, NULL included.
    pub(crate) fn push_identity(&self, out: &mut Sql, cell: CellRef<'_>) {
        push_identity(out, &self.destination_name, &self.column, self.json.destination, cell);
    }
}

/// See [`JsonServer`]; nothing until [`Plan::between`] has said who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonSides {
    pub source: JsonServer,
    pub destination: JsonServer,
    /// Where a server of MySQL 5.7 is asked for types.
    pub paths: JsonPaths,
}

impl TablePlan {
    /// A key, or a whole row of a table without one, as people read it if they may: `(42, x)`; long values are cut.
    pub(crate) fn describe_key(&self, key: &Row) -> Text {
        let shown = |cell: CellRef<'_>| match cell {
            None => "NULL".to_owned(),
            Some(bytes) => String::from_utf8_lossy(bytes).chars().take(64).collect(),
        };
        let cells: Vec<String> = key.cells().map(shown).collect();
        let values = Text::of_value(format!("({})", cells.join(", ")));
        if self.has_key() { values } else { values.map(|row| format!("a row {row}")) }
    }

    /// Whether rows are identified by a key.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Whether the table can be cut into chunks.
    pub fn is_chunked(&self) -> bool {
        self.has_key() && self.range_columns > 0
    }

    /// Whether distinct key bytes always are distinct keys for a server, so that rows can be spread over
    /// lanes by a hash of the key's bytes. Collated strings are not: 'a' and 'A' may be one key.
    pub fn key_bytes_are_identity(&self) -> bool {
        self.has_key()
            && self.key.iter().all(|&place| {
                let kind = &self.columns[place].column.kind;
                kind.is_identified_by_bytes() || matches!(kind, Kind::Enum { .. } | Kind::Set { .. })
            })
    }
}

/// Labels of an ENUM whose number fits a byte.
const ENUM_LABELS: usize = 255;

/// Whether chunks can be cut along a column: the server's comparison and its index order agree, a literal of the value
/// compares exactly, and the comparison bounds what is read of the index.
///
/// FLOAT and DOUBLE have no values that compare with nothing, and their literals name them exactly. BIT compares by number,
/// MariaDB's UUID and INET by what is stored. An ENUM is ordered by number (MySQL manual, "The ENUM Type"), but servers do not
/// read an index between two numbers: they are listed instead, so they must be few. A SET is neither listed nor, beyond 53
/// labels, compared exactly.
pub fn is_range_safe(column: &Column) -> bool {
    column.generated == Generated::No
        && match &column.kind {
            Kind::Enum { labels } => labels.len() <= ENUM_LABELS,
            Kind::Char | Kind::Varchar | Kind::Float | Kind::Double => true,
            kind => kind.is_identified_by_bytes(),
        }
}

#[cfg(test)]
mod tests;
