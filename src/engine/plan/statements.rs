//! The statements that make a plan's objects at the destination: for the preview, and to know before the start that every
//! definition can be written there.

use super::{Plan, TablePlan};
use crate::api::{MigrationTaskSpec, TableEngine};
use crate::engine::connection::ServerInfo;
use crate::engine::error::Result;
use crate::engine::schema::apply::table_statements;
use crate::engine::schema::names::PlanNames;
use crate::engine::schema::rewrite::{Engine, RewrittenTable};

/// Makes the statements of one table after the other.
pub struct Statements<'a> {
    names: PlanNames,
    engine: Engine,
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
        Self { names: PlanNames::new(plan), engine, source, destination }
    }

    /// CREATE, what follows the rows, and notes on what the destination will not have.
    ///
    /// # Errors
    /// Definite: the definition has no counterpart at the destination.
    pub fn of(&self, table: &TablePlan) -> Result<RewrittenTable> {
        table_statements(table, &self.names, self.source, self.destination, &self.engine)
    }
}
