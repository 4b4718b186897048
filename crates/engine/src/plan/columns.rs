//! The columns of one table: which are read, under which names they arrive, and which of them identify a row.

use godwit_api::ColumnSelection;
use godwit_model::definition::{Generated, Index, TableDefinition};

use super::pattern::{Pattern, expand};
use super::{ColumnPlan, JsonSides, is_range_safe};

/// What `columns` in the manifest makes of a table.
#[derive(Debug, Clone)]
pub struct Columns {
    pub columns: Vec<ColumnPlan>,
    /// Places in `columns`, in index order.
    pub key: Vec<usize>,
    pub key_index: Option<String>,
    pub range_columns: usize,
    pub secondary_unique: bool,
}

/// Applies include, exclude and rename. `field` is the path of `columns` in the manifest.
///
/// # Errors
/// Every problem found, one sentence each, with the field's path and what to do.
pub fn choose(definition: &TableDefinition, selection: Option<&ColumnSelection>, field: &str) -> Result<Columns, Vec<String>> {
    let mut problems = unknown_columns(definition, selection, field);
    let chosen = |name: &str| is_chosen(selection, name);
    let row_key = definition.row_key();
    problems.extend(missing_key_columns(definition, row_key, &chosen, field));
    problems.extend(generated_columns(definition, selection, field));

    let key_names: Vec<&str> = row_key.map(column_names).unwrap_or_default();
    let mut columns = Vec::new();
    for (image, column) in definition.columns.iter().enumerate() {
        let write = column.generated == Generated::No;
        let in_key = key_names.contains(&column.name.as_str());
        if !chosen(&column.name) || !(write || in_key) {
            continue;
        }
        match destination_name(selection, &column.name, field) {
            Ok(destination_name) => {
                columns.push(ColumnPlan { image, destination_name, write, column: column.clone(), json: JsonSides::default() })
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(duplicate_names(definition, &columns, field));
    if columns.iter().all(|column| !column.write) {
        problems.push(format!("{field}: no column of {} is left to migrate; include at least one", definition.qualified()));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let place = |name: &&str| columns.iter().position(|column| column.column.name == **name);
    let key: Vec<usize> = key_names.iter().filter_map(place).collect();
    let range_columns = if key.iter().all(|&place| is_range_safe(&columns[place].column)) { key.len() } else { 0 };
    let secondary_unique = definition.indexes.iter().any(|index| {
        index.unique && Some(index.name.as_str()) != row_key.map(|key| key.name.as_str()) && remains(index, &chosen)
    });
    Ok(Columns { key, key_index: row_key.map(|index| index.name.clone()), range_columns, secondary_unique, columns })
}

fn column_names(index: &Index) -> Vec<&str> {
    index.parts.iter().filter_map(|part| part.column.as_deref()).collect()
}

/// Whether an index can exist at the destination: every column of it is chosen. A functional part depends on columns that are
/// not known here; it counts as remaining, which is the careful side.
fn remains(index: &Index, chosen: &impl Fn(&str) -> bool) -> bool {
    column_names(index).into_iter().all(chosen)
}

/// MySQL compares column names without regard to case.
fn same_column(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

fn is_chosen(selection: Option<&ColumnSelection>, name: &str) -> bool {
    selection.is_none_or(|columns| {
        let included = columns.include.is_empty() || columns.include.iter().any(|wanted| same_column(wanted, name));
        included && !columns.exclude.iter().any(|unwanted| same_column(unwanted, name))
    })
}

/// An exact name wins over patterns; among patterns the first in the order of the manifest's map.
fn destination_name(selection: Option<&ColumnSelection>, name: &str, field: &str) -> Result<String, String> {
    let Some(columns) = selection else { return Ok(name.to_owned()) };
    if let Some((_, new)) = columns.rename.iter().find(|(old, _)| Pattern::new(old).is_exact() && same_column(old, name)) {
        return Ok(new.clone());
    }
    for (old, new) in &columns.rename {
        let pattern = Pattern::new(old);
        if let Some(captures) = pattern.captures(name, true).filter(|_| !pattern.is_exact()) {
            return expand(new, &captures).map_err(|number| {
                format!("{field}.rename: `{new}` uses ${number}, but the pattern `{old}` has only {} of * and ?", captures.len())
            });
        }
    }
    Ok(name.to_owned())
}

fn unknown_columns(definition: &TableDefinition, selection: Option<&ColumnSelection>, field: &str) -> Vec<String> {
    let Some(columns) = selection else { return Vec::new() };
    let known = |name: &&String| definition.columns.iter().any(|column| same_column(&column.name, name));
    let exact = |name: &&String| Pattern::new(name).is_exact();
    let problem = |list: &'static str| {
        move |name: &String| {
            format!(
                "{field}.{list}: `{name}` is not a column of {} at the source; correct the name or remove it",
                definition.qualified()
            )
        }
    };
    let include = columns.include.iter().filter(|name| !known(name)).map(problem("include"));
    let exclude = columns.exclude.iter().filter(|name| !known(name)).map(problem("exclude"));
    let rename = columns.rename.keys().filter(|name| exact(name) && !known(name)).map(problem("rename"));
    include.chain(exclude).chain(rename).collect()
}

fn missing_key_columns(
    definition: &TableDefinition,
    row_key: Option<&Index>,
    chosen: &impl Fn(&str) -> bool,
    field: &str,
) -> Option<String> {
    let key = row_key?;
    let missing: Vec<&str> = column_names(key).into_iter().filter(|name| !chosen(name)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{field}: leaves out {}, part of the key `{}` by which rows of {} are found; include {}",
            quoted(&missing),
            key.name,
            definition.qualified(),
            if missing.len() == 1 { "it" } else { "them" },
        )
    })
}

/// A generated column is not read, the destination computes it: it always stays, under its own name.
fn generated_columns(definition: &TableDefinition, selection: Option<&ColumnSelection>, field: &str) -> Vec<String> {
    let generated = definition.columns.iter().filter(|column| column.generated != Generated::No);
    let problem = |name: &str| match (is_chosen(selection, name), destination_name(selection, name, field)) {
        (false, _) => Some(format!(
            "{field}: leaves out the generated column `{name}` of {}, which this version always takes along; include it",
            definition.qualified()
        )),
        (true, Ok(new)) if new != name => Some(format!(
            "{field}.rename: `{name}` of {} is a generated column, which this version cannot rename; remove it from there",
            definition.qualified()
        )),
        (true, _) => None,
    };
    generated.filter_map(|column| problem(&column.name)).collect()
}

fn duplicate_names(definition: &TableDefinition, columns: &[ColumnPlan], field: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let earlier = columns[..place].iter().find(|other| same_column(&other.destination_name, &column.destination_name));
        if let Some(other) = earlier {
            problems.push(format!(
                "{field}.rename: the columns `{}` and `{}` of {} would both be named `{}`; choose another name for one",
                other.column.name,
                column.column.name,
                definition.qualified(),
                column.destination_name,
            ));
        }
    }
    problems
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
