//! Texts of definitions as the server has them, in UTF-8.
//!
//! A server turns what it shows into `character_set_results`, the literals in it as well, whatever character set they
//! are in: `_latin1'ä'` comes as `_latin1'?'`. So definitions are read with `character_set_results=NULL`, which sends the
//! bytes as they are kept: names and comments in UTF-8, a literal with an introducer in its own character set, a binary
//! default as it is (measured on MySQL 5.7, 8.0, 9.7 and MariaDB 11.4). Literals that UTF-8 cannot say are written as
//! hexadecimal ones here, which mean the same in every session.

use std::fmt::Write;

use crate::sql::lexer::{LexMode, Token, TokenKind, string_value, tokens};

/// A definition's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExactText {
    pub text: String,
    /// What is not known for certain, a sentence each.
    pub doubts: Vec<String>,
}

/// Rewrites what SHOW CREATE sent for `character_set_results=NULL` in UTF-8.
pub fn exact_text(shown: &[u8]) -> ExactText {
    let mut doubts = Vec::new();
    let bytes = with_literals(shown, |list, place| hexadecimal(shown, list, place, &mut doubts));
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        doubts.push("the definition holds names or comments that are no UTF-8".into());
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    });
    ExactText { text, doubts }
}

/// Literals of other character sets in hexadecimal, all else as it is: a text of a client that does not speak UTF-8.
pub fn introduced_as_hex(shown: &[u8]) -> Vec<u8> {
    with_literals(shown, |list, place| introduced(shown, list, place))
}

/// The text with other literals, where there is another one.
fn with_literals(shown: &[u8], mut other: impl FnMut(&[Token], usize) -> Option<String>) -> Vec<u8> {
    let list = tokens(shown, &LexMode::default());
    let mut bytes = Vec::with_capacity(shown.len());
    let mut at = 0;
    for (place, token) in list.iter().enumerate().filter(|(_, token)| token.kind == TokenKind::String) {
        let Some(literal) = other(&list, place) else { continue };
        bytes.extend_from_slice(shown.get(at..token.start).unwrap_or_default());
        bytes.extend_from_slice(literal.as_bytes());
        at = token.end;
    }
    bytes.extend_from_slice(shown.get(at..).unwrap_or_default());
    bytes
}

/// What stands for a literal with an introducer. The bytes of another character set may look like UTF-8; in hexadecimal nobody
/// takes them for it.
fn introduced(shown: &[u8], list: &[Token], place: usize) -> Option<String> {
    let literal = list[place].bytes(shown);
    let character_set = introducer(shown, list, place).filter(|_| !literal.is_ascii())?;
    let plain = is_utf8_name(&character_set) && std::str::from_utf8(literal).is_ok();
    (!plain).then(|| format!(" 0x{}", hex(&string_value(literal, false))))
}

/// What stands for the literal at `place`; None: it stays as it is.
fn hexadecimal(shown: &[u8], list: &[Token], place: usize, doubts: &mut Vec<String>) -> Option<String> {
    let literal = list[place].bytes(shown);
    if introducer(shown, list, place).is_some() {
        return introduced(shown, list, place);
    }
    if std::str::from_utf8(literal).is_ok() {
        return None;
    }
    let value = string_value(literal, false);
    if is_label(shown, list, place) {
        return Some(format!("x'{}'", hex(&value).to_ascii_lowercase()));
    }
    let is_default = place.checked_sub(1).is_some_and(|before| list[before].is_word(shown, "DEFAULT"));
    if !is_default {
        // MySQL 5.7 keeps expressions as the client wrote them, and reads them with the character set of whoever opens the table.
        doubts.push(format!(
            "an expression holds the literal 0x{}, which is no UTF-8: what it means depends on the session",
            hex(&value)
        ));
    }
    Some(format!("0x{}", hex(&value)))
}

/// `_latin1` before a literal: its name, in lower case, without the underscore.
pub fn introducer(sql: &[u8], list: &[Token], literal: usize) -> Option<String> {
    let token = list.get(literal.checked_sub(1)?)?;
    let name = token.bytes(sql).strip_prefix(b"_").filter(|_| token.kind == TokenKind::Word)?;
    Some(String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// Whether a character set is UTF-8.
pub fn is_utf8_name(character_set: &str) -> bool {
    matches!(character_set, "utf8" | "utf8mb3" | "utf8mb4")
}

/// Whether a literal is one of the values of an ENUM or SET.
fn is_label(shown: &[u8], list: &[Token], place: usize) -> bool {
    let before = list[..place]
        .iter()
        .rposition(|token| !matches!(token.kind, TokenKind::String | TokenKind::HexOrBit) && !token.is_punct(b','));
    let Some(open) = before.filter(|&at| list[at].is_punct(b'(')) else { return false };
    open.checked_sub(1).is_some_and(|at| list[at].is_word(shown, "enum") || list[at].is_word(shown, "set"))
}

/// `C3A9`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// The bytes of `C3A9`; None when it is not such a text.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect::<Option<_>>())?
}

/// The bytes of a literal: a string, `0xFF` or `x'ff'`. None for anything else (`b'1'`).
pub fn literal_bytes(token: &Token, sql: &[u8]) -> Option<Vec<u8>> {
    let bytes = token.bytes(sql);
    match token.kind {
        TokenKind::String => Some(string_value(bytes, false)),
        TokenKind::HexOrBit => {
            let text = std::str::from_utf8(bytes).ok()?;
            let digits =
                text.strip_prefix("0x").or_else(|| text.strip_prefix("x'").or(text.strip_prefix("X'"))?.strip_suffix('\''))?;
            unhex(&if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") })
        }
        _ => None,
    }
}

/// Text of these bytes. None: the character set is not known here, or they are no text of it.
pub fn decode(bytes: &[u8], character_set: &str) -> Option<String> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).ok().map(order)).collect::<Option<_>>()?;
        String::from_utf16(&units).ok()
    };
    match character_set {
        "ascii" => bytes.is_ascii().then(|| String::from_utf8_lossy(bytes).into_owned()),
        "latin1" => Some(bytes.iter().map(|byte| latin1(*byte)).collect()),
        "ucs2" | "utf16" => wide(u16::from_be_bytes),
        "utf16le" => wide(u16::from_le_bytes),
        "utf32" => {
            let unit = |unit: &[u8]| char::from_u32(u32::from_be_bytes(<[u8; 4]>::try_from(unit).ok()?));
            bytes.chunks(4).map(unit).collect()
        }
        name if is_utf8_name(name) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    }
}

/// MySQL's latin1 is Windows' code page 1252, with the control characters where that has nothing.
fn latin1(byte: u8) -> char {
    const FROM_80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“',
        '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => FROM_80[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(shown: &[u8]) -> String {
        let exact = exact_text(shown);
        assert!(exact.doubts.is_empty(), "{:?}", exact.doubts);
        exact.text
    }

    #[test]
    fn literals_keep_their_bytes() {
        assert_eq!(text("`g` AS (concat(`s`,_utf8mb4'😀é'))".as_bytes()), "`g` AS (concat(`s`,_utf8mb4'😀é'))");
        assert_eq!(
            text(b"`g` AS (if((`s` = _latin1'\xe4'),_utf8mb4'\xc3\xa9',_latin1'\xc3\xa9'))"),
            "`g` AS (if((`s` = _latin1 0xE4),_utf8mb4'é',_latin1 0xC3A9))"
        );
        // The second byte of a gbk letter is a backslash, which the server escapes like any other.
        assert_eq!(text(b"(concat(`s`,_gbk'\x8f\\\\'))"), "(concat(`s`,_gbk 0x8F5C))");
        assert_eq!(text(b"`b` varbinary(6) DEFAULT '\\0\xff' COMMENT 'x'"), "`b` varbinary(6) DEFAULT 0x00FF COMMENT 'x'");
        assert_eq!(text(b"`e` enum('a','\xff','\xc3\xa9') DEFAULT '\xff'"), "`e` enum('a',x'ff','é') DEFAULT 0xFF");
        assert_eq!(text(b"`a` char(3) DEFAULT '_latin1'"), "`a` char(3) DEFAULT '_latin1'");
    }

    #[test]
    fn what_a_session_decides_is_doubtful() {
        let exact = exact_text(b"`g` varchar(9) GENERATED ALWAYS AS (concat(`s`,'\xe9')) VIRTUAL");
        assert!(exact.doubts.len() == 1 && exact.doubts[0].contains("0xE9"), "{exact:?}");
        assert!(!exact_text(b"`\xe9` int").doubts.is_empty());
    }

    #[test]
    fn character_sets_are_decoded() {
        assert_eq!(decode(b"\xe4\x80", "latin1").as_deref(), Some("ä€"));
        assert_eq!(decode(b"\xd8\x3d\xde\x00\x00\xe9", "utf16").as_deref(), Some("😀é"));
        assert_eq!(decode(b"\x00\x01\xf6\x00", "utf32").as_deref(), Some("😀"));
        assert_eq!(decode(b"\x8f\x5c", "gbk"), None);
        assert_eq!(decode(b"\xe4", "utf8mb4"), None);
    }

    proptest! {
        #[test]
        fn every_literal_means_the_same(value in proptest::collection::vec(any::<u8>(), 0..12)) {
            // As servers print it: `append_unescaped`.
            let mut shown = b"(concat(`s`,_latin1'".to_vec();
            for byte in &value {
                match byte {
                    0 => shown.extend_from_slice(b"\\0"),
                    b'\n' => shown.extend_from_slice(b"\\n"),
                    b'\\' | b'\'' => shown.extend_from_slice(&[b'\\', *byte]),
                    _ => shown.push(*byte),
                }
            }
            shown.extend_from_slice(b"'))");
            let exact = text(&shown);
            let list = tokens(exact.as_bytes(), &LexMode::default());
            let literal = list.iter().find(|token| matches!(token.kind, TokenKind::String | TokenKind::HexOrBit)).unwrap();
            prop_assert_eq!(literal_bytes(literal, exact.as_bytes()), Some(value));
        }
    }
}
