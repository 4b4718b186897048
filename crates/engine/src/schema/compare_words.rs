//! Texts as words, without what servers spell otherwise: how two expressions are held against each other.

use std::ops::Range;

use crate::schema::compare::normal_collation;
use crate::schema::exact::{decode, introducer, is_utf8_name, literal_bytes};
use crate::sql::lexer::{Token, TokenKind};

/// How much of two texts has to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Every token.
    Words,
    /// Every token, but for conversions: a newer version of a server says them where an older one made them silently.
    Converted,
    /// Literals, names, numbers and operators, in any order.
    Written,
    /// Literals and numbers.
    Bounds,
}

/// What a literal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    /// Text of a character set that is not decoded here.
    Unknown,
    /// No text.
    Bytes,
}

/// A token, without what is spelled otherwise by another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Literal(Vec<u8>, Said),
    Name(String),
    Number(String),
    Other(String),
}

pub(super) fn words(sql: &[u8], list: &[Token], range: Range<usize>) -> Vec<Word> {
    let mut found = Vec::with_capacity(range.len());
    for at in range {
        let Some(token) = list.get(at) else { break };
        let is_literal = |token: &Token| matches!(token.kind, TokenKind::String | TokenKind::HexOrBit);
        let word = match token.kind {
            TokenKind::ExecOpen | TokenKind::ExecClose => continue,
            TokenKind::Word if list.get(at + 1).is_some_and(is_literal) && introducer(sql, list, at + 1).is_some() => continue,
            TokenKind::Number => Word::Number(String::from_utf8_lossy(token.bytes(sql)).into_owned()),
            TokenKind::Quoted => Word::Name(token.name(sql).unwrap_or_default().to_lowercase()),
            _ => match literal_bytes(token, sql) {
                Some(value) => {
                    let character_set = introducer(sql, list, at);
                    // A plain hexadecimal literal is bytes; all else is text, in UTF-8 unless it says otherwise.
                    let said = match (character_set.as_deref(), token.kind) {
                        (None, TokenKind::HexOrBit) | (Some("binary"), _) => Said::Bytes,
                        (character_set, _) => {
                            decode(&value, character_set.unwrap_or("utf8mb4")).map_or(Said::Unknown, Said::Text)
                        }
                    };
                    Word::Literal(value, said)
                }
                None => {
                    let text = String::from_utf8_lossy(token.bytes(sql)).to_lowercase();
                    Word::Other(if is_utf8_name(&text) && text != "utf8mb4" { "utf8mb3".into() } else { normal_collation(&text) })
                }
            },
        };
        found.push(word);
    }
    found
}

/// `convert(X using utf8mb4)` as X.
fn without_conversions(mut list: Vec<Word>) -> Vec<Word> {
    let is = |word: Option<&Word>, text: &str| matches!(word, Some(Word::Other(other)) if other == text);
    let mut at = 0;
    while at < list.len() {
        if is(list.get(at), "convert")
            && is(list.get(at + 1), "(")
            && let Some(end) = closing(&list, at + 1)
            && is(list.get(end - 2), "using")
        {
            list.drain(end - 2..=end);
            list.drain(at..at + 2);
        } else {
            at += 1;
        }
    }
    list
}

/// The place of the parenthesis that closes the one at `open`.
fn closing(list: &[Word], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, word) in list.iter().enumerate().skip(open) {
        match word {
            Word::Other(text) if text == "(" => depth += 1,
            Word::Other(text) if text == ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

pub(super) fn same_words(mut source: Vec<Word>, mut destination: Vec<Word>, strictness: Strictness) -> bool {
    if strictness == Strictness::Converted {
        source = without_conversions(source);
        destination = without_conversions(destination);
    }
    if strictness == Strictness::Bounds {
        for list in [&mut source, &mut destination] {
            list.retain(|word| matches!(word, Word::Literal(..) | Word::Number(_)));
        }
    }
    if strictness == Strictness::Written {
        source = written(source);
        destination = written(destination);
    }
    let same = |(a, b): (&Word, &Word)| match (a, b) {
        (Word::Literal(value, said), Word::Literal(other, other_said)) => {
            // A newer version says the text of a literal in the character set of what it is used for.
            let is_unknown = *said == Said::Unknown || *other_said == Said::Unknown;
            value == other || is_unknown || (*said != Said::Bytes && said == other_said)
        }
        _ => a == b,
    };
    source.len() == destination.len() && source.iter().zip(&destination).all(same)
}

/// Operators that all servers print alike. Not `=`, `<>` and `NOT`: MySQL 8 prints `(0 <> a)` for `a` and `(0 = a)` for `NOT a`; not `-`, which
/// may belong to a number; not `%`, which MariaDB prints as MOD; not `||`.
const OPERATORS: &[&str] = &[
    "<", ">", "<=", ">=", "<=>", "<<", ">>", "+", "*", "/", "&", "^", "~", "div", "between", "and", "or", "xor", "cascaded",
    "local",
];

/// What a person wrote, in one order: literals, names, numbers and operators.
fn written(list: Vec<Word>) -> Vec<Word> {
    let mut kept: Vec<Word> = Vec::with_capacity(list.len());
    let mut at = 0;
    while at < list.len() {
        let (word, length) = operator(&list, at);
        at += length;
        let is_kept = match &word {
            Word::Literal(..) | Word::Name(_) => true,
            // `a` is `(0 <> a)`, and a count's argument is 0.
            Word::Number(number) => number != "0",
            Word::Other(text) => OPERATORS.contains(&text.as_str()),
        };
        if is_kept {
            kept.push(word);
        }
    }
    // What has text is compared by it, so it is ordered by it.
    kept.sort_by_key(|word| match word {
        Word::Literal(_, Said::Text(text)) => (0, text.clone().into_bytes()),
        Word::Literal(value, _) => (0, value.clone()),
        Word::Name(name) => (1, name.clone().into_bytes()),
        Word::Number(number) => (2, number.clone().into_bytes()),
        Word::Other(text) => (3, text.clone().into_bytes()),
    });
    // A name may be said once more or less often (`using`, `order by 1`).
    let is_name = |word: &Word| matches!(word, Word::Name(_));
    kept.dedup_by(|a, b| is_name(a) && a == b);
    kept
}

/// The word at a place, of which an operator of several signs and `true`, which MariaDB prints as 1, are one, and how many it takes.
fn operator(list: &[Word], at: usize) -> (Word, usize) {
    let sign = |at: usize| match list.get(at) {
        Some(Word::Other(text)) if ["<", ">", "="].contains(&text.as_str()) => text.as_str(),
        _ => "",
    };
    match &list[at] {
        Word::Other(text) if text == "true" => (Word::Number("1".into()), 1),
        Word::Other(text) if text == "false" => (Word::Number("0".into()), 1),
        // `count(*)`, `x.*`
        Word::Other(text)
            if text == "*" && at > 0 && matches!(&list[at - 1], Word::Other(before) if before == "(" || before == ".") =>
        {
            (Word::Other(String::new()), 1)
        }
        Word::Other(_) if !sign(at).is_empty() => {
            let length = (1..3).take_while(|further| !sign(at + further).is_empty()).count() + 1;
            (Word::Other((at..at + length).map(sign).collect()), length)
        }
        word => (word.clone(), 1),
    }
}
