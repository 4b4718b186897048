//! What is recorded, carried out at the destination.

use std::time::Duration;

use mysql_async::Conn;

use super::{defining, fingerprint, rename, session};
use crate::checkpoint::{Claim, SchemaChange, SchemaStep, TableEffect};
use crate::connection::Connector;
use crate::destination::Records;
use crate::destination::mysql::Record;
use crate::schema::read::read_tables;
use crate::sql;
use crate::sql::lexer::LexMode;
use crate::sql::logged::LoggedDefinition;
use crate::sql::single::Single;
use crate::sql::{Queries, Quoted, Sql};
use crate::stall::Watch;
use godwit_model::definition::{Column, Index};
use godwit_model::error::{Context as _, Error, Result};
use godwit_model::names::TableName;

/// How long a session that was killed may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// ER_TABLE_EXISTS_ERROR, ER_DUP_KEYNAME, ER_FK_DUP_NAME, ER_DUP_KEY, ER_CHECK_CONSTRAINT_DUP_NAME: an earlier run has come as far.
const MADE_BEFORE: &[u16] = &[1050, 1061, 1826, 1022, 3822];

/// Carries the change out unless it was, and records that it is. The claim is this engine's own.
///
/// # Errors
/// Fenced when another engine has claimed the task; definite when the destination does not take the statement.
pub(crate) async fn finish(destination: &Connector, record: &Record, claim: Claim, change: &SchemaChange) -> Result<()> {
    let mut conn = defining(destination).await?;
    alone(&mut conn, record, claim).await?;
    // Under the lock: from here on no other engine carries anything out for this task.
    record.check(claim).await?;
    let watch = Watch::new(destination, &conn);
    watch.over(carry_out(&mut conn, change)).await.context(format!("carrying out at the destination: {}", change.shown))?;
    let _ = conn.disconnect().await;
    record.conclude(claim, change).await
}

/// Holds the task's lock for definitions, and ends the session of whoever holds it.
async fn alone(conn: &mut Conn, record: &Record, claim: Claim) -> Result<()> {
    let name = format!("godwit.ddl.{:016x}", xxhash_rust::xxh3::xxh3_64(record.task().as_bytes()));
    let began = tokio::time::Instant::now();
    while began.elapsed() < ENDS_WITHIN {
        let got: Option<Option<bool>> = conn.query_first(sql!("SELECT GET_LOCK({}, 1)", Quoted(&name))).await?;
        if got.flatten() == Some(true) {
            return Ok(());
        }
        record.check(claim).await?;
        let holder: Option<Option<u64>> = conn.query_first(sql!("SELECT IS_USED_LOCK({})", Quoted(&name))).await?;
        if let Some(holder) = holder.flatten() {
            match conn.query_drop(sql!("KILL {}", holder)).await {
                Ok(()) | Err(crate::sql::Failure::Server(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Err(Error::transient("a session of an earlier engine still works on a definition at the destination"))
}

async fn carry_out(conn: &mut Conn, change: &SchemaChange) -> Result<()> {
    match &change.step {
        SchemaStep::Nothing => Ok(()),
        // Whoever comes after a crash does these once more, which changes nothing: no row after this place is there yet.
        SchemaStep::Truncate(table) => Ok(conn.query_drop(sql!("TRUNCATE TABLE {}", table)).await?),
        SchemaStep::Drop(tables) => Ok(conn.query_drop(sql!("DROP TABLE IF EXISTS {}", Sql::list(tables))).await?),
        SchemaStep::Create { statement, then } => create(conn, change, statement, then).await,
        SchemaStep::Rename(_) | SchemaStep::Alter { .. } if !is_as_before(conn, &change.before).await? => {
            is_done(conn, change).await
        }
        SchemaStep::Rename(pairs) => Ok(conn.query_drop(rename(pairs)).await?),
        SchemaStep::Alter { statement, session } => {
            let mode = LexMode::from_bits(session.sql_mode, None);
            let definition = LoggedDefinition::read(statement, &mode)?;
            session::set(conn, session, statement).await?;
            Ok(definition.run(conn).await?)
        }
    }
}

async fn create(conn: &mut Conn, change: &SchemaChange, statement: &str, then: &[String]) -> Result<()> {
    let Some((table, _)) = change.before.first() else { return Err(Error::definite("the record names no table to create")) };
    for statement in std::iter::once(statement).chain(then.iter().map(String::as_str)) {
        match Single::parse(statement, table)?.run(conn).await {
            Err(crate::sql::Failure::Server(error)) if MADE_BEFORE.contains(&error.code) => {}
            done => done.map_err(Error::from).context(statement)?,
        }
    }
    Ok(())
}

/// The tables are no longer what they were: that they are what the statement makes of them is looked at, since somebody may have altered them instead.
async fn is_done(conn: &mut Conn, change: &SchemaChange) -> Result<()> {
    let unclear = |table: &TableName, why: &str| {
        Err(Error::definite(format!(
            "{table} was altered at the destination by somebody else while the statement was meant to be carried out: {why}. Bring it to what it was \
             before the statement, or carry the statement out by hand, and start the task again"
        )))
    };
    for effect in &change.effects {
        match effect {
            TableEffect::Gone { destination, .. } => {
                if fingerprint(conn, destination).await?.is_some() {
                    return unclear(destination, "it is still there");
                }
            }
            TableEffect::Stands { definition, destination } => {
                let found = read_tables(conn, std::slice::from_ref(destination)).await?;
                let Some(found) = found.first() else { return unclear(destination, "it is gone") };
                let same = |own: &&Column| {
                    found.columns.iter().any(|other| {
                        (&other.name, &other.column_type, &other.collation) == (&own.name, &own.column_type, &own.collation)
                    })
                };
                if let Some(column) = definition.columns.iter().find(|column| !same(column)) {
                    return unclear(destination, &format!("column {} is not what it would be", column.name));
                }
                let has = |own: &&Index| found.indexes.iter().any(|other| (&other.name, &other.parts) == (&own.name, &own.parts));
                if let Some(index) = definition.indexes.iter().find(|index| !has(index)) {
                    return unclear(destination, &format!("index {} is not there", index.name));
                }
            }
        }
    }
    Ok(())
}

/// Whether the tables are what they were when the statement was recorded. A statement that changes nothing may be run twice.
async fn is_as_before(conn: &mut Conn, before: &[(TableName, Option<String>)]) -> Result<bool> {
    for (table, known) in before {
        if fingerprint(conn, table).await? != *known {
            return Ok(false);
        }
    }
    Ok(true)
}
