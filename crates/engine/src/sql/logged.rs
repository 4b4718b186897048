//! Definition statements of a log, for the destination: ALTER TABLE, CREATE INDEX, DROP INDEX and, in a scratch database, CREATE TABLE.
//!
//! The words are those of a client of the source, so that there is no one form that all of the text could be held to. It is cut into tokens by the rules
//! of the session that it ran in, and put together again without comments; what reads files, other servers or other tables is refused,
//! and the server is given it by PREPARE, which takes one statement.

use mysql_async::Conn;

use super::lexer::{LexMode, Token, TokenKind, tokens};
use super::single::{ENGINES, prepared};
use godwit_model::error::{Error, Result};

/// One definition statement in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedDefinition {
    text: String,
}

/// Words that read files or other tables wherever they stand outside of quotes.
const NEVER: &[&str] =
    &["SELECT", "LOAD_FILE", "OUTFILE", "DUMPFILE", "EXCHANGE", "IMPORT", "DISCARD", "HANDLER", "PROCEDURE", "EXECUTE"];

/// Options that lead elsewhere, where a value follows.
const WITH_VALUE: &[&str] = &["DIRECTORY", "CONNECTION", "UNION", "TABLESPACE"];

/// Heads of the statements.
const HEADS: &[&[&str]] = &[
    &["ALTER", "TABLE"],
    &["ALTER", "ONLINE", "TABLE"],
    &["ALTER", "IGNORE", "TABLE"],
    &["CREATE", "INDEX"],
    &["CREATE", "UNIQUE", "INDEX"],
    &["CREATE", "FULLTEXT", "INDEX"],
    &["CREATE", "SPATIAL", "INDEX"],
    &["DROP", "INDEX"],
    &["CREATE", "TABLE"],
    &["CREATE", "OR", "REPLACE", "TABLE"],
];

impl LoggedDefinition {
    /// `sql` has the names that it is to have; `mode` is that of the session that it ran in.
    ///
    /// # Errors
    /// Definite: it is no such statement, or may lead to more than its table.
    pub fn read(sql: &str, mode: &LexMode) -> Result<Self> {
        let bytes = sql.as_bytes();
        let mut found = tokens(bytes, mode);
        while found.last().is_some_and(|token| token.is_punct(b';')) {
            found.pop();
        }
        let kept: Vec<Token> =
            found.into_iter().filter(|token| !matches!(token.kind, TokenKind::ExecOpen | TokenKind::ExecClose)).collect();
        let word = |at: usize, word: &str| kept.get(at).is_some_and(|token| token.is_word(bytes, word));
        if !HEADS.iter().any(|head| head.iter().enumerate().all(|(at, expected)| word(at, expected))) {
            return Err(refused("it is no statement of a kind that is carried over"));
        }
        for (at, token) in kept.iter().enumerate() {
            let follows = |byte: u8| kept.get(at + 1).is_some_and(|next| next.is_punct(byte));
            let value = || {
                kept.get(at + 1).is_some_and(|next| next.is_punct(b'=') || next.is_punct(b'(') || next.kind == TokenKind::String)
            };
            match token.kind {
                TokenKind::Broken => return Err(refused("a name, a string or a comment has no end")),
                TokenKind::UserVariable => return Err(refused("it uses a variable of a session")),
                TokenKind::Punct(byte) if !b"()*,.=<>!+-/%&|^~".contains(&byte) => {
                    return Err(refused(&format!("there is a {:?} in it", char::from(byte))));
                }
                TokenKind::Word => {
                    let is = |list: &[&str]| list.iter().any(|one| token.is_word(bytes, one));
                    let is_column = at > 0 && (kept[at - 1].is_punct(b'.') || follows(b'.'));
                    if is(NEVER) && !is_column || is(WITH_VALUE) && value() {
                        let shown = String::from_utf8_lossy(token.bytes(bytes)).into_owned();
                        return Err(refused(&format!("it contains {shown}, which reads files or other tables")));
                    }
                    if is(&["ENGINE"]) && !is_column {
                        engine(&kept, at, bytes)?;
                    }
                }
                _ => {}
            }
        }
        Ok(Self { text: joined(sql, &kept)? })
    }

    /// The statement.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Runs it in a session whose client speaks UTF-8.
    ///
    /// # Errors
    /// The server's.
    pub async fn run(&self, conn: &mut Conn) -> crate::sql::Answer<()> {
        prepared(conn, self.text.as_bytes()).await
    }
}

fn engine(kept: &[Token], at: usize, bytes: &[u8]) -> Result<()> {
    let at = at + 1 + usize::from(kept.get(at + 1).is_some_and(|next| next.is_punct(b'=')));
    // A column of this name has a type behind it, which is no engine and no option either.
    let Some(name) = kept.get(at).and_then(|token| match token.kind {
        TokenKind::String => Some(String::from_utf8_lossy(token.bytes(bytes)).trim_matches(['\'', '"']).to_owned()),
        _ => token.name(bytes),
    }) else {
        return Ok(());
    };
    match ENGINES.contains(&name.to_ascii_uppercase().as_str()) && !matches!(&*name.to_ascii_uppercase(), "MERGE" | "MRG_MYISAM")
    {
        true => Ok(()),
        false => Err(refused("its engine reads files, other tables or other servers, or is not known")),
    }
}

/// The tokens with the gaps between them, of which comments become blanks.
fn joined(sql: &str, kept: &[Token]) -> Result<String> {
    let mut text = String::with_capacity(sql.len());
    let mut end = kept.first().map_or(0, |token| token.start);
    for token in kept {
        if token.start > end {
            text.push(' ');
        }
        text.push_str(sql.get(token.start..token.end).ok_or_else(|| refused("it is not in UTF-8"))?);
        end = token.end;
    }
    Ok(text)
}

fn refused(why: &str) -> Error {
    Error::definite(format!("the statement is not run at the destination: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Result<String> {
        LoggedDefinition::read(sql, &LexMode::default()).map(|read| read.text)
    }

    #[test]
    fn comments_go_and_every_other_byte_stays() {
        let sql = "/* app */ ALTER  TABLE `d`.`t` -- x\n ADD COLUMN  `select` int DEFAULT (abs(-1)) COMMENT 'a;b -- c', /*!40000 DISABLE KEYS */ ;";
        let text = "ALTER TABLE `d`.`t` ADD COLUMN `select` int DEFAULT (abs(-1)) COMMENT 'a;b -- c', DISABLE KEYS";
        assert_eq!(read(sql).unwrap(), text);
        assert_eq!(read("ALTER TABLE `d`.`t` ENGINE=InnoDB").unwrap(), "ALTER TABLE `d`.`t` ENGINE=InnoDB");
        assert_eq!(read("alter table `d`.`t` add connection int, add t.handler int").unwrap().len(), 57);
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for sql in [
            "ALTER TABLE `d`.`t` ADD a INT; DROP DATABASE d",
            "DROP TABLE `d`.`t`",
            "CREATE USER u",
            "ALTER TABLE `d`.`t` DATA DIRECTORY='/tmp'",
            "ALTER TABLE `d`.`t` CONNECTION='mysql://u@h/d/t'",
            "ALTER TABLE `d`.`t` ENGINE=FEDERATED",
            "ALTER TABLE `d`.`t` ENGINE 'CONNECT'",
            "ALTER TABLE `d`.`t` UNION=(x)",
            "ALTER TABLE `d`.`t` EXCHANGE PARTITION p WITH TABLE mysql.user",
            "ALTER TABLE `d`.`t` IMPORT TABLESPACE",
            "CREATE TABLE `d`.`t` (a INT) AS SELECT 1",
            "ALTER TABLE `d`.`t` COMMENT 'x",
            "ALTER TABLE `d`.`t` ADD a INT DEFAULT (@x)",
        ] {
            assert!(read(sql).is_err(), "{sql}");
        }
    }
}
