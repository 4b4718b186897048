//! The schema phase: databases and tables before the rows; secondary indexes, foreign keys and views after them.
//!
//! Every step is recorded before it runs and after it, and may run twice: what exists already because an earlier run
//! was killed behind the statement is found and passed over.

use std::sync::Arc;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::checkpoint::{Claim, Record, TableStage};
use super::connection::{Connector, Role, ServerInfo};
use super::error::{Context, Error, Result};
use super::plan::{Plan, TableName, TablePlan};
use super::progress::Progress;
use super::schema::names::PlanNames;
use super::schema::rewrite::{Deferred, DeferredKind, Engine, RewrittenTable, TableRewrite, rewrite_create_table};
use super::value::read::quote_identifier;
use crate::api::{ConflictPolicy, MigrationTaskSpec, TableEngine};

/// Makes objects at the destination.
#[derive(Clone)]
pub struct Creator {
    pub plan: Arc<Plan>,
    pub names: Arc<PlanNames>,
    pub engine: Engine,
    pub conflict_policy: ConflictPolicy,
    pub source_info: ServerInfo,
    pub destination_info: ServerInfo,
    pub destination: Connector,
    pub record: Record,
    pub claim: Claim,
    pub progress: Progress,
}

/// ER_TABLE_EXISTS_ERROR.
const TABLE_EXISTS: u16 = 1050;

/// The manifest's word for the destination's engine.
pub fn table_engine(spec: &MigrationTaskSpec) -> Engine {
    match spec.destination.mysql.as_ref().map(|mysql| mysql.table_engine) {
        Some(TableEngine::InnoDB) | None => Engine::Named("InnoDB".into()),
        Some(TableEngine::XEngine) => Engine::Named("XENGINE".into()),
        Some(TableEngine::AsSource) => Engine::AsSource,
    }
}

impl Creator {
    /// The destination's statements of a table.
    pub fn rewrite(&self, table: &TablePlan) -> Result<RewrittenTable> {
        let rules = TableRewrite {
            source: table.source.clone(),
            destination: table.destination.clone(),
            key_index: table.key_index.clone(),
            engine: self.engine.clone(),
            // Rows that exist already need all indexes from the start; without a copy nothing is to be waited for.
            defer_indexes: self.plan.full,
            names: &*self.names,
        };
        rewrite_create_table(&table.definition.create_statement, &rules)
    }

    /// Databases and tables.
    pub async fn databases_and_tables(&self, stages: &mut [TableStage]) -> Result<()> {
        let mut conn = self.destination.connect(Role::Metadata).await?;
        self.record.check(&self.claim).await?;
        for database in &self.plan.databases {
            conn.query_drop(format!(
                "CREATE DATABASE IF NOT EXISTS {} CHARACTER SET {} COLLATE {}",
                quote_identifier(&database.destination),
                database.character_set,
                database.collation
            ))
            .await
            .context(format!("creating database {}", database.destination))?;
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
        if self.plan.schema {
            let rewritten = self.rewrite(table)?;
            self.record.set_table_stage(&self.claim, definition, TableStage::Creating).await?;
            let made = conn.query_drop(rewritten.create.as_str()).await;
            match made {
                Ok(()) => {}
                Err(mysql_async::Error::Server(error)) if error.code == TABLE_EXISTS => {
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
                    self.progress.schema_failed(table.destination.to_string(), &rewritten.create, error.to_string());
                    return Err(error.context(format!("creating table {}", table.destination)));
                }
            }
            for note in &rewritten.notes {
                tracing::warn!(table = %table.destination, "{note}");
            }
        }
        self.record.set_table_stage(&self.claim, definition, TableStage::Created).await
    }

    /// Secondary indexes of a copied table.
    pub async fn indexes(&self, table: &Arc<TablePlan>) -> Result<()> {
        self.deferred(table, |kind| kind != DeferredKind::ForeignKeys).await
    }

    /// Foreign keys, after all indexes of all tables.
    pub async fn foreign_keys(&self) -> Result<()> {
        for table in &self.plan.tables {
            if !table.definition.foreign_keys.is_empty() {
                self.deferred(table, |kind| kind == DeferredKind::ForeignKeys).await?;
            }
        }
        Ok(())
    }

    async fn deferred(&self, table: &Arc<TablePlan>, wanted: impl Fn(DeferredKind) -> bool) -> Result<()> {
        if !self.plan.schema {
            return Ok(());
        }
        let rewritten = self.rewrite(table)?;
        let steps: Vec<&Deferred> = rewritten.deferred.iter().filter(|step| wanted(step.kind)).collect();
        if steps.is_empty() {
            return Ok(());
        }
        self.record.check(&self.claim).await?;
        let mut conn = self.destination.connect(Role::Metadata).await?;
        for step in steps {
            let existing = existing_names(&mut conn, &table.destination).await?;
            let exists = |name: &str| existing.iter().any(|other| other.eq_ignore_ascii_case(name));
            let Some(statement) = step.statement_without(exists) else { continue };
            if let Err(error) = conn.query_drop(statement.as_str()).await {
                let error = Error::from(error);
                self.progress.schema_failed(table.destination.to_string(), &statement, error.to_string());
                return Err(error.context(format!("adding indexes or foreign keys to {}", table.destination)));
            }
        }
        let _ = conn.disconnect().await;
        Ok(())
    }
}

/// Names of the indexes and foreign keys that a table has.
async fn existing_names(conn: &mut Conn, table: &TableName) -> Result<Vec<String>> {
    let names: Vec<String> = conn
        .exec(
            "SELECT index_name FROM information_schema.statistics WHERE table_schema=? AND table_name=? \
             UNION SELECT constraint_name FROM information_schema.table_constraints \
             WHERE table_schema=? AND table_name=? AND constraint_type='FOREIGN KEY'",
            (&table.database, &table.table, &table.database, &table.table),
        )
        .await?;
    Ok(names)
}
