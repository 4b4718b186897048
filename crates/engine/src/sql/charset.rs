//! Character sets of clients, as far as they decide how a logged statement is read.
//!
//! A statement is logged in its client's character set. In some of them the second byte of a character can be an ASCII one: `誠`
//! is D5 5C in gbk, and 5C is no backslash there. And names have to be compared with those of the task, which are UTF-8. So a
//! statement beyond ASCII is cut into tokens by its own rules and put together again in UTF-8 ([`in_utf8`]).

use std::collections::HashMap;

use crate::sql::lexer::{LexMode, TokenKind, tokens, unquote};
use godwit_model::names::quote_identifier;

/// Character sets whose characters can hold ASCII bytes; in all others an ASCII byte is itself. (MySQL source,
/// `strings/ctype-*.c`: `ismbchar`.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MultiByte {
    #[default]
    None,
    Big5,
    /// And cp932.
    Sjis,
    Gbk,
    Gb18030,
    EucKr,
}

impl MultiByte {
    /// By the name of a character set.
    pub fn of(charset: &str) -> Self {
        match charset.to_ascii_lowercase().as_str() {
            "big5" => Self::Big5,
            "sjis" | "cp932" => Self::Sjis,
            "gbk" => Self::Gbk,
            "gb18030" => Self::Gb18030,
            "euckr" => Self::EucKr,
            _ => Self::None,
        }
    }

    /// Bytes of the character that begins here: 1 as well where none does, or in the other character sets.
    pub fn character(self, bytes: &[u8]) -> usize {
        let (Some(&head), Some(&tail)) = (bytes.first(), bytes.get(1)) else { return 1 };
        let four = || matches!(bytes, [_, 0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, ..]);
        let is_two = match self {
            Self::None => false,
            Self::Big5 => matches!(head, 0xa1..=0xf9) && matches!(tail, 0x40..=0x7e | 0xa1..=0xfe),
            Self::Sjis => matches!(head, 0x81..=0x9f | 0xe0..=0xfc) && matches!(tail, 0x40..=0x7e | 0x80..=0xfc),
            Self::Gb18030 if matches!(head, 0x81..=0xfe) && four() => return 4,
            Self::Gbk | Self::Gb18030 => matches!(head, 0x81..=0xfe) && matches!(tail, 0x40..=0x7e | 0x80..=0xfe),
            Self::EucKr => matches!(head, 0x81..=0xfe) && matches!(tail, b'A'..=b'Z' | b'a'..=b'z' | 0x81..=0xfe),
        };
        if is_two { 2 } else { 1 }
    }
}

/// The names beyond ASCII in a statement, without their quotes.
pub fn names_beyond_ascii(sql: &[u8], mode: &LexMode) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = tokens(sql, mode).iter().filter_map(|token| name(token.kind, token.bytes(sql))).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn name(kind: TokenKind, bytes: &[u8]) -> Option<Vec<u8>> {
    let name = match kind {
        TokenKind::Word => bytes.to_vec(),
        TokenKind::Quoted => unquote(bytes),
        _ => return None,
    };
    (!name.is_ascii()).then_some(name)
}

/// The statement in UTF-8: its names by `names`, without comments, and with `?` in place of strings and variables beyond ASCII, which no
/// reader of heads looks at. A name that `names` lacks is left as it is.
pub fn in_utf8(sql: &[u8], mode: &LexMode, names: &HashMap<Vec<u8>, String>) -> Vec<u8> {
    let mut text = Vec::with_capacity(sql.len() + 64);
    let mut end = 0;
    for token in tokens(sql, mode) {
        if token.start > end {
            text.push(b' ');
        }
        end = token.end;
        let bytes = token.bytes(sql);
        match token.kind {
            TokenKind::String if !bytes.is_ascii() => text.extend_from_slice(b"'?'"),
            TokenKind::UserVariable if !bytes.is_ascii() => text.extend_from_slice(b"@`?`"),
            kind => match name(kind, bytes).and_then(|name| names.get(&name)) {
                Some(name) => text.extend_from_slice(quote_identifier(name).as_bytes()),
                None => text.extend_from_slice(bytes),
            },
        }
    }
    text
}

#[cfg(test)]
#[path = "charset_tests.rs"]
mod tests;
