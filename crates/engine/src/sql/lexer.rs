//! Tokens of MySQL and MariaDB statements, by byte offset.
//!
//! Works on bytes, because a logged statement is in its client's character set, and gives spans into the
//! input, so that callers can replace names and leave every other byte as it was. Comments and blanks are the
//! gaps between tokens; an executable comment's frame (`/*!80016`, `*/`) is a pair of tokens around its
//! contents. Never fails: what has no end becomes one [`TokenKind::Broken`] token up to the input's end.
//! (MySQL manual 11.1 to 11.7, MariaDB "Comment Syntax".)

use std::ops::Range;

use crate::sql::charset::MultiByte;
use godwit_model::server::{Flavor, ServerInfo};

/// What changes how bytes are read: a part of `sql_mode`, and who executes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LexMode {
    /// `"…"` is an identifier.
    pub ansi_quotes: bool,
    /// A backslash in a string is itself.
    pub no_backslash_escapes: bool,
    /// The client's character set, where an ASCII byte can be part of a character.
    pub charset: MultiByte,
    /// The server that executed the statement: executable comments meant for others are plain comments. None:
    /// the contents of all of them are tokens.
    pub server: Option<ServerInfo>,
}

impl LexMode {
    /// From the `sql_mode` bits of a binary-log QUERY event (`Q_SQL_MODE_CODE`; `sql/system_variables.h`).
    pub fn from_bits(sql_mode: u64, server: Option<&ServerInfo>) -> Self {
        const ANSI_QUOTES: u64 = 1 << 2;
        const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;
        Self {
            ansi_quotes: sql_mode & ANSI_QUOTES != 0,
            no_backslash_escapes: sql_mode & NO_BACKSLASH_ESCAPES != 0,
            charset: MultiByte::None,
            server: server.cloned(),
        }
    }

    /// Digits that a version in an executable comment has at most. MySQL 5.7 and 8.0 take five, MySQL 9 and MariaDB six; where it is
    /// not certain five are the safe reading, as what has six and is not meant for others is then read as executed.
    fn version_digits(&self) -> usize {
        let five = self.server.as_ref().is_some_and(|server| !server.is_mariadb() && !server.is_mysql_since(9, 0, 0));
        if five { 5 } else { 6 }
    }

    fn executes(&self, version: u32, mariadb_only: bool) -> bool {
        let Some(server) = &self.server else { return true };
        let (major, minor, patch) = server.version;
        let own = u32::from(major) * 10_000 + u32::from(minor) * 100 + u32::from(patch);
        match server.flavor {
            Flavor::MySql => !mariadb_only && version <= own,
            // MariaDB takes /*!50700 to /*!99999 for features of MySQL that it lacks.
            Flavor::MariaDb => version <= own && (mariadb_only || !(50_700..=99_999).contains(&version)),
        }
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Keyword or unquoted identifier.
    Word,
    /// Quoted identifier, its quotes included.
    Quoted,
    /// String literal, its quotes included.
    String,
    Number,
    /// `x'..'`, `0x..`, `b'..'`, `0b..`.
    HexOrBit,
    /// `@name`, also the host of an account.
    UserVariable,
    /// `@@name`.
    SystemVariable,
    /// One byte of punctuation.
    Punct(u8),
    /// `/*!80016`, `/*M!100301`: what follows up to [`TokenKind::ExecClose`] is executed.
    ExecOpen,
    /// The `*/` of an executable comment.
    ExecClose,
    /// A string, name or comment without an end.
    Broken,
}

/// One token; its bytes are `sql[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

impl Token {
    /// The token's bytes.
    pub fn bytes<'a>(&self, sql: &'a [u8]) -> &'a [u8] {
        sql.get(self.start..self.end).unwrap_or_default()
    }

    /// Where it stands.
    pub fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether it is this unquoted word, in any case.
    pub fn is_word(&self, sql: &[u8], word: &str) -> bool {
        self.kind == TokenKind::Word && self.bytes(sql).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether it is this punctuation.
    pub fn is_punct(&self, byte: u8) -> bool {
        self.kind == TokenKind::Punct(byte)
    }

    /// The name that a word or a quoted identifier stands for; None for anything else, and for bytes that
    /// are not UTF-8.
    pub fn name(&self, sql: &[u8]) -> Option<String> {
        let bytes = self.bytes(sql);
        let plain = match self.kind {
            TokenKind::Word => bytes.to_vec(),
            TokenKind::Quoted => unquote(bytes),
            _ => return None,
        };
        String::from_utf8(plain).ok()
    }
}

/// Content between the quotes, doubled quotes taken once; no escapes.
pub fn unquote(quoted: &[u8]) -> Vec<u8> {
    let (Some(&quote), true) = (quoted.first(), quoted.len() >= 2) else { return Vec::new() };
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted[1..quoted.len() - 1].iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        plain.push(byte);
        if byte == quote && bytes.peek() == Some(&quote) {
            bytes.next();
        }
    }
    plain
}

/// The value of a string literal: `'it''s\n'`.
pub fn string_value(literal: &[u8], no_backslash_escapes: bool) -> Vec<u8> {
    let literal = literal.strip_prefix(b"n").or_else(|| literal.strip_prefix(b"N")).unwrap_or(literal);
    let (Some(&quote), true) = (literal.first(), literal.len() >= 2) else { return Vec::new() };
    let mut value = Vec::with_capacity(literal.len());
    let mut bytes = literal[1..literal.len() - 1].iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && !no_backslash_escapes {
            match bytes.next() {
                Some(b'0') => value.push(0),
                Some(b'n') => value.push(b'\n'),
                Some(b'r') => value.push(b'\r'),
                Some(b't') => value.push(b'\t'),
                Some(b'b') => value.push(8),
                Some(b'Z') => value.push(26),
                Some(other) => value.push(other),
                None => {}
            }
        } else {
            if byte == quote {
                bytes.next();
            }
            value.push(byte);
        }
    }
    value
}

/// All tokens of a statement.
pub fn tokens(sql: &[u8], mode: &LexMode) -> Vec<Token> {
    let mut lexer = Lexer { sql, mode, at: 0, open_comments: 0, after_dot: false };
    std::iter::from_fn(|| lexer.next()).collect()
}

struct Lexer<'a> {
    sql: &'a [u8],
    mode: &'a LexMode,
    at: usize,
    open_comments: usize,
    /// A name's dot came just before: digits begin a name, not a number.
    after_dot: bool,
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&accept) {
            self.at += 1;
        }
    }

    /// A name without quotes: whole characters.
    fn take_name(&mut self) {
        while self.peek(0).is_some_and(is_name_byte) {
            self.at += self.character(self.at);
        }
    }

    /// Bytes of the character that begins here.
    fn character(&self, at: usize) -> usize {
        self.mode.charset.character(self.sql.get(at..).unwrap_or_default())
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_gap();
        let start = self.at;
        let first = self.peek(0)?;
        let after_dot = std::mem::take(&mut self.after_dot);
        let kind = self.token(first, after_dot);
        Some(Token { kind, start, end: self.at })
    }

    /// Blanks and comments that nobody executes; one without an end is left for [`Self::token`].
    fn skip_gap(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(byte), _) if is_blank(byte) => self.at += 1,
                (Some(b'#'), _) => self.take_while(|byte| byte != b'\n'),
                (Some(b'-'), Some(b'-')) if self.peek(2).is_none_or(|byte| is_blank(byte) || byte.is_ascii_control()) => {
                    self.take_while(|byte| byte != b'\n');
                }
                (Some(b'/'), Some(b'*')) if self.executable_comment().is_none() => match self.comment_end(self.at + 2) {
                    Some(end) => self.at = end,
                    None => return,
                },
                _ => return,
            }
        }
    }

    fn comment_end(&self, from: usize) -> Option<usize> {
        let rest = self.sql.get(from..)?;
        rest.windows(2).position(|pair| pair == b"*/").map(|at| from + at + 2)
    }

    /// Length of `/*!NNNNN` or `/*M!NNNNNN` when one begins here and is executed.
    fn executable_comment(&self) -> Option<usize> {
        let (mariadb_only, prefix) = match (self.peek(2), self.peek(3)) {
            (Some(b'!'), _) => (false, 3),
            (Some(b'M' | b'm'), Some(b'!')) => (true, 4),
            _ => return None,
        };
        let digits = (0..self.mode.version_digits())
            .take_while(|&i| self.peek(prefix + i).is_some_and(|byte| byte.is_ascii_digit()))
            .count();
        // Fewer than five digits are no version but part of the contents.
        let digits = if digits >= 5 { digits } else { 0 };
        let version = (0..digits).fold(0, |number, i| number * 10 + u32::from(self.peek(prefix + i).unwrap_or(b'0') - b'0'));
        self.mode.executes(version, mariadb_only).then_some(prefix + digits)
    }

    fn token(&mut self, first: u8, after_dot: bool) -> TokenKind {
        match first {
            b'/' if self.peek(1) == Some(b'*') => match self.executable_comment() {
                Some(length) => {
                    self.at += length;
                    self.open_comments += 1;
                    TokenKind::ExecOpen
                }
                None => self.broken(),
            },
            b'*' if self.open_comments > 0 && self.peek(1) == Some(b'/') => {
                self.at += 2;
                self.open_comments -= 1;
                TokenKind::ExecClose
            }
            b'`' => self.quoted(first, false, TokenKind::Quoted),
            b'"' if self.mode.ansi_quotes => self.quoted(first, false, TokenKind::Quoted),
            b'\'' | b'"' => self.quoted(first, true, TokenKind::String),
            b'@' => self.variable(),
            b'x' | b'X' | b'b' | b'B' if !after_dot && self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.quoted(b'\'', false, TokenKind::HexOrBit)
            }
            b'n' | b'N' if !after_dot && self.peek(1) == Some(b'\'') => {
                self.at += 1;
                self.quoted(b'\'', true, TokenKind::String)
            }
            b'0'..=b'9' if !after_dot => self.number_or_name(),
            b'.' if !self.follows_name() && self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.number_tail();
                TokenKind::Number
            }
            byte if is_name_byte(byte) => {
                self.take_name();
                TokenKind::Word
            }
            byte => {
                self.at += 1;
                self.after_dot = byte == b'.';
                TokenKind::Punct(byte)
            }
        }
    }

    fn broken(&mut self) -> TokenKind {
        self.at = self.sql.len();
        TokenKind::Broken
    }

    /// Whether a name or its closing quote ends right before this place.
    fn follows_name(&self) -> bool {
        self.at
            .checked_sub(1)
            .and_then(|before| self.sql.get(before))
            .is_some_and(|&byte| is_name_byte(byte) || byte == b'`' || byte == b'"')
    }

    fn quoted(&mut self, quote: u8, escapes: bool, kind: TokenKind) -> TokenKind {
        let escapes = escapes && !self.mode.no_backslash_escapes;
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            let length = self.character(self.at);
            self.at += length;
            if length > 1 {
                continue;
            }
            // One byte, as servers do it, even where a character of several begins behind it.
            if byte == b'\\' && escapes {
                if self.peek(0).is_none() {
                    break;
                }
                self.at += 1;
            } else if byte == quote {
                if self.peek(0) != Some(quote) {
                    return kind;
                }
                self.at += 1;
            }
        }
        self.broken()
    }

    fn variable(&mut self) -> TokenKind {
        self.at += 1;
        match self.peek(0) {
            Some(b'@') => {
                self.at += 1;
                match self.peek(0) {
                    Some(b'`') => self.quoted(b'`', false, TokenKind::SystemVariable),
                    _ => {
                        self.take_name();
                        TokenKind::SystemVariable
                    }
                }
            }
            Some(quote @ (b'\'' | b'"')) => self.quoted(quote, true, TokenKind::UserVariable),
            Some(b'`') => self.quoted(b'`', false, TokenKind::UserVariable),
            _ => {
                while self.peek(0).is_some_and(|byte| is_name_byte(byte) || byte == b'.') {
                    self.at += self.character(self.at);
                }
                TokenKind::UserVariable
            }
        }
    }

    /// `12`, `1.5e3`, `0x1F`, `0b01`, or a name that begins with a digit.
    fn number_or_name(&mut self) -> TokenKind {
        let start = self.at;
        self.take_name();
        let run = &self.sql[start..self.at];
        let radix =
            |mark: u8, digit: fn(&u8) -> bool| run.len() > 2 && run[0] == b'0' && run[1] == mark && run[2..].iter().all(digit);
        if radix(b'x', u8::is_ascii_hexdigit) || radix(b'b', |byte| matches!(byte, b'0' | b'1')) {
            return TokenKind::HexOrBit;
        }
        let digits = run.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let exponent = matches!(run.get(digits), Some(b'e' | b'E')) && run.len() > digits;
        match (digits == run.len(), exponent) {
            (true, _) if self.peek(0) == Some(b'.') => {
                self.number_tail();
                TokenKind::Number
            }
            (true, _) => TokenKind::Number,
            (false, true) => {
                let power = &run[digits + 1..];
                let signed = power.is_empty()
                    && matches!(self.peek(0), Some(b'+' | b'-'))
                    && self.peek(1).is_some_and(|b| b.is_ascii_digit());
                if signed {
                    self.at += 1;
                    self.take_while(|byte| byte.is_ascii_digit());
                    TokenKind::Number
                } else if !power.is_empty() && power.iter().all(u8::is_ascii_digit) {
                    TokenKind::Number
                } else {
                    TokenKind::Word
                }
            }
            (false, false) => TokenKind::Word,
        }
    }

    /// From the point on: `.25`, `.5e-3`.
    fn number_tail(&mut self) {
        self.at += 1;
        self.take_while(|byte| byte.is_ascii_digit());
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1 + sign;
                self.take_while(|byte| byte.is_ascii_digit());
            }
        }
    }
}

/// The token that closes the parenthesis at `open`.
pub fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            TokenKind::Punct(b'(') => depth += 1,
            TokenKind::Punct(b')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(sql: &str, mode: &LexMode) -> Vec<String> {
        tokens(sql.as_bytes(), mode).iter().map(|token| sql[token.span()].to_owned()).collect()
    }

    fn plain(sql: &str) -> Vec<String> {
        shown(sql, &LexMode::default())
    }

    #[test]
    fn names_strings_and_comments() {
        assert_eq!(plain("a`b``c`.d -- x\n'it''s\\'' # y\n/* z */e"), ["a", "`b``c`", ".", "d", "'it''s\\''", "e"]);
        assert_eq!(plain("1-- 2"), ["1"]);
        assert_eq!(plain("1--2"), ["1", "-", "-", "2"]);
        assert_eq!(plain("db.1t.2e5"), ["db", ".", "1t", ".", "2e5"]);
        assert_eq!(
            plain("1e5 1.5e-3 .5 0x1F 0xg x'1f' b'01' 1e 1e+5"),
            ["1e5", "1.5e-3", ".5", "0x1F", "0xg", "x'1f'", "b'01'", "1e", "1e+5"]
        );
        assert_eq!(
            plain("DEFINER=`r``x`@`%` u@127.0.0.1 @@global.x @'a b'"),
            ["DEFINER", "=", "`r``x`", "@`%`", "u", "@127.0.0.1", "@@global", ".", "x", "@'a b'"]
        );
    }

    #[test]
    fn executable_comments_stay_in_place() {
        assert_eq!(
            plain("a /*!80016 NOT /* inner */ x */ b /*M!100301 c*/ * /"),
            ["a", "/*!80016", "NOT", "x", "*/", "b", "/*M!100301", "c", "*/", "*", "/"]
        );
        assert_eq!(plain("/*!1 a*/"), ["/*!", "1", "a", "*/"]);
        let on = |version: &str| LexMode { server: Some(ServerInfo::parse(version)), ..LexMode::default() };
        let sql = "a /*!50100 b*/ /*!80016 c*/ /*M!100301 d*/ /*!100301 e*/ /*! f*/";
        let words = |version: &str| shown(sql, &on(version)).into_iter().filter(|t| t.len() == 1).collect::<String>();
        assert_eq!(words("9.7.4"), "abcf");
        // A version of five digits, and what is left of six.
        assert_eq!(words("8.0.36"), "abc1ef");
        assert_eq!(words("5.7.22-log"), "ab1ef");
        assert_eq!(words("11.4.5-MariaDB"), "abdef");
    }

    #[test]
    fn modes() {
        let ansi = LexMode { ansi_quotes: true, ..LexMode::default() };
        assert_eq!(tokens(b"\"a\"\"b\"", &ansi)[0].name(b"\"a\"\"b\"").as_deref(), Some("a\"b"));
        assert_eq!(tokens(b"\"a\"", &LexMode::default())[0].kind, TokenKind::String);
        let raw = LexMode { no_backslash_escapes: true, ..LexMode::default() };
        assert_eq!(shown("'a\\' b", &raw), ["'a\\'", "b"]);
        assert_eq!(tokens(b"'a\\' b", &LexMode::default())[0].kind, TokenKind::Broken);
        assert_eq!(
            LexMode::from_bits((1 << 2) | (1 << 20), None),
            LexMode { ansi_quotes: true, no_backslash_escapes: true, ..LexMode::default() }
        );
    }

    #[test]
    fn versions_have_as_many_digits_as_the_server_takes() {
        let words = |version: &str| {
            let mode = LexMode { server: Some(ServerInfo::parse(version)), ..LexMode::default() };
            shown("a /*!500001 b */ c /*!080000 d*/", &mode).into_iter().filter(|t| t.len() == 1).collect::<String>()
        };
        assert_eq!(words("5.7.22"), "a1bc0d");
        assert_eq!(words("9.7.4"), "acd");
        assert_eq!(words("11.4.5-MariaDB"), "ac");
    }

    #[test]
    fn string_values() {
        assert_eq!(string_value(br"'it''s\n\\\'x'", false), b"it's\n\\'x");
        assert_eq!(string_value(br"'a\n'", true), b"a\\n");
        assert_eq!(string_value(b"N'a'", false), b"a");
        assert_eq!(string_value(b"'", false), b"");
    }

    fn assert_covers(sql: &[u8], mode: &LexMode) {
        let mut rebuilt = Vec::new();
        let mut end = 0;
        for token in tokens(sql, mode) {
            assert!(token.start >= end && token.end > token.start && token.end <= sql.len());
            rebuilt.extend_from_slice(&sql[end..token.end]);
            end = token.end;
        }
        rebuilt.extend_from_slice(&sql[end..]);
        assert_eq!(rebuilt, sql);
    }

    proptest! {
        #[test]
        fn never_panics_and_covers_bytes(sql in proptest::collection::vec(any::<u8>(), 0..200), ansi: bool, raw: bool) {
            assert_covers(&sql, &LexMode { ansi_quotes: ansi, no_backslash_escapes: raw, ..LexMode::default() });
        }

        #[test]
        fn never_panics_and_covers_sql(sql in "[a-z0-9`'\"/*!M. @#\\\\\n(),xbe+-]{0,80}", ansi: bool, raw: bool) {
            assert_covers(sql.as_bytes(), &LexMode { ansi_quotes: ansi, no_backslash_escapes: raw, server: Some(ServerInfo::parse("8.0.36")), ..LexMode::default() });
        }
    }
}
