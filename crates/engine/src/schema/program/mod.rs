//! Stored programs: procedures, functions, triggers and events.
//!
//! A program is read with the session that made it ([`read`]) and taken apart ([`text`]): the head is what `information_schema` tells field by
//! field; parameters, schedule and body are the source's text. How it is said anew for the destination is `plan::programs`; its `sql_mode` there is
//! [`modes`]. A trigger waits behind a [`guard`] while the task writes. [`compare`] tells whether two servers have the same program.

pub mod compare;
pub mod guard;
pub mod modes;
pub mod read;
pub mod text;

use crate::schema::view_session::ViewSession;
use crate::sql::lexer::tokens;
use godwit_model::names::TableName;
use godwit_model::program::ProgramName;

/// The settings that a server keeps with a program, and runs it with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramSession {
    pub sql_mode: String,
    pub client: ViewSession,
    /// The default of parameters and variables that say no character set.
    pub database_collation: String,
    /// Of events; empty for all others.
    pub time_zone: String,
}

/// What a routine may do with data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ContainsSql,
    NoSql,
    ReadsSqlData,
    ModifiesSqlData,
}

impl Access {
    /// By what `information_schema.ROUTINES.SQL_DATA_ACCESS` holds, which is also what stands in CREATE.
    pub fn of(text: &str) -> Option<Self> {
        [Self::ContainsSql, Self::NoSql, Self::ReadsSqlData, Self::ModifiesSqlData]
            .into_iter()
            .find(|access| access.words().eq_ignore_ascii_case(text))
    }

    /// As it stands in CREATE.
    pub fn words(self) -> &'static str {
        match self {
            Self::ContainsSql => "CONTAINS SQL",
            Self::NoSql => "NO SQL",
            Self::ReadsSqlData => "READS SQL DATA",
            Self::ModifiesSqlData => "MODIFIES SQL DATA",
        }
    }
}

/// When a trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// BEFORE; else AFTER.
    pub before: bool,
    pub change: Change,
}

/// What a trigger fires for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    Insert,
    Update,
    Delete,
}

impl Moment {
    /// By `ACTION_TIMING` and `EVENT_MANIPULATION` of `information_schema.TRIGGERS`.
    pub fn of(timing: &str, manipulation: &str) -> Option<Self> {
        let change = match manipulation.to_ascii_uppercase().as_str() {
            "INSERT" => Change::Insert,
            "UPDATE" => Change::Update,
            "DELETE" => Change::Delete,
            _ => return None,
        };
        match timing.to_ascii_uppercase().as_str() {
            "BEFORE" => Some(Self { before: true, change }),
            "AFTER" => Some(Self { before: false, change }),
            _ => None,
        }
    }

    /// As it stands in CREATE.
    pub fn words(self) -> &'static str {
        match (self.before, self.change) {
            (true, Change::Insert) => "BEFORE INSERT",
            (true, Change::Update) => "BEFORE UPDATE",
            (true, Change::Delete) => "BEFORE DELETE",
            (false, Change::Insert) => "AFTER INSERT",
            (false, Change::Update) => "AFTER UPDATE",
            (false, Change::Delete) => "AFTER DELETE",
        }
    }
}

/// What stands before a program's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    Routine {
        /// MariaDB: a function over the rows of a group.
        aggregate: bool,
        /// With their parentheses.
        parameters: String,
        /// The type, as the server prints it. None: a procedure.
        returns: Option<String>,
        access: Access,
        deterministic: bool,
        /// SQL SECURITY INVOKER.
        invoker: bool,
    },
    Trigger {
        table: TableName,
        moment: Moment,
        /// Its place among those of one table and one moment, from 1.
        order: u64,
    },
    Event {
        /// From ON SCHEDULE to before the status.
        schedule: String,
        enabled: bool,
    },
}

/// A program as a server has it, in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramDefinition {
    pub name: ProgramName,
    pub session: ProgramSession,
    /// Account and host.
    pub definer: (String, String),
    pub comment: String,
    pub head: Head,
    /// Of a trigger without the guard.
    pub body: String,
    /// The trigger stands behind the guard.
    pub guarded: bool,
}

/// Types whose character set is the database's where none is said.
const OF_TEXT: &[&str] = &["CHAR", "CHARACTER", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "LONG"];

impl ProgramDefinition {
    /// Whether parameters or variables may have the collation of the database that the program was made in.
    pub fn depends_on_database(&self) -> bool {
        let has = |text: &str, words: &[&str]| {
            let list = tokens(text.as_bytes(), &modes::lex_mode(&self.session.sql_mode));
            list.iter().any(|token| words.iter().any(|word| token.is_word(text.as_bytes(), word)))
        };
        let of_parameters = match &self.head {
            Head::Routine { parameters, .. } => has(parameters, OF_TEXT),
            _ => false,
        };
        of_parameters || (has(&self.body, &["DECLARE"]) && has(&self.body, OF_TEXT))
    }
}
