//! The text of a program's CREATE, which cannot be prepared.
//!
//! PREPARE takes no CREATE of a procedure, function, trigger or event (MySQL manual, "PREPARE Statement"). So the text goes as one COM_QUERY through
//! a connection that was made without CLIENT_MULTI_STATEMENTS ([`crate::dump::Dump`]): the server refuses whatever stands behind the
//! first statement. That a body is code of the source's is what carrying it means; that the statement makes this object, and is of this kind, is
//! looked at here.

use crate::sql::lexer::{LexMode, Token, TokenKind, tokens};
use godwit_model::error::{Error, Result};
use godwit_model::program::{ProgramKind, ProgramName};

/// A CREATE of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    text: String,
}

/// The same in the character set of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedProgram {
    bytes: Vec<u8>,
}

/// With what a body of several statements begins.
const COMPOUND: &[&str] = &["BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR", "DECLARE", "AS", "IS"];

impl Program {
    /// The CREATE of this program; `mode` is that of its session.
    ///
    /// # Errors
    /// Definite: it makes something else, has an open end, or is more than one statement as far as its tokens tell.
    pub fn parse(text: String, name: &ProgramName, mode: &LexMode) -> Result<Self> {
        let list = tokens(text.as_bytes(), mode);
        let refused = |why: &str| Error::definite(format!("{name}: {why}; it is not made at the destination"));
        if list.iter().any(|token| token.kind == TokenKind::Broken) {
            return Err(refused("a name, a string or a comment in it has no end"));
        }
        if text.contains('\0') {
            return Err(refused("there is a byte 0 in it"));
        }
        let sql = Tokens { sql: text.as_bytes(), list };
        let body = sql.body(name).ok_or_else(|| refused("its CREATE makes another object"))?;
        if (0..body).any(|at| sql.punct(at, b';')) {
            return Err(refused("there is a second statement in its head"));
        }
        let first = if sql.punct(body + 1, b':') { body + 2 } else { body };
        let compound = COMPOUND.iter().any(|word| sql.word(first, word));
        let several = (body..sql.list.len()).any(|at| sql.punct(at, b';'));
        if several && !compound {
            return Err(refused("there is a second statement behind its body"));
        }
        Ok(Self { text })
    }

    /// The statement.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In the character set of the session that makes it; `bytes` are this text there.
    pub(crate) fn encoded(&self, bytes: Vec<u8>) -> EncodedProgram {
        EncodedProgram { bytes }
    }
}

impl EncodedProgram {
    /// What is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

struct Tokens<'a> {
    sql: &'a [u8],
    list: Vec<Token>,
}

impl Tokens<'_> {
    fn word(&self, at: usize, word: &str) -> bool {
        self.list.get(at).is_some_and(|token| token.is_word(self.sql, word))
    }

    fn punct(&self, at: usize, byte: u8) -> bool {
        self.list.get(at).is_some_and(|token| token.is_punct(byte))
    }

    fn quoted(&self, at: usize) -> Option<String> {
        self.list.get(at).filter(|token| token.kind == TokenKind::Quoted)?.name(self.sql)
    }

    /// `` `database`.`name` `` at a place.
    fn object(&self, at: usize, database: &str, name: Option<&str>) -> bool {
        self.quoted(at).as_deref() == Some(database)
            && self.punct(at + 1, b'.')
            && self.quoted(at + 2).is_some_and(|found| name.is_none_or(|name| found == name))
    }

    /// The place of the body, where the head is that of this program.
    fn body(&self, name: &ProgramName) -> Option<usize> {
        let mut at = usize::from(self.word(0, "CREATE"));
        if at == 0 {
            return None;
        }
        if self.word(at, "DEFINER") && self.punct(at + 1, b'=') {
            self.quoted(at + 2)?;
            let host = self.list.get(at + 3).is_some_and(|token| token.kind == TokenKind::UserVariable);
            at += 3 + usize::from(host);
        }
        at += usize::from(name.kind == ProgramKind::Function && self.word(at, "AGGREGATE"));
        if !self.word(at, name.kind.keyword()) || !self.object(at + 1, &name.database, Some(&name.name)) {
            return None;
        }
        let head = at + 4;
        let places = head..self.list.len();
        match name.kind {
            ProgramKind::Function | ProgramKind::Procedure => {
                if !self.punct(head, b'(') {
                    return None;
                }
                // Ours stand behind parameters and type: … SQL SECURITY x [COMMENT 'y'] body.
                let security = places.into_iter().find(|&at| self.word(at, "SQL") && self.word(at + 1, "SECURITY"))?;
                let comment = if self.word(security + 3, "COMMENT") { 2 } else { 0 };
                Some(security + 3 + comment)
            }
            ProgramKind::Trigger => {
                let on = head + 2;
                let is_head = self.word(on, "ON")
                    && self.object(on + 1, &name.database, None)
                    && ["FOR", "EACH", "ROW"].iter().enumerate().all(|(place, word)| self.word(on + 4 + place, word));
                let order = self.word(on + 7, "FOLLOWS") || self.word(on + 7, "PRECEDES");
                let ordered = order && self.quoted(on + 8).is_some();
                is_head.then_some(on + 7 + if ordered { 2 } else { 0 })
            }
            ProgramKind::Event => {
                if !self.word(head, "ON") || !self.word(head + 1, "SCHEDULE") {
                    return None;
                }
                let disable = places.into_iter().find(|&at| self.word(at, "DISABLE"))?;
                let comment = if self.word(disable + 1, "COMMENT") { 2 } else { 0 };
                self.word(disable + 1 + comment, "DO").then_some(disable + 2 + comment)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: ProgramKind, text: &str) -> Result<Program> {
        let name = ProgramName { kind, database: "d".into(), name: "n".into() };
        Program::parse(text.to_owned(), &name, &LexMode::default())
    }

    #[test]
    fn one_program_of_its_own_name() {
        use ProgramKind::{Event, Function, Procedure, Trigger};
        for (kind, text) in [
            (Procedure, "CREATE PROCEDURE `d`.`n`()\nNO SQL NOT DETERMINISTIC SQL SECURITY INVOKER\nSELECT 1"),
            (
                Procedure,
                "CREATE DEFINER=`a`@`%` PROCEDURE `d`.`n`(a INT)\nNO SQL DETERMINISTIC SQL SECURITY INVOKER COMMENT 'x;'\nl: BEGIN SELECT 1; END",
            ),
            (
                Function,
                "CREATE AGGREGATE FUNCTION `d`.`n`(a INT) RETURNS int\nNO SQL DETERMINISTIC SQL SECURITY INVOKER\nRETURN 1",
            ),
            (Trigger, "CREATE TRIGGER `d`.`n` BEFORE INSERT ON `d`.`t` FOR EACH ROW FOLLOWS `m` SET NEW.a = ';'"),
            (
                Event,
                "CREATE EVENT `d`.`n` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE COMMENT 'c' DO BEGIN DELETE FROM t; END",
            ),
        ] {
            assert!(parse(kind, text).is_ok(), "{text}");
        }
        for (kind, text) in [
            (Procedure, "CREATE PROCEDURE `d`.`m`()\nNO SQL NOT DETERMINISTIC SQL SECURITY INVOKER\nSELECT 1"),
            (Procedure, "CREATE FUNCTION `d`.`n`()\nNO SQL NOT DETERMINISTIC SQL SECURITY INVOKER\nSELECT 1"),
            (Procedure, "CREATE PROCEDURE `d`.`n`()\nNO SQL NOT DETERMINISTIC SQL SECURITY INVOKER\nSELECT 1; DROP TABLE x"),
            (Procedure, "CREATE PROCEDURE `d`.`n`()\nNO SQL NOT DETERMINISTIC SQL SECURITY INVOKER\nSELECT 'x"),
            (Trigger, "CREATE TRIGGER `d`.`n` BEFORE INSERT ON `e`.`t` FOR EACH ROW SET NEW.a = 1"),
            (Event, "CREATE EVENT `d`.`n` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO SELECT 1"),
            (Event, "CREATE EVENT `d`.`n` ON SCHEDULE EVERY 1 DAY DO SELECT 1; DROP TABLE x; DISABLE DO SELECT 1"),
            (Trigger, "DROP TRIGGER `d`.`n`"),
        ] {
            assert!(parse(kind, text).is_err(), "{text}");
        }
    }
}
