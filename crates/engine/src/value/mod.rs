//! One representation of a value, and its codecs.
//!
//! A value travels as *canonical bytes*; the copy (a SELECT) and the log (a row event) must produce the
//! same bytes for the same stored value, and the writers and the verification see nothing else.
//!
//! | kind | canonical bytes |
//! |---|---|
//! | integers, YEAR | ASCII decimal, `-` for negative; YEAR four digits, `0000` for zero |
//! | DECIMAL | ASCII decimal with exactly `scale` digits after the point, no leading zeros but one before the point, no `-` on zero |
//! | FLOAT, DOUBLE | [`float_text`]: Rust's shortest round-trip text of the value as f64, in exponent form (`1.5e0`, `-0e0`); FLOAT is widened to f64 first, which is exact |
//! | DATE | `YYYY-MM-DD` |
//! | DATETIME, TIMESTAMP | `YYYY-MM-DD hh:mm:ss` and, when fsp > 0, `.` and exactly fsp digits; TIMESTAMP in UTC, zero is `0000-00-00 00:00:00[.000]` |
//! | TIME | `[-]hh:mm:ss[.ffffff]`, two or three hour digits, fsp digits |
//! | BIT(n) | `(n + 7) / 8` bytes, big endian |
//! | CHAR, VARCHAR, TEXT | bytes in the column's own character set; CHAR without trailing pad spaces |
//! | BINARY(n) | exactly n bytes, zero padded |
//! | VARBINARY, BLOB, GEOMETRY (SRID + WKB), VECTOR | the bytes |
//! | ENUM, SET | ASCII decimal of the index / bitmap |
//! | JSON | the text MySQL 8 prints for it (`{"a": 1, "b": [true, null]}`), UTF-8, with the types that the text does not tell ([`json_types`]) |
//! | UUID, INET4, INET6 | the text MariaDB prints |

mod json_identity;
pub mod json_nodes;
pub mod json_paths;
pub mod json_sql;
pub mod json_types;
pub mod literal;
pub mod read;

/// Text of a double: exponent form so that a server reads it as an approximate number, shortest digits
/// that read back to the same bits.
pub fn float_text(out: &mut Vec<u8>, value: f64) {
    use std::io::Write;
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value:e}");
}
