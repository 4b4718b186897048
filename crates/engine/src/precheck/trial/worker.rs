//! Runs a trial's statements, over a few sessions at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mysql_async::Conn;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::scratch::not_logged;
use super::steps::{Step, Steps};
use crate::connection::{Connector, Role, is_access_denied};
use crate::create::apply;
use crate::group::Group;
use crate::schema::view_session::ViewStatement;
use crate::schema::view_session::{CreateError, create_in_session};
use crate::sql;
use crate::sql::single::Single;
use crate::sql::{Name, Queries};
use godwit_model::error::{Class, Error, Result};
use godwit_model::names::TableName;

/// Sessions at once: DDL of several sessions waits for the same locks of the dictionary, so more gain nothing.
const SESSIONS: usize = 4;
/// Tables that are worth a further session.
const TABLES_A_SESSION: usize = 50;
/// Attempts of a statement that another session's was in the way of.
const ATTEMPTS: usize = 5;
/// ER_NO_DB_ERROR: a function is unknown, and the session has no database to look for one.
const NO_DATABASE: u16 = 1046;
/// ER_PROCACCESS_DENIED_ERROR. The account may run what it has made, so this is a function that is nobody's: where it may run no routine of a
/// database, a server does not say that there is none.
const ROUTINE_DENIED: u16 = 1370;

/// What the server did not take.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub failures: Vec<Failure>,
    tables: BTreeSet<TableName>,
    /// The account may not do what was tried.
    pub denied: Option<String>,
}

impl Refused {
    /// Source names of the tables that were refused.
    pub(super) fn objects(&self) -> BTreeSet<TableName> {
        self.tables.clone()
    }

    /// Both together.
    pub(super) fn add(&mut self, other: Self) {
        self.failures.extend(other.failures);
        self.tables.extend(other.tables);
        self.denied = self.denied.take().or(other.denied);
    }

    fn push(&mut self, table: &TableName, error: mysql_async::ServerError) {
        if is_access_denied(&crate::sql::Failure::Server(error.clone())) {
            self.denied.get_or_insert(error.message);
            return;
        }
        self.tables.insert(table.clone());
        self.failures.push(Failure { object: table.to_string(), code: error.code, error: error.message });
    }
}

/// Makes the tables and their indexes.
///
/// # Errors
/// What may pass by itself.
pub(super) async fn tables(destination: &Connector, steps: &Steps) -> Result<Refused> {
    let (last, first): (Vec<Step>, Vec<Step>) = steps.tables.iter().cloned().partition(|step| step.is_merge);
    let mut refused = in_sessions(destination, first, Part::Make).await?;
    if !last.is_empty() {
        refused.add(in_sessions(destination, last, Part::Make).await?);
    }
    Ok(refused)
}

/// Adds the foreign keys between tables that were taken.
///
/// # Errors
/// What may pass by itself.
pub(super) async fn foreign_keys(destination: &Connector, steps: &Steps, failed: &BTreeSet<TableName>) -> Result<Refused> {
    let stands = |name: &TableName| !failed.contains(name);
    let with_keys =
        steps.tables.iter().filter(|step| step.foreign_keys.is_some() && stands(&step.source) && step.parents.iter().all(stands));
    in_sessions(destination, with_keys.cloned().collect(), Part::AddKeys).await
}

/// Makes the views, each after those it reads.
///
/// # Errors
/// What may pass by itself.
pub(super) async fn views(destination: &Connector, conn: &mut Conn, views: &[(TableName, ViewStatement)]) -> Result<Refused> {
    let mut refused = Refused::default();
    for (source, ViewStatement { name, statement, session }) in views {
        match create_in_session(conn, name, statement, session).await {
            Ok(()) => {}
            Err(CreateError::Driver(error)) => {
                let error = definite(error)?;
                if error.code == ROUTINE_DENIED {
                    let error = format!("a function is not known there: {}", error.message);
                    refused.failures.push(Failure { object: source.to_string(), code: ROUTINE_DENIED, error });
                    continue;
                }
                let single = Single::parse(statement, name)?;
                refused.push(source, named(destination, &name.database, &single, error).await?);
            }
            Err(CreateError::Other(error)) if error.class() == Class::Definite => {
                refused.failures.push(Failure { object: source.to_string(), code: 0, error: error.to_string() });
            }
            Err(CreateError::Other(error)) => return Err(error),
        }
    }
    Ok(refused)
}

/// The server's words; what may pass by itself is an error.
fn definite(error: crate::sql::Failure) -> Result<mysql_async::ServerError> {
    let server = match &error {
        crate::sql::Failure::Server(server) => Some(server.clone()),
        _ => None,
    };
    let error = Error::from(error);
    server.filter(|_| !error.is_retryable()).ok_or_else(|| error.context("trying the definitions at the destination"))
}

type Answer = std::result::Result<(), mysql_async::ServerError>;

/// What a session runs: a definition, or a statement made of a constant and a quoted name.
#[derive(Debug, Clone, Copy)]
enum Act<'a> {
    Define(&'a Single),
    /// MariaDB takes some expressions that it cannot read when it opens the table (collations that do not go together).
    Open(&'a TableName),
    Drop(&'a TableName),
    DropTemporary(&'a TableName),
    Use(&'a str),
}

impl Act<'_> {
    async fn run(self, conn: &mut Conn) -> crate::sql::Answer<()> {
        match self {
            Self::Define(single) => single.run(conn).await,
            Self::Open(table) => conn.query_drop(sql!("SELECT 1 FROM {} LIMIT 0", table)).await,
            Self::Drop(table) => conn.query_drop(sql!("DROP TABLE IF EXISTS {}", table)).await,
            Self::DropTemporary(table) => conn.query_drop(sql!("DROP TEMPORARY TABLE {}", table)).await,
            Self::Use(database) => conn.query_drop(sql!("USE {}", Name(database))).await,
        }
    }
}

/// The server's answer; what may pass by itself is an error.
async fn taken(conn: &mut Conn, act: Act<'_>) -> Result<Answer> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match act.run(conn).await {
            Ok(()) => return Ok(Ok(())),
            Err(error) => {
                let server = match &error {
                    crate::sql::Failure::Server(server) => Some(server.clone()),
                    _ => None,
                };
                let error = Error::from(error);
                if error.is_lock_conflict() && attempt < ATTEMPTS {
                    continue;
                }
                match server.filter(|_| !error.is_retryable()) {
                    Some(server) => return Ok(Err(server)),
                    None => return Err(error.context("trying the definitions at the destination")),
                }
            }
        }
    }
}

async fn make(destination: &Connector, conn: &mut Conn, step: &Step) -> Result<Answer> {
    if !step.stays && !step.is_merge && temporary(conn, step).await? {
        return Ok(Ok(()));
    }
    let drop = Act::Drop(&step.table);
    let open = step.is_opened.then_some(Act::Open(&step.table));
    let acts = std::iter::once(Act::Define(&step.create)).chain(open).chain(step.alters.iter().map(Act::Define));
    for act in acts {
        let answer = match act {
            Act::Open(_) => in_new_session(destination, act).await?,
            _ => taken(conn, act).await?,
        };
        if let Err(error) = answer {
            let error = match act {
                Act::Define(single) => named(destination, &step.table.database, single, error).await?,
                _ => error,
            };
            if let Err(error) = taken(conn, drop).await? {
                return Ok(Err(error));
            }
            return Ok(Err(error));
        }
    }
    if !step.stays {
        return taken(conn, drop).await;
    }
    Ok(Ok(()))
}

/// MariaDB refuses to read such an expression once in a session and then takes it (measured on 11.4): the one that tried a temporary table has
/// been refused already.
async fn in_new_session(destination: &Connector, act: Act<'_>) -> Result<Answer> {
    let mut conn = session(destination).await?;
    let answer = taken(&mut conn, act).await;
    let _ = conn.disconnect().await;
    answer
}

/// Whether the server takes the table as a temporary one, which it forgets at once. Where it does not, a real one decides: partitions
/// and full-text indexes, for example, are refused in temporary tables only.
async fn temporary(conn: &mut Conn, step: &Step) -> Result<bool> {
    let Some(create) = step.create.as_temporary() else { return Ok(false) };
    if taken(conn, Act::Define(&create)).await?.is_err() {
        return Ok(false);
    }
    let mut whole = true;
    for alter in &step.alters {
        whole = whole && taken(conn, Act::Define(alter)).await?.is_ok();
    }
    match taken(conn, Act::DropTemporary(&step.table)).await? {
        Ok(()) => Ok(whole),
        Err(error) => Err(Error::definite(format!("dropping the temporary table {}: {}", step.table, error.message))),
    }
}

/// The error with the function's name in it: a session that has a database is told which one the server does not know.
async fn named(
    destination: &Connector,
    database: &str,
    single: &Single,
    error: mysql_async::ServerError,
) -> Result<mysql_async::ServerError> {
    if error.code != NO_DATABASE {
        return Ok(error);
    }
    let mut conn = session(destination).await?;
    let told = match taken(&mut conn, Act::Use(database)).await? {
        Ok(()) => taken(&mut conn, Act::Define(single)).await?,
        Err(error) => Err(error),
    };
    let _ = conn.disconnect().await;
    // With its own code: in views the answer is that a routine of that name may not be run.
    let told = told.err().map_or_else(|| error.message.clone(), |told| told.message);
    Ok(mysql_async::ServerError { message: format!("a function is not known there: {told}"), ..error })
}

async fn add_keys(conn: &mut Conn, step: &Step) -> Result<Answer> {
    match &step.foreign_keys {
        Some(single) => taken(conn, Act::Define(single)).await,
        None => Ok(Ok(())),
    }
}

async fn session(destination: &Connector) -> Result<Conn> {
    let mut conn = destination.connect(Role::Metadata).await?;
    apply::prepare_session(&mut conn).await?;
    not_logged(&mut conn).await?;
    Ok(conn)
}

/// What is done with a table.
#[derive(Debug, Clone, Copy)]
enum Part {
    Make,
    AddKeys,
}

/// Does something with every table, each session with the next one that nobody has.
async fn in_sessions(destination: &Connector, steps: Vec<Step>, part: Part) -> Result<Refused> {
    let sessions = steps.len().div_ceil(TABLES_A_SESSION).min(SESSIONS);
    let (steps, next) = (Arc::new(steps), Arc::new(AtomicUsize::new(0)));
    let mut workers = Group::new("a part of the trial", &CancellationToken::new());
    for _ in 0..sessions {
        let (destination, steps, next, stop) = (destination.clone(), Arc::clone(&steps), Arc::clone(&next), workers.stop());
        workers.spawn(async move {
            let mut conn = session(&destination).await?;
            let mut refused = Refused::default();
            while let Some(step) = steps.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = match part {
                    Part::Make => make(&destination, &mut conn, step).await?,
                    Part::AddKeys => add_keys(&mut conn, step).await?,
                };
                if let Err(error) = answer {
                    refused.push(&step.source, error);
                }
                // What another session failed with is told at once.
                if refused.denied.is_some() || stop.is_cancelled() {
                    break;
                }
            }
            let _ = conn.disconnect().await;
            Ok(refused)
        });
    }
    let mut refused = Refused::default();
    for part in workers.finish().await? {
        refused.add(part);
    }
    Ok(refused)
}
