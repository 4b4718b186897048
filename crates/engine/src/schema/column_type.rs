//! `information_schema.columns.column_type` to [`Kind`].

use crate::schema::exact::literal_bytes;
use crate::sql::lexer::{LexMode, Token, TokenKind, string_value, tokens};
use godwit_model::definition::Kind;

/// Reads a column type; None for a type that this version cannot carry.
///
/// Labels of ENUM and SET come escaped whatever the `sql_mode` (`append_unescaped`, sql/sql_show.cc): quotes
/// doubled, `\\`, `\n`, `\r` and `\0` with a backslash. Comments (`/* mariadb-5.3 */`) are skipped.
pub fn parse_column_type(column_type: &str) -> Option<Kind> {
    let bytes = column_type.as_bytes();
    let list = tokens(bytes, &LexMode::default());
    let word = |at: usize| list.get(at).and_then(|token: &Token| token.name(bytes)).map(|name| name.to_ascii_lowercase());
    let base = word(0)?;
    let arguments = arguments(&list, bytes);
    let unsigned = (1..list.len()).any(|at| matches!(word(at).as_deref(), Some("unsigned" | "zerofill")));
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u16>().ok());
    let fsp = || number(0).and_then(|digits| u8::try_from(digits).ok()).unwrap_or(0);
    let kind = match base.as_str() {
        "tinyint" | "bool" | "boolean" => Kind::TinyInt { unsigned },
        "smallint" => Kind::SmallInt { unsigned },
        "mediumint" => Kind::MediumInt { unsigned },
        "int" | "integer" => Kind::Int { unsigned },
        "bigint" => Kind::BigInt { unsigned },
        "decimal" | "numeric" => Kind::Decimal {
            precision: u8::try_from(number(0).unwrap_or(10)).ok()?,
            scale: u8::try_from(number(1).unwrap_or(0)).ok()?,
        },
        "float" => Kind::Float,
        "double" | "real" => Kind::Double,
        "bit" => Kind::Bit { bits: u8::try_from(number(0).unwrap_or(1)).ok()? },
        "year" => Kind::Year,
        "date" => Kind::Date,
        "time" => Kind::Time { fsp: fsp() },
        "datetime" => Kind::DateTime { fsp: fsp() },
        "timestamp" => Kind::Timestamp { fsp: fsp() },
        "char" => Kind::Char,
        "varchar" => Kind::Varchar,
        "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
        "binary" => Kind::Binary { length: number(0).unwrap_or(1) },
        "varbinary" => Kind::VarBinary,
        "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Blob,
        "enum" => Kind::Enum { labels: arguments },
        "set" => Kind::Set { labels: arguments },
        "json" => Kind::Json,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => Kind::Geometry,
        "vector" => Kind::Vector,
        "uuid" => Kind::Uuid,
        "inet4" => Kind::Inet4,
        "inet6" => Kind::Inet6,
        _ => return None,
    };
    Some(kind)
}

/// The values in the first parentheses.
fn arguments(list: &[Token], bytes: &[u8]) -> Vec<String> {
    if !list.get(1).is_some_and(|token| token.is_punct(b'(')) {
        return Vec::new();
    }
    let inside = list[2..].iter().take_while(|token| !token.is_punct(b')'));
    let value = |token: &Token| match token.kind {
        TokenKind::String => Some(String::from_utf8_lossy(&string_value(token.bytes(bytes), false)).into_owned()),
        // A binary label that is no text (MySQL 8).
        TokenKind::HexOrBit => Some(String::from_utf8_lossy(&literal_bytes(token, bytes)?).into_owned()),
        TokenKind::Number => Some(String::from_utf8_lossy(token.bytes(bytes)).into_owned()),
        _ => None,
    };
    inside.filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_all_servers() {
        let labels = |list: &[&str]| list.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        for (text, kind) in [
            ("int(10) unsigned", Kind::Int { unsigned: true }),
            ("int", Kind::Int { unsigned: false }),
            ("smallint(4) unsigned zerofill", Kind::SmallInt { unsigned: true }),
            ("tinyint(1)", Kind::TinyInt { unsigned: false }),
            ("decimal(65,30)", Kind::Decimal { precision: 65, scale: 30 }),
            ("decimal(5,0) unsigned", Kind::Decimal { precision: 5, scale: 0 }),
            ("float(7,3)", Kind::Float),
            ("double unsigned", Kind::Double),
            ("bit(13)", Kind::Bit { bits: 13 }),
            ("year(4)", Kind::Year),
            ("time(3)", Kind::Time { fsp: 3 }),
            ("datetime /* mariadb-5.3 */", Kind::DateTime { fsp: 0 }),
            ("timestamp(6)", Kind::Timestamp { fsp: 6 }),
            ("binary(7)", Kind::Binary { length: 7 }),
            ("varchar(10) /*M!100301 COMPRESSED*/", Kind::Varchar),
            ("geomcollection", Kind::Geometry),
            ("vector(3)", Kind::Vector),
            ("uuid", Kind::Uuid),
            ("enum('a','b,c','it''s','x)y','','ü')", Kind::Enum { labels: labels(&["a", "b,c", "it's", "x)y", "", "ü"]) }),
            ("enum('a',x'c3a9')", Kind::Enum { labels: labels(&["a", "é"]) }),
            (r"enum('x\\y','a\nb')", Kind::Enum { labels: labels(&["x\\y", "a\nb"]) }),
            ("set('p','q(','r''')", Kind::Set { labels: labels(&["p", "q(", "r'"]) }),
        ] {
            assert_eq!(parse_column_type(text), Some(kind), "{text}");
        }
        assert_eq!(parse_column_type("xmltype"), None);
        assert_eq!(parse_column_type(""), None);
    }
}
