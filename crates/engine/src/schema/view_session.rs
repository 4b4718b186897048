//! The session that made a view, which is a part of what the view says.
//!
//! A server keeps a view's text in the character set of the client that made it, and reads its literals with that
//! session's collation: `'a' = 'A'` is another thing under utf8mb4_bin. So a view is created in a session that has both
//! again. Its text is UTF-8 for us; the servers themselves turn it from and into the client's character set, and the
//! way back proves that nothing changed.

use mysql_async::Conn;
use serde::Serialize;

use crate::schema::collation::destination_collation;
use crate::schema::exact::{ExactText, exact_text, hex, introduced_as_hex, is_utf8_name, unhex};
use crate::sql;
use crate::sql::single::Single;
use crate::sql::{Hex, Name, Queries};
use godwit_model::error::{Class, Error, Result};
use godwit_model::names::TableName;
use godwit_model::server::{Flavor, ServerInfo};
use godwit_model::words::Word;

/// `character_set_client` and `collation_connection` of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ViewSession {
    pub character_set_client: String,
    pub collation_connection: String,
}

/// A view to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStatement {
    pub name: TableName,
    pub statement: String,
    /// By the names of the server that runs it.
    pub session: ViewSession,
}

impl ViewSession {
    /// Whether literals, which are in the character set of the connection, are turned into bytes of none when they are shown.
    fn is_lossy(&self) -> bool {
        self.character_set_client == "binary" && self.collation_connection != "binary"
    }

    /// The same by the names of another server.
    ///
    /// # Errors
    /// Definite when it has no such collation.
    pub fn at(&self, destination: &ServerInfo) -> Result<Self> {
        let collation = destination_collation(&self.collation_connection, destination)?;
        Ok(Self {
            character_set_client: current_name(&self.character_set_client, destination),
            collation_connection: current_name(&collation, destination),
        })
    }
}

/// What a server calls the three-byte UTF-8 and its collations: `utf8` once, `utf8mb3` now.
fn current_name(name: &str, server: &ServerInfo) -> String {
    let renamed = match server.flavor {
        Flavor::MySql => server.version >= (8, 0, 30),
        Flavor::MariaDb => server.version >= (10, 6, 1),
    };
    match name.strip_prefix("utf8_") {
        Some(rest) if renamed => format!("utf8mb3_{rest}"),
        None if renamed && name == "utf8" => "utf8mb3".into(),
        _ => name.to_owned(),
    }
}

/// Character sets in which a byte of a letter can be a backslash or a quote.
fn hides_quotes(character_set: &str) -> bool {
    matches!(character_set, "big5" | "cp932" | "gb18030" | "gbk" | "sjis")
}

/// Whether the bytes of a text are what UTF-8 has, for a client of this character set.
pub(super) fn is_plain(character_set: &str) -> bool {
    is_utf8_name(character_set) || character_set == "binary"
}

/// SHOW CREATE VIEW, as it is sent for `character_set_results=NULL`, in UTF-8. What cannot be read is said in the inner
/// error.
///
/// # Errors
/// From the connection.
pub(super) async fn decode_view(
    conn: &mut Conn,
    shown: &[u8],
    session: &ViewSession,
) -> Result<std::result::Result<String, String>> {
    let client = session.character_set_client.as_str();
    if session.is_lossy() && shown.contains(&b'\'') {
        return Ok(Err(
            "it was made by a client of character set binary, for which the server does not show its letters; create it again at the \
                       source in a session with SET NAMES utf8mb4"
                .into(),
        ));
    }
    if shown.is_ascii() || is_plain(client) {
        let ExactText { text, doubts } = exact_text(shown);
        return Ok(if doubts.is_empty() { Ok(text) } else { Err(doubts.join("; ")) });
    }
    decode_by_server(conn, shown, client).await
}

/// A text of a client of this character set in UTF-8: the server turns it, and the way back proves that nothing changed. What cannot be read
/// is said in the inner error.
///
/// # Errors
/// From the connection.
pub(super) async fn decode_by_server(conn: &mut Conn, shown: &[u8], client: &str) -> Result<std::result::Result<String, String>> {
    let prepared = if hides_quotes(client) { shown.to_vec() } else { introduced_as_hex(shown) };
    let Some(set) = Word::of(client) else { return Ok(Err(UNKNOWN.into())) };
    let bytes = hex(&prepared);
    let text = sql!("CONVERT(_{} {} USING utf8mb4)", set, Hex(&prepared));
    let statement = sql!("SELECT HEX({}), HEX(CONVERT({} USING {}))", text, text, set);
    let unreadable =
        |why: &str| Ok(Err(format!("its text cannot be read from {client}, the character set of the client that made it{why}")));
    let (text, back): (Option<String>, Option<String>) = match conn.query_first(statement).await {
        Ok(Some(row)) => row,
        Ok(None) => return unreadable(""),
        Err(crate::sql::Failure::Server(error)) => return unreadable(&format!(": {error}")),
        Err(error) => return Err(error.into()),
    };
    let text = text.and_then(|text| String::from_utf8(unhex(&text)?).ok()).filter(|_| back.as_deref() == Some(bytes.as_str()));
    match text {
        // Its literals with introducers went through the conversion too.
        Some(text) if hides_quotes(client) && introduced_as_hex(text.as_bytes()) != text.as_bytes() => {
            unreadable(" as long as it has literals of other character sets")
        }
        Some(text) => Ok(Ok(text)),
        None => unreadable(""),
    }
}

const UNKNOWN: &str = "the session that made it is not known";

/// Why a view cannot be said in the character set of its client, with the destination's names; None: it can.
///
/// # Errors
/// What may pass by itself.
pub async fn unsayable(conn: &mut Conn, view: &ViewStatement) -> Result<Option<String>> {
    let Some(client) = Word::of(&view.session.character_set_client) else { return Ok(Some(UNKNOWN.into())) };
    match encode(conn, &view.statement, client).await {
        Ok(_) => Ok(None),
        Err(error) if error.class() == Class::Definite => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// The bytes of a statement for a client of this character set.
///
/// # Errors
/// Definite where that cannot say it; from the connection.
pub(crate) async fn encode(conn: &mut Conn, statement: &str, client: Word<'_>) -> Result<Vec<u8>> {
    if statement.is_ascii() || is_plain(client.as_str()) {
        return Ok(statement.as_bytes().to_vec());
    }
    let bytes = hex(statement.as_bytes());
    let converted = sql!("CONVERT(_utf8mb4 {} USING {})", Hex(statement.as_bytes()), client);
    let row: Option<(Option<String>, Option<String>)> =
        conn.query_first(sql!("SELECT HEX({}), HEX(CONVERT({} USING utf8mb4))", converted, converted)).await?;
    let found = row.filter(|(_, back)| back.as_deref() == Some(bytes.as_str())).and_then(|(there, _)| unhex(&there?));
    found.ok_or_else(|| {
        Error::definite(format!(
            "it was made by a client of character set {}, which cannot say its text with the destination's names; create it \
             again at the source in a session with SET NAMES utf8mb4",
            client.as_str()
        ))
    })
}

/// Runs a CREATE VIEW in a session with the settings of the one that made the view, and puts the session back.
///
/// # Errors
/// From the server.
pub async fn create_in_session(
    conn: &mut Conn,
    name: &TableName,
    statement: &str,
    session: &ViewSession,
) -> std::result::Result<(), CreateError> {
    let single = Single::parse(statement, name).map_err(CreateError::Other)?;
    let ViewSession { character_set_client: client, collation_connection: collation } = session;
    let (Some(client), Some(collation)) = (Word::of(client), Word::of(collation)) else {
        return Err(CreateError::Other(Error::definite(UNKNOWN)));
    };
    let bytes = encode(conn, statement, client).await.map_err(CreateError::Other)?;
    // Servers show a function of the view's own database without it.
    conn.query_drop(sql!("USE {}", Name(&name.database))).await?;
    conn.query_drop(sql!("SET SESSION character_set_client={}, collation_connection={}", client, collation)).await?;
    let made = single.run_encoded(conn, &bytes).await;
    conn.query_drop("SET NAMES utf8mb4").await?;
    Ok(made?)
}

/// Why a view was not made.
pub enum CreateError {
    /// The driver's error, with its number.
    Driver(crate::sql::Failure),
    Other(Error),
}

impl From<crate::sql::Failure> for CreateError {
    fn from(error: crate::sql::Failure) -> Self {
        Self::Driver(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_binary_client_loses() {
        let of = |client: &str, collation: &str| {
            ViewSession { character_set_client: client.into(), collation_connection: collation.into() }.is_lossy()
        };
        assert!(of("binary", "utf8mb4_unicode_ci"));
        assert!(!of("binary", "binary") && !of("latin1", "utf8mb4_bin"));
    }

    #[test]
    fn names_of_other_servers() {
        let session = |client: &str, collation: &str| ViewSession {
            character_set_client: client.into(),
            collation_connection: collation.into(),
        };
        let at = |session: ViewSession, version: &str| session.at(&ServerInfo::parse(version)).unwrap();
        let old = session("utf8", "utf8_general_ci");
        assert_eq!(at(old.clone(), "9.7.4"), session("utf8mb3", "utf8mb3_general_ci"));
        assert_eq!(at(old.clone(), "8.0.15"), old);
        assert_eq!(
            at(session("utf8mb4", "utf8mb4_0900_ai_ci"), "11.4.5-MariaDB"),
            session("utf8mb4", "utf8mb4_uca1400_nopad_ai_ci")
        );
        assert!(session("utf8mb4", "utf8mb4_ja_0900_as_cs_ks").at(&ServerInfo::parse("11.4.5-MariaDB")).is_err());
    }
}
