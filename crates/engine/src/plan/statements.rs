//! The statements that make a plan's objects at the destination: for the preview, and to know before the start that every
//! definition can be written there.

use super::{Plan, TablePlan, ViewPlan};
use crate::schema::apply::{ViewStatement, table_statements};
use crate::schema::names::PlanNames;
use crate::schema::rewrite::{Engine, RewrittenTable};
use crate::schema::view::{Definer, order_views, rewrite_view};
use godwit_api::{DefinerMode, MigrationTaskSpec, TableEngine};
use godwit_model::error::Result;
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Makes the statements of one table after the other.
pub struct Statements<'a> {
    names: PlanNames,
    engine: Engine,
    definer: Definer,
    source: &'a ServerInfo,
    destination: &'a ServerInfo,
}

impl<'a> Statements<'a> {
    /// For the tables of one plan.
    pub fn new(spec: &MigrationTaskSpec, plan: &Plan, source: &'a ServerInfo, destination: &'a ServerInfo) -> Self {
        let engine = match spec.destination.mysql.as_ref().map(|mysql| mysql.table_engine).unwrap_or_default() {
            TableEngine::AsSource => Engine::AsSource,
            TableEngine::InnoDB => Engine::Named("InnoDB".to_owned()),
            TableEngine::XEngine => Engine::Named("XENGINE".to_owned()),
        };
        Self { names: PlanNames::new(plan), engine, definer: definer(spec), source, destination }
    }

    /// CREATE, what follows the rows, and notes on what the destination will not have.
    ///
    /// # Errors
    /// Definite: the definition has no counterpart at the destination.
    pub fn of(&self, table: &TablePlan) -> Result<RewrittenTable> {
        table_statements(table, &self.names, self.source, self.destination, &self.engine)
    }

    /// The statements of views, each after those it reads.
    pub fn of_views(&self, views: &[ViewPlan]) -> Vec<(ViewPlan, Result<ViewStatement>)> {
        view_statements(views, &self.names, self.definer, self.destination)
    }
}

/// What the task makes of a view's definer.
pub fn definer(spec: &MigrationTaskSpec) -> Definer {
    match spec.definer {
        DefinerMode::Invoker => Definer::Invoker,
        DefinerMode::Keep => Definer::Keep,
    }
}

/// The statements of views, in the order in which they rest on each other.
pub fn view_statements(
    views: &[ViewPlan],
    names: &PlanNames,
    definer: Definer,
    destination: &ServerInfo,
) -> Vec<(ViewPlan, Result<ViewStatement>)> {
    let sources: Vec<(TableName, String)> =
        views.iter().map(|view| (view.source.clone(), view.create_statement.clone())).collect();
    let statement = |view: &ViewPlan| {
        let statement = rewrite_view(&view.create_statement, &view.source, names, definer)?;
        Ok(ViewStatement { name: view.destination.clone(), statement, session: view.session.at(destination)? })
    };
    order_views(&sources).into_iter().map(|place| (views[place].clone(), statement(&views[place]))).collect()
}
