//! What is migrated: databases, tables, columns, rows and operations, and the names they get.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tablestore::TablestoreType;

/// A database, or every database that a pattern matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DatabaseSelection {
    /// Name of the source database, or a pattern with * (any characters) and ? (one character).
    #[schemars(length(min = 1, max = 256))]
    pub database: String,
    /// Name at the destination. In a pattern's entry, $1, $2 … stand for what the * and ? matched. Left out: the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub rename_to: Option<String>,
    /// The tables. Left out: the whole database, with views, routines, triggers, and what is created in it later. Choosing tables leaves out views,
    /// routines and triggers. Where several entries match, an exact name wins over a pattern, and among patterns the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "Vec<TableSelection>",
        length(min = 1, max = 10000),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["table"])
    )]
    pub tables: Option<Vec<TableSelection>>,
    /// Tables that are left out whatever tables says: names, or patterns with * and ?.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10000), inner(length(min = 1, max = 256)))]
    pub exclude_tables: Vec<String>,
    /// Row operations that are applied to this database. Left out: what the task says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DmlOperation>", length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub dml: Option<Vec<DmlOperation>>,
    /// Definition statements that are applied to this database. Left out: what the task says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DdlOperation>", length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub ddl: Option<Vec<DdlOperation>>,
}

impl DatabaseSelection {
    /// A whole database under its own name.
    pub fn whole(database: impl Into<String>) -> Self {
        Self { database: database.into(), rename_to: None, tables: None, exclude_tables: Vec::new(), dml: None, ddl: None }
    }
}

/// A table, or every table that a pattern matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableSelection {
    /// Name of the source table, or a pattern with * (any characters) and ? (one character).
    #[schemars(length(min = 1, max = 256))]
    pub table: String,
    /// Name at the destination. In a pattern's entry, $1, $2 … stand for what the * and ? matched. Left out: the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub rename_to: Option<String>,
    /// SQL condition over the source row; only rows that meet it are migrated, in the full copy and from the binary log: an UPDATE that moves a row
    /// into or out of it becomes an INSERT or a DELETE.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 16384))]
    pub row_filter: Option<String>,
    /// The columns and their names. Left out: all, under their own names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ColumnSelection")]
    pub columns: Option<ColumnSelection>,
    /// Tablestore: the primary-key columns in order, by their source names, 1 to 4. Left out: the source's primary key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub primary_key: Vec<String>,
    /// Tablestore: types of columns at the destination, by the columns' source names: STRING, INTEGER, DOUBLE, BOOLEAN or BINARY.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 4096))]
    pub column_types: BTreeMap<String, TablestoreType>,
    /// Row operations that are applied to this table. Left out: what the database or the task says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DmlOperation>", length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub dml: Option<Vec<DmlOperation>>,
    /// Definition statements that are applied to this table. Left out: what the database or the task says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<DdlOperation>", length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub ddl: Option<Vec<DdlOperation>>,
    /// Changes to rows on their way, alike in the full copy and from the binary log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Etl")]
    pub etl: Option<Etl>,
}

impl TableSelection {
    /// A whole table under its own name.
    pub fn whole(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            rename_to: None,
            row_filter: None,
            columns: None,
            primary_key: Vec::new(),
            column_types: BTreeMap::new(),
            dml: None,
            ddl: None,
            etl: None,
        }
    }
}

/// Which columns, under which names; include and exclude shut each other out.
// `not` instead of a CEL rule: under two nested lists of this size the API server would refuse any rule for its estimated cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(extend("not" = {"required": ["include", "exclude"]}))]
pub struct ColumnSelection {
    /// Only these columns, by their source names. Left out: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub include: Vec<String>,
    /// All columns but these, by their source names. Not together with include.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub exclude: Vec<String>,
    /// Source name to destination name. A name on the left may be a pattern with * and ?; $1, $2 … on the right stand for what they matched.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 4096, "additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 256}))]
    pub rename: BTreeMap<String, String>,
}

/// Changes to rows on their way, as SQL expressions over the source row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Etl {
    /// Only rows for which this expression is true.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 16384))]
    pub row_filter: Option<String>,
    /// Column to expression, by the columns' source names: the column gets the expression's value. A name that the source lacks adds a column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 4096, "additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 16384}))]
    pub set: BTreeMap<String, String>,
    /// Definitions of columns that set adds, as in CREATE TABLE, for example `VARCHAR(20) NOT NULL`. Left out: taken from the expression's own type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 4096, "additionalProperties" = {"type": "string", "minLength": 1, "maxLength": 1024}))]
    pub types: BTreeMap<String, String>,
    /// Columns that do not reach the destination, by their source names; expressions may still read them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4096), inner(length(min = 1, max = 64)), extend("x-kubernetes-list-type" = "set"))]
    pub drop: Vec<String>,
}

/// A row operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DmlOperation {
    /// New rows.
    Insert,
    /// Changed rows.
    Update,
    /// Removed rows.
    Delete,
}

impl DmlOperation {
    /// All of them: what a `dml` that is left out stands for.
    pub const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];
}

macro_rules! ddl_operations {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A kind of definition statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum DdlOperation { $($(#[$doc])* $name,)+ }

        impl DdlOperation {
            /// All of them: what a `ddl` that is left out stands for.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

ddl_operations! {
    /// `CREATE DATABASE`.
    CreateDatabase,
    /// `ALTER DATABASE`.
    AlterDatabase,
    /// `DROP DATABASE`.
    DropDatabase,
    /// `CREATE TABLE`.
    CreateTable,
    /// `ALTER TABLE` without partition maintenance.
    AlterTable,
    /// `ALTER TABLE … ADD | DROP | REORGANIZE … PARTITION`.
    AlterPartition,
    /// `RENAME TABLE`.
    RenameTable,
    /// `TRUNCATE TABLE`.
    TruncateTable,
    /// `DROP TABLE`.
    DropTable,
    /// `CREATE INDEX`.
    CreateIndex,
    /// `DROP INDEX`.
    DropIndex,
    /// `CREATE VIEW`.
    CreateView,
    /// `ALTER VIEW`.
    AlterView,
    /// `DROP VIEW`.
    DropView,
    /// `CREATE PROCEDURE`.
    CreateProcedure,
    /// `ALTER PROCEDURE`.
    AlterProcedure,
    /// `DROP PROCEDURE`.
    DropProcedure,
    /// `CREATE FUNCTION`.
    CreateFunction,
    /// `ALTER FUNCTION`.
    AlterFunction,
    /// `DROP FUNCTION`.
    DropFunction,
    /// `CREATE TRIGGER`.
    CreateTrigger,
    /// `DROP TRIGGER`.
    DropTrigger,
    /// `CREATE EVENT`; it arrives disabled.
    CreateEvent,
    /// `ALTER EVENT`; it stays disabled.
    AlterEvent,
    /// `DROP EVENT`.
    DropEvent,
}
