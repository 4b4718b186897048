//! What a trial runs: the schema phase's statements, with the objects moved into the scratch databases.
//!
//! Only planned objects move. Names of what is not migrated (a function in a view, a sequence in a default) mean the destination's
//! own, which have to be there by then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::context::Context;
use super::programs;
use super::scratch::ScratchNames;
use crate::plan::names::PlanNames;
use crate::plan::statements::Statements;
use crate::plan::statements::database_options;
use crate::plan::{Plan, TablePlan, ViewPlan};
use crate::schema::names::NameMap;
use crate::schema::rewrite::{Deferred, DeferredKind};
use crate::schema::view::view_references;
use crate::schema::view_session::ViewStatement;
use crate::sql::Sql;
use crate::sql::single::Single;
use godwit_model::error::Result;
use godwit_model::names::TableName;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// At the source.
    pub source: TableName,
    /// In the scratch database.
    pub table: TableName,
    pub create: Single,
    /// Secondary indexes.
    pub alters: Vec<Single>,
    pub foreign_keys: Option<Single>,
    /// Names of the tables that the foreign keys lead to.
    pub parents: Vec<TableName>,
    /// A foreign key or a view needs it.
    pub stays: bool,
    /// It is made of other tables, so that those come first.
    pub is_merge: bool,
    /// The server may make it and refuse to open it: MariaDB.
    pub is_opened: bool,
}

/// Everything that is tried.
pub(super) struct Steps {
    pub tables: Vec<Step>,
    /// The plan with scratch databases.
    plan: Plan,
}

/// Whether the schema phase will make it.
fn is_made(context: &Context, destination: &TableName) -> bool {
    !context.existing.contains_key(destination) && !context.owned.contains(destination)
}

/// The destination databases that something is made in, with the options of their CREATE DATABASE.
pub(super) fn databases(context: &Context) -> BTreeMap<String, Sql> {
    let plan = &context.plan;
    let tables = plan.tables.iter().map(|table| &table.destination);
    let objects = tables.chain(plan.views.iter().map(|view| &view.destination)).filter(|name| is_made(context, name));
    let programs = plan.programs.iter().filter(|_| programs::tried(context));
    let in_programs = programs.map(|program| program.destination.database.as_str());
    let wanted: BTreeSet<&str> = objects.map(|name| name.database.as_str()).chain(in_programs).collect();
    let options = |name: &str| {
        let database = plan.databases.iter().find(|database| database.destination == name)?;
        // One without a counterpart is the item CharacterSets; tables say their own.
        database_options(database, &context.destination.info).ok()
    };
    wanted.into_iter().map(|name| (name.to_owned(), options(name).unwrap_or_default())).collect()
}

impl Steps {
    /// Moves the plan and makes the statements. What cannot be written at all is the item Definitions and left out here.
    pub(super) fn new(context: &Context, scratch: &ScratchNames) -> Self {
        let plan = moved(context, scratch);
        let names = PlanNames::new(&plan);
        let statements = Statements::new(&context.spec, &plan, &context.source.info, &context.destination.info);
        let needed = needed(context, &plan);
        let mut tables = Vec::new();
        for (original, table) in context.plan.tables.iter().zip(&plan.tables) {
            if !is_made(context, &original.destination) {
                continue;
            }
            let Ok(rewritten) = statements.of(table) else { continue };
            let Ok(create) = Single::parse(&rewritten.create, &table.destination) else { continue };
            let (keys, indexes): (Vec<_>, Vec<_>) =
                rewritten.deferred.into_iter().partition(|step| step.kind == DeferredKind::ForeignKeys);
            let single = |step: &Deferred| Single::parse(&step.statement(), &table.destination);
            let Ok(alters) = indexes.iter().map(single).collect::<Result<Vec<_>>>() else { continue };
            let Ok(foreign_keys) = keys.first().map(single).transpose() else { continue };
            tables.push(Step {
                source: table.source.clone(),
                create,
                alters,
                stays: !keys.is_empty() || needed.contains(&table.source),
                foreign_keys,
                parents: parents(table, &names),
                is_merge: is_merge(&table.definition.engine),
                is_opened: context.destination.info.is_mariadb() && !is_merge(&table.definition.engine),
                table: table.destination.clone(),
            });
        }
        // Stable: those come last.
        tables.sort_by_key(|step| step.is_merge);
        Self { tables, plan }
    }

    /// The plan with what is tried in scratch databases.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The views in the order in which they rest on each other, without those that read what was refused.
    pub(super) fn views(&self, context: &Context, refused: &BTreeSet<TableName>) -> Vec<(TableName, ViewStatement)> {
        let made: Vec<ViewPlan> = context
            .plan
            .views
            .iter()
            .zip(&self.plan.views)
            .filter(|(original, view)| {
                let reads = view_references(&view.create_statement, &view.source).unwrap_or_default();
                is_made(context, &original.destination) && !reads.iter().any(|table| refused.contains(table))
            })
            .map(|(_, view)| view.clone())
            .collect();
        let statements = Statements::new(&context.spec, &self.plan, &context.source.info, &context.destination.info);
        // One that cannot be written is the item Views.
        statements.of_views(&made).into_iter().filter_map(|(view, statement)| Some((view.source, statement.ok()?))).collect()
    }
}

/// The plan with what is made in scratch databases; what stands at the destination stays where it is.
fn moved(context: &Context, scratch: &ScratchNames) -> Plan {
    let place = |name: &TableName| match scratch.of(&name.database).filter(|_| is_made(context, name)) {
        Some(database) => TableName { database: database.clone(), table: name.table.clone() },
        None => name.clone(),
    };
    let mut plan = context.plan.clone();
    for table in &mut plan.tables {
        let destination = place(&table.destination);
        *table = Arc::new(TablePlan { destination, ..TablePlan::clone(table) });
    }
    for view in &mut plan.views {
        view.destination = place(&view.destination);
    }
    if programs::tried(context) {
        // Where a program calls another one, both are tried.
        for database in &mut plan.databases {
            if let Some(scratch) = scratch.of(&database.destination) {
                database.destination.clone_from(scratch);
            }
        }
        for program in &mut plan.programs {
            if let Some(scratch) = scratch.of(&program.destination.database) {
                program.destination.database.clone_from(scratch);
            }
            program.table = program.table.as_ref().map(place);
        }
        plan.programs.retain(|program| program.table.as_ref().is_none_or(|table| table.database == program.destination.database));
    }
    plan
}

/// The tables, by their names at the source, that others lead to.
fn needed(context: &Context, plan: &Plan) -> BTreeSet<TableName> {
    let parents = plan
        .tables
        .iter()
        .flat_map(|table| &table.definition.foreign_keys)
        .map(|key| TableName { database: key.parent_database.clone(), table: key.parent_table.clone() });
    let views = plan.views.iter().flat_map(|view| view_references(&view.create_statement, &view.source).unwrap_or_default());
    let triggered: BTreeSet<&TableName> = match programs::tried(context) {
        true => plan.programs.iter().filter_map(|program| program.table.as_ref()).collect(),
        false => BTreeSet::new(),
    };
    let with_triggers =
        plan.tables.iter().filter(|table| triggered.contains(&table.destination)).map(|table| table.source.clone());
    let mut needed: BTreeSet<TableName> = parents.chain(views).chain(with_triggers).collect();
    if context.plan.tables.iter().any(|table| is_merge(&table.definition.engine)) {
        needed.extend(plan.tables.iter().map(|table| table.source.clone()));
    }
    needed
}

fn parents(table: &TablePlan, names: &dyn NameMap) -> Vec<TableName> {
    let parent = |(database, table): (&String, &String)| TableName { database: database.clone(), table: table.clone() };
    let keys = table.definition.foreign_keys.iter().map(|key| parent((&key.parent_database, &key.parent_table)));
    keys.filter(|parent| names.table(parent).is_some()).collect()
}

fn is_merge(engine: &str) -> bool {
    ["MRG_MYISAM", "MERGE", "MRG_MyISAM"].iter().any(|name| name.eq_ignore_ascii_case(engine))
}
