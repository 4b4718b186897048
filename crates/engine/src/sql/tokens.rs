//! What may stand in a definition that comes from another server, whatever kind it is of.

use crate::sql::lexer::{LexMode, Token, TokenKind, tokens};
use godwit_model::error::{Error, Result};

/// MariaDB's mark of columns in the temporal formats before 5.6, the one plain comment in what servers show.
const OLD_TEMPORAL: &str = "/* mariadb-5.3 */";

/// A statement and its tokens, all executable comments open.
pub(super) struct Text<'a> {
    pub sql: &'a str,
    pub tokens: Vec<Token>,
    /// What it is about, for errors.
    what: String,
}

impl<'a> Text<'a> {
    /// # Errors
    /// Definite: it has an open end, more than one statement, plain comments, or executable ones that do not hold whole pieces.
    pub(super) fn read(sql: &'a str, what: String) -> Result<Self> {
        let tokens = tokens(sql.as_bytes(), &LexMode::default());
        let text = Self { sql, tokens, what };
        text.gaps()?;
        let mut depth = 0usize;
        let mut outside = None;
        for token in &text.tokens {
            match token.kind {
                TokenKind::Broken => return Err(text.refused("a name, a string or a comment has no end")),
                TokenKind::Punct(b';') => return Err(text.refused("there is a second statement in it")),
                // A byte 0, a brace of ODBC, a prompt: nothing that a server shows.
                TokenKind::Punct(byte) if !b"()*,.=<>!+-/%&|^~".contains(&byte) => {
                    return Err(text.refused(&format!("there is a {:?} in it", char::from(byte))));
                }
                TokenKind::UserVariable if !text.is_host(token) => {
                    return Err(text.refused("it uses a variable of a session"));
                }
                TokenKind::ExecOpen if outside.is_some() => return Err(text.refused("an executable comment is in another one")),
                // Whoever executes it and whoever does not read the same statement around it.
                TokenKind::ExecOpen => outside = Some(depth),
                TokenKind::ExecClose if outside.take() != Some(depth) => {
                    return Err(text.refused("an executable comment holds half of something"));
                }
                TokenKind::Punct(b'(') => depth += 1,
                TokenKind::Punct(b')') => {
                    depth = depth.checked_sub(1).ok_or_else(|| text.refused("a parenthesis is not opened"))?;
                    if outside.is_some_and(|outside| depth < outside) {
                        return Err(text.refused("an executable comment holds half of something"));
                    }
                }
                _ => {}
            }
        }
        if depth > 0 || outside.is_some() {
            return Err(text.refused("a parenthesis or a comment is not closed"));
        }
        Ok(text)
    }

    /// Comments are gaps between tokens: none may hide anything. Optimizer hints say nothing but how.
    fn gaps(&self) -> Result<()> {
        let mut end = 0;
        let starts = self.tokens.iter().map(|token| (token.start, token.end)).chain([(self.sql.len(), self.sql.len())]);
        for (start, next) in starts {
            let gap = self.sql.get(end..start).map(str::trim).ok_or_else(|| self.refused("it cannot be read"))?;
            let is_hint = || gap.starts_with("/*+") && gap.ends_with("*/") && !gap[3..].contains("/*");
            if !gap.is_empty() && gap != OLD_TEMPORAL && !is_hint() {
                return Err(self.refused("there is a comment in it"));
            }
            end = next;
        }
        Ok(())
    }

    /// The second half of `` `account`@`host` ``, which is no expression.
    fn is_host(&self, variable: &Token) -> bool {
        let is_account = |token: &Token| token.kind == TokenKind::Quoted && token.end == variable.start;
        self.tokens.iter().any(is_account)
    }

    /// The error of a statement that is not sent.
    pub(super) fn refused(&self, why: &str) -> Error {
        Error::definite(format!(
            "{}: {why}; a definition must be one statement about its own object, so it is not run at the destination. Change it at the \
             source or leave it out",
            self.what
        ))
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    pub(super) fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(self.sql.as_bytes(), word))
    }

    pub(super) fn is_punct(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_punct(byte))
    }

    /// The unquoted word at a place, in capitals.
    pub(super) fn word(&self, at: usize) -> Option<String> {
        let token = self.tokens.get(at).filter(|token| token.kind == TokenKind::Word)?;
        std::str::from_utf8(token.bytes(self.sql.as_bytes())).ok().map(str::to_ascii_uppercase)
    }

    /// The name in backticks at a place.
    pub(super) fn quoted(&self, at: usize) -> Option<String> {
        self.tokens.get(at).filter(|token| token.kind == TokenKind::Quoted)?.name(self.sql.as_bytes())
    }

    /// Whether `` `database`.`table` `` stands at a place.
    pub(super) fn is_object(&self, at: usize, database: &str, table: &str) -> bool {
        self.quoted(at).as_deref() == Some(database)
            && self.is_punct(at + 1, b'.')
            && self.quoted(at + 2).as_deref() == Some(table)
            && !self.is_punct(at + 3, b'.')
    }

    /// The place after the parenthesis that is opened at `at`.
    pub(super) fn after_group(&self, at: usize) -> usize {
        let mut depth = 0usize;
        for place in at..self.tokens.len() {
            match self.kind(place) {
                Some(TokenKind::Punct(b'(')) => depth += 1,
                Some(TokenKind::Punct(b')')) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return place + 1;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// Servers show names in backticks. One that is qualified without them would not be mapped.
    ///
    /// # Errors
    /// Definite when one of these words stands there (`allowed` are places where they may), or a name without quotes beside a dot.
    pub(super) fn expression(&self, from: usize, to: usize, forbidden: &[&str]) -> Result<()> {
        for at in from..to {
            if self.is_punct(at, b'.')
                && [at.wrapping_sub(1), at + 1].iter().any(|&side| self.kind(side) == Some(TokenKind::Word))
            {
                return Err(self.refused("a qualified name stands without quotes, which no server shows"));
            }
            if let Some(word) = self.word(at).filter(|word| forbidden.contains(&word.as_str())) {
                return Err(self.refused(&format!("it contains {word}, which reads files or other tables")));
            }
        }
        Ok(())
    }
}
