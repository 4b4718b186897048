//! Errors of the engine: what can be tried again and what a person has to decide. Row values in them are hidden ([`Text`]).

use std::fmt;

use super::text::Text;
use godwit_api::plain;

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

    /// More was changed in a table while an index was built on it than the server keeps
    /// (ER_INNODB_ONLINE_LOG_TOO_BIG; `innodb_online_alter_log_max_size`).
    pub fn is_alter_outrun(&self) -> bool {
        self.code == Some(1799)
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

    /// What a server said of a statement with row values in it.
    pub fn of_rows(error: mysql_async::Error) -> Self {
        Self::of_driver(error, true)
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

/// Server error codes that pass by themselves: lock wait time-out, deadlock, disk full, table full,
/// too many connections, shutdown, query interrupted, read-only modes that end with a failover.
/// (MySQL 8.0 Server Error Message Reference.)
const OTHER_CODES: &[u16] =
    &[1205, 1213, 1021, 1114, 1040, 1053, 1317, 1203, 1226, 1290, 1836, 3100, 3101, 1158, 1159, 1160, 1161, 1180, 1030, 1028];

impl From<mysql_async::Error> for Error {
    fn from(error: mysql_async::Error) -> Self {
        Self::of_driver(error, false)
    }
}

impl Error {
    /// `holds_rows`: the statement did.
    fn of_driver(error: mysql_async::Error, holds_rows: bool) -> Self {
        let class = match &error {
            mysql_async::Error::Io(_) => Class::Connection,
            mysql_async::Error::Driver(
                mysql_async::DriverError::ConnectionClosed
                | mysql_async::DriverError::PoolDisconnected
                | mysql_async::DriverError::PacketOutOfOrder,
            ) => Class::Connection,
            mysql_async::Error::Server(server) => match server.code {
                // ER_SERVER_SHUTDOWN, ER_CON_COUNT, ER_NORMAL_SHUTDOWN, ER_NEW_ABORTING_CONNECTION, ER_CLIENT_INTERACTION_TIMEOUT
                1053 | 1040 | 1077 | 1079 | 1184 | 1927 | 4031 => Class::Connection,
                code if OTHER_CODES.contains(&code) => Class::Other,
                _ => Class::Definite,
            },
            _ => Class::Definite,
        };
        let code = match &error {
            mysql_async::Error::Server(server) => Some(server.code),
            _ => None,
        };
        let text = match &error {
            mysql_async::Error::Server(server) => Text::of_server(server.code, &server.message, holds_rows).map(|message| {
                let said = mysql_async::ServerError { message: message.to_owned(), ..server.clone() };
                mysql_async::Error::Server(said).to_string()
            }),
            // The driver says it once for each layer, and quotes packets.
            other => plain::said(other.to_string().trim_start_matches("Input/output error: ")).into(),
        };
        Self { class, text, code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::MOST;

    fn of_server(code: u16, message: String) -> mysql_async::Error {
        mysql_async::Error::Server(mysql_async::ServerError { code, message, state: "HY\x1b00".into() })
    }

    #[test]
    fn what_a_server_says_is_short_and_does_nothing() {
        let long = format!("\x1b]0;title\x07{}\nERROR forged\u{202e}", "x".repeat(8 << 20));
        let payload = long.clone().into_bytes();
        let driver = mysql_async::Error::Driver(mysql_async::DriverError::UnexpectedPacket { payload });
        let io = mysql_async::Error::Io(mysql_async::IoError::Io(std::io::Error::other(long.clone())));
        for error in [Error::from(of_server(1105, long.clone())), Error::of_rows(of_server(1105, long)), driver.into(), io.into()]
        {
            let error = error.context("copying shop.orders").told(true);
            for text in [error.to_string(), error.whole().to_owned(), format!("{error:?}")] {
                assert!(text.len() < 2 * plain::SAID, "{} bytes", text.len());
                assert_eq!(plain::line(&text), text);
            }
        }
        // A value that is hidden is hidden wherever it was cut.
        let quoted = format!("Duplicate entry '{}secret{}' for key 'items.u'", "a".repeat(2000), "b".repeat(9));
        let error = Error::of_rows(of_server(1062, quoted));
        assert!(error.to_string().contains("Duplicate entry '(hidden)' for key 'items.u'"), "{error}");
        assert!(error.whole().contains("bbb' for key 'items.u'"), "{}", error.whole());
        // Our own words around names of any length.
        assert!(Error::definite("x".repeat(100_000)).context("y".repeat(100_000)).to_string().len() <= MOST);
    }
}
