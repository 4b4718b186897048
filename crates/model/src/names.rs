//! Names of what is migrated, and as they stand in SQL.

use serde::Serialize;

/// A database and a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize)]
pub struct TableName {
    pub database: String,
    pub table: String,
}

impl TableName {
    /// As it stands in SQL.
    pub fn quoted(&self) -> String {
        quote_qualified(&self.database, &self.table)
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// An identifier in backticks.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `` `database`.`table` ``.
pub fn quote_qualified(database: &str, table: &str) -> String {
    format!("{}.{}", quote_identifier(database), quote_identifier(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_are_doubled() {
        assert_eq!(quote_qualified("a`b", "c.d"), "`a``b`.`c.d`");
    }
}
