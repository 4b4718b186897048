//! Which logged statements a task must not pass by.
//!
//! This version applies no DDL: a statement that changes a migrated table's definition, or makes a table in a
//! database that is migrated as a whole, stops the task where it stands. So does a change logged as a statement,
//! because its rows cannot be known. Everything else passes.

use crate::engine::error::{Error, Result};
use crate::engine::plan::select::Selection;
use crate::engine::progress::Progress;
use crate::engine::schema::statement::{Ddl, DdlKind, Statement};

/// What becomes of a statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Passage {
    /// It concerns nothing that is migrated.
    Free,
    /// The task stops with this sentence.
    Stop(String),
}

/// Judges statements by the task's selection.
pub struct Guard {
    selection: Selection,
    progress: Progress,
}

impl Guard {
    pub fn new(selection: Selection, progress: Progress) -> Self {
        Self { selection, progress }
    }

    /// Rows of a table that the plan does not have.
    ///
    /// # Errors
    /// Definite when the selection covers it: it came into being unseen.
    pub fn rows_of(&self, database: &str, table: &str) -> Result<()> {
        if self.selection.covers(database, table).is_some() {
            return Err(Error::definite(format!(
                "the binary log changes {database}.{table}, which the task's objects cover but which did not exist when the task began; \
                 start the task anew to take it along"
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
                    (None, false) => Passage::Free,
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
