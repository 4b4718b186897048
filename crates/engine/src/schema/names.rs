//! What things are called at the destination.

use godwit_model::names::TableName;

/// Source names to destination names. Databases and tables compare exactly, columns in any case, as servers do.
pub trait NameMap {
    /// None: the database is not part of the task.
    fn database(&self, source: &str) -> Option<String>;
    /// Table or view. None: not part of the task.
    fn table(&self, source: &TableName) -> Option<TableName>;
    /// None: the column is left out.
    fn column(&self, table: &TableName, column: &str) -> Option<String>;
}

/// Everything keeps its name.
#[derive(Debug, Clone, Copy)]
pub struct SameNames;

impl NameMap for SameNames {
    fn database(&self, source: &str) -> Option<String> {
        Some(source.to_owned())
    }

    fn table(&self, source: &TableName) -> Option<TableName> {
        Some(source.clone())
    }

    fn column(&self, _: &TableName, column: &str) -> Option<String> {
        Some(column.to_owned())
    }
}
