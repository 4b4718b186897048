//! The copy side of the codec: what a SELECT returns, as canonical bytes.
//!
//! Rows are read through the binary protocol (prepared statements): FLOAT keeps its bits, integers need no
//! parsing. The statement must select [`select_expression`] of each column on a `Role::Read` connection.

use mysql_async::Value;

use super::float_text;
use super::json_paths::JsonPaths;
use super::json_sql::mended;
use super::json_types::typed;
use crate::sql;
use crate::sql::{Name, Sql};
use godwit_model::definition::{Column, Kind};
use godwit_model::error::{Error, Result};
use godwit_model::row::RowBuilder;
use godwit_model::words::is_exact_number;

/// What to select for a column so that [`push_value`] can read it: ENUM and SET travel as numbers.
pub fn select_expression(name: &str, kind: &Kind) -> Sql {
    let name = Name(name);
    match kind {
        Kind::Enum { .. } | Kind::Set { .. } => sql!("CAST({} AS UNSIGNED)", name),
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => sql!("CAST({} AS CHAR CHARACTER SET latin1)", name),
        _ => sql!("{}", name),
    }
}

/// Appends decimal digits.
pub fn push_u64(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends decimal digits with a sign.
pub fn push_i64(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_u64(out, number.unsigned_abs());
}

fn push_padded(out: &mut Vec<u8>, number: u32, width: usize) {
    let mut digits = [b'0'; 10];
    let mut rest = number;
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let needed = digits.iter().position(|&d| d != b'0').map_or(1, |first| digits.len() - first);
    out.extend_from_slice(&digits[digits.len() - needed.max(width)..]);
}

fn push_fraction(out: &mut Vec<u8>, microseconds: u32, fsp: u8) {
    if fsp > 0 {
        out.push(b'.');
        let start = out.len();
        push_padded(out, microseconds, 6);
        out.truncate(start + usize::from(fsp.min(6)));
    }
}

/// `YYYY-MM-DD`.
pub fn push_date(out: &mut Vec<u8>, year: u32, month: u32, day: u32) {
    push_padded(out, year, 4);
    out.push(b'-');
    push_padded(out, month, 2);
    out.push(b'-');
    push_padded(out, day, 2);
}

/// `hh:mm:ss[.f]`, hours two digits or more.
pub fn push_time(out: &mut Vec<u8>, negative: bool, hours: u32, minutes: u32, seconds: u32, microseconds: u32, fsp: u8) {
    if negative {
        out.push(b'-');
    }
    push_padded(out, hours, 2);
    out.push(b':');
    push_padded(out, minutes, 2);
    out.push(b':');
    push_padded(out, seconds, 2);
    push_fraction(out, microseconds, fsp);
}

/// Canonical form of a decimal's text: no zero padding in front, no sign on zero.
pub fn push_decimal(out: &mut Vec<u8>, text: &[u8]) {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let zero = digits.iter().all(|d| matches!(d, b'0' | b'.'));
    if negative && !zero {
        out.push(b'-');
    }
    let integer_digits = digits.iter().position(|&d| d == b'.').unwrap_or(digits.len());
    let leading = digits[..integer_digits].iter().take_while(|&&d| d == b'0').count();
    if leading == integer_digits {
        out.push(b'0');
        out.extend_from_slice(&digits[integer_digits..]);
    } else {
        out.extend_from_slice(&digits[leading..]);
    }
}

/// Appends one value of a row to a canonical row.
///
/// # Errors
/// When the server sent something that does not belong to the column's kind.
pub fn push_value(out: &mut RowBuilder, value: Value, column: &Column, scratch: &mut Vec<u8>) -> Result<()> {
    scratch.clear();
    match (&column.kind, value) {
        (_, Value::NULL) => {
            out.push_null();
            return Ok(());
        }
        (Kind::Decimal { .. }, Value::Bytes(bytes)) if is_exact_number(&bytes) => push_decimal(scratch, &bytes),
        (Kind::Binary { length }, Value::Bytes(bytes)) => {
            scratch.extend_from_slice(&bytes);
            scratch.resize(bytes.len().max(usize::from(*length)), 0);
        }
        (Kind::Json, Value::Bytes(bytes)) => {
            match mended(&bytes) {
                Some(text) => out.push(Some(&text)),
                None => out.push(Some(&bytes)),
            }
            return Ok(());
        }
        (Kind::Year, Value::Int(year)) => push_padded(scratch, year.clamp(0, 9999) as u32, 4),
        (Kind::Year, Value::UInt(year)) => push_padded(scratch, year.min(9999) as u32, 4),
        // As text only what is text: numbers come as numbers, or nobody could tell one from a piece of a statement.
        (kind, Value::Bytes(bytes)) if !kind.is_written_as_number() => {
            out.push(Some(&bytes));
            return Ok(());
        }
        (Kind::Float, Value::Float(number)) => float_text(scratch, f64::from(number)),
        (Kind::Double, Value::Double(number)) => float_text(scratch, number),
        (_, Value::Int(number)) => push_i64(scratch, number),
        (_, Value::UInt(number)) => push_u64(scratch, number),
        (Kind::Date, Value::Date(year, month, day, ..)) => push_date(scratch, year.into(), month.into(), day.into()),
        (Kind::DateTime { fsp } | Kind::Timestamp { fsp }, Value::Date(year, month, day, hour, minute, second, microseconds)) => {
            push_date(scratch, year.into(), month.into(), day.into());
            scratch.push(b' ');
            push_time(scratch, false, hour.into(), minute.into(), second.into(), microseconds, *fsp);
        }
        (Kind::Time { fsp }, Value::Time(negative, days, hours, minutes, seconds, microseconds)) => {
            push_time(scratch, negative, days * 24 + u32::from(hours), minutes.into(), seconds.into(), microseconds, *fsp);
        }
        (kind, value) => {
            return Err(Error::definite(format!(
                "column {} ({}): the server sent {} where {kind:?} was expected",
                column.name,
                column.column_type,
                value_kind(&value)
            )));
        }
    }
    out.push(Some(scratch));
    Ok(())
}

/// Appends a JSON document from its text and the letters of its values.
///
/// # Errors
/// When the letters are missing or those of another text.
pub fn push_document(out: &mut RowBuilder, text: Value, types: Value, paths: &JsonPaths) -> Result<()> {
    let (text, letters) = match (text, types) {
        (Value::NULL, _) => {
            out.push_null();
            return Ok(());
        }
        (Value::Bytes(text), Value::Bytes(letters)) => (text, letters),
        (text, types) => {
            return Err(Error::definite(format!(
                "the server sent {} and {} where a JSON document and its types were expected",
                value_kind(&text),
                value_kind(&types)
            )));
        }
    };
    let mended = mended(&text);
    let document = typed(mended.as_deref().unwrap_or(&text), &letters, paths)?;
    out.push(Some(&document));
    Ok(())
}

fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::NULL => "NULL",
        Value::Bytes(_) => "a string",
        Value::Int(_) | Value::UInt(_) => "an integer",
        Value::Float(_) | Value::Double(_) => "a floating-point number",
        Value::Date(..) => "a date",
        Value::Time(..) => "a time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(f: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimals_are_canonical() {
        for (given, wanted) in [
            ("0.00", "0.00"),
            ("-0.00", "0.00"),
            ("000012.50", "12.50"),
            ("-007", "-7"),
            ("000", "0"),
            (".5", "0.5"),
            ("-0.10", "-0.10"),
        ] {
            assert_eq!(text(|out| push_decimal(out, given.as_bytes())), wanted);
        }
    }

    #[test]
    fn text_for_a_number_is_refused() {
        let read = |kind: Kind, text: &str| {
            let column = crate::fixture::column("c", kind);
            push_value(&mut RowBuilder::default(), Value::Bytes(text.into()), &column, &mut Vec::new())
        };
        let decimal = || Kind::Decimal { precision: 10, scale: 2 };
        assert!(read(decimal(), "-1.50").is_ok());
        for text in ["1);DROP DATABASE x", "1--", "", "-", "1 OR 1"] {
            for kind in [decimal(), Kind::Int { unsigned: false }, Kind::Double, Kind::Enum { labels: Vec::new() }, Kind::Year] {
                assert!(read(kind, text).unwrap_err().to_string().contains("column c"), "{text}");
            }
        }
    }

    #[test]
    fn times_are_padded() {
        assert_eq!(text(|out| push_time(out, true, 838, 59, 59, 10_000, 2)), "-838:59:59.01");
        assert_eq!(text(|out| push_time(out, false, 1, 2, 3, 0, 0)), "01:02:03");
        assert_eq!(text(|out| push_date(out, 0, 0, 0)), "0000-00-00");
    }

    #[test]
    fn integers_at_the_edges() {
        assert_eq!(text(|out| push_i64(out, i64::MIN)), "-9223372036854775808");
        assert_eq!(text(|out| push_u64(out, u64::MAX)), "18446744073709551615");
        assert_eq!(text(|out| float_text(out, -0.0)), "-0e0");
    }
}
