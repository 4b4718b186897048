//! The schema phase: databases and tables before the rows; secondary indexes, foreign keys and views after them.
//!
//! CREATE TABLE is recorded before it runs and after it. Every step may run twice: what exists already because an earlier run was killed behind the
//! statement (a table, an index, a foreign key, a view) is found and passed over.

pub mod apply;
pub(crate) mod programs;

use std::sync::Arc;

use mysql_async::Conn;

use super::checkpoint::{Claim, TableStage};
use super::connection::{Connector, Role};
use super::destination::Records;
use super::plan::names::PlanNames;
use super::plan::statements::{Statements, definer, view_statements};
use super::plan::{Plan, TablePlan};
use super::progress::Progress;
use super::schema::rewrite::{Deferred, DeferredKind, RewrittenTable};
use super::schema::view::Definer;
use super::sql::single::Single;
use super::stall::Watch;
use godwit_api::{ConflictPolicy, MigrationTaskSpec};
use godwit_model::error::{Error, Result};
use godwit_model::server::ServerInfo;

/// Makes objects at the destination.
#[derive(Clone)]
pub(crate) struct Creator {
    plan: Arc<Plan>,
    /// The destination's statements, by `TablePlan::id`.
    statements: Arc<Vec<RewrittenTable>>,
    conflict_policy: ConflictPolicy,
    definer: Definer,
    destination_info: ServerInfo,
    destination: Connector,
    pub records: Arc<dyn Records>,
    pub claim: Claim,
    pub progress: Progress,
}

/// ER_TABLE_EXISTS_ERROR.
const TABLE_EXISTS: u16 = 1050;

impl Creator {
    /// Prepares the statements of all objects.
    ///
    /// # Errors
    /// Definite: a definition has no counterpart at the destination.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn new(
        spec: &MigrationTaskSpec,
        plan: &Arc<Plan>,
        source_info: &ServerInfo,
        destination_info: &ServerInfo,
        destination: &Connector,
        records: &Arc<dyn Records>,
        claim: Claim,
        progress: &Progress,
    ) -> Result<Self> {
        let mut statements = Vec::new();
        if plan.schema {
            let maker = Statements::new(spec, plan, source_info, destination_info);
            for table in &plan.tables {
                statements.push(maker.of(table)?);
            }
        }
        Ok(Self {
            plan: Arc::clone(plan),
            statements: Arc::new(statements),
            conflict_policy: spec.conflict_policy,
            definer: definer(spec),
            destination_info: destination_info.clone(),
            destination: destination.clone(),
            records: Arc::clone(records),
            claim,
            progress: progress.clone(),
        })
    }

    /// Databases and tables.
    pub(crate) async fn databases_and_tables(&self, stages: &mut [TableStage]) -> Result<()> {
        let mut conn = self.session().await?;
        self.records.check(self.claim).await?;
        if self.plan.schema {
            for database in &self.plan.databases {
                apply::create_database(&mut conn, database, &self.destination_info).await?;
            }
        }
        for (table, stage) in self.plan.tables.iter().zip(stages.iter_mut()) {
            if *stage >= TableStage::Created {
                continue;
            }
            self.table(&mut conn, table, *stage).await?;
            *stage = TableStage::Created;
        }
        let _ = conn.disconnect().await;
        self.progress.schema_counts(self.plan.databases.len() as u64, self.plan.tables.len() as u64, 0);
        Ok(())
    }

    async fn table(&self, conn: &mut Conn, table: &Arc<TablePlan>, stage: TableStage) -> Result<()> {
        let definition = &table.definition;
        if let Some(rewritten) = self.statements.get(table.id as usize) {
            self.records.set_table_stage(self.claim, definition, TableStage::Creating).await?;
            let made = Single::parse(&rewritten.create, &table.destination)?.run(conn).await;
            match made {
                Ok(()) => {}
                Err(crate::sql::Failure::Server(error)) if error.code == TABLE_EXISTS => {
                    let own = stage == TableStage::Creating;
                    if !own && self.conflict_policy == ConflictPolicy::PrecheckAndReportErrors {
                        return Err(Error::definite(format!(
                            "{} appeared at the destination after the precheck; drop it, map the table to another name, or set \
                             conflictPolicy: IgnoreErrorsAndProceed",
                            table.destination
                        )));
                    }
                }
                Err(error) => {
                    let error = Error::from(error);
                    self.failed(table, &rewritten.create, &error);
                    return Err(error.context(format!("creating table {}", table.destination)));
                }
            }
            for note in &rewritten.notes {
                tracing::warn!(table = %table.destination, "{note}");
            }
        }
        self.records.set_table_stage(self.claim, definition, TableStage::Created).await
    }

    /// Reports a statement that the destination does not take; what is tried again is none.
    fn failed(&self, table: &TablePlan, statement: &str, error: &Error) {
        if !error.is_retryable() && !error.is_alter_outrun() {
            self.progress.schema_failed(table.destination.to_string(), statement, error.to_string());
        }
    }

    /// Secondary indexes of a copied table.
    pub(crate) async fn indexes(&self, table: &Arc<TablePlan>) -> Result<()> {
        self.deferred(table, |kind| kind != DeferredKind::ForeignKeys).await
    }

    /// Tables that get foreign keys.
    pub(crate) fn with_foreign_keys(&self) -> impl Iterator<Item = &Arc<TablePlan>> {
        let gets = |statements: &&RewrittenTable| statements.deferred.iter().any(|step| step.kind == DeferredKind::ForeignKeys);
        self.plan.tables.iter().filter(move |table| self.statements.get(table.id as usize).filter(gets).is_some())
    }

    /// Foreign keys of a table, after all indexes of all tables. Nobody writes into it and its relations meanwhile.
    pub(crate) async fn foreign_keys(&self, table: &Arc<TablePlan>) -> Result<()> {
        self.deferred(table, |kind| kind == DeferredKind::ForeignKeys).await
    }

    async fn deferred(&self, table: &Arc<TablePlan>, wanted: fn(DeferredKind) -> bool) -> Result<()> {
        let Some(rewritten) = self.statements.get(table.id as usize) else { return Ok(()) };
        let steps: Vec<Deferred> = rewritten.deferred.iter().filter(|step| wanted(step.kind)).cloned().collect();
        if steps.is_empty() {
            return Ok(());
        }
        self.records.check(self.claim).await?;
        let mut conn = self.session().await?;
        for step in steps {
            // It may work for hours; that it does is what the server says.
            let watch = Watch::new(&self.destination, &conn);
            if let Err(error) = watch.over(apply::run_deferred(&mut conn, &step)).await {
                self.failed(table, &step.statement(), &error);
                return Err(error.context(format!("adding indexes or foreign keys to {}", table.destination)));
            }
        }
        let _ = conn.disconnect().await;
        Ok(())
    }

    /// Views, in the order in which they rest on each other. One that the destination refuses is reported; the data is
    /// not worth less for it.
    pub(crate) async fn views(&self) -> Result<()> {
        if !self.plan.schema || self.plan.views.is_empty() {
            return Ok(());
        }
        let names = PlanNames::new(&self.plan);
        let mut statements = Vec::new();
        for (view, statement) in view_statements(&self.plan.views, &names, self.definer, &self.destination_info) {
            match statement {
                Ok(statement) => statements.push(statement),
                Err(error) => {
                    self.progress.schema_failed(view.destination.to_string(), &view.create_statement, error.to_string());
                }
            }
        }
        self.records.check(self.claim).await?;
        let mut conn = self.session().await?;
        // A view of that name was refused by the precheck or is this task's own, made before a crash.
        let mut made = statements.len() as u64;
        for failure in apply::create_views(&mut conn, &statements, |_| true).await? {
            tracing::warn!(view = %failure.object, error = %failure.error, "view not created");
            self.progress.schema_failed(failure.object.to_string(), &failure.statement, failure.error);
            made -= 1;
        }
        let _ = conn.disconnect().await;
        self.progress.schema_counts(self.plan.databases.len() as u64, self.plan.tables.len() as u64, made);
        Ok(())
    }

    async fn session(&self) -> Result<Conn> {
        let mut conn = self.destination.connect(Role::Metadata).await?;
        apply::prepare_session(&mut conn).await?;
        Ok(conn)
    }
}
