//! The statement on empty copies of its tables.

use std::collections::BTreeMap;

use super::{Ends, planned, session, spelled};
use crate::checkpoint::StatementSession;
use crate::connection::Role;
use crate::logged::{Ddl, DdlKind, NameRole};
use crate::plan::names::PlanNames;
use crate::plan::statements::{database_options, table_statements};
use crate::plan::{DatabasePlan, Plan, TablePlan};
use crate::precheck::trial::{Opened, Scratch};
use crate::replicate::definition::Defined;
use crate::schema::read::read_tables;
use crate::schema::rewrite::Engine;
use crate::sql;
use crate::sql::lexer::LexMode;
use crate::sql::logged::LoggedDefinition;
use crate::sql::single::Single;
use crate::sql::{Queries, Quoted};
use godwit_model::definition::TableDefinition;
use godwit_model::error::{Context as _, Error, Result};
use godwit_model::names::TableName;

/// A scratch database that stands for one of the source's.
pub(super) struct Shadow {
    scratch: Scratch,
    name: String,
    source: String,
}

impl Shadow {
    /// # Errors
    /// Definite: the account may not make it.
    pub(super) async fn open(ends: &Ends<'_>, database: &DatabasePlan) -> Result<Self> {
        let options = database_options(database, ends.destination_info)?;
        match Scratch::open(ends.destination, BTreeMap::from([(database.destination.clone(), options)])).await? {
            Opened::Yes(scratch) => {
                let name = scratch.names().of(&database.destination).cloned();
                let name = name.ok_or_else(|| Error::definite("a scratch database has no name; this is a bug"))?;
                Ok(Self { scratch, name, source: database.source.clone() })
            }
            Opened::Refused(why) => Err(Error::definite(format!(
                "what it makes of the tables is found out in a scratch database godwit_trial_… at the destination, which cannot be made \
                 ({why}); give the account the privileges that the precheck's item Trial names"
            ))),
        }
    }

    pub(super) async fn close(self) -> Result<()> {
        self.scratch.close().await
    }

    /// The tables that stand with new definitions, and those that are gone, by the source's names.
    ///
    /// # Errors
    /// Definite: the destination does not take the statement.
    pub(super) async fn effects(
        &mut self,
        ends: &Ends<'_>,
        tables: &[&TablePlan],
        defined: &Defined,
        mode: &LexMode,
        settings: &StatementSession,
    ) -> Result<(Vec<TableDefinition>, Vec<TableName>)> {
        let moved = self.moved(ends.plan);
        let names = PlanNames::new(&moved);
        for table in tables {
            let Some(here) = planned(&moved, &table.source) else { continue };
            let made = table_statements(here, &names, ends.source_info, ends.destination_info, &Engine::AsSource)?;
            let rest = made.deferred.iter().map(|deferred| deferred.statement());
            for statement in std::iter::once(made.create.clone()).chain(rest) {
                Single::parse(&statement, &here.destination)?
                    .run(self.scratch.conn())
                    .await
                    .map_err(Error::from)
                    .context(statement)?;
            }
        }
        self.run(&defined.ddl, &defined.text, mode, settings).await?;
        self.scratch.still_ours().await?;
        let mut conn = ends.destination.connect(Role::Metadata).await?;
        let listed: Vec<String> = conn
            .query(sql!("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA={}", Quoted(&self.name)))
            .await?;
        let wanted: Vec<TableName> = listed
            .into_iter()
            .filter(|table| *table != self.name)
            .map(|table| TableName { database: self.name.clone(), table })
            .collect();
        let found = read_tables(&mut conn, &wanted).await?;
        let _ = conn.disconnect().await;
        let mut stands = Vec::new();
        for definition in found {
            stands.push(self.at_source(definition)?);
        }
        let is_there = |table: &&&TablePlan| !stands.iter().any(|definition| definition.table == table.source.table);
        let gone: Vec<TableName> = tables.iter().filter(is_there).map(|table| table.source.clone()).collect();
        if let Some(name) = gone.first().filter(|_| !matches!(defined.ddl.kind, DdlKind::DropTable | DdlKind::RenameTable)) {
            return Err(Error::definite(format!("the copy of {name} is not there any more; this is a bug")));
        }
        // What the statement only looked at stays as it was recorded.
        let changed = |definition: &TableDefinition| defined.ddl.tables.iter().any(|table| table.table == definition.table);
        stands.retain(changed);
        if defined.ddl.kind == DdlKind::TruncateTable {
            stands.clear();
        }
        Ok((stands, gone))
    }

    /// The plan with the database in the shadow's place.
    fn moved(&self, plan: &Plan) -> Plan {
        let mut plan = plan.clone();
        for table in &mut plan.tables {
            if table.source.database == self.source {
                let destination = TableName { database: self.name.clone(), table: table.source.table.clone() };
                *table = std::sync::Arc::new(TablePlan { destination, ..TablePlan::clone(table) });
            }
        }
        for database in plan.databases.iter_mut().filter(|database| database.source == self.source) {
            database.destination.clone_from(&self.name);
        }
        plan
    }

    async fn run(&mut self, ddl: &Ddl, text: &str, mode: &LexMode, settings: &StatementSession) -> Result<()> {
        let here = |name: &TableName| Ok(TableName { database: self.name.clone(), table: name.table.clone() });
        let named = |role| ddl.names.iter().filter(move |name| name.role == role).map(|name| &name.name);
        let conn = self.scratch.conn();
        match ddl.kind {
            DdlKind::TruncateTable => Ok(()),
            DdlKind::DropTable => {
                for name in named(NameRole::Changed).filter(|name| name.database == self.source) {
                    conn.query_drop(sql!("DROP TABLE IF EXISTS {}", here(name)?)).await?;
                }
                Ok(())
            }
            DdlKind::RenameTable => {
                let names: Vec<TableName> = named(NameRole::Changed).map(here).collect::<Result<_>>()?;
                let pairs: Vec<_> = names.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
                Ok(conn.query_drop(super::rename(&pairs)).await?)
            }
            _ => {
                let statement = LoggedDefinition::read(&spelled(ddl, text, &here)?, mode)?;
                // Parents need not be there.
                let settings = StatementSession { foreign_key_checks: false, ..settings.clone() };
                session::set(conn, &settings, text).await?;
                Ok(statement.run(conn).await?)
            }
        }
    }

    /// A definition as the source would have it.
    fn at_source(&self, mut definition: TableDefinition) -> Result<TableDefinition> {
        definition.database.clone_from(&self.source);
        for key in definition.foreign_keys.iter_mut().filter(|key| key.parent_database == self.name) {
            key.parent_database.clone_from(&self.source);
        }
        if definition.create_statement.contains(&self.name) {
            return Err(Error::definite("a definition names its own database, which is not carried over"));
        }
        Ok(definition)
    }
}
