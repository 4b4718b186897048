//! Stored programs in a trial: routines before the views that may call them, triggers and events after the tables.
//!
//! Nothing is run. Routines are dropped one by one: a server that gives their maker privileges on them takes those back only then.

use super::super::context::Context;
use super::Failure;
use super::scratch::ScratchNames;
use super::steps::Steps;
use crate::connection::Connector;
use crate::create::programs::DefiningSession;
use crate::plan::programs::make::{Making, PlannedProgram, statement};
use crate::plan::programs::names::ProgramNames;
use crate::plan::statements::definer;
use godwit_api::DefinerMode;
use godwit_model::error::{Class, Result};
use godwit_model::program::ProgramKind;

/// Whether a trial makes programs: those of a task that has begun stand there already.
pub(super) fn tried(context: &Context) -> bool {
    context.owned.is_empty() && context.plan.programs.iter().any(|program| program.definition.is_ok())
}

/// The session of a trial's programs, and what it has made.
pub(super) struct Trier {
    session: DefiningSession,
    routines: Vec<PlannedProgram>,
    others: Vec<PlannedProgram>,
    made: Vec<PlannedProgram>,
    pub tried: usize,
    pub failures: Vec<Failure>,
}

impl Trier {
    /// None: there are none to try.
    ///
    /// # Errors
    /// As every connection.
    pub(super) async fn open(destination: &Connector, context: &Context, steps: &Steps) -> Result<Option<Self>> {
        if !tried(context) {
            return Ok(None);
        }
        let plan = steps.plan();
        let names = ProgramNames::new(plan);
        let making = Making {
            definer: definer(&context.spec),
            guarded: plan.incremental,
            source: &context.source.info,
            destination: &context.destination.info,
        };
        // With a definer that may be missing, what is refused is the item ProgramDefiners.
        let is_known = |planned: &PlannedProgram| {
            let accounts = context.accounts.as_ref();
            context.spec.definer == DefinerMode::Invoker || accounts.is_some_and(|known| known.contains(&planned.meant.definer))
        };
        // One that cannot be written is the item StoredPrograms.
        let planned = plan.programs.iter().filter_map(|program| statement(program, &names, making, None).ok()).filter(is_known);
        let is_held = |planned: &PlannedProgram| plan.holds_triggers && planned.statement.name.kind == ProgramKind::Trigger;
        let (routines, others): (Vec<_>, Vec<_>) = planned
            .filter(|planned| !is_held(planned))
            .partition(|planned| matches!(planned.statement.name.kind, ProgramKind::Function | ProgramKind::Procedure));
        let mut session = DefiningSession::open(destination).await?;
        session.not_logged().await?;
        Ok(Some(Self { session, routines, others, made: Vec::new(), tried: 0, failures: Vec::new() }))
    }

    /// Functions and procedures.
    ///
    /// # Errors
    /// What may pass by itself.
    pub(super) async fn routines(&mut self) -> Result<()> {
        let routines = std::mem::take(&mut self.routines);
        self.all(routines).await
    }

    /// Triggers of tables that stand, and events.
    ///
    /// # Errors
    /// What may pass by itself.
    pub(super) async fn others(&mut self, refused: impl Fn(&PlannedProgram) -> bool) -> Result<()> {
        let others = std::mem::take(&mut self.others).into_iter().filter(|planned| !refused(planned)).collect();
        self.all(others).await
    }

    async fn all(&mut self, programs: Vec<PlannedProgram>) -> Result<()> {
        for planned in programs {
            self.tried += 1;
            match self.session.make(&planned.statement).await {
                Ok(()) => self.made.push(planned),
                Err(error) if error.class() == Class::Definite => {
                    self.failures.push(Failure { object: planned.statement.name.to_string(), code: 0, error: error.to_string() });
                }
                Err(error) => return Err(error.context("trying stored programs at the destination")),
            }
        }
        Ok(())
    }

    /// Drops the routines, and gives what was tried and refused, by the names that the objects will have.
    ///
    /// # Errors
    /// What may pass by itself.
    pub(super) async fn close(mut self, names: &ScratchNames) -> Result<(usize, Vec<Failure>)> {
        for planned in &self.made {
            self.session.drop_routine(&planned.statement.name).await?;
        }
        self.session.close().await;
        let told =
            |failure: Failure| Failure { object: names.told(&failure.object), error: names.told(&failure.error), ..failure };
        Ok((self.tried, self.failures.into_iter().map(told).collect()))
    }
}
