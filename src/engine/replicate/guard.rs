//! Which logged statements a task must not pass by.
//!
//! This version applies no DDL: a statement that changes a migrated table's definition, or makes a table in a
//! database that is migrated as a whole, stops the task where it stands. So does a change logged as a statement,
//! because its rows cannot be known, unless it provably stays away from what is migrated: triggers, views, foreign
//! keys and functions can lead there from any table. Everything else passes.

use std::collections::HashSet;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::engine::error::{Error, Result};
use crate::engine::plan::select::{SYSTEM_DATABASES, Selection};
use crate::engine::plan::{Plan, TableName};
use crate::engine::progress::Progress;
use crate::engine::schema::lexer::{LexMode, tokens};
use crate::engine::schema::read::{ObjectKind, list_tables};
use crate::engine::schema::statement::{Ddl, DdlKind, Statement};

/// What becomes of a statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Passage {
    /// It concerns nothing that is migrated.
    Free,
    /// Changes logged as a statement, of tables that are not migrated: free if nothing leads from there to what is.
    Prove(Doubt),
    /// The task stops with this sentence.
    Stop(String),
}

/// What has to be proven of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    pub tables: Vec<TableName>,
    /// Words in front of a parenthesis: functions, or the syntax.
    pub called: Vec<String>,
    /// Its beginning, for messages.
    pub shown: String,
}

/// Judges statements by the task's selection.
pub struct Guard {
    selection: Selection,
    progress: Progress,
    /// MariaDB's: objects with a row, which is logged when their value moves on.
    sequences: HashSet<TableName>,
}

impl Guard {
    pub fn new(selection: Selection, progress: Progress, sequences: HashSet<TableName>) -> Self {
        Self { selection, progress, sequences }
    }

    /// Rows of a table that the plan does not have.
    ///
    /// # Errors
    /// Definite when the selection covers it: it came into being unseen.
    pub fn rows_of(&self, database: &str, table: &str) -> Result<()> {
        let name = TableName { database: database.to_owned(), table: table.to_owned() };
        if self.selection.covers(database, table).is_some() && !self.sequences.contains(&name) {
            return Err(Error::definite(format!(
                "the binary log changes {database}.{table}, which the task's objects cover but which did not exist when the task began; \
                 start the task anew to take it along (a sequence is passed by once the task has seen it: start the engine again)"
            )));
        }
        Ok(())
    }

    /// Judges a statement that is not part of transaction control.
    pub fn statement(&self, statement: &Statement, text: &str) -> Result<Passage> {
        let shown: String = text.chars().take(200).collect();
        Ok(match statement {
            Statement::Ddl(ddl) => self.ddl(ddl, &shown),
            Statement::Dml { tables } => {
                let touched = tables.iter().find(|t| self.selection.covers(&t.database, &t.table).is_some());
                match (touched, tables.is_empty()) {
                    (None, false) if tables.iter().all(|t| is_system(&t.database)) || is_of_server(text, tables) => Passage::Free,
                    (None, false) => Passage::Prove(Doubt { tables: tables.clone(), called: called(text), shown: shown.clone() }),
                    (found, _) => {
                        let name = found.map_or_else(|| "a table that cannot be told".to_owned(), ToString::to_string);
                        Passage::Stop(format!(
                            "a change of {name} was logged as a statement, so its rows are not known: a session on the source runs with \
                             binlog_format other than ROW. Set binlog_format=ROW for all sessions and copy the table again. Statement: {shown}"
                        ))
                    }
                }
            }
            Statement::Unknown(why) => Passage::Stop(format!(
                "the binary log holds a statement that is not understood ({why}), and skipping it could lose changes. Statement: {shown}"
            )),
            _ => Passage::Free,
        })
    }

    fn ddl(&self, ddl: &Ddl, shown: &str) -> Passage {
        if ddl.temporary {
            return Passage::Free;
        }
        let table_kind = matches!(
            ddl.kind,
            DdlKind::CreateTable
                | DdlKind::AlterTable
                | DdlKind::DropTable
                | DdlKind::RenameTable
                | DdlKind::TruncateTable
                | DdlKind::CreateIndex
                | DdlKind::DropIndex
        );
        let database_kind = matches!(ddl.kind, DdlKind::AlterDatabase | DdlKind::DropDatabase);
        let table = ddl.tables.iter().find(|t| self.selection.covers(&t.database, &t.table).is_some());
        if table_kind && let Some(name) = table {
            return Passage::Stop(format!(
                "DDL on the migrated table {name}: this version does not apply DDL, and stops here with everything before it applied. \
                 Statement: {shown}"
            ));
        }
        let database = ddl.databases.iter().find(|database| self.selection.database(database).is_some());
        if database_kind && let Some(name) = database {
            return Passage::Stop(format!(
                "DDL on the migrated database {name}: this version does not apply DDL, and stops here with everything before it applied. \
                 Statement: {shown}"
            ));
        }
        if table.is_some() || database.is_some() {
            // Views, routines, triggers and events: visible in the report, no reason to stop.
            self.progress.add_ddl_skipped(shown);
        }
        Passage::Free
    }
}

/// The sequences of the databases that a task migrates.
///
/// # Errors
/// From the server.
pub async fn sequences(conn: &mut Conn, plan: &Plan) -> Result<HashSet<TableName>> {
    let mut found = HashSet::new();
    for database in &plan.databases {
        let listed = list_tables(conn, &database.source).await?.into_iter().filter(|object| object.kind == ObjectKind::Sequence);
        found.extend(listed.map(|sequence| TableName { database: database.source.clone(), table: sequence.name }));
    }
    Ok(found)
}

/// Nothing leads from there: system tables take no triggers and no foreign keys.
fn is_system(database: &str) -> bool {
    SYSTEM_DATABASES.contains(&database.to_lowercase().as_str())
}

/// What a server writes when it first opens a MEMORY table after a restart (MySQL manual, "Replication and MEMORY Tables"). No
/// trigger fires then.
fn is_of_server(text: &str, tables: &[TableName]) -> bool {
    let [table] = tables else { return false };
    let name = table.quoted();
    let rest = text.strip_prefix("DELETE FROM ").and_then(|rest| rest.strip_prefix(name.as_str()));
    rest.is_some_and(|rest| matches!(rest.trim(), "" | "/* generated by server */"))
}

/// Words in front of a parenthesis.
fn called(text: &str) -> Vec<String> {
    let sql = text.as_bytes();
    let tokens = tokens(sql, &LexMode::default());
    let pairs = tokens.windows(2).filter(|pair| pair[1].is_punct(b'('));
    pairs.filter_map(|pair| pair[0].name(sql)).map(|name| name.to_lowercase()).collect()
}

/// Asks the source whether anything leads from the statement's tables to others: triggers, views, foreign keys that act,
/// stored functions. None: nothing does. Some: why that is not proven.
///
/// # Errors
/// From the server.
pub async fn disprove(conn: &mut Conn, doubt: &Doubt) -> Result<Option<String>> {
    let count = "SELECT COUNT(*) FROM information_schema.";
    for table in &doubt.tables {
        let names = (table.database.as_str(), table.table.as_str());
        let kind: Option<String> = conn
            .exec_first("SELECT table_type FROM information_schema.tables WHERE table_schema=? AND table_name=?", names)
            .await?;
        match kind.as_deref() {
            Some("BASE TABLE") => {}
            Some(_) => return Ok(Some(format!("{table} is a view"))),
            None => return Ok(Some(format!("{table} is not there any more, or the account may not see it (GRANT SELECT)"))),
        }
        // Without the privilege triggers are not shown.
        let grantee = "REPLACE(GRANTEE,CHAR(39),'')=CURRENT_USER() AND privilege_type='TRIGGER'";
        let global: Option<u64> = conn.query_first(format!("{count}user_privileges WHERE {grantee}")).await?;
        let of_database: Option<u64> =
            conn.exec_first(format!("{count}schema_privileges WHERE {grantee} AND ? LIKE table_schema"), (names.0,)).await?;
        let of_table: Option<u64> = conn
            .exec_first(format!("{count}table_privileges WHERE {grantee} AND table_schema=? AND table_name=?"), names)
            .await?;
        if [global, of_database, of_table].into_iter().flatten().sum::<u64>() == 0 {
            return Ok(Some(format!("the account may not see the triggers of {table} (GRANT TRIGGER ON it)")));
        }
        let triggers: Option<u64> =
            conn.exec_first(format!("{count}triggers WHERE event_object_schema=? AND event_object_table=?"), names).await?;
        if triggers != Some(0) {
            return Ok(Some(format!("{table} has triggers")));
        }
        let acting: Option<u64> = conn
            .exec_first(
                format!(
                    "{count}referential_constraints WHERE unique_constraint_schema=? AND referenced_table_name=? \
                     AND (delete_rule IN ('CASCADE','SET NULL') OR update_rule IN ('CASCADE','SET NULL'))"
                ),
                names,
            )
            .await?;
        if acting != Some(0) {
            return Ok(Some(format!("{table} has foreign keys that change other tables")));
        }
    }
    for name in &doubt.called {
        let functions: Option<u64> = conn
            .exec_first(format!("{count}routines WHERE routine_type='FUNCTION' AND routine_name=?"), (name.as_str(),))
            .await?;
        if functions != Some(0) {
            return Ok(Some(format!("it calls the stored function {name}")));
        }
    }
    Ok(None)
}
