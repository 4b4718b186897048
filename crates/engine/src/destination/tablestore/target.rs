//! The Tablestore table that a MySQL table goes to: its name, its key and its columns. Pure.

use std::sync::Arc;

use super::values::{self, key_value, type_name, value};
use crate::plan::{Plan, TablePlan};
use godwit_api::{RowWriteMode, TablestoreType as Type};
use godwit_model::error::{Error, Result};
use godwit_model::row::{CellRef, Row};
use godwit_model::text::Text;
use godwit_tablestore::limits::{ATTRIBUTE_BYTES, COLUMNS, KEY_BYTES, KEY_COLUMNS, name as check_name};
use godwit_tablestore::{Column, ColumnUpdate, KeyColumn, KeyType, Name, PrimaryKey, RowOperation};

/// A column at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TargetColumn {
    /// Place in the row's cells.
    place: usize,
    name: Name,
    r#type: Type,
}

/// A table at the destination.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    plan: Arc<TablePlan>,
    name: String,
    /// In the order of Tablestore's key, each with its place in the plan's.
    key: Vec<(usize, TargetColumn)>,
    attributes: Vec<TargetColumn>,
}

impl Target {
    /// Of a table of the plan.
    ///
    /// # Errors
    /// Everything that stands against it, a sentence each.
    pub(crate) fn of(plan: &Arc<TablePlan>) -> std::result::Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let own = |problem: String| format!("{}: {problem}", plan.source);
        let name = plan.destination.table.clone();
        if check_name(&name).is_err() {
            problems.push(own(format!("the name {name:?} {ALLOWED}; choose another one with renameTo")));
        }
        for chosen in plan.chosen.column_types.keys() {
            if !plan.columns.iter().any(|planned| planned.column.name.eq_ignore_ascii_case(chosen)) {
                problems.push(own(format!("columnTypes names {chosen}, which is not migrated")));
            }
        }
        let mut columns = Vec::new();
        for (place, planned) in
            plan.columns.iter().enumerate().filter(|(place, planned)| planned.write || plan.key.contains(place))
        {
            let column = &planned.column;
            let chosen = plan.chosen.column_types.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            let wanted = chosen.map_or_else(|| values::default_type(&column.kind), |(_, wanted)| *wanted);
            if let Err(problem) = values::check(column, wanted) {
                problems.push(own(format!("columnTypes: {problem}")));
            }
            if check_name(&planned.destination_name).is_err() {
                let name = &planned.destination_name;
                problems.push(own(format!("the column name {name:?} {ALLOWED}; choose another one with columns.rename")));
            }
            columns.push(TargetColumn { place, name: planned.destination_name.as_str().into(), r#type: wanted });
        }
        let key = key(plan, &columns).unwrap_or_else(|found| {
            problems.extend(found.into_iter().map(own));
            Vec::new()
        });
        let attributes: Vec<TargetColumn> = columns.into_iter().filter(|column| !plan.key.contains(&column.place)).collect();
        if attributes.len() > COLUMNS {
            problems.push(own(format!(
                "{} columns beside the key are more than the {COLUMNS} of a request; leave some out",
                attributes.len()
            )));
        }
        if problems.is_empty() { Ok(Self { plan: Arc::clone(plan), name, key, attributes }) } else { Err(problems) }
    }

    /// The table's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The columns of its primary key.
    pub(crate) fn key_columns(&self) -> Vec<KeyColumn> {
        self.key.iter().map(|(_, column)| KeyColumn::new(column.name.clone(), key_type(column.r#type))).collect()
    }

    /// The key of a row, from the plan's key columns in the plan's order.
    ///
    /// # Errors
    /// Definite: a value is no key value of Tablestore; names table and column.
    pub(crate) fn key_of(&self, key: &Row) -> Result<PrimaryKey> {
        let cells: Vec<CellRef<'_>> = key.cells().collect();
        let mut found = Vec::with_capacity(self.key.len());
        for (place, column) in &self.key {
            let planned = &self.plan.columns[column.place].column;
            let cell = cells.get(*place).copied().flatten();
            let cell = cell.ok_or_else(|| self.refused(key, column, "is NULL, which a key cannot be"))?;
            let value = key_value(planned, column.r#type, cell).map_err(|why| self.refused(key, column, &why))?;
            if value.size() > KEY_BYTES {
                return Err(self.refused(key, column, &format!("takes {} bytes; a key holds {KEY_BYTES}", value.size())));
            }
            found.push((column.name.clone(), value));
        }
        Ok(found)
    }

    /// What writes a row.
    ///
    /// # Errors
    /// Definite: a value does not fit; names table, key and column.
    pub(crate) fn write(&self, row: &Row, mode: RowWriteMode) -> Result<RowOperation> {
        let cells: Vec<CellRef<'_>> = row.cells().collect();
        let mut columns = Vec::with_capacity(self.attributes.len());
        let mut absent = Vec::new();
        for attribute in &self.attributes {
            let Some(cell) = cells.get(attribute.place).copied().flatten() else {
                absent.push(attribute.name.clone());
                continue;
            };
            let column = &self.plan.columns[attribute.place].column;
            let shown = || row.project(&self.plan.key);
            let value = value(column, attribute.r#type, cell).map_err(|why| self.refused(&shown(), attribute, &why))?;
            if value.size() > ATTRIBUTE_BYTES {
                let why = format!("takes {} bytes; a column holds {ATTRIBUTE_BYTES}", value.size());
                return Err(self.refused(&shown(), attribute, &why));
            }
            columns.push(Column::new(attribute.name.clone(), value));
        }
        Ok(match mode {
            RowWriteMode::OverwriteRow => RowOperation::Put(columns),
            // An update that only deletes columns does not make a row that is not there.
            RowWriteMode::UpdateRow if columns.is_empty() => RowOperation::Put(columns),
            RowWriteMode::UpdateRow => {
                let puts = columns.into_iter().map(ColumnUpdate::Put);
                RowOperation::Update(puts.chain(absent.into_iter().map(ColumnUpdate::DeleteAll)).collect())
            }
        })
    }

    /// A row as errors name it.
    pub(crate) fn shown(&self, key: &Row) -> Text {
        self.plan.describe_key(key).map(|key| format!("{} key {key}", self.plan.source))
    }

    fn refused(&self, key: &Row, column: &TargetColumn, why: &str) -> Error {
        let name = &column.name;
        Error::definite(self.shown(key).map(|row| format!("{row}: column {name} {why}")))
    }
}

const ALLOWED: &str = "is not allowed in Tablestore (letters, digits and _, not beginning with a digit, at most 255)";

/// The key's columns in the order that is asked for.
fn key(plan: &TablePlan, columns: &[TargetColumn]) -> std::result::Result<Vec<(usize, TargetColumn)>, Vec<String>> {
    if !plan.has_key() {
        return Err(vec![
            "the table has no key, and Tablestore tells rows apart by nothing else; give it a primary key at the source".into(),
        ]);
    }
    let mut problems = Vec::new();
    let name = |place: usize| plan.columns[place].column.name.as_str();
    let own: Vec<&str> = plan.key.iter().map(|place| name(*place)).collect();
    let wanted: Vec<&str> = match plan.chosen.primary_key.as_slice() {
        [] => own.clone(),
        chosen => chosen.iter().map(String::as_str).collect(),
    };
    let same = |a: &[&str], b: &[&str]| a.iter().all(|one| b.iter().any(|other| other.eq_ignore_ascii_case(one)));
    if !same(&wanted, &own) || !same(&own, &wanted) {
        problems.push(format!(
            "primaryKey must hold the columns of the source's key ({}), in any order: by others rows would not be the same ones; other \
             columns are not supported by this version",
            own.join(", ")
        ));
    }
    if own.len() > KEY_COLUMNS {
        problems.push(format!(
            "its key has {} columns ({}), and Tablestore takes {KEY_COLUMNS}; leave the table out",
            own.len(),
            own.join(", ")
        ));
    }
    let mut key = Vec::new();
    for wanted in wanted {
        let Some(column) = columns.iter().find(|column| name(column.place).eq_ignore_ascii_case(wanted)) else { continue };
        if matches!(column.r#type, Type::Double | Type::Boolean) {
            let r#type = type_name(column.r#type);
            problems.push(format!(
                "the key column {wanted} would be {type}, and a key is INTEGER, STRING or BINARY; choose STRING in columnTypes"
            ));
        }
        let place = plan.key.iter().position(|place| *place == column.place);
        key.extend(place.map(|place| (place, column.clone())));
    }
    if problems.is_empty() { Ok(key) } else { Err(problems) }
}

fn key_type(of: Type) -> KeyType {
    match of {
        Type::Integer => KeyType::Integer,
        Type::Binary => KeyType::Binary,
        // Others are refused where the target is made.
        Type::String | Type::Double | Type::Boolean => KeyType::String,
    }
}

/// The targets of all tables of a plan, by `TablePlan::id`.
///
/// # Errors
/// A definite one with everything that stands against any of them.
pub(crate) fn targets(plan: &Plan) -> Result<Vec<Arc<Target>>> {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for table in &plan.tables {
        match Target::of(table) {
            Ok(target) => found.push(Arc::new(target)),
            Err(of_table) => problems.extend(of_table),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(Error::definite(problems.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{column, definition, table_plan};
    use godwit_model::definition::Kind;
    use godwit_model::row::RowBuilder;
    use godwit_tablestore::{KeyValue, Value};

    fn orders() -> TablePlan {
        let int = || Kind::Int { unsigned: false };
        let columns =
            vec![column("id", int()), column("shop", Kind::VarBinary), column("total", Kind::Decimal { precision: 9, scale: 2 })];
        TablePlan { key: vec![0, 1], range_columns: 2, ..table_plan(definition("d", "orders", columns)) }
    }

    fn row(cells: &[Option<&str>]) -> Row {
        let mut builder = RowBuilder::default();
        cells.iter().for_each(|cell| builder.push(cell.map(str::as_bytes)));
        builder.finish()
    }

    fn problems(table: TablePlan) -> String {
        Target::of(&Arc::new(table)).map(drop).unwrap_err().join("; ")
    }

    #[test]
    fn a_row_is_its_key_and_what_it_holds() {
        let mut table = orders();
        table.chosen.primary_key = vec!["shop".into(), "id".into()];
        let target = Target::of(&Arc::new(table)).unwrap();
        let key = vec![("shop".into(), KeyValue::Binary(b"x".to_vec())), ("id".into(), KeyValue::Integer(7))];
        let full = row(&[Some("7"), Some("x"), Some("1.50")]);
        assert_eq!(target.key_of(&full.project(&[0, 1])).unwrap(), key);
        let total = Column::new("total", Value::String("1.50".into()));
        assert_eq!(target.write(&full, RowWriteMode::OverwriteRow).unwrap(), RowOperation::Put(vec![total.clone()]));
        assert_eq!(target.write(&full, RowWriteMode::UpdateRow).unwrap(), RowOperation::Update(vec![ColumnUpdate::Put(total)]));
        let empty = row(&[Some("7"), Some("x"), None]);
        assert_eq!(target.write(&empty, RowWriteMode::OverwriteRow).unwrap(), RowOperation::Put(vec![]));
        // An update that only deletes columns would make no row.
        assert_eq!(target.write(&empty, RowWriteMode::UpdateRow).unwrap(), RowOperation::Put(vec![]));
    }

    #[test]
    fn what_stands_against_a_table_is_named() {
        let mut table = orders();
        table.destination.table = "my-orders".into();
        assert!(problems(table).contains("renameTo"));
        let mut table = orders();
        table.chosen.primary_key = vec!["id".into()];
        assert!(problems(table).contains("primaryKey must hold the columns of the source's key (id, shop)"));
        let mut table = orders();
        table.chosen.column_types.insert("total".into(), Type::Integer);
        assert!(problems(table).contains("does not become INTEGER; choose STRING"));
        let mut table = orders();
        table.chosen.column_types.insert("nothing".into(), Type::String);
        assert!(problems(table).contains("columnTypes names nothing"));
        let five: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| column(name, Kind::Int { unsigned: false })).into();
        let table = TablePlan { key: vec![0, 1, 2, 3, 4], ..table_plan(definition("d", "t", five)) };
        assert!(problems(table).contains("its key has 5 columns"));
        let table = TablePlan { key: vec![], key_index: None, range_columns: 0, ..orders() };
        assert!(problems(table).contains("has no key"));
        let float = table_plan(definition("d", "t", vec![column("f", Kind::Double)]));
        assert!(problems(float).contains("choose STRING in columnTypes"));
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_key_but_not_to_everybody() {
        let target = Target::of(&Arc::new(orders())).unwrap();
        let long = "x".repeat(KEY_BYTES + 1);
        let error = target.key_of(&row(&[Some("7"), Some(&long)])).unwrap_err();
        assert!(error.to_string().contains("column shop takes 1025 bytes") && !error.to_string().contains("xxx"), "{error}");
    }
}
