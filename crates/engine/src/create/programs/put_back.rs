//! Triggers without their guard, once the task writes no more.
//!
//! A server has no statement that replaces a trigger. So the trigger is dropped and made under a lock of its table, and what is to be made is
//! recorded before: an engine that dies in between leaves the record, and the next one makes what is missing. Where the account may not lock tables,
//! rows that an application writes in that moment pass without the trigger; a line in the log says so.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;

use super::session::DefiningSession;
use crate::connection::{Connector, Role, server_info};
use crate::destination::mysql::records::ownership;
use crate::plan::programs::make::{Beside, ProgramStatement, unguarded_statement};
use crate::schema::program::modes::{lex_mode, modes_at};
use crate::schema::program::read::read_programs;
use crate::schema::program::{Head, Moment, ProgramDefinition};
use crate::schema::view_session::ViewSession;
use crate::sql;
use crate::sql::permitted;
use crate::sql::program::Program;
use crate::sql::{Qualified, Queries, Quoted};
use godwit_model::error::{Context, Result};
use godwit_model::names::TableName;
use godwit_model::program::{ProgramKind, ProgramName};
use godwit_model::server::ServerInfo;

/// The record table: triggers that are being made anew.
const TABLE: &str = "trigger_put_back";

/// Whose triggers.
struct Place<'a> {
    records: &'a str,
    task: &'a str,
}

impl Place<'_> {
    fn table(&self, object: &'static str) -> TableName {
        TableName { database: self.records.to_owned(), table: object.to_owned() }
    }
}

/// Takes the guard from the triggers of a task's tables. Gives the triggers that still have it, with the reason.
///
/// # Errors
/// What passes by itself.
pub(crate) async fn put_back(destination: &Connector, records: &str, task: &str) -> Result<Vec<String>> {
    let place = Place { records, task };
    let mut conn = destination.connect(Role::Metadata).await?;
    let info = server_info(&mut conn).await?;
    let owners = place.table(ownership::TABLE);
    let statement = sql!("SELECT destination_database, destination_table FROM {} WHERE task = {}", owners, Quoted(task));
    let owned: BTreeSet<TableName> = permitted::<(String, String)>(&mut conn, &statement)
        .await?
        .unwrap_or_default()
        .into_iter()
        .map(|(database, table)| TableName { database, table })
        .collect();
    let folds: Option<u8> = conn.query_first("SELECT @@GLOBAL.lower_case_table_names").await?;
    let is_owned = |table: &TableName| match folds {
        Some(0) | None => owned.contains(table),
        Some(_) => owned.contains(&TableName { database: table.database.to_lowercase(), table: table.table.to_lowercase() }),
    };
    let databases: BTreeSet<&str> = owned.iter().map(|table| table.database.as_str()).collect();
    let mut by_table: BTreeMap<(TableName, Moment), Vec<ProgramDefinition>> = BTreeMap::new();
    for database in databases {
        for program in read_programs(&mut conn, database).await? {
            let Ok(definition) = program.definition else { continue };
            if let Head::Trigger { table, moment, .. } = &definition.head
                && is_owned(table)
            {
                by_table.entry((table.clone(), *moment)).or_default().push(definition);
            }
        }
    }
    let left = recorded(&mut conn, &place, &info).await?;
    let _ = conn.disconnect().await;
    if left.is_empty() && !by_table.values().flatten().any(|trigger| trigger.guarded) {
        return Ok(Vec::new());
    }
    let mut session = DefiningSession::open(destination).await?;
    let mut kept = finish(&mut session, &place, left, &by_table).await?;
    for ((table, _), triggers) in &by_table {
        if triggers.iter().any(|trigger| trigger.guarded) {
            kept.extend(of_moment(&mut session, &place, &info, table, triggers).await?);
        }
    }
    session.close().await;
    Ok(kept)
}

/// Makes what an engine had dropped that died before it made it again.
async fn finish(
    session: &mut DefiningSession,
    place: &Place<'_>,
    left: Vec<ProgramStatement>,
    there: &BTreeMap<(TableName, Moment), Vec<ProgramDefinition>>,
) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for statement in left {
        let stands = there.values().flatten().any(|trigger| trigger.name == statement.name);
        if !stands && let Err(error) = session.make(&statement).await {
            if error.is_retryable() {
                return Err(error.context(format!("making {} again", statement.name)));
            }
            kept.push(format!("{} is missing and cannot be made: {error}: {}", statement.name, statement.program.as_str()));
            continue;
        }
        forget(session, place, &statement.name).await?;
    }
    Ok(kept)
}

/// The triggers of one table and one moment, each at its place.
async fn of_moment(
    session: &mut DefiningSession,
    place: &Place<'_>,
    info: &ServerInfo,
    table: &TableName,
    triggers: &[ProgramDefinition],
) -> Result<Vec<String>> {
    let mut statements = Vec::new();
    let mut kept = Vec::new();
    for (number, trigger) in triggers.iter().enumerate().filter(|(_, trigger)| trigger.guarded) {
        let before = number.checked_sub(1).and_then(|before| triggers.get(before));
        let beside = match (before, triggers.get(number + 1)) {
            (Some(before), _) => Some(Beside::Follows(before.name.name.clone())),
            (None, Some(behind)) => Some(Beside::Precedes(behind.name.name.clone())),
            (None, None) => None,
        };
        match unguarded_statement(trigger, info, beside.as_ref()) {
            Ok(statement) => statements.push(statement),
            Err(error) => kept.push(format!("{} keeps its guard: {error}", trigger.name)),
        }
    }
    for statement in &statements {
        remember(session, place, statement).await?;
    }
    if !session.lock(table).await? {
        tracing::warn!(%table, "the account may not lock tables: rows that are written just now may pass without the table's triggers");
    }
    let made = anew(session, &statements).await;
    session.unlock().await?;
    kept.extend(made?);
    for statement in &statements {
        forget(session, place, &statement.name).await?;
    }
    Ok(kept)
}

/// Drops and makes each, one after the other, so that its neighbours are there.
async fn anew(session: &mut DefiningSession, statements: &[ProgramStatement]) -> Result<Vec<String>> {
    let mut kept = Vec::new();
    for statement in statements {
        let name = TableName { database: statement.name.database.clone(), table: statement.name.name.clone() };
        if let Err(error) = session.drop_trigger(&name).await {
            if error.is_retryable() {
                return Err(error.context(format!("taking the guard from {}", statement.name)));
            }
            kept.push(format!("{} keeps its guard: {error}", statement.name));
            continue;
        }
        // The record says what is missing, should this fail.
        session.make(statement).await.context(format!("making {} without its guard", statement.name))?;
    }
    Ok(kept)
}

async fn remember(session: &mut DefiningSession, place: &Place<'_>, statement: &ProgramStatement) -> Result<()> {
    let table = place.table(TABLE);
    session
        .conn
        .query_drop(sql!(
            "CREATE TABLE IF NOT EXISTS {} (task VARCHAR(255) NOT NULL, trigger_database VARCHAR(64) NOT NULL, trigger_name VARCHAR(64) NOT NULL, \
             sql_mode VARCHAR(1024) NOT NULL, character_set_client VARCHAR(64) NOT NULL, collation_connection VARCHAR(64) NOT NULL, \
             statement LONGTEXT NOT NULL, PRIMARY KEY (task, trigger_database, trigger_name)) \
             ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            table
        ))
        .await
        .context("recording triggers")?;
    let ProgramName { database, name, .. } = &statement.name;
    let ViewSession { character_set_client, collation_connection } = &statement.client;
    session
        .conn
        .exec_drop(
            sql!("REPLACE INTO {} VALUES (?,?,?,?,?,?,?)", table),
            (
                place.task,
                database,
                name,
                statement.modes.join(","),
                character_set_client,
                collation_connection,
                statement.program.as_str(),
            ),
        )
        .await
        .context("recording triggers")
}

async fn forget(session: &mut DefiningSession, place: &Place<'_>, name: &ProgramName) -> Result<()> {
    let table = place.table(TABLE);
    let statement = sql!("DELETE FROM {} WHERE task=? AND trigger_database=? AND trigger_name=?", table);
    session.conn.exec_drop(statement, (place.task, &name.database, &name.name)).await.context("recording triggers")
}

/// What an earlier engine has recorded. It becomes a statement only if it is a CREATE TRIGGER of this name: the record is not believed either.
async fn recorded(conn: &mut Conn, place: &Place<'_>, info: &ServerInfo) -> Result<Vec<ProgramStatement>> {
    let table = Qualified { database: place.records, object: TABLE };
    let statement = sql!(
        "SELECT trigger_database, trigger_name, sql_mode, character_set_client, collation_connection, statement FROM {} WHERE task={}",
        table,
        Quoted(place.task)
    );
    let rows = permitted::<(String, String, String, String, String, String)>(conn, &statement).await?.unwrap_or_default();
    let mut found = Vec::new();
    for (database, name, sql_mode, character_set_client, collation_connection, text) in rows {
        let name = ProgramName { kind: ProgramKind::Trigger, database, name };
        let modes = modes_at(&sql_mode, info, info)?;
        let program = Program::parse(text, &name, &lex_mode(&sql_mode))?;
        let client = ViewSession { character_set_client, collation_connection };
        found.push(ProgramStatement { name, program, modes, client, time_zone: String::new() });
    }
    Ok(found)
}
