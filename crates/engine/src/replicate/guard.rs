//! Which logged statements a task must not pass by.
//!
//! A statement that changes a migrated table's definition, or makes a table in a database that is migrated as a whole, is carried out at
//! the destination ([`crate::evolve`]) or stops the task where it stands. So does a change logged as a statement,
//! because its rows cannot be known, unless it provably stays away from what is migrated: triggers, views, foreign
//! keys and functions can lead there from any table. Everything else passes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::Conn;

use crate::logged::{Ddl, DdlKind, Statement};
use crate::plan::Plan;
use crate::plan::select::Selection;
use crate::progress::Progress;
use crate::schema::read::{ObjectKind, list_tables};
use crate::sql::lexer::{LexMode, TokenKind, tokens};
use godwit_api::DdlOperation;
use godwit_model::error::{Error, Result};
use godwit_model::names::TableName;
use godwit_model::text::without_values;

/// What becomes of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It concerns nothing that is migrated.
    Free,
    /// Changes logged as a statement, of tables that are not migrated: free if nothing leads from there to what is.
    Prove(Doubt),
    /// A definition of what is migrated changes: the statement is carried out at the destination, after everything before it.
    Define(Box<Ddl>),
    /// The task stops with this sentence.
    Stop(String),
}

impl Passage {
    /// Of two readings of one statement the one that lets less pass.
    #[must_use]
    pub(crate) fn stricter(self, other: Self) -> Self {
        match (self, other) {
            (stop @ Self::Stop(_), _) | (_, stop @ Self::Stop(_)) => stop,
            (Self::Define(_), _) | (_, Self::Define(_)) => Self::Stop(
                "a definition statement on what is migrated can be read in two ways, which its client's character set allows"
                    .into(),
            ),
            (Self::Prove(mut doubt), Self::Prove(also)) => {
                doubt.tables.extend(also.tables);
                doubt.called.extend(also.called);
                doubt.read.extend(also.read);
                Self::Prove(doubt)
            }
            (doubt @ Self::Prove(_), Self::Free) | (Self::Free, doubt @ Self::Prove(_)) => doubt,
            (Self::Free, Self::Free) => Self::Free,
        }
    }
}

/// What has to be proven of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// What it changes, where triggers and foreign keys can be.
    pub tables: Vec<TableName>,
    /// It does nothing but delete rows.
    pub deletes: bool,
    /// Words in front of a parenthesis: functions, or the syntax.
    pub called: Vec<String>,
    /// Names that may be views which it reads; they can call functions.
    pub read: Vec<String>,
    /// Its beginning up to the first value, for messages.
    pub shown: String,
}

/// A statement as it stands in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logged<'a> {
    pub statement: &'a Statement,
    pub text: &'a str,
    pub mode: &'a LexMode,
    /// It used a temporary table of its session.
    pub thread_specific: bool,
}

/// Judges statements by the task's selection.
pub(crate) struct Guard {
    selection: Selection,
    progress: Progress,
    /// MariaDB's: objects with a row, which is logged when their value moves on.
    sequences: HashSet<TableName>,
    definitions: Definitions,
}

/// Which definition statements are carried out, and from when on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Definitions {
    /// All rows are copied and all tables stand as the source has them.
    pub is_open: Arc<AtomicBool>,
    /// Why none is; None: they are.
    pub never: Option<&'static str>,
    /// `spec.ddl`.
    pub chosen: Option<Vec<DdlOperation>>,
}

impl Definitions {
    /// None of them, for the reason.
    pub(crate) fn never(why: &'static str) -> Self {
        Self { never: Some(why), ..Self::default() }
    }
}

impl Guard {
    pub(crate) fn new(selection: Selection, progress: Progress, sequences: HashSet<TableName>) -> Self {
        Self { selection, progress, sequences, definitions: Definitions::never("this task applies no DDL") }
    }

    /// The same, which lets definition statements be carried out.
    pub(crate) fn with_definitions(self, definitions: Definitions) -> Self {
        Self { definitions, ..self }
    }

    /// What becomes of a statement that changes the definition of a migrated table.
    fn define(&self, ddl: &Ddl, name: &TableName, logged: &Logged<'_>, shown: &str) -> Passage {
        let stop = |why: &str| {
            Passage::Stop(format!(
                "DDL on the migrated table {name}: {why}, so the task stops here with everything before it applied. Statement: {shown}"
            ))
        };
        if let (Some(found), Some(operation)) = (self.selection.covers(&name.database, &name.table), operation(ddl.kind, logged))
        {
            let chosen = found.table_spec.and_then(|table| table.ddl.as_ref()).or(found.database_spec.ddl.as_ref());
            if chosen.or(self.definitions.chosen.as_ref()).is_some_and(|chosen| !chosen.contains(&operation)) {
                self.progress.add_ddl_skipped(shown);
                return Passage::Free;
            }
        }
        match self.definitions.never {
            Some(why) => stop(why),
            None if !self.definitions.is_open.load(Ordering::Acquire) => {
                stop("it is carried out once all rows are copied, and they are not; start the task anew behind it")
            }
            None if ddl.select => stop("a table that is made from a query is not carried over"),
            None => Passage::Define(Box::new(match self.selection.names().source_folds() {
                true => ddl.in_lower_case(),
                false => ddl.clone(),
            })),
        }
    }

    /// Rows of a table that the plan does not have.
    ///
    /// # Errors
    /// Definite when the selection covers it: it came into being unseen.
    pub(crate) fn rows_of(&self, database: &str, table: &str) -> Result<()> {
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
    pub(crate) fn statement(&self, logged: &Logged<'_>) -> Passage {
        let shown = without_values(logged.text);
        match logged.statement {
            Statement::Ddl(ddl) => match self.ddl(ddl, logged, &shown) {
                // Rows come of a query, and a query can call functions. Where the log is row-based, the query is not in it.
                Passage::Free if ddl.select && !ddl.start_transaction => prove(&[], logged, shown),
                passage => passage,
            },
            Statement::Dml { tables } => {
                let touched = tables.iter().find(|t| self.selection.covers(&t.database, &t.table).is_some());
                match (touched, tables.is_empty()) {
                    (None, false) => prove(tables, logged, shown),
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
        }
    }

    fn ddl(&self, ddl: &Ddl, logged: &Logged<'_>, shown: &str) -> Passage {
        if let Some(name) = ddl.merged.iter().find(|t| self.selection.covers(&t.database, &t.table).is_some())
            && !ddl.tables.iter().any(|t| self.selection.covers(&t.database, &t.table).is_some())
        {
            return Passage::Stop(format!(
                "a MERGE table over the migrated table {name} comes into being, and rows that are changed through it are logged under its \
                 name: drop it and start the task anew. Statement: {shown}"
            ));
        }
        // An ALTER of a temporary table is logged without the word.
        if ddl.temporary || logged.thread_specific && ddl.opens_one {
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
            return self.define(ddl, name, logged, shown);
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

/// What `spec.ddl` calls it; None: nothing that a table's definition depends on.
fn operation(kind: DdlKind, logged: &Logged<'_>) -> Option<DdlOperation> {
    let sql = logged.text.as_bytes();
    // Reserved: a column of that name stands in quotes.
    let partitions = || tokens(sql, logged.mode).iter().any(|token| token.is_word(sql, "PARTITION"));
    Some(match kind {
        DdlKind::AlterTable if partitions() => DdlOperation::AlterPartition,
        DdlKind::CreateTable => DdlOperation::CreateTable,
        DdlKind::AlterTable => DdlOperation::AlterTable,
        DdlKind::DropTable => DdlOperation::DropTable,
        DdlKind::RenameTable => DdlOperation::RenameTable,
        DdlKind::TruncateTable => DdlOperation::TruncateTable,
        DdlKind::CreateIndex => DdlOperation::CreateIndex,
        DdlKind::DropIndex => DdlOperation::DropIndex,
        _ => return None,
    })
}

/// The sequences of the databases that a task migrates.
///
/// # Errors
/// From the server.
pub(crate) async fn sequences(conn: &mut Conn, plan: &Plan) -> Result<HashSet<TableName>> {
    let mut found = HashSet::new();
    for database in &plan.databases {
        let listed = list_tables(conn, &database.source).await?.into_iter().filter(|object| object.kind == ObjectKind::Sequence);
        found.extend(listed.map(|sequence| TableName { database: database.source.clone(), table: sequence.name }));
    }
    Ok(found)
}

/// Servers refuse triggers on the tables of these databases (ER_NO_TRIGGERS_ON_SYSTEM_SCHEMA), and `sys` is none of them.
const WITHOUT_TRIGGERS: [&str; 3] = ["mysql", "information_schema", "performance_schema"];

/// What the statement would have to lead to what is migrated by: nothing, or a doubt.
fn prove(tables: &[TableName], logged: &Logged<'_>, shown: String) -> Passage {
    let sql = logged.text.as_bytes();
    let tokens = tokens(sql, logged.mode);
    let names = |name: &str| tables.iter().any(|table| table.table.eq_ignore_ascii_case(name));
    let pairs = tokens.windows(2).filter(|pair| pair[1].is_punct(b'('));
    let called: Vec<String> = pairs
        .filter(|pair| matches!(pair[0].kind, TokenKind::Word | TokenKind::Quoted))
        .filter_map(|pair| pair[0].name(sql))
        .map(|name| name.to_lowercase())
        .filter(|name| !names(name) && !BUILT_IN.contains(&name.as_str()))
        .collect();
    // Views can only stand in a query or a join.
    let reads = ["SELECT", "TABLE", "WITH", "JOIN"].iter().any(|word| tokens.iter().any(|token| token.is_word(sql, word)))
        || tables.len() > 1;
    let mut read: Vec<String> = match reads {
        true => tokens.iter().filter_map(|token| token.name(sql)).map(|name| name.to_lowercase()).collect(),
        false => Vec::new(),
    };
    read.retain(|word| !BUILT_IN.contains(&word.as_str()));
    read.sort_unstable();
    read.dedup();
    let deletes = tokens.first().is_some_and(|token| token.is_word(sql, "DELETE"));
    let tables: Vec<TableName> =
        tables.iter().filter(|table| !WITHOUT_TRIGGERS.contains(&table.database.to_lowercase().as_str())).cloned().collect();
    if tables.is_empty() && called.is_empty() && read.is_empty() {
        return Passage::Free;
    }
    Passage::Prove(Doubt { tables, deletes, called, read, shown })
}

/// Words of the syntax and functions of the server, lower case: no stored function has these names without quotes and a database, and
/// one that has is called by `db.name(…)`, where the server looks for a stored one.
const BUILT_IN: &[&str] = &[
    "and",
    "as",
    "between",
    "by",
    "case",
    "default",
    "delete",
    "distinct",
    "else",
    "end",
    "exists",
    "from",
    "having",
    "if",
    "in",
    "inner",
    "insert",
    "interval",
    "into",
    "is",
    "join",
    "key",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "on",
    "or",
    "order",
    "over",
    "partition",
    "replace",
    "right",
    "select",
    "set",
    "then",
    "union",
    "update",
    "using",
    "values",
    "when",
    "where",
    "with",
];

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
