//! Errors of the engine: what can be tried again and what a person has to decide. Row values in them are hidden ([`Text`]).

use std::fmt;

use crate::text::Text;

/// What the engine does with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The connection or the server went away; retried for `retry.connectionMinutes`.
    Connection,
    /// Anything else that may pass by itself (deadlock, lock wait, disk full); retried for `retry.otherMinutes`.
    Other,
    /// Trying again cannot help; the task stops and says why.
    Definite,
    /// Another engine took the task over; this one must stop at once and write nothing.
    Fenced,
    /// The process was asked to stop; not a failure.
    Cancelled,
}

/// An error with its class and the sentence a person reads.
#[derive(Debug, Clone)]
pub struct Error {
    class: Class,
    text: Text,
    /// The server's error number, where a server said so.
    code: Option<u16>,
}

/// Result of the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Trying again cannot help.
    pub fn definite(text: impl Into<Text>) -> Self {
        Self { class: Class::Definite, text: text.into(), code: None }
    }

    /// May pass by itself.
    pub fn transient(text: impl Into<Text>) -> Self {
        Self { class: Class::Other, text: text.into(), code: None }
    }

    /// A connection is gone.
    pub fn connection(text: impl Into<Text>) -> Self {
        Self { class: Class::Connection, text: text.into(), code: None }
    }

    /// Another engine holds the task.
    pub fn fenced(text: impl Into<Text>) -> Self {
        Self { class: Class::Fenced, text: text.into(), code: None }
    }

    /// Asked to stop.
    pub fn cancelled() -> Self {
        Self { class: Class::Cancelled, text: "stopped on request".into(), code: None }
    }

    /// The class, which decides about retrying.
    pub fn class(&self) -> Class {
        self.class
    }

    /// A server has said it, with a number.
    pub fn is_of_server(&self) -> bool {
        self.code.is_some()
    }

    /// Two transactions stood in each other's way (ER_LOCK_DEADLOCK, ER_LOCK_WAIT_TIMEOUT): the one that got this
    /// error has not committed and can be run again at once.
    pub fn is_lock_conflict(&self) -> bool {
        matches!(self.code, Some(1213 | 1205))
    }

    /// A server said it of a statement, and will say it again.
    pub fn is_refusal(&self) -> bool {
        self.class == Class::Definite && self.code.is_some()
    }

    /// A row with this key is there already (ER_DUP_ENTRY).
    pub fn is_duplicate(&self) -> bool {
        self.code == Some(1062)
    }

    /// The server does not take the account or its password (ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR).
    pub fn is_login_refused(&self) -> bool {
        matches!(self.code, Some(1045 | 1698))
    }

    /// A table lacks a column that was asked for (ER_BAD_FIELD_ERROR).
    pub fn is_unknown_column(&self) -> bool {
        self.code == Some(1054)
    }

    /// More was changed in a table while an index was built on it than the server keeps
    /// (ER_INNODB_ONLINE_LOG_TOO_BIG; `innodb_online_alter_log_max_size`), or rows that were replaced meanwhile met each other in what it keeps
    /// (ER_DUP_UNKNOWN_IN_INDEX, also for an index that is not unique).
    pub fn is_alter_outrun(&self) -> bool {
        matches!(self.code, Some(1799 | 1859))
    }

    /// Whether the engine may try again.
    pub fn is_retryable(&self) -> bool {
        matches!(self.class, Class::Connection | Class::Other)
    }

    /// Puts what was being done before the message: `copying shop.orders: …`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.text = self.text.map(|text| format!("{doing}: {text}"));
        self
    }

    /// The same with a text that may hold row values.
    #[must_use]
    pub fn context_of(mut self, doing: &Text) -> Self {
        self.text = self.text.with(doing, |text, doing| format!("{doing}: {text}"));
        self
    }

    /// Puts an explanation behind the message.
    #[must_use]
    pub fn explained(mut self, why: &str) -> Self {
        self.text = self.text.map(|text| format!("{text}{why}"));
        self
    }

    /// With row values: to look at, never to show.
    pub fn whole(&self) -> &str {
        self.text.whole()
    }

    /// The error as it is reported: with the row values if they were asked for, else with a word on how to see them.
    #[must_use]
    pub fn told(mut self, row_values: bool) -> Self {
        self.text = match (row_values, self.text.hides()) {
            (true, _) => self.text.revealed(),
            (false, true) => Text::from(format!("{} (spec.diagnostics.rowValues: true shows what is hidden)", self.text)),
            (false, false) => self.text,
        };
        self
    }

    /// What a server said, with its error number.
    pub fn of_server(class: Class, code: u16, text: Text) -> Self {
        Self { class, text, code: Some(code) }
    }

    /// An error of a class that was found out otherwise.
    pub fn of_class(class: Class, text: impl Into<Text>) -> Self {
        Self { class, text: text.into(), code: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text, f)
    }
}

impl std::error::Error for Error {}

/// `.context("…")` on results.
pub trait Context<T> {
    /// Puts what was being done before the message.
    fn context(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(doing))
    }
}
