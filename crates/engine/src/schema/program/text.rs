//! What SHOW CREATE prints of a program, taken apart.
//!
//! The head is known field by field from `information_schema`, and is written anew; only what stands nowhere else is taken from the text: the
//! parameters and the type of a routine, the schedule of an event, the body. The forms are those of `sp.cc`, `event_db_repository.cc` and
//! `sql_trigger.cc` of MySQL and MariaDB, measured on 5.7, 8.0, 9.7 and MariaDB 11.4.

use crate::sql::lexer::{LexMode, Token, TokenKind, tokens};
use godwit_model::program::ProgramKind;

/// The parts of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    pub aggregate: bool,
    /// With their parentheses.
    pub parameters: String,
    pub returns: Option<String>,
    /// From ON SCHEDULE to before the status.
    pub schedule: String,
    pub enabled: bool,
    pub body: String,
}

/// Takes a text apart.
///
/// # Errors
/// Why it cannot be read: a form that is not known, another language.
pub fn take_apart(kind: ProgramKind, shown: &str, mode: &LexMode) -> Result<Taken, String> {
    let list = tokens(shown.as_bytes(), mode);
    if list.iter().any(|token| token.kind == TokenKind::Broken) {
        return Err("a name, a string or a comment in it has no end".into());
    }
    let text = Text { sql: shown, list };
    match kind {
        ProgramKind::Function | ProgramKind::Procedure => text.routine(kind),
        ProgramKind::Trigger => text.trigger(),
        ProgramKind::Event => text.event(),
    }
}

struct Text<'a> {
    sql: &'a str,
    list: Vec<Token>,
}

const UNKNOWN: &str = "its definition has a form that is not known";

impl Text<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.list.get(at).is_some_and(|token| token.is_word(self.sql.as_bytes(), word))
    }

    fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(place, word)| self.is(at + place, word))
    }

    fn is_punct(&self, at: usize, byte: u8) -> bool {
        self.list.get(at).is_some_and(|token| token.is_punct(byte))
    }

    fn kind(&self, at: usize) -> Option<TokenKind> {
        self.list.get(at).map(|token| token.kind)
    }

    /// The text from one token to before another, or to the end.
    fn between(&self, from: usize, to: usize) -> &str {
        let start = self.list.get(from).map_or(self.sql.len(), |token| token.start);
        let end = self.list.get(to).map_or(self.sql.len(), |token| token.start);
        self.sql.get(start..end).unwrap_or_default()
    }

    /// The place behind CREATE, the definer and the keyword of the kind.
    fn behind(&self, keyword: &str) -> Result<usize, String> {
        let mut at = 1;
        if !self.is(0, "CREATE") {
            return Err(UNKNOWN.into());
        }
        if self.are(at, &["OR", "REPLACE"]) {
            at += 2;
        }
        if self.is(at, "DEFINER") && self.is_punct(at + 1, b'=') {
            // `account`@`host`; a role of MariaDB has no host.
            let host = matches!(self.kind(at + 3), Some(TokenKind::UserVariable));
            at += 3 + usize::from(host);
        }
        at += usize::from(self.is(at, "AGGREGATE"));
        if self.is(at, keyword) { Ok(at + 1) } else { Err(UNKNOWN.into()) }
    }

    /// The place behind a name, qualified or not.
    fn behind_name(&self, at: usize) -> Result<usize, String> {
        let is_name = |at: usize| matches!(self.kind(at), Some(TokenKind::Word | TokenKind::Quoted));
        if !is_name(at) {
            return Err(UNKNOWN.into());
        }
        if self.is_punct(at + 1, b'.') && is_name(at + 2) {
            return Ok(at + 3);
        }
        Ok(at + 1)
    }

    fn behind_group(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for at in open..self.list.len() {
            if self.is_punct(at, b'(') {
                depth += 1;
            } else if self.is_punct(at, b')') {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
        }
        None
    }

    fn routine(&self, kind: ProgramKind) -> Result<Taken, String> {
        let open = self.behind_name(self.behind(kind.keyword())?)?;
        if !self.is_punct(open, b'(') {
            return Err(UNKNOWN.into());
        }
        let close = self.behind_group(open).ok_or(UNKNOWN)?;
        let aggregate = (0..open).any(|at| self.is(at, "AGGREGATE"));
        let parameters = self.between(open, close).trim_end().to_owned();
        let (returns, from) = match kind {
            ProgramKind::Function => {
                if !self.is(close, "RETURNS") {
                    return Err("it is written in another language than the server's own SQL".into());
                }
                let end = self.behind_type(close + 1);
                (Some(self.between(close + 1, end).trim_end().to_owned()), end)
            }
            _ => (None, close),
        };
        let body = self.behind_characteristics(from)?;
        let body = self.between(body, usize::MAX).trim_end().to_owned();
        if body.is_empty() {
            return Err(UNKNOWN.into());
        }
        Ok(Taken { aggregate, parameters, returns, body, ..Taken::default() })
    }

    /// The type ends with its line: what follows stands on lines of its own.
    fn behind_type(&self, from: usize) -> usize {
        let breaks = |at: usize| {
            let gap = match (self.list.get(at), self.list.get(at + 1)) {
                (Some(before), Some(after)) => self.sql.get(before.end..after.start).unwrap_or_default(),
                _ => "\n",
            };
            gap.contains('\n')
        };
        (from..self.list.len()).find(|&at| breaks(at)).map_or(self.list.len(), |at| at + 1)
    }

    fn behind_characteristics(&self, from: usize) -> Result<usize, String> {
        let mut at = from;
        loop {
            let words: usize = match () {
                () if self.are(at, &["NO", "SQL"]) || self.are(at, &["CONTAINS", "SQL"]) => 2,
                () if self.are(at, &["READS", "SQL", "DATA"]) || self.are(at, &["MODIFIES", "SQL", "DATA"]) => 3,
                () if self.is(at, "DETERMINISTIC") => 1,
                () if self.are(at, &["NOT", "DETERMINISTIC"]) => 2,
                () if self.are(at, &["SQL", "SECURITY"]) => 3,
                () if self.is(at, "COMMENT") && self.kind(at + 1) == Some(TokenKind::String) => 2,
                () if self.are(at, &["LANGUAGE", "SQL"]) => 2,
                () if self.is(at, "LANGUAGE") && !self.is_punct(at + 1, b':') => {
                    return Err("it is written in another language than SQL".into());
                }
                () => return Ok(at),
            };
            at += words;
        }
    }

    fn trigger(&self) -> Result<Taken, String> {
        let mut at = self.behind("TRIGGER")?;
        if self.are(at, &["IF", "NOT", "EXISTS"]) {
            at += 3;
        }
        at = self.behind_name(at)?;
        // BEFORE or AFTER, and what it fires for; both are known.
        let on = (at..at + 8).find(|&place| self.is(place, "ON")).ok_or(UNKNOWN)?;
        at = self.behind_name(on + 1)?;
        if !self.are(at, &["FOR", "EACH", "ROW"]) {
            return Err(UNKNOWN.into());
        }
        at += 3;
        let is_order = (self.is(at, "FOLLOWS") || self.is(at, "PRECEDES"))
            && matches!(self.kind(at + 1), Some(TokenKind::Word | TokenKind::Quoted))
            && !self.is_punct(at + 1, b':');
        if is_order {
            at = self.behind_name(at + 1)?;
        }
        let body = self.between(at, usize::MAX).trim_end().to_owned();
        if body.is_empty() { Err(UNKNOWN.into()) } else { Ok(Taken { body, ..Taken::default() }) }
    }

    fn event(&self) -> Result<Taken, String> {
        let start = self.behind_name(self.behind("EVENT")?)?;
        if !self.are(start, &["ON", "SCHEDULE"]) {
            return Err(UNKNOWN.into());
        }
        let completion = (start..self.list.len()).find(|&at| self.are(at, &["ON", "COMPLETION"])).ok_or(UNKNOWN)?;
        let status = completion + if self.is(completion + 2, "NOT") { 4 } else { 3 };
        let enabled = self.is(status, "ENABLE");
        let mut at = match () {
            () if self.is(status, "DISABLE") && self.is(status + 1, "ON") => status + 3,
            () if enabled || self.is(status, "DISABLE") => status + 1,
            () => return Err(UNKNOWN.into()),
        };
        if self.is(at, "COMMENT") {
            at += 2;
        }
        if !self.is(at, "DO") {
            return Err(UNKNOWN.into());
        }
        let schedule = self.between(start, status).trim_end().to_owned();
        let body = self.between(at + 1, usize::MAX).trim_end().to_owned();
        Ok(Taken { schedule, enabled, body, ..Taken::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(kind: ProgramKind, shown: &str) -> Taken {
        take_apart(kind, shown, &LexMode::default()).unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    #[test]
    fn routines() {
        let shown = "CREATE DEFINER=`root`@`%` FUNCTION `f`(a INT, b VARCHAR(10)) RETURNS enum('x','é\\ny') CHARSET latin1\n    \
                     DETERMINISTIC\n    COMMENT 'it''s é'\nRETURN 'x'";
        let found = taken(ProgramKind::Function, shown);
        assert_eq!(found.parameters, "(a INT, b VARCHAR(10))");
        assert_eq!(found.returns.as_deref(), Some("enum('x','é\\ny') CHARSET latin1"));
        assert_eq!(found.body, "RETURN 'x'");
        let shown = "CREATE DEFINER=`root`@`%` PROCEDURE `p ``q`(IN a INT /* ) */ , OUT b DECIMAL(10,2))\n    READS SQL DATA\n    \
                     SQL SECURITY INVOKER\nlab: BEGIN SELECT 1; END";
        let found = taken(ProgramKind::Procedure, shown);
        assert_eq!(found.parameters, "(IN a INT /* ) */ , OUT b DECIMAL(10,2))");
        assert_eq!(found.body, "lab: BEGIN SELECT 1; END");
        assert_eq!(taken(ProgramKind::Procedure, "CREATE PROCEDURE p()\nlanguage: BEGIN END").body, "language: BEGIN END");
        assert!(taken(ProgramKind::Function, "CREATE AGGREGATE FUNCTION `a`(x INT) RETURNS int(11)\nBEGIN END").aggregate);
        let ansi = LexMode { ansi_quotes: true, no_backslash_escapes: true, ..LexMode::default() };
        let shown = "CREATE DEFINER=\"root\"@\"%\" PROCEDURE \"pa\"()\n    COMMENT 'a\\\\b'\nSELECT \"id\", 'a\\' FROM \"t\"";
        assert_eq!(take_apart(ProgramKind::Procedure, shown, &ansi).unwrap().body, "SELECT \"id\", 'a\\' FROM \"t\"");
        let other = "CREATE DEFINER=`root`@`%` FUNCTION `j`(a int) RETURNS int\n    LANGUAGE JAVASCRIPT\nAS 'return a'";
        assert!(take_apart(ProgramKind::Function, other, &LexMode::default()).unwrap_err().contains("another language"));
        assert!(take_apart(ProgramKind::Procedure, "CREATE PROCEDURE p(", &LexMode::default()).is_err());
    }

    #[test]
    fn triggers() {
        for (shown, body) in [
            ("CREATE DEFINER=`root`@`%` TRIGGER b1 BEFORE INSERT ON t FOR EACH ROW SET NEW.a = NEW.a+1", "SET NEW.a = NEW.a+1"),
            (
                "CREATE DEFINER=`r`@`%` TRIGGER shop.b2 BEFORE INSERT ON shop.t FOR EACH ROW lab: BEGIN END lab",
                "lab: BEGIN END lab",
            ),
            (
                "CREATE DEFINER=`r`@`%` TRIGGER IF NOT EXISTS b2 AFTER UPDATE ON `s`.`t` FOR EACH ROW FOLLOWS `b1` SET @x=1",
                "SET @x=1",
            ),
            ("CREATE TRIGGER b AFTER DELETE ON t FOR EACH ROW PRECEDES c BEGIN END ", "BEGIN END"),
            ("CREATE TRIGGER b AFTER DELETE ON t FOR EACH ROW follows: BEGIN END follows", "follows: BEGIN END follows"),
        ] {
            assert_eq!(taken(ProgramKind::Trigger, shown).body, body);
        }
        assert!(
            take_apart(ProgramKind::Trigger, "CREATE TRIGGER b AFTER DELETE ON t FOR EACH ROW", &LexMode::default()).is_err()
        );
    }

    #[test]
    fn events() {
        let shown = "CREATE DEFINER=`r`@`%` EVENT `e` ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2030-01-01 00:00:00' ON COMPLETION \
                     PRESERVE DISABLE ON SLAVE COMMENT 'c''o' DO BEGIN SELECT 1; END";
        let found = taken(ProgramKind::Event, shown);
        assert_eq!(found.schedule, "ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE");
        assert_eq!((found.enabled, found.body.as_str()), (false, "BEGIN SELECT 1; END"));
        let shown = "CREATE EVENT `e2` ON SCHEDULE AT '2035-01-01 00:00:00' ON COMPLETION NOT PRESERVE ENABLE DO INSERT INTO l VALUES ('DO')";
        let found = taken(ProgramKind::Event, shown);
        assert_eq!((found.enabled, found.body.as_str()), (true, "INSERT INTO l VALUES ('DO')"));
    }
}
