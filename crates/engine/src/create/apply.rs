//! Creates objects at the destination, one at a time, so that the caller can record intent, run, record done.
//!
//! DDL does not commit together with a record. After a crash the caller says which objects it had meant to make;
//! one of those that exists already is taken as made. What an ALTER adds is looked for before it is added.

use mysql_async::Conn;

use crate::connection::{STRICT_SQL_MODE, server_info};
use crate::plan::DatabasePlan;
use crate::plan::statements::create_database_statement;
use crate::schema::ObjectFailure;
use crate::schema::read::rows;
use crate::schema::rewrite::{Deferred, DeferredKind};
use crate::schema::view_session::{CreateError, ViewStatement, create_in_session};
use crate::sql;
use crate::sql::single::Single;
use crate::sql::{Queries, Quoted, Sql};
use godwit_model::error::{Class, Context, Error, Result};
use godwit_model::names::TableName;
use godwit_model::server::ServerInfo;

/// Settings that some servers lack and some accounts may not change; each has its own statement.
const WHERE_POSSIBLE: &[&str] = &[
    // TIMESTAMP columns are exactly what the text says.
    "explicit_defaults_for_timestamp=1",
    // A table without a key stays without one.
    "sql_generate_invisible_primary_key=0",
    "sql_require_primary_key=0",
    // Foreign keys onto part of a key, which older servers allow.
    "restrict_fk_on_non_standard_key=0",
    "lock_wait_timeout=3600",
    // MariaDB before 11.5: what an ALTER may not do otherwise.
    "alter_algorithm='DEFAULT'",
];

/// ER_TABLE_EXISTS_ERROR.
const EXISTS: u16 = 1050;
/// ER_DUP_KEYNAME, ER_FK_DUP_NAME, ER_DUP_KEY (InnoDB, a foreign key's name), ER_CHECK_CONSTRAINT_DUP_NAME.
const ADDED_MEANWHILE: &[u16] = &[1061, 1826, 1022, 3822];

/// Makes a session ready for definitions.
///
/// # Errors
/// When the connection fails or a setting that every server has is refused.
pub async fn prepare_session(conn: &mut Conn) -> Result<ServerInfo> {
    let info = server_info(conn).await?;
    // Definitions are taken as they are or refused: nothing is shortened or substituted silently, and zero and invalid dates, which
    // older tables have for defaults, are taken.
    let mode = sql!("SET SESSION sql_mode='{}', foreign_key_checks=0, unique_checks=1", STRICT_SQL_MODE);
    for statement in [Sql::new("SET NAMES utf8mb4"), mode] {
        conn.query_drop(&statement).await.context(statement)?;
    }
    for setting in WHERE_POSSIBLE {
        match conn.query_drop(sql!("SET SESSION {}", *setting)).await {
            Ok(()) | Err(crate::sql::Failure::Server(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(info)
}

/// Creates a database unless it exists.
///
/// # Errors
/// From the server, with what to do when the account may not or the name is refused.
pub async fn create_database(conn: &mut Conn, database: &DatabasePlan, destination: &ServerInfo) -> Result<()> {
    let statement = create_database_statement(database, destination)?;
    conn.query_drop(statement).await.map_err(|error| {
        let error = Error::from(error);
        if error.class() != Class::Definite {
            return error.context(format!("creating database {}", database.destination));
        }
        let name = &database.destination;
        Error::definite(format!(
            "database {name} cannot be created: {error}; create it at the destination by hand, or map it to another name"
        ))
    })
}

/// Whether an object was made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    Now,
    /// By this task before it was interrupted.
    Before,
}

/// Runs a CREATE TABLE. `intended`: this task had recorded the intent before, so an object of that
/// name is its own.
///
/// # Errors
/// From the server; definite when a foreign object has the name.
pub async fn create_object(conn: &mut Conn, name: &TableName, statement: &str, intended: bool) -> Result<Made> {
    match Single::parse(statement, name)?.run(conn).await {
        Ok(()) => Ok(Made::Now),
        Err(error) => not_made(error, name, intended),
    }
}

/// What an error of a CREATE means.
fn not_made(error: crate::sql::Failure, name: &TableName, intended: bool) -> Result<Made> {
    match error {
        crate::sql::Failure::Server(error) if error.code == EXISTS && intended => Ok(Made::Before),
        crate::sql::Failure::Server(error) if error.code == EXISTS => Err(Error::definite(format!(
            "{name} exists at the destination and was not made by this task; drop or rename it, map the table to another name, or set conflictPolicy to IgnoreErrorsAndProceed"
        ))),
        error => Err(Error::from(error).context(format!("creating {name}"))),
    }
}

/// Runs an ALTER that was put off, without what the table has already. Indexes of all tables go before foreign
/// keys of any: a parent needs its index.
///
/// # Errors
/// From the server; definite when the table is gone.
pub async fn run_deferred(conn: &mut Conn, deferred: &Deferred) -> Result<Made> {
    let table = &deferred.table;
    // A lost connection may have left the same ALTER running: it ends before ours gets the table, and then ours
    // finds the names taken.
    let mut last = None;
    for _ in 0..3 {
        let existing = existing_names(conn, table, deferred.kind).await?;
        let Some(statement) = deferred.statement_without(|name| existing.iter().any(|own| own.eq_ignore_ascii_case(name))) else {
            return Ok(Made::Before);
        };
        match Single::parse(&statement, table)?.run(conn).await {
            Ok(()) => return Ok(Made::Now),
            Err(crate::sql::Failure::Server(error)) if ADDED_MEANWHILE.contains(&error.code) => last = Some((error, statement)),
            Err(error) => return Err(Error::from(error).context(statement)),
        }
    }
    let (error, statement) = last.map_or_else(Default::default, |(error, statement)| (error.to_string(), statement));
    Err(Error::definite(format!("{statement}: {error}")))
}

/// Names of a table's indexes or foreign keys. Not from SHOW CREATE TABLE, where MariaDB prints backticks in
/// constraint names unescaped.
async fn existing_names(conn: &mut Conn, table: &TableName, kind: DeferredKind) -> Result<Vec<String>> {
    let place = |schema: &'static str| sql!("{} = {} AND table_name = {}", schema, Quoted(&table.database), Quoted(&table.table));
    let tables: Vec<String> =
        rows(conn, &sql!("SELECT table_name FROM information_schema.tables WHERE {}", place("table_schema"))).await?;
    if tables.is_empty() {
        return Err(Error::definite(format!("{table} is gone at the destination; copy the table again")));
    }
    let statement = match kind {
        DeferredKind::ForeignKeys => {
            sql!("SELECT constraint_name FROM information_schema.referential_constraints WHERE {}", place("constraint_schema"))
        }
        DeferredKind::Indexes | DeferredKind::SingleIndex => {
            sql!("SELECT DISTINCT index_name FROM information_schema.statistics WHERE {}", place("table_schema"))
        }
    };
    rows(conn, &statement).await
}

/// Creates views in the order given (see [`crate::schema::view::order_views`]); one that the server
/// refuses is reported, and the others are made all the same.
///
/// # Errors
/// Only what may pass by itself: a lost connection, a lock.
pub async fn create_views(
    conn: &mut Conn,
    views: &[ViewStatement],
    intended: impl Fn(&TableName) -> bool,
) -> Result<Vec<ObjectFailure>> {
    let mut failures = Vec::new();
    for ViewStatement { name, statement, session } in views {
        let made = match create_in_session(conn, name, statement, session).await {
            Ok(()) => Ok(Made::Now),
            Err(CreateError::Driver(error)) => not_made(error, name, intended(name)),
            Err(CreateError::Other(error)) => Err(error),
        };
        match made {
            Ok(_) => {}
            Err(error) if error.class() == Class::Definite => {
                failures.push(ObjectFailure { object: name.clone(), statement: statement.clone(), error: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(failures)
}
