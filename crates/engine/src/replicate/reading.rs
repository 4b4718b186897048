//! The text of logged statements: each is in the character set of its client, the names of the task are UTF-8.
//!
//! Names beyond ASCII are translated by the source, whose character sets they are. Servers write some statements anew (SAVEPOINT, CREATE
//! VIEW, DROP TEMPORARY TABLE) in UTF-8, and say the client's character set all the same. So bytes that are UTF-8, too, are read
//! both ways, and the guard takes the reading that lets less pass. On restart nothing here is needed.

use std::borrow::Cow;
use std::collections::HashMap;

use mysql_async::Conn;

use crate::binlog::{Event, Query};
use crate::connection::{Connector, Role};
use crate::logged::{Ddl, DdlKind, Statement, classify};
use crate::sql;
use crate::sql::charset::{MultiByte, in_utf8, names_beyond_ascii};
use crate::sql::lexer::LexMode;
use crate::sql::{Hex, Queries};
use godwit_model::error::Result;
use godwit_model::server::ServerInfo;
use godwit_model::words::word;

/// Translations are remembered up to this number.
const KEPT: usize = 10_000;

/// How the statement's bytes become tokens.
pub(super) fn mode_of(query: &Query<'_>, info: &ServerInfo) -> LexMode {
    LexMode::from_bits(query.session.sql_mode.unwrap_or_default(), Some(info))
}

/// Reads statements, and remembers what the source said.
#[derive(Default)]
pub(super) struct Readings {
    /// Names of character sets by the id of a collation; None: the source does not know it.
    charsets: HashMap<u16, Option<String>>,
    /// None: these are no characters of that set.
    names: HashMap<(u16, Vec<u8>), Option<String>>,
}

impl Readings {
    /// The event, with the text of its statement in UTF-8.
    ///
    /// # Errors
    /// When the source cannot be asked.
    pub(super) async fn read<'a>(&mut self, event: Event<'a>, source: &Connector, info: &ServerInfo) -> Result<Event<'a>> {
        Ok(match event {
            Event::Query(query) if !query.sql.is_ascii() => Event::Query(self.statement(query, source, info).await?),
            Event::LoadQuery(query) if !query.sql.is_ascii() => Event::LoadQuery(self.statement(query, source, info).await?),
            event => event,
        })
    }

    async fn statement<'a>(&mut self, query: Query<'a>, source: &Connector, info: &ServerInfo) -> Result<Query<'a>> {
        let Some(id) = query.session.charset_client else { return Ok(query) };
        let mut conn = None;
        let Some(charset) = self.charset(id, &mut conn, source).await? else { return Ok(query) };
        if matches!(charset.as_str(), "utf8" | "utf8mb3" | "utf8mb4" | "binary" | "ascii") {
            return Ok(query);
        }
        let mode = LexMode { charset: MultiByte::of(&charset), ..mode_of(&query, info) };
        let mut names = HashMap::new();
        for name in names_beyond_ascii(&query.sql, &mode) {
            if let Some(text) = self.name(id, &charset, &name, &mut conn, source).await? {
                names.insert(name, text);
            }
        }
        if let Some(conn) = conn {
            let _ = conn.disconnect().await;
        }
        let declared = in_utf8(&query.sql, &mode, &names);
        if std::str::from_utf8(&query.sql).is_ok() {
            return Ok(Query { second_reading: Some(declared), ..query });
        }
        let is_unknown =
            matches!(classify(&declared, &query.database, &LexMode { charset: MultiByte::None, ..mode }), Statement::Unknown(_));
        let text = view_head(&query.sql).filter(|_| is_unknown).unwrap_or(declared);
        Ok(Query { sql: Cow::Owned(text), ..query })
    }

    async fn charset(&mut self, id: u16, conn: &mut Option<Conn>, source: &Connector) -> Result<Option<String>> {
        if let Some(known) = self.charsets.get(&id) {
            return Ok(known.clone());
        }
        let statement = "SELECT CAST(LOWER(character_set_name) AS CHAR) FROM information_schema.collations WHERE id=?";
        let name: Option<String> = connected(conn, source).await?.exec_first(statement, (id,)).await?;
        self.charsets.insert(id, name.clone());
        Ok(name)
    }

    async fn name(
        &mut self,
        id: u16,
        charset: &str,
        name: &[u8],
        conn: &mut Option<Conn>,
        source: &Connector,
    ) -> Result<Option<String>> {
        let key = (id, name.to_vec());
        if let Some(known) = self.names.get(&key) {
            return Ok(known.clone());
        }
        let hex: String = name.iter().map(|byte| format!("{byte:02X}")).collect();
        let conn = connected(conn, source).await?;
        // There and back again: what is no character of the set becomes a question mark, NULL, or an error.
        let (set, bytes) = (word(charset, "a character set of the source")?, Hex(name));
        let text = sql!("CONVERT(_{} {} USING utf8mb4)", set, bytes);
        let asked = sql!("SELECT {}, HEX(CONVERT({} USING {}))", text, text, set);
        let text = match conn.query_first::<(Option<String>, Option<String>)>(asked).await {
            Ok(Some((Some(text), Some(back)))) if back.eq_ignore_ascii_case(&hex) => Some(text),
            Ok(_) | Err(crate::sql::Failure::Server(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if self.names.len() >= KEPT {
            self.names.clear();
        }
        self.names.insert(key, text.clone());
        Ok(text)
    }
}

/// MySQL writes the head of a view's statement anew, in UTF-8, and leaves its query as the client sent it.
fn view_head(sql: &[u8]) -> Option<Vec<u8>> {
    let end = sql.windows(4).position(|word| word.eq_ignore_ascii_case(b" AS "))?;
    let head = std::str::from_utf8(sql.get(..end)?).ok()?.as_bytes();
    let is_view = |ddl: &Ddl| matches!(ddl.kind, DdlKind::CreateView | DdlKind::AlterView);
    matches!(classify(head, "", &LexMode::default()), Statement::Ddl(ddl) if is_view(&ddl)).then(|| head.to_vec())
}

async fn connected<'a>(conn: &'a mut Option<Conn>, source: &Connector) -> Result<&'a mut Conn> {
    Ok(match conn {
        Some(conn) => conn,
        none => none.insert(source.connect(Role::Metadata).await?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_in_two_character_sets() {
        // The name in UTF-8, the query in gbk: the name's last byte and the quote behind it are a character there.
        let sql =
            b"CREATE ALGORITHM=UNDEFINED DEFINER=`r`@`%` SQL SECURITY DEFINER VIEW `d`.`\xe8\xaa\xa0` AS SELECT '\xd5\x5c' AS a";
        let gbk = LexMode { charset: MultiByte::Gbk, ..LexMode::default() };
        assert!(matches!(classify(&in_utf8(sql, &gbk, &HashMap::new()), "", &LexMode::default()), Statement::Unknown(_)));
        assert!(view_head(sql).is_some_and(|head| head.ends_with("`誠`".as_bytes())));
        assert_eq!(view_head(b"DELETE FROM shop.a AS a WHERE b='\xd5\x5c'"), None);
    }
}
