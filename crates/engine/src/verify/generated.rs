//! Generated columns in the comparison. The engine does not carry them over, the destination computes them; whether it came to the
//! same is seen only when both are read.

use std::sync::Arc;

use crate::plan::{ColumnPlan, JsonSides, TablePlan};
use crate::value::json_paths::JsonPaths;
use godwit_model::definition::Generated;

/// The table with its generated columns among those that are read, as far as the destination has them. Their names are those of the
/// source: a generated column cannot be renamed.
pub(super) fn with_generated(table: &Arc<TablePlan>, is_there: impl Fn(&str) -> bool) -> Arc<TablePlan> {
    let is_read = |image: usize| table.columns.iter().any(|column| column.image == image);
    let generated = table
        .definition
        .columns
        .iter()
        .enumerate()
        .filter(|(image, column)| column.generated != Generated::No && !is_read(*image) && is_there(&column.name));
    let json = table.columns.iter().find(|column| column.json != JsonSides::default());
    let json = json.map(|column| JsonSides { paths: JsonPaths::default(), ..column.json.clone() }).unwrap_or_default();
    let added: Vec<ColumnPlan> = generated
        .map(|(image, column)| ColumnPlan {
            image,
            destination_name: column.name.clone(),
            write: false,
            column: column.clone(),
            json: json.clone(),
        })
        .collect();
    if added.is_empty() {
        return Arc::clone(table);
    }
    // Behind the others: places of the key stay what they are.
    let columns = table.columns.iter().cloned().chain(added).collect();
    Arc::new(TablePlan { columns, ..TablePlan::clone(table) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, definition, table_plan};
    use godwit_model::definition::{Column, Kind};

    #[test]
    fn generated_columns_are_read_where_the_destination_has_them() {
        let generated = |name: &str| Column { generated: Generated::Stored, ..column(name, Kind::Varchar) };
        let columns = vec![generated("g"), column("id", Kind::Int { unsigned: false }), generated("h")];
        let mut table = table_plan(definition("d", "t", columns));
        table.columns.retain(|column| column.column.generated == Generated::No);
        let names = |table: &TablePlan| table.columns.iter().map(|column| column.column.name.clone()).collect::<Vec<_>>();
        let table = Arc::new(table);
        let compared = with_generated(&table, |name| name == "h");
        assert_eq!(names(&compared), ["id", "h"]);
        assert!(!compared.columns[1].write && compared.columns[1].image == 2);
        assert_eq!(compared.columns[compared.key[0]].column.name, "id");
        assert_eq!(names(&with_generated(&table, |_| true)), ["id", "g", "h"]);
    }
}
