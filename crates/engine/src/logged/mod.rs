//! What a statement in the binary log is: transaction control, DDL with every table it changes, DML that was
//! logged as a statement, or nothing that concerns the data.
//!
//! Only heads are parsed. Names come with their place, so that a statement can be sent on with other names and
//! all its other bytes. What is not recognised is [`Statement::Unknown`]; the caller stops there.

mod ddl;
mod parse;

use std::ops::Range;

use crate::logged::parse::Parser;
use crate::sql::lexer::LexMode;
use godwit_model::names::TableName;

/// A classified statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    Begin,
    Commit,
    Rollback,
    Savepoint(String),
    RollbackTo(String),
    ReleaseSavepoint(String),
    /// The xid in the form of [`xid_key`], here and below.
    XaStart(String),
    XaEnd(String),
    XaPrepare(String),
    XaCommit {
        xid: String,
        one_phase: bool,
    },
    XaRollback(String),
    Ddl(Ddl),
    /// Rows changed by a statement: statement-based logging. The targets, as far as they can be told.
    Dml {
        tables: Vec<TableName>,
    },
    /// Changes no data and no definition that a migration carries: accounts, settings, maintenance.
    Harmless(String),
    /// Not recognised, and why.
    Unknown(String),
}

/// A statement that changes definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ddl {
    pub kind: DdlKind,
    /// Every table (view, for views) that is changed, made or gone; for a trigger the table it belongs to.
    pub tables: Vec<TableName>,
    /// Every database that is changed, made or gone.
    pub databases: Vec<String>,
    /// Concerns a session's temporary table only.
    pub temporary: bool,
    /// Tables that a MERGE table writes into: `UNION=(…)`.
    pub merged: Vec<TableName>,
    /// No other table is opened than the one that is changed.
    pub opens_one: bool,
    /// `CREATE TABLE … SELECT`: makes rows that are not in the log as row events, unless `start_transaction`.
    pub select: bool,
    /// `CREATE TABLE … START TRANSACTION`: row events of the same statement follow (MySQL 8.0.21, WL#13355).
    pub start_transaction: bool,
    /// All names in the statement's head that belong to a database, in order of place.
    pub names: Vec<NameRef>,
}

/// Kinds of DDL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DdlKind {
    CreateTable,
    AlterTable,
    DropTable,
    RenameTable,
    TruncateTable,
    CreateIndex,
    DropIndex,
    CreateView,
    AlterView,
    DropView,
    CreateDatabase,
    AlterDatabase,
    DropDatabase,
    CreateTrigger,
    DropTrigger,
    CreateProcedure,
    AlterProcedure,
    DropProcedure,
    CreateFunction,
    AlterFunction,
    DropFunction,
    CreateEvent,
    AlterEvent,
    DropEvent,
    CreateSequence,
    AlterSequence,
    DropSequence,
    /// MariaDB packages, MySQL 9 libraries.
    OtherRoutine,
}

/// A name and its place in the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRef {
    pub role: NameRole,
    /// For a database, `table` is empty.
    pub name: TableName,
    /// Byte range, a `db.` in front included.
    pub span: Range<usize>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRole {
    /// A table or view that the statement changes.
    Changed,
    /// A table it only looks at: LIKE, REFERENCES.
    Referenced,
    /// A table that a MERGE table consists of.
    Merged,
    Database,
    /// A routine, trigger, event or sequence; `name.table` is its name.
    Object,
}

/// Classifies a statement of the binary log. `default_database` is the event's.
pub fn classify(sql: &[u8], default_database: &str, mode: &LexMode) -> Statement {
    Parser::new(sql, default_database, mode).statement()
}

/// One form for an XA transaction's id, whichever way it was written: the one MySQL logs, `X'6162',X'',1`.
pub fn xid_key(gtrid: &[u8], bqual: &[u8], format_id: i64) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("X'{}',X'{}',{format_id}", hex(gtrid), hex(bqual))
}

impl Ddl {
    /// The same with names as a server writes them that does not tell cases apart; their places stay.
    #[must_use]
    pub fn in_lower_case(&self) -> Self {
        let lower = |name: &TableName| TableName { database: name.database.to_lowercase(), table: name.table.to_lowercase() };
        let mut folded = self.clone();
        folded.tables.iter_mut().for_each(|name| *name = lower(name));
        folded.names.iter_mut().for_each(|name| name.name = lower(&name.name));
        folded
    }

    /// The statement with other names: `rename` gives the text that stands for a name, None leaves it.
    pub fn with_names(&self, sql: &[u8], rename: impl Fn(&NameRef) -> Option<String>) -> Vec<u8> {
        let mut out = Vec::with_capacity(sql.len() + 64);
        let mut at = 0;
        for name in &self.names {
            let Some(text) = rename(name) else { continue };
            if name.span.start < at {
                continue;
            }
            out.extend_from_slice(sql.get(at..name.span.start).unwrap_or_default());
            out.extend_from_slice(text.as_bytes());
            at = name.span.end;
        }
        out.extend_from_slice(sql.get(at..).unwrap_or_default());
        out
    }
}

#[cfg(test)]
mod tests;
