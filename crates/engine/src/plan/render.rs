//! `godwit plan`: what a plan will do, for people and for programs. Changes nothing and asks nobody.

use std::fmt::Write;

use serde::Serialize;

use super::programs::make::{Making, statement};
use super::programs::names::ProgramNames;
use super::statements::{Statements, definer};
use super::{DatabasePlan, Plan, TablePlan};
use crate::plan::names::PlanNames;
use crate::schema::view::{Definer, rewrite_view};
use godwit_api::{API_VERSION, DefinerMode, MigrationTaskSpec};
use godwit_model::error::Result;
use godwit_model::names::TableName;
use godwit_model::program::ProgramKind;
use godwit_model::server::ServerInfo;

/// Everything that will be done. Fields are only ever added.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub api_version: &'static str,
    pub migration_types: Vec<&'static str>,
    pub databases: Vec<PreviewDatabase>,
    pub tables: Vec<PreviewTable>,
    pub views: Vec<PreviewView>,
    /// Stored programs; triggers that are left to a person are not among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<PreviewProgram>,
    /// What the manifest asks for and this version cannot do.
    pub unsupported: Vec<String>,
}

/// A database that is made when it is absent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewDatabase {
    pub source: String,
    pub destination: String,
    pub character_set: String,
    pub collation: String,
    /// Later tables and views belong to it.
    pub whole: bool,
}

/// A table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewTable {
    pub source: String,
    pub destination: String,
    /// Columns that are written, where they are renamed or not all taken along.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<PreviewColumn>,
    /// Destination columns by which rows are found; empty: by whole rows.
    pub key: Vec<String>,
    /// The source's estimates.
    pub estimated_rows: u64,
    pub estimated_bytes: u64,
    /// Parts in which the rows are read; 0: from one snapshot, not cut.
    pub estimated_chunks: u64,
    /// Makes the table; empty without Schema.
    pub create: String,
    /// Run when the rows have arrived.
    pub deferred: Vec<String>,
    /// What the destination will have otherwise.
    pub notes: Vec<String>,
    /// Why the statements cannot be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A column under both names.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewColumn {
    pub source: String,
    pub destination: String,
}

/// A view.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewView {
    pub source: String,
    pub destination: String,
    pub create: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A procedure, function, trigger or event.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewProgram {
    /// With its kind: `trigger shop.touch`.
    pub source: String,
    pub destination: String,
    pub create: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Previews a plan. `chunk_bytes`: bytes of rows that a chunk is meant to hold.
pub fn preview(
    spec: &MigrationTaskSpec,
    plan: &Plan,
    source: &ServerInfo,
    destination: &ServerInfo,
    chunk_bytes: u64,
) -> Preview {
    let statements = Statements::new(spec, plan, source, destination);
    let types = [(plan.schema, "Schema"), (plan.full, "Full"), (plan.incremental, "Incremental")];
    Preview {
        api_version: API_VERSION,
        migration_types: types.into_iter().filter_map(|(chosen, name)| chosen.then_some(name)).collect(),
        databases: plan.databases.iter().map(database).collect(),
        tables: plan.tables.iter().map(|planned| table(plan, planned, &statements, chunk_bytes)).collect(),
        views: views(spec, plan),
        programs: programs(spec, plan, source, destination),
        unsupported: plan.unsupported.clone(),
    }
}

fn database(plan: &DatabasePlan) -> PreviewDatabase {
    PreviewDatabase {
        source: plan.source.clone(),
        destination: plan.destination.clone(),
        character_set: plan.character_set.clone(),
        collation: plan.collation.clone(),
        whole: plan.whole,
    }
}

fn table(plan: &Plan, table: &TablePlan, statements: &Statements<'_>, chunk_bytes: u64) -> PreviewTable {
    let rows = table.definition.estimated_rows;
    let bytes = rows.saturating_mul(table.definition.average_row_bytes);
    let (create, deferred, notes, error) = match plan.schema.then(|| statements.of(table)) {
        None => Default::default(),
        Some(Ok(made)) => {
            let deferred = made.deferred.iter().map(|later| later.statement()).collect();
            (made.create, deferred, made.notes, None)
        }
        Some(Err(error)) => (String::new(), Vec::new(), Vec::new(), Some(error.to_string())),
    };
    PreviewTable {
        source: table.source.to_string(),
        destination: table.destination.to_string(),
        columns: changed_columns(table),
        key: table.key.iter().map(|&place| table.columns[place].destination_name.clone()).collect(),
        estimated_rows: rows,
        estimated_bytes: bytes,
        estimated_chunks: if table.is_chunked() { bytes.div_ceil(chunk_bytes.max(1)).max(1) } else { 0 },
        create,
        deferred,
        notes,
        error,
    }
}

/// Nothing where every column keeps its name.
fn changed_columns(table: &TablePlan) -> Vec<PreviewColumn> {
    use godwit_model::definition::Generated;
    let plain = table.definition.columns.iter().filter(|column| column.generated == Generated::No).count();
    let written: Vec<_> = table.columns.iter().filter(|column| column.write).collect();
    if written.len() == plain && written.iter().all(|column| column.destination_name == column.column.name) {
        return Vec::new();
    }
    let pair = |column: &&super::ColumnPlan| PreviewColumn {
        source: column.column.name.clone(),
        destination: column.destination_name.clone(),
    };
    written.iter().map(pair).collect()
}

fn views(spec: &MigrationTaskSpec, plan: &Plan) -> Vec<PreviewView> {
    let names = PlanNames::new(plan);
    let definer = match spec.definer {
        DefinerMode::Invoker => Definer::Invoker,
        DefinerMode::Keep => Definer::Keep,
    };
    let one = |source: &TableName, destination: &TableName, made: Result<String>| {
        let (create, error) = match made {
            Ok(create) => (create, None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        PreviewView { source: source.to_string(), destination: destination.to_string(), create, error }
    };
    let make = |view: &super::ViewPlan| {
        one(&view.source, &view.destination, rewrite_view(&view.create_statement, &view.source, &names, definer))
    };
    plan.views.iter().filter(|_| plan.schema).map(make).collect()
}

fn programs(spec: &MigrationTaskSpec, plan: &Plan, source: &ServerInfo, destination: &ServerInfo) -> Vec<PreviewProgram> {
    let names = ProgramNames::new(plan);
    let making = Making { definer: definer(spec), guarded: plan.incremental, source, destination };
    let is_made =
        |program: &&super::ProgramPlan| plan.schema && !(plan.holds_triggers && program.source.kind == ProgramKind::Trigger);
    let one = |program: &super::ProgramPlan| {
        let (create, error) = match statement(program, &names, making, None) {
            Ok(planned) => (planned.statement.program.as_str().to_owned(), None),
            Err(error) => (String::new(), Some(error.to_string())),
        };
        PreviewProgram { source: program.source.to_string(), destination: program.destination.to_string(), create, error }
    };
    plan.programs.iter().filter(is_made).map(one).collect()
}

impl Preview {
    /// Aligned tables, then the statements in the order in which they run.
    pub fn text(&self) -> String {
        let mut out = format!("Does {}\n", self.migration_types.join(", "));
        self.write_objects(&mut out);
        for refused in &self.unsupported {
            let _ = writeln!(out, "\nNot supported: {refused}");
        }
        if self.tables.iter().any(|table| !table.create.is_empty()) {
            out.push_str("\nBefore the rows\n");
            self.tables.iter().filter(|table| !table.create.is_empty()).for_each(|table| {
                let _ = writeln!(out, "\n{};", table.create);
            });
        }
        let deferred: Vec<&String> = self.tables.iter().flat_map(|table| &table.deferred).collect();
        let views: Vec<&String> = self.views.iter().map(|view| &view.create).filter(|create| !create.is_empty()).collect();
        let programs: Vec<&String> =
            self.programs.iter().map(|program| &program.create).filter(|create| !create.is_empty()).collect();
        if !deferred.is_empty() || !views.is_empty() || !programs.is_empty() {
            out.push_str("\nAfter the rows\n\n");
            deferred.into_iter().chain(views).chain(programs).for_each(|statement| {
                let _ = writeln!(out, "{statement};");
            });
        }
        self.write_remarks(&mut out);
        out
    }

    fn write_objects(&self, out: &mut String) {
        let mut rows = vec![["DATABASE", "AT THE DESTINATION", "COLLATION", "SELECTED"].map(str::to_owned)];
        rows.extend(self.databases.iter().map(|database| {
            let selected = if database.whole { "whole" } else { "chosen tables" };
            [database.source.clone(), database.destination.clone(), database.collation.clone(), selected.to_owned()]
        }));
        write_aligned(out, &rows);
        let mut rows = vec![["TABLE", "AT THE DESTINATION", "KEY", "ROWS (ABOUT)", "READ IN"].map(str::to_owned)];
        rows.extend(self.tables.iter().map(|table| {
            let key = if table.key.is_empty() { "none".to_owned() } else { table.key.join(", ") };
            let read = match table.estimated_chunks {
                0 => "one snapshot".to_owned(),
                1 => "1 chunk".to_owned(),
                many => format!("about {many} chunks"),
            };
            [table.source.clone(), table.destination.clone(), key, table.estimated_rows.to_string(), read]
        }));
        write_aligned(out, &rows);
        if !self.views.is_empty() {
            let mut rows = vec![["VIEW", "AT THE DESTINATION"].map(str::to_owned)];
            rows.extend(self.views.iter().map(|view| [view.source.clone(), view.destination.clone()]));
            write_aligned(out, &rows);
        }
    }

    fn write_remarks(&self, out: &mut String) {
        let of_tables = self.tables.iter().flat_map(|table| {
            let columns = (!table.columns.is_empty()).then(|| {
                let pairs: Vec<String> = table.columns.iter().map(|column| column.text()).collect();
                format!("columns {}", pairs.join(", "))
            });
            let remarks = columns.into_iter().chain(table.notes.iter().cloned()).chain(table.error.clone());
            remarks.map(|remark| format!("{}: {remark}", table.source))
        });
        let of_views = self.views.iter().filter_map(|view| view.error.as_ref().map(|error| format!("{}: {error}", view.source)));
        // Their names are a part of the reason.
        let of_programs = self.programs.iter().filter_map(|program| program.error.clone());
        let remarks: Vec<String> = of_tables.chain(of_views).chain(of_programs).collect();
        if !remarks.is_empty() {
            let _ = writeln!(out, "\nRemarks\n\n{}", remarks.join("\n"));
        }
    }
}

impl PreviewColumn {
    fn text(&self) -> String {
        if self.source == self.destination { self.source.clone() } else { format!("{} as {}", self.source, self.destination) }
    }
}

fn write_aligned<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let width = |place: usize| rows.iter().map(|row| row[place].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    out.push('\n');
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}
