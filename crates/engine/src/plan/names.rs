//! The names of a plan's objects at the destination.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Plan, TablePlan};
use crate::schema::names::NameMap;
use godwit_model::names::TableName;

/// The names of a plan, ready to be asked for 10,000 tables. A generated column that the plan does not read
/// is still part of the table, under its own name.
#[derive(Debug, Default)]
pub struct PlanNames {
    databases: HashMap<String, String>,
    tables: HashMap<TableName, Arc<TablePlan>>,
    views: HashMap<TableName, TableName>,
    /// Columns that are left out, lower case.
    left_out: HashMap<TableName, Vec<String>>,
    renamed: HashMap<(TableName, String), String>,
}

impl PlanNames {
    /// Indexes a plan. A column is left out when it is neither read nor generated: generated columns are
    /// computed by the destination and therefore need not be read.
    pub fn new(plan: &Plan) -> Self {
        use godwit_model::definition::Generated;
        let mut names = Self {
            databases: plan.databases.iter().map(|d| (d.source.clone(), d.destination.clone())).collect(),
            views: plan.views.iter().map(|v| (v.source.clone(), v.destination.clone())).collect(),
            ..Self::default()
        };
        for table in &plan.tables {
            for planned in &table.columns {
                if planned.destination_name != planned.column.name {
                    let key = (table.source.clone(), planned.column.name.to_lowercase());
                    names.renamed.insert(key, planned.destination_name.clone());
                }
            }
            let is_read = |image: usize| table.columns.iter().any(|planned| planned.image == image);
            let columns = table.definition.columns.iter().enumerate();
            let left_out: Vec<String> = columns
                .filter(|(image, column)| column.generated == Generated::No && !is_read(*image))
                .map(|(_, column)| column.name.to_lowercase())
                .collect();
            if !left_out.is_empty() {
                names.left_out.insert(table.source.clone(), left_out);
            }
            names.databases.entry(table.source.database.clone()).or_insert_with(|| table.destination.database.clone());
            names.tables.insert(table.source.clone(), Arc::clone(table));
        }
        names
    }
}

impl NameMap for PlanNames {
    fn database(&self, source: &str) -> Option<String> {
        self.databases.get(source).cloned()
    }

    fn table(&self, source: &TableName) -> Option<TableName> {
        let table = self.tables.get(source).map(|table| table.destination.clone());
        table.or_else(|| self.views.get(source).cloned())
    }

    fn column(&self, table: &TableName, column: &str) -> Option<String> {
        let column_key = column.to_lowercase();
        if self.left_out.get(table).is_some_and(|left_out| left_out.contains(&column_key)) {
            return None;
        }
        let renamed = self.renamed.get(&(table.clone(), column_key)).cloned();
        Some(renamed.unwrap_or_else(|| column.to_owned()))
    }
}
