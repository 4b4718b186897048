use proptest::prelude::*;

use super::*;
use crate::sql::lexer::{LexMode, TokenKind, tokens};

#[test]
fn parts_stand_in_their_places() {
    let table = TableName { database: "a`b".into(), table: "t".into() };
    let statement = sql!("DELETE FROM {} WHERE {}={} AND x={}", table, Name("c`"), Quoted("it's \\ \0"), 7u64);
    assert_eq!(statement.to_string(), r"DELETE FROM `a``b`.`t` WHERE `c```='it\'s \\ \0' AND x=7");
    assert_eq!(sql!("{}", Sql::list(["?", "?"])).to_string(), "?,?");
    assert_eq!(sql!("{}", Hex(&[0, 255])).to_string(), "X'00FF'");
}

#[test]
fn a_brace_by_itself_is_no_place() {
    assert_eq!(places("a {} b {}"), 2);
    assert_eq!(places("a {x} b"), usize::MAX);
    assert_eq!(places("}"), usize::MAX);
}

#[test]
fn what_was_appended_can_be_taken_away() {
    let mut sql = Sql::new("a");
    let mark = sql.mark();
    sql.push(",b");
    assert_eq!((sql.cut(mark).to_string(), sql.to_string()), (",b".into(), "a".into()));
}

#[test]
fn what_is_no_number_becomes_a_string() {
    for text in ["1;DROP DATABASE d", "1--1", "", "0x1", "1 1", "NULL", "1e", "\u{0661}"] {
        let mut sql = Sql::default();
        sql.push_number(text.as_bytes());
        assert_eq!(sql.to_string(), format!("'{text}'"));
    }
}

/// The kinds of tokens of a statement, which no part may change.
fn shape(statement: &Sql) -> Vec<TokenKind> {
    tokens(statement.as_bytes(), &LexMode::default()).into_iter().map(|token| token.kind).collect()
}

proptest! {
    /// Whatever a server says as a name, as a text, as bytes or as a number: the tokens of the statement stay those of the frame, each part is one
    /// token, and no second statement begins.
    #[test]
    fn no_part_is_more_than_one_token(name in "\\PC{1,40}", text in any::<String>(), bytes in any::<Vec<u8>>(), number in "[-+0-9.eE;xX' ]{0,20}") {
        let mut sql = sql!("UPDATE {} SET {}={}", Qualified { database: &name, object: &name }, Name(&name), Quoted(&text));
        sql.push(" , b=");
        sql.push_string(&bytes);
        sql.push(" , c=");
        sql.push_number(number.as_bytes());
        sql.add(&sql!(" WHERE d={}", Hex(&bytes)));
        let mut plain = sql!("UPDATE {} SET {}={}", Qualified { database: "d", object: "t" }, Name("c"), Quoted("x"));
        plain.push(" , b='x' , c=");
        let is_number = is_number(number.as_bytes());
        plain.push(if !is_number { "'x'" } else if number.starts_with('-') { "-1" } else { "1" });
        plain.push(" WHERE d=X'00'");
        prop_assert_eq!(shape(&sql), shape(&plain), "{}", sql);
    }

    #[test]
    fn a_word_is_letters_digits_and_underscores(name in any::<String>()) {
        let word = Word::of(&name);
        prop_assert_eq!(word.is_some(), !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
    }
}
