//! The trial: every CREATE of the schema phase is run at the destination before anything is written there, with the same text, the
//! same session and other database names. What a server refuses (a row too wide, a function that is gone, a collation, a view's syntax)
//! is known before the first row is copied.
//!
//! It happens in databases made for it ([`scratch`]) that are dropped when it ends. A table is made as a temporary one, which
//! costs a tenth; it is made for good where the server takes no temporary one like it, and where a foreign key, a view or a trigger needs it.
//!
//! Overload: a few sessions, however many tables there are. Restart: databases of a trial that was interrupted are dropped by the next one.

mod programs;
mod scratch;
mod steps;
mod worker;

use crate::connection::Connector;
use godwit_model::error::Result;
use godwit_model::names::TableName;

use super::context::Context;
use programs::Trier;
pub(crate) use scratch::{Opened, Scratch};
use steps::Steps;

/// How the trial went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trial {
    /// Not asked for: the manifest leaves it out, definitions are not migrated, or the destination takes no writes.
    #[default]
    LeftOut,
    /// Every object stands at the destination already.
    NothingToMake,
    /// It could not be done or not be finished.
    Impossible {
        why: String,
        remedy: String,
    },
    Done(Tried),
}

/// What was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    pub tables: usize,
    pub views: usize,
    pub table_failures: Vec<Failure>,
    pub view_failures: Vec<Failure>,
    pub programs: usize,
    pub program_failures: Vec<Failure>,
    /// Databases with a trial's name that nothing proves to be one.
    pub unmarked: Vec<String>,
}

/// An object that the destination refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its name at the source.
    pub object: String,
    pub code: u16,
    pub error: String,
}

/// Tries everything that the task would make.
///
/// # Errors
/// What may pass by itself: a lost connection, a lock, a full disk.
pub async fn run(destination: &Connector, context: &Context) -> Result<Trial> {
    if !context.destination.write_obstacles().is_empty() {
        // That is the item DestinationWritable.
        return Ok(Trial::LeftOut);
    }
    let databases = steps::databases(context);
    if databases.is_empty() {
        return Ok(Trial::NothingToMake);
    }
    if let Some((why, remedy)) = scratch::lacking(context) {
        return Ok(Trial::Impossible { why, remedy });
    }
    let mut scratch = match Scratch::open(destination, databases).await? {
        Opened::Yes(scratch) => scratch,
        Opened::Refused(why) => return Ok(Trial::Impossible { why, remedy: scratch::grant(context) }),
    };
    let tried = attempt(destination, context, &mut scratch).await;
    // In any case; an error of the trial itself is the one to tell.
    let closed = scratch.close().await;
    let trial = tried?;
    closed?;
    Ok(trial)
}

async fn attempt(destination: &Connector, context: &Context, scratch: &mut Scratch) -> Result<Trial> {
    let steps = Steps::new(context, scratch.names());
    let mut tried = Tried { tables: steps.tables.len(), unmarked: std::mem::take(&mut scratch.unmarked), ..Tried::default() };
    let mut refused = worker::tables(destination, &steps).await?;
    if refused.denied.is_none() {
        let failed = refused.objects();
        refused.add(worker::foreign_keys(destination, &steps, &failed).await?);
    }
    let mut programs = match refused.denied.is_none() {
        true => Trier::open(destination, context, &steps).await?,
        false => None,
    };
    if let Some(programs) = &mut programs {
        programs.routines().await?;
    }
    if refused.denied.is_none() {
        let views = steps.views(context, &refused.objects());
        tried.views = views.len();
        let view_failures = worker::views(destination, scratch.conn(), &views).await?;
        refused.denied = view_failures.denied;
        tried.view_failures = view_failures.failures;
    }
    if let Some(mut programs) = programs {
        let failed = refused.objects();
        let gone = |table: &TableName| {
            steps.plan().tables.iter().any(|plan| plan.destination == *table && failed.contains(&plan.source))
        };
        programs.others(|planned| planned.table.as_ref().is_some_and(gone)).await?;
        (tried.programs, tried.program_failures) = programs.close(scratch.names()).await?;
    }
    scratch.still_ours().await?;
    if let Some(why) = refused.denied {
        return Ok(Trial::Impossible { why: scratch.names().told(&why), remedy: scratch::grant(context) });
    }
    tried.table_failures = refused.failures;
    for failure in tried.table_failures.iter_mut().chain(&mut tried.view_failures) {
        failure.error = scratch.names().told(&failure.error);
    }
    tried.table_failures.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(Trial::Done(tried))
}
