//! Makes the programs of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::accounts::{Accounts, accounts};
use super::session::DefiningSession;
use crate::connection::Connector;
use crate::plan::programs::make::{Beside, Making, PlannedProgram, statement};
use crate::plan::programs::names::ProgramNames;
use crate::plan::statements::definer;
use crate::plan::{Plan, ProgramPlan};
use crate::progress::Progress;
use crate::schema::compare::normal_collation;
use crate::schema::program::compare::differences;
use crate::schema::program::read::{ListedProgram, read_programs};
use crate::schema::program::{Head, Moment, ProgramDefinition};
use crate::schema::read::read_database;
use crate::schema::view::Definer;
use godwit_api::{ConflictPolicy, MigrationTaskSpec};
use godwit_model::error::{Class, Error, Result};
use godwit_model::names::TableName;
use godwit_model::program::{ProgramKind, ProgramName};
use godwit_model::server::ServerInfo;

/// Makes procedures, functions, triggers and events at the destination.
#[derive(Clone)]
pub(crate) struct Programs {
    plan: Arc<Plan>,
    names: Arc<ProgramNames>,
    definer: Definer,
    conflict_policy: ConflictPolicy,
    source_info: ServerInfo,
    destination_info: ServerInfo,
    destination: Connector,
    progress: Progress,
    /// Those that stand there by now.
    made: Arc<Mutex<BTreeSet<ProgramName>>>,
}

/// The session in which programs are made, and what the destination has by now.
pub(crate) struct Work {
    programs: Programs,
    session: DefiningSession,
    there: There,
}

/// What the destination has before something is made.
#[derive(Default)]
struct There {
    programs: BTreeMap<ProgramName, ListedProgram>,
    collations: BTreeMap<String, String>,
    accounts: Accounts,
}

/// Why a program was not made, with the statement that would have made it.
struct Refused {
    statement: String,
    error: Error,
}

impl Programs {
    pub(crate) fn new(
        spec: &MigrationTaskSpec,
        plan: &Arc<Plan>,
        source_info: &ServerInfo,
        destination_info: &ServerInfo,
        destination: &Connector,
        progress: &Progress,
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            names: Arc::new(ProgramNames::new(plan)),
            definer: definer(spec),
            conflict_policy: spec.conflict_policy,
            source_info: source_info.clone(),
            destination_info: destination_info.clone(),
            destination: destination.clone(),
            progress: progress.clone(),
            made: Arc::default(),
        }
    }

    /// Looks at what the destination has, for what is made next.
    ///
    /// # Errors
    /// What passes by itself.
    pub(crate) async fn begin(&self) -> Result<Work> {
        let mut session = DefiningSession::open(&self.destination).await?;
        let databases: BTreeSet<&str> = self.plan.programs.iter().map(|program| program.destination.database.as_str()).collect();
        let mut there = There::default();
        for database in databases {
            let listed = read_programs(&mut session.conn, database).await?;
            there.programs.extend(listed.into_iter().map(|program| (program.name.clone(), program)));
            if let Some((_, collation)) = read_database(&mut session.conn, database).await? {
                there.collations.insert(database.to_owned(), collation);
            }
        }
        if self.definer == Definer::Keep {
            there.accounts = accounts(&mut session.conn).await?;
        }
        Ok(Work { programs: self.clone(), session, there })
    }

    /// The tables that get triggers, by their ids in the plan, in the order of the plan.
    pub(crate) fn with_triggers(&self) -> Vec<u32> {
        if self.plan.holds_triggers {
            return Vec::new();
        }
        let tables: BTreeSet<&TableName> = self.plan.programs.iter().filter_map(|program| program.table.as_ref()).collect();
        self.plan.tables.iter().filter(|table| tables.contains(&table.destination)).map(|table| table.id).collect()
    }

    /// Tells of triggers that are left to a person.
    pub(crate) fn tell_held(&self) {
        if self.plan.holds_triggers {
            let held = self.plan.programs.iter().filter(|program| program.source.kind == ProgramKind::Trigger);
            self.progress.set_held_triggers(held.map(|program| program.destination.to_string()).collect());
        }
    }

    fn making(&self) -> Making<'_> {
        Making {
            definer: self.definer,
            guarded: self.plan.incremental,
            source: &self.source_info,
            destination: &self.destination_info,
        }
    }

    async fn one(
        &self,
        session: &mut DefiningSession,
        program: &ProgramPlan,
        there: &mut There,
    ) -> Result<std::result::Result<(), Refused>> {
        let place = beside(program, &self.plan.programs, there);
        let planned = match statement(program, &self.names, self.making(), place.as_ref()) {
            Ok(planned) => planned,
            Err(error) => return Ok(Err(Refused { statement: String::new(), error })),
        };
        let name = &planned.statement.name;
        let refused = |error: Error| Ok(Err(Refused { statement: planned.statement.program.as_str().to_owned(), error }));
        if let Some(own) = there.programs.get(name) {
            return match self.is_meant(&planned, own) {
                Ok(()) => Ok(Ok(())),
                Err(error) => refused(error),
            };
        }
        if let Err(error) = self.may_be_made(&planned, there) {
            return refused(error);
        }
        match session.make(&planned.statement).await {
            Ok(()) => {
                let definition = Ok(ProgramDefinition { guarded: self.plan.incremental, ..planned.meant.clone() });
                let listed = ListedProgram { name: name.clone(), table: planned.table.clone(), definition };
                there.programs.insert(name.clone(), listed);
                Ok(Ok(()))
            }
            // A table that others hold for long is no reason to begin anew: the next start tries again.
            Err(error) if error.class() == Class::Definite || error.is_lock_conflict() => refused(error),
            Err(error) => Err(error.context(format!("making {name}"))),
        }
    }

    /// Whether what stands there is what would be made.
    fn is_meant(&self, planned: &PlannedProgram, own: &ListedProgram) -> Result<()> {
        let name = &planned.statement.name;
        let own = match &own.definition {
            Ok(own) => own,
            // Definers of others hide their routines from the account that made them.
            Err(why) if self.definer == Definer::Keep && name.kind != ProgramKind::Trigger => {
                tracing::warn!(program = %name, %why, "a program stands at the destination and cannot be compared");
                return Ok(());
            }
            Err(why) => return Err(Error::definite(format!("{name} stands at the destination: {why}"))),
        };
        let found = differences(&planned.meant, &self.source_info, own, &self.destination_info);
        let keeps = self.conflict_policy == ConflictPolicy::IgnoreErrorsAndProceed;
        if let Some(found) = found.first().filter(|_| !keeps) {
            return Err(Error::definite(format!(
                "{name} stands at the destination and says something else ({}); DROP it there, then the task makes it at its next start",
                found.what
            )));
        }
        if name.kind == ProgramKind::Trigger && self.plan.incremental && !own.guarded {
            return Err(Error::definite(format!(
                "{name} stands at the destination and fires for the rows that the task writes; DROP it there, then the task makes it at its next \
                 start"
            )));
        }
        Ok(())
    }

    fn may_be_made(&self, planned: &PlannedProgram, there: &There) -> Result<()> {
        let name = &planned.statement.name;
        let collation = there.collations.get(&name.database);
        let is_same = |own: &String| normal_collation(own) == normal_collation(&planned.database_collation);
        if planned.meant.depends_on_database() && collation.is_some_and(|own| !is_same(own)) {
            return Err(Error::definite(format!(
                "{name}: its parameters or variables have the collation {} of the database it was made in, and the destination's database has {}; \
                 say their character set, or create it again at the source",
                planned.database_collation,
                collation.map_or("another", String::as_str)
            )));
        }
        // A trigger whose definer does not exist fails every statement on its table (1449), ours as well.
        if self.definer == Definer::Keep
            && let Some(accounts) = &there.accounts
            && !accounts.contains(&planned.meant.definer)
        {
            let (account, host) = &planned.meant.definer;
            return Err(Error::definite(format!(
                "{name}: its definer '{account}'@'{host}' does not exist at the destination; CREATE USER it there, or set definer: Invoker"
            )));
        }
        if self.definer == Definer::Keep && there.accounts.is_none() && name.kind == ProgramKind::Trigger {
            return Err(Error::definite(format!(
                "{name}: whether its definer exists at the destination cannot be seen, and without it every write to the table fails; GRANT SELECT \
                 ON mysql.user, or set definer: Invoker"
            )));
        }
        Ok(())
    }

    fn tell(&self, program: &ProgramPlan, refused: &Refused) {
        tracing::warn!(program = %program.destination, error = %refused.error, "stored program not made");
        self.progress.schema_failed(program.destination.to_string(), &refused.statement, refused.error.to_string());
    }

    fn count(&self, name: &ProgramName) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(name.clone());
        let of = |kind: ProgramKind| made.iter().filter(|name| name.kind == kind).count() as u64;
        self.progress.program_counts(
            of(ProgramKind::Procedure),
            of(ProgramKind::Function),
            of(ProgramKind::Trigger),
            of(ProgramKind::Event),
        );
        self.progress.schema_made(&name.to_string());
    }
}

impl Work {
    /// Functions and procedures: before the views, which may call them.
    ///
    /// # Errors
    /// What passes by itself.
    pub(crate) async fn routines(&mut self) -> Result<()> {
        self.make(|program| matches!(program.source.kind, ProgramKind::Function | ProgramKind::Procedure)).await
    }

    /// Events, all of them disabled.
    ///
    /// # Errors
    /// What passes by itself.
    pub(crate) async fn events(&mut self) -> Result<()> {
        self.make(|program| program.source.kind == ProgramKind::Event).await
    }

    /// The triggers of a table, in their order. Where one is missing, nobody of the task writes into the table meanwhile: the server waits for
    /// open transactions.
    ///
    /// # Errors
    /// What passes by itself.
    pub(crate) async fn triggers(&mut self, table: u32) -> Result<()> {
        let plan = Arc::clone(&self.programs.plan);
        let Some(table) = plan.tables.get(table as usize) else { return Ok(()) };
        self.make(|program| program.table.as_ref() == Some(&table.destination)).await
    }

    /// Whether all triggers of a table are there, so that none has to be made.
    pub(crate) fn has_triggers(&self, table: u32) -> bool {
        let plan = &self.programs.plan;
        let table = plan.tables.get(table as usize).map(|table| &table.destination);
        let mut triggers = plan.programs.iter().filter(|program| program.table.is_some() && program.table.as_ref() == table);
        triggers.all(|program| self.there.programs.contains_key(&program.destination))
    }

    /// Ends the session.
    pub(crate) async fn end(self) {
        self.session.close().await;
    }

    async fn make(&mut self, wanted: impl Fn(&ProgramPlan) -> bool) -> Result<()> {
        let Self { programs, session, there } = self;
        let plan = Arc::clone(&programs.plan);
        let mut open: Vec<&ProgramPlan> = plan.programs.iter().filter(|program| wanted(program)).collect();
        loop {
            let before = open.len();
            let mut refused = Vec::new();
            for program in open {
                match programs.one(session, program, there).await? {
                    Ok(()) => programs.count(&program.destination),
                    Err(why) => refused.push((program, why)),
                }
            }
            // One may have waited for another that came behind it.
            if refused.is_empty() || refused.len() == before {
                refused.into_iter().for_each(|(program, why)| programs.tell(program, &why));
                return Ok(());
            }
            open = refused.into_iter().map(|(program, _)| program).collect();
        }
    }
}

/// Where a trigger stands among those of its table and moment that are there: behind the nearest one before it, else in front of the nearest one
/// behind it.
fn beside(program: &ProgramPlan, all: &[ProgramPlan], there: &There) -> Option<Beside> {
    let place = |program: &ProgramPlan| -> Option<(Moment, u64)> {
        match &program.definition.as_ref().ok()?.head {
            Head::Trigger { moment, order, .. } => Some((*moment, *order)),
            _ => None,
        }
    };
    let (moment, order) = place(program)?;
    let stands = |other: &&ProgramPlan| other.table == program.table && there.programs.contains_key(&other.destination);
    let others: Vec<(u64, &str)> = all
        .iter()
        .filter(stands)
        .filter_map(|other| {
            let (other_moment, other_order) = place(other)?;
            (other_moment == moment && other_order != order).then_some((other_order, other.destination.name.as_str()))
        })
        .collect();
    let before = others.iter().filter(|(other, _)| *other < order).max();
    let behind = others.iter().filter(|(other, _)| *other > order).min();
    match (before, behind) {
        (Some((_, name)), _) => Some(Beside::Follows((*name).to_owned())),
        (None, Some((_, name))) => Some(Beside::Precedes((*name).to_owned())),
        (None, None) => None,
    }
}

#[cfg(test)]
#[path = "maker_tests.rs"]
mod tests;
