//! JSON text as SQL.
//!
//! A document is sent as its text, which the destination parses. One thing does not survive that: an exact
//! number (DECIMAL inside JSON), which the parser reads as a double. Where a number's text is not what a
//! double would print, the document is built with `JSON_OBJECT`, `JSON_ARRAY` and `CAST(… AS DECIMAL)`, so
//! that it prints the same at both ends. (MySQL manual, "The JSON Data Type".)

use super::literal::push_quoted;

/// Whether the document holds a number that the destination's parser would change.
pub fn needs_constructor(text: &[u8]) -> bool {
    let mut place = 0;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'"' => place = skip_string(text, place),
            b'-' | b'0'..=b'9' => {
                let end = number_end(text, place);
                if is_exact(&text[place..end]) {
                    return true;
                }
                place = end;
            }
            _ => place += 1,
        }
    }
    false
}

/// The text as MySQL 8.0 and later would print the same document, where 5.7 prints it otherwise: the line breaks
/// of long binary values, which are no JSON, and the double -0, which a parser would take for the integer 0.
/// None: nothing to mend.
pub fn mended(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'\n') && !text.windows(2).any(|pair| pair == b"-0") {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut place = 0;
    while let Some(&byte) = text.get(place) {
        let end = match byte {
            b'"' => skip_string(text, place).min(text.len()),
            b'-' | b'0'..=b'9' => number_end(text, place),
            _ => place + 1,
        };
        let token = &text[place..end];
        match byte {
            b'"' => token.iter().for_each(|&b| match b {
                b'\n' => out.extend_from_slice(b"\\n"),
                other => out.push(other),
            }),
            _ if token == b"-0" => out.extend_from_slice(b"-0.0"),
            _ => out.extend_from_slice(token),
        }
        place = end;
    }
    Some(out)
}

/// Place after the string that begins at `start`.
fn skip_string(text: &[u8], start: usize) -> usize {
    let mut place = start + 1;
    while let Some(&byte) = text.get(place) {
        match byte {
            b'\\' => place += 2,
            b'"' => return place + 1,
            _ => place += 1,
        }
    }
    text.len()
}

fn number_end(text: &[u8], start: usize) -> usize {
    text[start..]
        .iter()
        .position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        .map_or(text.len(), |length| start + length)
}

/// Whether a number's text can only be an exact number: digits with a point that a double would print
/// differently, or an integer beyond 64 bits.
fn is_exact(number: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(number) else { return false };
    if text.contains(['e', 'E']) {
        return false;
    }
    if !text.contains('.') {
        return text.parse::<i64>().is_err() && text.parse::<u64>().is_err();
    }
    let Ok(value) = text.parse::<f64>() else { return false };
    // A double prints its shortest digits, with ".0" when it is whole.
    let mut printed = format!("{value}");
    if !printed.contains('.') {
        printed.push_str(".0");
    }
    printed != text
}

/// Appends the document as an expression of type JSON, or a string that converts to it.
pub fn push_json(out: &mut Vec<u8>, text: &[u8]) {
    if needs_constructor(text) {
        let mut built = Vec::with_capacity(text.len() * 2);
        let end = push_value(&mut built, text, 0);
        if end.is_some_and(|end| text[end..].iter().all(u8::is_ascii_whitespace)) {
            out.extend_from_slice(&built);
            return;
        }
    }
    out.extend_from_slice(b"_utf8mb4");
    push_quoted(out, text);
}

fn skip_space(text: &[u8], mut place: usize) -> usize {
    while text.get(place).is_some_and(u8::is_ascii_whitespace) {
        place += 1;
    }
    place
}

/// Appends the value at `place` and returns where it ends; None when the text is not what MySQL prints.
fn push_value(out: &mut Vec<u8>, text: &[u8], place: usize) -> Option<usize> {
    let place = skip_space(text, place);
    match text.get(place)? {
        b'{' => push_members(out, text, place, b'}', b"JSON_OBJECT(", true),
        b'[' => push_members(out, text, place, b']', b"JSON_ARRAY(", false),
        b'"' => {
            let end = skip_string(text, place);
            // The JSON string itself, parsed by the server, gives the string value.
            out.extend_from_slice(b"CAST(_utf8mb4");
            push_quoted(out, &text[place..end]);
            out.extend_from_slice(b" AS JSON)");
            Some(end)
        }
        b'-' | b'0'..=b'9' => {
            let end = number_end(text, place);
            let number = &text[place..end];
            if is_exact(number) {
                let digits = number.iter().filter(|b| b.is_ascii_digit()).count().clamp(1, 65);
                let scale = number.iter().position(|&b| b == b'.').map_or(0, |point| number.len() - point - 1).min(30);
                out.extend_from_slice(b"CAST(");
                out.extend_from_slice(number);
                out.extend_from_slice(format!(" AS DECIMAL({digits},{scale}))").as_bytes());
            } else {
                out.extend_from_slice(b"CAST(_utf8mb4'");
                out.extend_from_slice(number);
                out.extend_from_slice(b"' AS JSON)");
            }
            Some(end)
        }
        _ => {
            let literal: &[u8] =
                [b"true".as_slice(), b"false", b"null"].into_iter().find(|word| text[place..].starts_with(word))?;
            out.extend_from_slice(b"CAST(_utf8mb4'");
            out.extend_from_slice(literal);
            out.extend_from_slice(b"' AS JSON)");
            Some(place + literal.len())
        }
    }
}

fn push_members(out: &mut Vec<u8>, text: &[u8], start: usize, close: u8, call: &[u8], keyed: bool) -> Option<usize> {
    out.extend_from_slice(call);
    let mut place = skip_space(text, start + 1);
    let mut first = true;
    while *text.get(place)? != close {
        if !first {
            if text[place] != b',' {
                return None;
            }
            place = skip_space(text, place + 1);
            out.push(b',');
        }
        first = false;
        if keyed {
            let end = skip_string(text, place);
            // JSON_OBJECT wants the key as a string, not as a JSON value.
            out.extend_from_slice(b"JSON_UNQUOTE(_utf8mb4");
            push_quoted(out, &text[place..end]);
            out.extend_from_slice(b"),");
            place = skip_space(text, end);
            if *text.get(place)? != b':' {
                return None;
            }
            place += 1;
        }
        place = skip_space(text, push_value(out, text, place)?);
    }
    out.push(b')');
    Some(place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> String {
        let mut out = Vec::new();
        push_json(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_documents_travel_as_text() {
        assert_eq!(
            sql(r#"{"a": 1, "b": 1.5, "c": "1.10", "d": 1e20}"#),
            r#"_utf8mb4'{"a": 1, "b": 1.5, "c": "1.10", "d": 1e20}'"#
        );
        assert_eq!(sql("18446744073709551615"), "_utf8mb4'18446744073709551615'");
    }

    #[test]
    fn what_5_7_prints_is_mended() {
        assert_eq!(mended(br#"{"a": 1, "b": "x-0"}"#).unwrap(), br#"{"a": 1, "b": "x-0"}"#);
        assert_eq!(mended(b"[-0, -0.5, \"QUJD\nREVG\"]").unwrap(), br#"[-0.0, -0.5, "QUJD\nREVG"]"#);
        assert_eq!(mended(br#"{"a": [1, -7]}"#), None);
    }

    #[test]
    fn exact_numbers_are_built() {
        assert_eq!(
            sql(r#"{"a": 1.10, "b": [true, "x"]}"#),
            r#"JSON_OBJECT(JSON_UNQUOTE(_utf8mb4'"a"'),CAST(1.10 AS DECIMAL(3,2)),JSON_UNQUOTE(_utf8mb4'"b"'),JSON_ARRAY(CAST(_utf8mb4'true' AS JSON),CAST(_utf8mb4'"x"' AS JSON)))"#
        );
        assert!(needs_constructor(b"123456789012345678901234567890"));
    }
}
