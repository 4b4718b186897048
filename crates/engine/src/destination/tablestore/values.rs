//! What a MySQL value becomes in Tablestore. Pure: canonical bytes in ([`crate::value`]), a value of the wanted type out.
//!
//! | MySQL | by default | may be chosen |
//! |---|---|---|
//! | integers, YEAR | INTEGER; BIGINT UNSIGNED above 2^63−1 does not fit | STRING; TINYINT and BIT(1) BOOLEAN, where 0 and 1 are all there is |
//! | DECIMAL | STRING, exact | DOUBLE, rounded to the nearest; INTEGER without digits after the point |
//! | FLOAT, DOUBLE | DOUBLE, bit for bit | STRING |
//! | BIT(n) | INTEGER, up to 63 bits | BINARY, STRING |
//! | DATE, TIME, DATETIME, TIMESTAMP (UTC) | STRING, as MySQL prints it | |
//! | CHAR, VARCHAR, TEXT | STRING, in UTF-8 | BINARY: the bytes in the column's own character set |
//! | BINARY, VARBINARY, BLOB, GEOMETRY, VECTOR | BINARY | |
//! | ENUM, SET | STRING: the label, or the labels with commas between | INTEGER: the number |
//! | JSON | STRING, as MySQL prints it | |
//! | UUID, INET4, INET6 | STRING | |
//!
//! NULL is a column that is not there.

use std::fmt::Write;

use crate::value::json_sql::printed;
use crate::value::json_types::JsonServer;
use godwit_api::TablestoreType as Type;
use godwit_model::definition::{Column, Kind};
use godwit_tablestore::{KeyValue, Value};

/// The type that a column gets where none is chosen.
pub(crate) fn default_type(kind: &Kind) -> Type {
    match kind {
        Kind::TinyInt { .. } | Kind::SmallInt { .. } | Kind::MediumInt { .. } | Kind::Int { .. } | Kind::BigInt { .. } => {
            Type::Integer
        }
        Kind::Year | Kind::Bit { .. } => Type::Integer,
        Kind::Float | Kind::Double => Type::Double,
        Kind::Binary { .. } | Kind::VarBinary | Kind::Blob | Kind::Geometry | Kind::Vector => Type::Binary,
        Kind::Decimal { .. } | Kind::Date | Kind::Time { .. } | Kind::DateTime { .. } | Kind::Timestamp { .. } => Type::String,
        Kind::Char | Kind::Varchar | Kind::Text | Kind::Enum { .. } | Kind::Set { .. } | Kind::Json => Type::String,
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => Type::String,
    }
}

/// Whether values of a column can be written as a type, as far as its definition tells.
///
/// # Errors
/// What stands against it, and what to choose.
pub(crate) fn check(column: &Column, wanted: Type) -> Result<(), String> {
    let kind = &column.kind;
    let is_integer = is_integer(kind);
    let fits = match wanted {
        Type::Integer => is_integer || matches!(kind, Kind::Enum { .. } | Kind::Set { .. } | Kind::Decimal { scale: 0, .. }),
        Type::Double => matches!(kind, Kind::Float | Kind::Double | Kind::Decimal { .. }),
        Type::Boolean => matches!(kind, Kind::TinyInt { .. } | Kind::Bit { bits: 1 }),
        Type::Binary => matches!(default_type(kind), Type::Binary) || is_text(kind) || matches!(kind, Kind::Bit { .. }),
        Type::String => !matches!(default_type(kind), Type::Binary),
    };
    if !fits {
        let natural = type_name(default_type(kind));
        return Err(format!(
            "{} is {}, which does not become {}; choose {natural}",
            column.name,
            column.column_type,
            type_name(wanted)
        ));
    }
    if wanted == Type::String && is_text(kind) {
        let set = column.character_set.as_deref().unwrap_or_default();
        if Decoder::of(set).is_none() {
            return Err(format!(
                "{} is in character set {set}, which this version does not turn into UTF-8; choose BINARY for its bytes, or convert the column",
                column.name
            ));
        }
    }
    Ok(())
}

fn is_integer(kind: &Kind) -> bool {
    default_type(kind) == Type::Integer
}

fn is_text(kind: &Kind) -> bool {
    matches!(kind, Kind::Char | Kind::Varchar | Kind::Text)
}

/// As the manifest writes it.
pub(crate) fn type_name(of: Type) -> &'static str {
    match of {
        Type::String => "STRING",
        Type::Integer => "INTEGER",
        Type::Double => "DOUBLE",
        Type::Boolean => "BOOLEAN",
        Type::Binary => "BINARY",
    }
}

/// A value of a column that passed [`check`].
///
/// # Errors
/// Why the value does not fit, without the value.
pub(crate) fn value(column: &Column, wanted: Type, cell: &[u8]) -> Result<Value, String> {
    Ok(match wanted {
        Type::Integer => Value::Integer(integer(column, cell)?),
        Type::Double => Value::Double(number(cell)?),
        Type::Boolean => match integer(column, cell)? {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            _ => return Err("holds another number than 0 and 1, which BOOLEAN does not; choose INTEGER".to_owned()),
        },
        Type::Binary => Value::Binary(cell.to_vec()),
        Type::String => Value::String(text(column, cell)?),
    })
}

/// A value of a key column.
///
/// # Errors
/// As [`value`]; and where a key cannot have the type.
pub(crate) fn key_value(column: &Column, wanted: Type, cell: &[u8]) -> Result<KeyValue, String> {
    match value(column, wanted, cell)? {
        Value::Integer(number) => Ok(KeyValue::Integer(number)),
        Value::String(text) => Ok(KeyValue::String(text)),
        Value::Binary(bytes) => Ok(KeyValue::Binary(bytes)),
        Value::Double(_) | Value::Boolean(_) => Err(format!("{} cannot be the type of a key", type_name(wanted))),
    }
}

fn integer(column: &Column, cell: &[u8]) -> Result<i64, String> {
    if let Kind::Bit { .. } = column.kind {
        let number = cell.iter().try_fold(0u64, |sum, byte| sum.checked_mul(256).map(|sum| sum + u64::from(*byte)));
        return number.and_then(|number| i64::try_from(number).ok()).ok_or_else(|| too_large().to_owned());
    }
    let text = ascii(cell)?;
    text.parse().map_err(|_| too_large().to_owned())
}

fn too_large() -> &'static str {
    "is larger than INTEGER holds (2^63−1); choose STRING for the column"
}

fn number(cell: &[u8]) -> Result<f64, String> {
    ascii(cell)?.parse().map_err(|_| "is no number".to_owned())
}

fn ascii(cell: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(cell).map_err(|_| "is no number".to_owned())
}

fn text(column: &Column, cell: &[u8]) -> Result<String, String> {
    match &column.kind {
        Kind::Char | Kind::Varchar | Kind::Text => {
            let set = column.character_set.as_deref().unwrap_or_default();
            let decoder = Decoder::of(set).ok_or_else(|| format!("is in character set {set}, which is not turned into UTF-8"))?;
            decoder.decode(cell).ok_or_else(|| format!("holds bytes that are no text in {set}; choose BINARY for the column"))
        }
        Kind::Enum { labels } => {
            // 0 is what an invalid label became.
            let place = integer(column, cell)?;
            let label = usize::try_from(place).ok().and_then(|place| place.checked_sub(1)).and_then(|place| labels.get(place));
            match label {
                Some(label) => Ok(label.clone()),
                // As MySQL shows it; where that is a label of its own, the two would be one.
                None if place == 0 && labels.iter().all(|label| !label.is_empty()) => Ok(String::new()),
                None => Err("has a number without a label of its own; choose INTEGER".to_owned()),
            }
        }
        Kind::Set { labels } => {
            let bits: u64 = ascii(cell)?.parse().map_err(|_| "is no number".to_owned())?;
            let chosen = labels.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1).map(|(_, label)| label.as_str());
            Ok(chosen.collect::<Vec<_>>().join(","))
        }
        Kind::Bit { .. } => Ok(cell.iter().fold(String::new(), |mut text, byte| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:08b}");
            text
        })),
        Kind::Json => {
            let printed = printed(cell, JsonServer::Text);
            String::from_utf8(printed.into_owned()).map_err(|_| "is no text".to_owned())
        }
        _ => String::from_utf8(cell.to_vec()).map_err(|_| "is no text".to_owned()),
    }
}

/// How text of a character set becomes UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoder {
    Utf8,
    /// MySQL's latin1, which is cp1252 with the five undefined bytes taken for control characters.
    Latin1,
}

/// The characters of cp1252 from 0x80 to 0x9f (MySQL manual, "West European Character Sets").
const CP1252: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}', '\u{2030}',
    '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}',
    '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

impl Decoder {
    fn of(set: &str) -> Option<Self> {
        match set {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" => Some(Self::Utf8),
            "latin1" => Some(Self::Latin1),
            _ => None,
        }
    }

    fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
            Self::Latin1 => Some(
                bytes
                    .iter()
                    .map(|&byte| match byte {
                        0x80..=0x9f => CP1252.get(usize::from(byte) - 0x80).copied().unwrap_or('\u{fffd}'),
                        byte => char::from(byte),
                    })
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::column;

    fn text_column(set: &str) -> Column {
        Column { character_set: Some(set.into()), ..column("s", Kind::Varchar) }
    }

    fn natural(column: &Column, cell: &[u8]) -> Result<Value, String> {
        let wanted = default_type(&column.kind);
        check(column, wanted)?;
        value(column, wanted, cell)
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let big = |unsigned| column("n", Kind::BigInt { unsigned });
        assert_eq!(natural(&big(false), b"-9223372036854775808"), Ok(Value::Integer(i64::MIN)));
        assert_eq!(natural(&big(true), b"9223372036854775807"), Ok(Value::Integer(i64::MAX)));
        let refused = natural(&big(true), b"9223372036854775808").unwrap_err();
        assert!(refused.contains("choose STRING"), "{refused}");
        let as_text = value(&big(true), Type::String, b"18446744073709551615");
        assert_eq!(as_text, Ok(Value::String("18446744073709551615".into())));
        let decimal = column("d", Kind::Decimal { precision: 20, scale: 2 });
        assert_eq!(natural(&decimal, b"12345678901234567.80"), Ok(Value::String("12345678901234567.80".into())));
        assert_eq!(value(&decimal, Type::Double, b"0.10"), Ok(Value::Double(0.1)));
        assert!(check(&decimal, Type::Integer).is_err());
        assert_eq!(
            natural(&column("f", Kind::Double), b"-0e0").map(|v| matches!(v, Value::Double(z) if z.is_sign_negative())),
            Ok(true)
        );
        assert_eq!(natural(&column("f", Kind::Double), b"5e-324"), Ok(Value::Double(5e-324)));
    }

    #[test]
    fn bits_and_truth() {
        let bit = |bits| column("b", Kind::Bit { bits });
        assert_eq!(natural(&bit(9), &[1, 2]), Ok(Value::Integer(258)));
        assert!(natural(&bit(64), &[0xff; 8]).is_err());
        assert_eq!(value(&bit(64), Type::Binary, &[0xff; 8]), Ok(Value::Binary(vec![0xff; 8])));
        let tiny = column("t", Kind::TinyInt { unsigned: false });
        assert_eq!(value(&tiny, Type::Boolean, b"1"), Ok(Value::Boolean(true)));
        assert!(value(&tiny, Type::Boolean, b"2").unwrap_err().contains("choose INTEGER"));
        assert!(check(&column("n", Kind::Int { unsigned: false }), Type::Boolean).is_err());
    }

    #[test]
    fn text_becomes_utf8_or_stays_bytes() {
        assert_eq!(natural(&text_column("utf8mb4"), "ä😀".as_bytes()), Ok(Value::String("ä😀".into())));
        assert_eq!(natural(&text_column("latin1"), &[b'a', 0xe4, 0x80, 0x81]), Ok(Value::String("aä€\u{81}".into())));
        assert!(natural(&text_column("utf8mb4"), &[0xff]).unwrap_err().contains("choose BINARY"));
        let gbk = text_column("gbk");
        assert!(check(&gbk, Type::String).unwrap_err().contains("character set gbk"));
        assert_eq!(check(&gbk, Type::Binary), Ok(()));
        assert_eq!(value(&gbk, Type::Binary, &[0xb9]), Ok(Value::Binary(vec![0xb9])));
    }

    #[test]
    fn labels_stand_for_numbers() {
        let labels = || vec!["a".to_owned(), "é".to_owned(), "c".to_owned()];
        let (one, many) = (column("e", Kind::Enum { labels: labels() }), column("s", Kind::Set { labels: labels() }));
        assert_eq!(natural(&one, b"2"), Ok(Value::String("é".into())));
        assert_eq!(natural(&one, b"0"), Ok(Value::String(String::new())));
        assert!(natural(&one, b"4").is_err());
        let with_empty = column("e", Kind::Enum { labels: vec![String::new()] });
        assert!(natural(&with_empty, b"0").is_err(), "0 and the empty label would be one");
        assert_eq!(natural(&many, b"5"), Ok(Value::String("a,c".into())));
        assert_eq!(value(&many, Type::Integer, b"5"), Ok(Value::Integer(5)));
    }

    #[test]
    fn keys_have_three_types() {
        let float = column("f", Kind::Double);
        assert!(key_value(&float, Type::Double, b"1e0").is_err());
        assert_eq!(key_value(&column("n", Kind::Int { unsigned: true }), Type::Integer, b"7"), Ok(KeyValue::Integer(7)));
    }
}
