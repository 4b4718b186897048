//! What a plan makes of the names that a program's body can hold.

use std::collections::{BTreeSet, HashMap};

use crate::plan::Plan;
use crate::plan::mapping::NameRules;
use godwit_model::definition::Generated;
use godwit_model::names::TableName;

/// The names of a plan, compared as both servers compare them.
#[derive(Debug, Clone)]
pub struct ProgramNames {
    rules: NameRules,
    databases: HashMap<String, String>,
    tables: HashMap<(String, String), TableName>,
    /// Columns that have another name or are left out, in lower case, with the tables that they are of.
    columns: HashMap<String, BTreeSet<(String, String)>>,
}

impl ProgramNames {
    /// Indexes a plan.
    pub fn new(plan: &Plan) -> Self {
        let mut names = Self { rules: plan.names, databases: HashMap::new(), tables: HashMap::new(), columns: HashMap::new() };
        for database in &plan.databases {
            names.databases.insert(names.key(&database.source), database.destination.clone());
        }
        let objects = plan.tables.iter().map(|table| (&table.source, &table.destination));
        for (source, destination) in objects.chain(plan.views.iter().map(|view| (&view.source, &view.destination))) {
            names.tables.insert(names.table_key(source), destination.clone());
        }
        for table in &plan.tables {
            let key = names.table_key(&table.source);
            let renamed = table.columns.iter().filter(|planned| planned.destination_name != planned.column.name);
            let is_read = |image: usize| table.columns.iter().any(|planned| planned.image == image);
            let left_out = table.definition.columns.iter().enumerate();
            let left_out = left_out.filter(|(image, column)| column.generated == Generated::No && !is_read(*image));
            let changed = renamed.map(|planned| &planned.column.name).chain(left_out.map(|(_, column)| &column.name));
            for column in changed.map(|name| name.to_lowercase()) {
                names.columns.entry(column).or_default().insert(key.clone());
            }
        }
        names
    }

    fn key(&self, name: &str) -> String {
        if self.rules.source_folds() { name.to_lowercase() } else { name.to_owned() }
    }

    fn table_key(&self, table: &TableName) -> (String, String) {
        (self.key(&table.database), self.key(&table.table))
    }

    /// A database at the destination. None: it is not part of the task.
    pub fn database(&self, source: &str) -> Option<&str> {
        self.databases.get(&self.key(source)).map(String::as_str)
    }

    /// A table or view at the destination. None: it is not part of the task.
    pub fn table(&self, source: &TableName) -> Option<&TableName> {
        self.tables.get(&self.table_key(source))
    }

    fn is_same(&self, source: &str, destination: &str) -> bool {
        self.rules.destination_key(source) == self.rules.destination_key(destination)
    }

    /// The database has another name at the destination.
    pub fn moves_database(&self, source: &str) -> bool {
        self.database(source).is_some_and(|destination| !self.is_same(source, destination))
    }

    /// A name without its database means another one at the destination, for a program of this database.
    pub fn moves_table(&self, source: &TableName) -> bool {
        let Some(destination) = self.table(source) else { return false };
        let database = self.database(&source.database).unwrap_or(&source.database);
        !self.is_same(&source.table, &destination.table) || !self.is_same(database, &destination.database)
    }

    /// The table's qualified name is another one at the destination.
    pub fn moves_qualified(&self, source: &TableName) -> bool {
        self.table(source).is_some_and(|destination| {
            !self.is_same(&source.table, &destination.table) || !self.is_same(&source.database, &destination.database)
        })
    }

    /// The tables of which a column of this name is renamed or left out.
    pub fn changed_column(&self, column: &str) -> impl Iterator<Item = &(String, String)> {
        self.columns.get(&column.to_lowercase()).into_iter().flatten()
    }

    /// Whether a name is that of the table, as the source compares them.
    pub fn is_table(&self, name: &str, key: &(String, String)) -> bool {
        self.key(name) == key.1
    }

    /// Whether a column of this very table is renamed or left out.
    pub fn changes_column(&self, table: &TableName, column: &str) -> bool {
        let key = self.table_key(table);
        self.changed_column(column).any(|changed| *changed == key)
    }

    /// Names of databases and tables that are others at the destination, for a search in texts.
    pub fn moved(&self) -> impl Iterator<Item = &str> {
        let databases = self.databases.iter().filter(|(source, destination)| !self.is_same(source, destination));
        let tables = self.tables.iter().filter(|((_, source), destination)| !self.is_same(source, &destination.table));
        databases.map(|(source, _)| source.as_str()).chain(tables.map(|((_, source), _)| source.as_str()))
    }
}
