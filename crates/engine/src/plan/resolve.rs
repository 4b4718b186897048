//! Manifest and catalog become a [`Plan`]. Pure: the catalog was read before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::schema::program::read::ListedProgram;
use crate::schema::view_session::ViewSession;
use godwit_api::{DmlOperation, MigrationTaskSpec, MigrationType, TriggerMode};
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Error, Result};
use godwit_model::program::ProgramName;

use super::columns::{Columns, choose};
use super::select::{HEARTBEAT_TABLE, Selection, TableMatch};
use super::unsupported::unsupported;
use super::{Chosen, DatabasePlan, DmlSelection, Plan, ProgramPlan, TablePlan, ViewPlan};
use godwit_model::names::TableName;

/// What the source holds, as far as the selection reaches.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub databases: Vec<CatalogDatabase>,
    /// Definitions of the covered tables; others may be among them and are passed over.
    pub tables: Vec<Arc<TableDefinition>>,
    /// Views of the covered databases.
    pub views: Vec<CatalogView>,
    /// Stored programs of the databases that are covered as a whole.
    pub programs: Vec<ListedProgram>,
}

/// A database at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogDatabase {
    pub name: String,
    pub character_set: String,
    pub collation: String,
}

/// A view at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogView {
    pub name: TableName,
    /// `SHOW CREATE VIEW`; empty when it cannot be shown.
    pub create_statement: String,
    pub session: ViewSession,
}

/// Resolves a task.
///
/// # Errors
/// One definite error that holds every problem found, each with the field's path and what to do about it.
pub fn resolve(spec: &MigrationTaskSpec, selection: &Selection, catalog: &Catalog) -> Result<Plan> {
    let mut problems = missing_objects(selection, catalog);
    let databases = databases(selection, catalog);
    let mut tables = Vec::new();
    for definition in &catalog.tables {
        let Some(found) = selection.covers(&definition.database, &definition.table) else { continue };
        match table(spec, &found, definition) {
            Ok(plan) => tables.push(plan),
            Err(found) => problems.extend(found),
        }
    }
    tables.sort_by(|a, b| a.source.cmp(&b.source));
    let views = views(selection, catalog);
    problems.extend(name_collisions(selection, &tables, &views));
    problems.extend(destination_databases(spec, selection, &databases));
    if databases.is_empty() && problems.is_empty() {
        problems.push(
            "spec.objects: selects no database of the source; name one that exists, or look at excludeDatabases".to_owned(),
        );
    }
    if !problems.is_empty() {
        problems.dedup();
        return Err(Error::definite(problems.join("; ")));
    }
    let numbered = tables.into_iter().zip(0u32..).map(|(table, id)| Arc::new(TablePlan { id, ..table }));
    Ok(Plan {
        schema: spec.migrates(MigrationType::Schema),
        full: spec.migrates(MigrationType::Full),
        incremental: spec.migrates(MigrationType::Incremental),
        databases,
        tables: numbered.collect(),
        views,
        programs: programs(selection, catalog),
        holds_triggers: spec.triggers == TriggerMode::Manual,
        names: selection.names(),
        unsupported: unsupported(spec),
    })
}

fn table(
    spec: &MigrationTaskSpec,
    found: &TableMatch<'_>,
    definition: &Arc<TableDefinition>,
) -> std::result::Result<TablePlan, Vec<String>> {
    let columns_spec = found.table_spec.and_then(|table| table.columns.as_ref());
    let Columns { columns, key, key_index, range_columns, secondary_unique } =
        choose(definition, columns_spec, &format!("{}.columns", found.field))?;
    let dml = found.table_spec.and_then(|table| table.dml.as_ref()).or(found.database_spec.dml.as_ref()).or(spec.dml.as_ref());
    Ok(TablePlan {
        id: 0,
        source: TableName { database: definition.database.clone(), table: definition.table.clone() },
        destination: TableName { database: found.database.clone(), table: found.table.clone() },
        definition: Arc::clone(definition),
        columns,
        key,
        key_index,
        range_columns,
        secondary_unique,
        zoned: Vec::new(),
        dml: dml_selection(dml),
        row_filter: found.table_spec.and_then(|table| table.row_filter.clone()),
        chosen: found
            .table_spec
            .map(|table| Chosen { primary_key: table.primary_key.clone(), column_types: table.column_types.clone() })
            .unwrap_or_default(),
    })
}

/// Left out: all of them.
pub fn dml_selection(operations: Option<&Vec<DmlOperation>>) -> DmlSelection {
    let has = |wanted| operations.is_none_or(|list| list.contains(&wanted));
    DmlSelection { insert: has(DmlOperation::Insert), update: has(DmlOperation::Update), delete: has(DmlOperation::Delete) }
}

/// The databases that something is made in: whole ones, empty or not, and those of chosen tables.
fn databases(selection: &Selection, catalog: &Catalog) -> Vec<DatabasePlan> {
    let with_tables: HashSet<&str> = catalog
        .tables
        .iter()
        .filter(|definition| selection.covers(&definition.database, &definition.table).is_some())
        .map(|definition| definition.database.as_str())
        .collect();
    let mut plans: Vec<DatabasePlan> = catalog
        .databases
        .iter()
        .filter_map(|database| {
            let found = selection.database(&database.name)?;
            (found.whole || with_tables.contains(database.name.as_str())).then(|| DatabasePlan {
                source: database.name.clone(),
                destination: found.destination.clone(),
                character_set: database.character_set.clone(),
                collation: database.collation.clone(),
                whole: found.whole,
            })
        })
        .collect();
    plans.sort_by(|a, b| a.source.cmp(&b.source));
    plans
}

/// Views of whole databases; choosing tables leaves them out.
fn views(selection: &Selection, catalog: &Catalog) -> Vec<ViewPlan> {
    let mut plans: Vec<ViewPlan> = catalog
        .views
        .iter()
        .filter_map(|view| {
            let found = selection.covers(&view.name.database, &view.name.table).filter(|found| found.whole)?;
            Some(ViewPlan {
                source: view.name.clone(),
                destination: TableName { database: found.database, table: found.table },
                create_statement: view.create_statement.clone(),
                session: view.session.clone(),
            })
        })
        .collect();
    plans.sort_by(|a, b| a.source.cmp(&b.source));
    plans
}

/// Stored programs of whole databases; a trigger goes with its table.
fn programs(selection: &Selection, catalog: &Catalog) -> Vec<ProgramPlan> {
    let plan = |program: &ListedProgram| {
        let found = selection.database(&program.name.database).filter(|found| found.whole)?;
        let table = match &program.table {
            // Its rows come from a tool that ends by itself: the item OnlineSchemaChange.
            Some(_) if program.name.name.starts_with(ONLINE_SCHEMA_CHANGE) => return None,
            Some(table) => {
                let covered = selection.covers(&table.database, &table.table)?;
                Some(TableName { database: covered.database, table: covered.table })
            }
            None => None,
        };
        let destination = ProgramName { database: found.destination.clone(), ..program.name.clone() };
        Some(ProgramPlan { source: program.name.clone(), destination, table, definition: program.definition.clone() })
    };
    catalog.programs.iter().filter_map(plan).collect()
}

/// How pt-online-schema-change names its triggers.
pub const ONLINE_SCHEMA_CHANGE: &str = "pt_osc_";

/// Names in the manifest that the source does not have. A pattern may match nothing: what it stands for may come later.
fn missing_objects(selection: &Selection, catalog: &Catalog) -> Vec<String> {
    let fold = |name: &str| if selection.names().source_folds() { name.to_lowercase() } else { name.to_owned() };
    let mut problems = Vec::new();
    let known: HashSet<String> = catalog.databases.iter().map(|database| fold(&database.name)).collect();
    let mut missing_entries = HashSet::new();
    for (place, name) in selection.exact_databases().filter(|(_, name)| !known.contains(&fold(name))) {
        missing_entries.insert(place);
        let near = near_name(name, catalog.databases.iter().map(|database| database.name.as_str()));
        problems.push(format!(
            "spec.objects[{place}].database: the source has no database `{name}`, or the account may not see it; {near}"
        ));
    }
    let of_entry = |database: &str, name: &str| selection.database(database).map(|found| (found.entry, fold(name)));
    let tables: HashSet<(usize, String)> =
        catalog.tables.iter().filter_map(|table| of_entry(&table.database, &table.table)).collect();
    let views: HashSet<(usize, String)> =
        catalog.views.iter().filter_map(|view| of_entry(&view.name.database, &view.name.table)).collect();
    for (place, table_place, name) in selection.exact_tables().filter(|(place, ..)| !missing_entries.contains(place)) {
        let wanted = (place, fold(name));
        let field = format!("spec.objects[{place}].tables[{table_place}].table");
        if name.eq_ignore_ascii_case(HEARTBEAT_TABLE) {
            problems.push(format!("{field}: `{name}` holds heartbeats of Godwit and is never migrated; remove this entry"));
            continue;
        }
        if tables.contains(&wanted) {
            continue;
        }
        if views.contains(&wanted) {
            problems.push(format!(
                "{field}: `{name}` is a view; views are migrated with a whole database only: leave out spec.objects[{place}].tables, \
                 or remove this entry"
            ));
            continue;
        }
        let there = tables.iter().filter(|(entry, _)| *entry == place).map(|(_, table)| table.as_str());
        problems.push(format!(
            "{field}: the source has no table `{name}` there, or the account may not see it; {}",
            near_name(name, there)
        ));
    }
    problems
}

/// `did you mean …`, where a name differs in case only.
fn near_name<'a>(wanted: &str, mut known: impl Iterator<Item = &'a str>) -> String {
    match known.find(|name| name.to_lowercase() == wanted.to_lowercase()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "correct the name, grant SELECT on it, or remove the entry".to_owned(),
    }
}

/// Two objects of the source under one name at the destination.
fn name_collisions(selection: &Selection, tables: &[TablePlan], views: &[ViewPlan]) -> Vec<String> {
    let names = selection.names();
    let mut taken: HashMap<(String, String), &TableName> = HashMap::new();
    let mut problems = Vec::new();
    let objects = tables.iter().map(|table| (&table.source, &table.destination));
    for (source, destination) in objects.chain(views.iter().map(|view| (&view.source, &view.destination))) {
        let key = (names.destination_key(&destination.database), names.destination_key(&destination.table));
        match taken.get(&key) {
            Some(other) => problems.push(format!(
                "spec.objects: {other} and {source} would both become {destination} at the destination; give one another name with renameTo"
            )),
            None => {
                taken.insert(key, source);
            }
        }
    }
    problems
}

/// Nothing may be written into the server's own databases or among the engine's records.
fn destination_databases(spec: &MigrationTaskSpec, selection: &Selection, databases: &[DatabasePlan]) -> Vec<String> {
    let records = spec.destination.records_database.to_lowercase();
    databases
        .iter()
        .filter_map(|database| {
            let field = selection.database(&database.source).map(|found| selection.database_field(found.entry)).unwrap_or_default();
            let name = database.destination.to_lowercase();
            if name == records {
                Some(format!(
                    "{field}.renameTo: `{}` would become `{}`, which holds the engine's own records (spec.destination.recordsDatabase); \
                     choose another name for one of them",
                    database.source, database.destination
                ))
            } else if super::select::SYSTEM_DATABASES.contains(&name.as_str()) {
                Some(format!("{field}.renameTo: `{}` belongs to the server; choose another name", database.destination))
            } else {
                None
            }
        })
        .collect()
}
