use proptest::prelude::*;

use super::*;
use crate::logged::{DdlKind, Statement, classify};
use godwit_model::names::TableName;

fn mode(charset: MultiByte) -> LexMode {
    LexMode { charset, ..LexMode::default() }
}

/// Characters of a character set whose bytes can be ASCII, and ASCII that needs care.
fn characters(charset: MultiByte) -> BoxedStrategy<Vec<u8>> {
    let two = |heads: Vec<u8>, tails: Vec<u8>| {
        (prop::sample::select(heads), prop::sample::select(tails)).prop_map(|(head, tail)| vec![head, tail]).boxed()
    };
    let range = |ranges: &[std::ops::RangeInclusive<u8>]| ranges.iter().cloned().flatten().collect::<Vec<u8>>();
    let wide = match charset {
        MultiByte::Big5 => two(range(&[0xa1..=0xf9]), range(&[0x40..=0x7e, 0xa1..=0xfe])),
        MultiByte::Sjis => two(range(&[0x81..=0x9f, 0xe0..=0xfc]), range(&[0x40..=0x7e, 0x80..=0xfc])),
        MultiByte::Gbk => two(range(&[0x81..=0xfe]), range(&[0x40..=0x7e, 0x80..=0xfe])),
        MultiByte::EucKr => two(range(&[0x81..=0xfe]), range(&[0x41..=0x5a, 0x61..=0x7a, 0x81..=0xfe])),
        MultiByte::Gb18030 => {
            let four = (0x81u8..=0xfe, 0x30u8..=0x39, 0x81u8..=0xfe, 0x30u8..=0x39).prop_map(|(a, b, c, d)| vec![a, b, c, d]);
            prop_oneof![two(range(&[0x81..=0xfe]), range(&[0x40..=0x7e, 0x80..=0xfe])), four].boxed()
        }
        MultiByte::None => "[ä-ÿ誠表😀]".prop_map(String::into_bytes).boxed(),
    };
    // The last byte of a character that needs care is likely.
    let careful = match charset {
        MultiByte::None => wide.clone(),
        _ => (0x81u8..=0xf9, prop::sample::select(vec![0x5c, 0x60, 0x7c, 0x41]))
            .prop_map(|(head, tail)| vec![head, tail])
            .prop_filter("a character", move |bytes| charset.character(bytes) == 2)
            .boxed(),
    };
    prop_oneof![2 => wide, 2 => careful, 1 => "[a-z0-9 .,;()/*#-]".prop_map(String::into_bytes)].boxed()
}

const ALL: [MultiByte; 6] =
    [MultiByte::None, MultiByte::Big5, MultiByte::Sjis, MultiByte::Gbk, MultiByte::Gb18030, MultiByte::EucKr];

fn text_in_a_charset() -> impl Strategy<Value = (MultiByte, Vec<u8>)> {
    prop::sample::select(ALL.to_vec()).prop_flat_map(|charset| {
        prop::collection::vec(characters(charset), 0..12).prop_map(move |characters| (charset, characters.concat()))
    })
}

proptest! {
    /// However its characters look, a literal is one token, and so is a name; and neither hides what comes behind.
    #[test]
    fn a_literal_is_one_token((charset, text) in text_in_a_charset(), raw: bool) {
        let mode = LexMode { no_backslash_escapes: raw, ..mode(charset) };
        for (quote, kind) in [(b'\'', TokenKind::String), (b'"', TokenKind::String), (b'`', TokenKind::Quoted)] {
            let literal = [&[quote][..], &text, &[quote][..]].concat();
            let sql = [&literal[..], b" , tail"].concat();
            let found = tokens(&sql, &mode);
            prop_assert_eq!(found.len(), 3, "{:?} {:x?}", charset, text);
            prop_assert_eq!((found[0].kind, found[0].bytes(&sql)), (kind, &literal[..]));
            prop_assert!(found[2].is_word(&sql, "tail"));
        }
    }

    /// Cut by its own rules and written in UTF-8, a statement has the same tokens.
    #[test]
    fn a_statement_keeps_its_form((charset, text) in text_in_a_charset(), (_, other) in text_in_a_charset()) {
        // It would end the comment.
        let other: Vec<u8> = if other.windows(2).any(|pair| pair == b"*/") { Vec::new() } else { other };
        let quoted = |text: &[u8]| [b"`", text, b"`"].concat();
        let text = [b"x", &text[..]].concat();
        let sql = [b"ALTER TABLE a.", &quoted(&text)[..], b" COMMENT '", &text, b"' /* ", &other, b" */, RENAME TO b.c"].concat();
        let names = names_beyond_ascii(&sql, &mode(charset)).into_iter().map(|name| (name, "名".to_owned())).collect();
        let Statement::Ddl(ddl) = classify(&in_utf8(&sql, &mode(charset), &names), "d", &LexMode::default()) else {
            panic!("not understood");
        };
        prop_assert_eq!(ddl.kind, DdlKind::AlterTable);
        prop_assert_eq!(ddl.tables.len(), 2);
        let name = if text.is_ascii() { String::from_utf8(text).unwrap() } else { "名".to_owned() };
        prop_assert_eq!(&ddl.tables[0].table, &name);
        prop_assert_eq!(&ddl.tables[1], &TableName { database: "b".into(), table: "c".into() });
    }
}

#[test]
fn a_backslash_that_is_none() {
    let sql = b"CREATE TABLE other.x (c INT COMMENT '\xd5\\')";
    assert!(matches!(classify(sql, "d", &LexMode::default()), Statement::Unknown(_)));
    assert!(matches!(
        classify(&in_utf8(sql, &mode(MultiByte::Gbk), &HashMap::new()), "d", &LexMode::default()),
        Statement::Ddl(_)
    ));
    // Not every byte of a head begins a character.
    assert_eq!(MultiByte::Gbk.character(b"\xd5'"), 1);
    assert_eq!(MultiByte::Gb18030.character(b"\x81\x30\x81\x30"), 4);
    assert_eq!(MultiByte::of("CP932"), MultiByte::Sjis);
    assert_eq!(MultiByte::of("utf8mb4"), MultiByte::None);
}
