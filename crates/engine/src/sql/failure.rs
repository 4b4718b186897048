//! What is answered instead of a result.

use mysql_async::{DriverError, IoError, ServerError, UrlError};

use godwit_model::error::{Class, Error};
use godwit_model::plain;
use godwit_model::text::Text;

/// What the server or the driver says instead of a result. Whoever does not look into it gets an [`Error`] by `?`.
#[derive(Debug)]
pub enum Failure {
    Server(ServerError),
    Driver(DriverError),
    Io(IoError),
    Url(UrlError),
    /// An answer that is none, in words.
    Other(String),
}

/// The answer to a statement.
pub type Answer<T> = std::result::Result<T, Failure>;

/// Server error codes that pass by themselves: lock wait time-out, deadlock, disk full, table full,
/// too many connections, shutdown, query interrupted, read-only modes that end with a failover.
/// (MySQL 8.0 Server Error Message Reference.)
const OTHER_CODES: &[u16] =
    &[1205, 1213, 1021, 1114, 1040, 1053, 1317, 1203, 1226, 1290, 1836, 3100, 3101, 1158, 1159, 1160, 1161, 1180, 1030, 1028];

impl Failure {
    /// The error, of a statement with row values in it.
    pub fn of_rows(self) -> Error {
        self.error(true)
    }

    /// `holds_rows`: the statement did.
    fn error(self, holds_rows: bool) -> Error {
        match self {
            Self::Server(server) => {
                let class = match server.code {
                    // ER_SERVER_SHUTDOWN, ER_CON_COUNT, ER_NORMAL_SHUTDOWN, ER_NEW_ABORTING_CONNECTION, ER_CLIENT_INTERACTION_TIMEOUT
                    1053 | 1040 | 1077 | 1079 | 1184 | 1927 | 4031 => Class::Connection,
                    code if OTHER_CODES.contains(&code) => Class::Other,
                    _ => Class::Definite,
                };
                let text = Text::of_server(server.code, &server.message, holds_rows).map(|message| {
                    let said = ServerError { message: message.to_owned(), ..server.clone() };
                    mysql_async::Error::Server(said).to_string()
                });
                Error::of_server(class, server.code, text)
            }
            Self::Driver(
                error @ (DriverError::ConnectionClosed | DriverError::PoolDisconnected | DriverError::PacketOutOfOrder),
            ) => Error::of_class(Class::Connection, said(error.into())),
            Self::Io(error) => Error::of_class(Class::Connection, said(error.into())),
            Self::Driver(error) => Error::definite(said(error.into())),
            Self::Url(error) => Error::definite(said(error.into())),
            Self::Other(said) => Error::definite(plain::said(&said)),
        }
    }
}

/// The driver says it once for each layer, and quotes packets.
fn said(error: mysql_async::Error) -> String {
    plain::said(error.to_string().trim_start_matches("Input/output error: "))
}

impl From<mysql_async::Error> for Failure {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) => Self::Server(error),
            mysql_async::Error::Driver(error) => Self::Driver(error),
            mysql_async::Error::Io(error) => Self::Io(error),
            mysql_async::Error::Url(error) => Self::Url(error),
            mysql_async::Error::Other(error) => Self::Other(error.to_string()),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use godwit_model::text::MOST;

    fn of_server(code: u16, message: String) -> mysql_async::Error {
        mysql_async::Error::Server(mysql_async::ServerError { code, message, state: "HY\x1b00".into() })
    }

    #[test]
    fn what_a_server_says_is_short_and_does_nothing() {
        let long = format!("\x1b]0;title\x07{}\nERROR forged\u{202e}", "x".repeat(8 << 20));
        let payload = long.clone().into_bytes();
        let driver = mysql_async::Error::Driver(mysql_async::DriverError::UnexpectedPacket { payload });
        let io = mysql_async::Error::Io(mysql_async::IoError::Io(std::io::Error::other(long.clone())));
        let failures = [of_server(1105, long.clone()), driver, io].map(|error| Failure::from(error).into());
        for error in failures.into_iter().chain([Failure::from(of_server(1105, long)).of_rows()]) {
            let error = error.context("copying shop.orders").told(true);
            for text in [error.to_string(), error.whole().to_owned(), format!("{error:?}")] {
                assert!(text.len() < 2 * plain::SAID, "{} bytes", text.len());
                assert_eq!(plain::line(&text), text);
            }
        }
        // A value that is hidden is hidden wherever it was cut.
        let quoted = format!("Duplicate entry '{}secret{}' for key 'items.u'", "a".repeat(2000), "b".repeat(9));
        let error = Failure::from(of_server(1062, quoted)).of_rows();
        assert!(error.to_string().contains("Duplicate entry '(hidden)' for key 'items.u'"), "{error}");
        assert!(error.whole().contains("bbb' for key 'items.u'"), "{}", error.whole());
        // Our own words around names of any length.
        assert!(Error::definite("x".repeat(100_000)).context("y".repeat(100_000)).to_string().len() <= MOST);
    }
}
