//! Canonical JSON documents as SQL.
//!
//! A document that its text describes is sent as that text, which the destination parses. One with types beyond that
//! (`json_types`) is built: `JSON_OBJECT` and `JSON_ARRAY` of literals that have the types, so that it takes about as many bytes
//! as its text. Parts without such types still are text. (MySQL manual, "The JSON Data Type".)

use std::borrow::Cow;

use super::json_nodes::MAX_DEPTH;
use super::json_types::{JsonServer, MARK, is_typed, number_end, plain, skip_string};
use crate::sql;
use crate::sql::Sql;
use godwit_model::words::{is_exact_number, is_number};

/// The text of a SELECT as MySQL 8.0 and later would print the same document, where 5.7 prints it otherwise: the line breaks
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

/// A document's text as a server prints it.
pub fn printed(document: &[u8], server: JsonServer) -> Cow<'_, [u8]> {
    if !matches!(server, JsonServer::MySql57 { .. }) {
        return plain(document);
    }
    // 5.7 has no point in whole doubles and prints the line breaks of bytes as they are.
    let mut out = Vec::with_capacity(document.len());
    let mut place = usize::from(is_typed(document));
    let mut letter = None;
    while let Some(&byte) = document.get(place) {
        if byte == MARK {
            letter = document.get(place + 1).copied();
            place += 2;
            continue;
        }
        let end = match byte {
            b'"' => skip_string(document, place).min(document.len()),
            b'-' | b'0'..=b'9' => number_end(document, place),
            _ => place + 1,
        };
        let token = &document[place..end];
        match (byte, letter.take()) {
            (b'-' | b'0'..=b'9', None) => out.extend_from_slice(token.strip_suffix(b".0").unwrap_or(token)),
            (b'"', Some(b'b')) => {
                for (number, line) in token.split(|byte| *byte == b'\\').enumerate() {
                    let line = if number == 0 { line } else { line.get(1..).unwrap_or_default() };
                    if number > 0 {
                        out.push(b'\n');
                    }
                    out.extend_from_slice(line);
                }
            }
            _ => out.extend_from_slice(token),
        }
        place = end;
    }
    Cow::Owned(out)
}

/// Appends the document as an expression of type JSON, or a string that converts to it.
pub fn push_json(out: &mut Sql, document: &[u8], server: JsonServer) {
    if is_typed(document) && server != JsonServer::Text {
        let mut built = Sql::with_capacity(document.len() + document.len() / 4);
        let mut builder = Builder { text: document, server, depth: 0 };
        if builder.value(&mut built, 1) == Some(document.len()) {
            return out.add(&built);
        }
    }
    out.push("_utf8mb4");
    out.push_string(&plain(document));
}

/// Why a document cannot be written with the types it has; [`push_json`] would send its text.
pub fn refusal(document: &[u8], server: JsonServer) -> Option<String> {
    if !is_typed(document) || server == JsonServer::Text {
        return None;
    }
    let mut place = 1;
    while let Some(&byte) = document.get(place) {
        match byte {
            b'"' => place = skip_string(document, place),
            MARK => {
                let letter = *document.get(place + 1)?;
                let start = place + 2;
                if let Some(what) = unwritable(letter, &document[start..], server) {
                    return Some(what);
                }
                place = start;
            }
            _ => place += 1,
        }
    }
    let mut builder = Builder { text: document, server, depth: 0 };
    let end = builder.value(&mut Sql::with_capacity(document.len() + document.len() / 4), 1);
    (end != Some(document.len())).then(|| "a JSON document that is not in the form that documents travel in".to_owned())
}

fn unwritable(letter: u8, value: &[u8], server: JsonServer) -> Option<String> {
    if letter == b's' && server != JsonServer::MySql8021 {
        return Some(
            "a TIMESTAMP inside a JSON document, which takes MySQL 8.0.21 or later to write; make it a DATETIME at the source"
                .into(),
        );
    }
    if letter != b'b' {
        return None;
    }
    let Some((field_type, bytes)) = value.get(..skip_string(value, 0)).and_then(bytes_of) else {
        return Some("bytes inside a JSON document that cannot be read".into());
    };
    bytes_expression(field_type, &bytes, server).is_none().then(|| {
        format!(
            "bytes of type {field_type} inside a JSON document (\"base64:type{field_type}:…\"), which this server has no expression \
             for; store them as text or as VARBINARY at the source"
        )
    })
}

/// Type and bytes of `"base64:type252:AQID"`.
fn bytes_of(string: &[u8]) -> Option<(u8, Vec<u8>)> {
    let inside = string.strip_prefix(b"\"base64:type")?.strip_suffix(b"\"")?;
    let colon = inside.iter().position(|byte| *byte == b':')?;
    let field_type = std::str::from_utf8(&inside[..colon]).ok()?.parse().ok()?;
    let mut bytes = Vec::with_capacity(inside.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    let mut rest = inside[colon + 1..].iter();
    while let Some(&byte) = rest.next() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // The server's line breaks.
            b'\\' => {
                rest.next().filter(|escaped| **escaped == b'n')?;
                continue;
            }
            b'\n' => continue,
            b'=' => break,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some((field_type, bytes))
}

/// An expression whose value a document takes over as bytes of this type. Its type follows from the greatest length that an
/// expression can have; from a derived table's column; or from a column of JSON_TABLE, to which the second part of a recursive
/// query is converted.
fn bytes_expression(field_type: u8, bytes: &[u8], server: JsonServer) -> Option<Sql> {
    let mut literal = Sql::new("x'");
    literal.push_hex(bytes);
    literal.push("'");
    let is_57 = matches!(server, JsonServer::MySql57 { .. });
    let up_to = |length: usize| sql!("IF(1,{},REPEAT(x'00',{}))", literal, length);
    let column = |declaration: Sql| {
        (server == JsonServer::MySql8021).then(|| {
            sql!(
                "(WITH RECURSIVE godwit_c AS (SELECT 0 godwit_n,godwit_v FROM JSON_TABLE(_utf8mb4'{}',_utf8mb4'$' COLUMNS \
                 (godwit_v {} PATH _utf8mb4'$.x')) godwit_t UNION ALL SELECT 1,{} FROM godwit_c WHERE godwit_n=0) \
                 SELECT godwit_v FROM godwit_c WHERE godwit_n=1)",
                EMPTY,
                declaration,
                literal
            )
        })
    };
    match field_type {
        15 if is_57 => {
            let mut literal = Sql::new("_binary");
            literal.push_string(bytes);
            Some(literal)
        }
        15 if bytes.len() < 65_536 => Some(literal),
        16 if is_57 => Some(literal),
        16 if (1..=8).contains(&bytes.len()) => column(sql!("BIT({})", 8 * bytes.len())),
        250 if bytes.len() <= 70_000 => Some(up_to(70_000)),
        250 if bytes.len() < 1 << 24 => Some(literal),
        251 if bytes.len() < 1 << 24 => Some(up_to(1 << 24)),
        252 if bytes.len() <= 60_000 => {
            Some(sql!("(SELECT godwit_b FROM (SELECT {} godwit_b FROM DUAL LIMIT 1) godwit_t)", up_to(60_000)))
        }
        254 if bytes.len() <= 255 && !bytes.is_empty() => column(sql!("BINARY({})", bytes.len())),
        _ => None,
    }
}

/// A document without members.
const EMPTY: &str = "{}";

/// Appends a TIME. Where a value becomes part of a document, 5.7 and 8.0.15 read its hours as those of a day and days of 32 hours, and
/// count 24 for each: 838 becomes 630. Up to 31 they agree with others; beyond, the hours that become the wanted ones are given to a
/// server that turns out to do so.
fn push_time(out: &mut Sql, text: &[u8]) {
    let hours = text.strip_prefix(b"-").unwrap_or(text);
    let end = hours.iter().position(|byte| *byte == b':').unwrap_or(hours.len());
    let (number, rest) = hours.split_at(end);
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse::<u32>().ok());
    let is_time = rest.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    let given = number.filter(|hours| is_time && *hours > 31).and_then(|hours| {
        let days = hours / 24;
        [days, days.saturating_sub(1)].into_iter().map(|days| 32 * days + hours - 24 * days).find(|given| *given <= 838)
    });
    let mut literal = Sql::new("TIME");
    literal.push_string(text);
    let Some(given) = given else { return out.add(&literal) };
    let mut other = if text.len() > hours.len() { b"-".to_vec() } else { Vec::new() };
    other.extend_from_slice(given.to_string().as_bytes());
    other.extend_from_slice(rest);
    out.push("IF(CAST(CAST(TIME'838:00:00' AS JSON) AS CHAR) LIKE _utf8mb4'%838:%',");
    out.add(&literal);
    out.push(",TIME");
    out.push_string(&other);
    out.push(")");
}

struct Builder<'a> {
    text: &'a [u8],
    server: JsonServer,
    /// Of the container at hand.
    depth: usize,
}

impl Builder<'_> {
    /// Appends the value at `place` as an expression of type JSON, and returns where it ends; None when the form is not canonical.
    fn value(&mut self, out: &mut Sql, place: usize) -> Option<usize> {
        match *self.text.get(place)? {
            MARK => {
                // A document of its own: the value converts to JSON with its type.
                out.push("CAST(");
                let end = self.marked(out, place)?;
                out.push(" AS JSON)");
                Some(end)
            }
            _ => self.part(out, place),
        }
    }

    /// Appends a value as an argument of JSON_ARRAY or JSON_OBJECT.
    fn part(&mut self, out: &mut Sql, place: usize) -> Option<usize> {
        match *self.text.get(place)? {
            MARK => self.marked(out, place),
            open @ (b'{' | b'[') => {
                let (end, typed) = self.extent(place)?;
                if !typed {
                    self.parsed(out, place, end);
                    return Some(end);
                }
                if self.depth >= MAX_DEPTH {
                    return None;
                }
                self.depth += 1;
                let end = self.members(out, place, open == b'{');
                self.depth -= 1;
                end
            }
            b'"' => {
                let end = skip_string(self.text, place);
                if self.text[place..end].contains(&b'\\') {
                    self.parsed(out, place, end);
                } else {
                    out.push("_utf8mb4");
                    out.push_string(self.text.get(place + 1..end - 1)?);
                }
                Some(end)
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(self.text, place);
                self.number(out, place, end)?;
                Some(end)
            }
            _ => {
                let rest = &self.text[place..];
                let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes()))?;
                out.push(word);
                Some(place + word.len())
            }
        }
    }

    /// Digits without a point are an INTEGER to the server, others a DECIMAL unless there is an exponent. From 2^32 on a parser, whose type
    /// a number without a mark has, makes an UNSIGNED INTEGER.
    fn number(&self, out: &mut Sql, start: usize, end: usize) -> Option<()> {
        let number = &self.text[start..end];
        // Two signs would begin a comment.
        if !is_number(number) {
            return None;
        }
        let has = |wanted: &[u8]| number.iter().any(|byte| wanted.contains(byte));
        if has(b"eE") {
            out.push_number(number);
        } else if has(b".") {
            out.push_number(number);
            out.push("e0");
        } else if number.len() <= 9 {
            out.push_number(number);
        } else {
            self.parsed(out, start, end);
        }
        Some(())
    }

    fn parsed(&self, out: &mut Sql, start: usize, end: usize) {
        out.push("CAST(_utf8mb4");
        out.push_string(&self.text[start..end]);
        out.push(" AS JSON)");
    }

    /// Appends the value behind a mark, as the type that the mark says.
    fn marked(&self, out: &mut Sql, place: usize) -> Option<usize> {
        let letter = *self.text.get(place + 1)?;
        let start = place + 2;
        if matches!(letter, b'D' | b'U' | b'I') {
            let end = number_end(self.text, start);
            let number = self.text.get(start..end).filter(|number| is_exact_number(number))?;
            if letter == b'U' {
                out.push("CAST(");
                out.push_number(number);
                out.push(" AS UNSIGNED)");
                return Some(end);
            }
            out.push_number(number);
            if letter == b'D' && !number.contains(&b'.') {
                out.push(".");
            }
            return Some(end);
        }
        let end = skip_string(self.text, start);
        let string = self.text.get(start..end)?;
        let inside = string.get(1..string.len().checked_sub(1)?)?;
        match letter {
            b'd' => out.push("DATE"),
            b't' => {
                push_time(out, inside);
                return Some(end);
            }
            b'm' => out.push("TIMESTAMP"),
            b's' => {
                out.push(
                    "(WITH RECURSIVE godwit_c AS (SELECT 0 godwit_n,godwit_v FROM JSON_TABLE(_utf8mb4'{}',_utf8mb4'$' COLUMNS (godwit_v \
                      TIMESTAMP(6) PATH _utf8mb4'$.x')) godwit_t UNION ALL SELECT 1,TIMESTAMP",
                );
                out.push_string(inside);
                out.push(" FROM godwit_c WHERE godwit_n=0) SELECT godwit_v FROM godwit_c WHERE godwit_n=1)");
                return Some(end);
            }
            b'b' => {
                let (field_type, bytes) = bytes_of(string)?;
                out.add(&bytes_expression(field_type, &bytes, self.server)?);
                return Some(end);
            }
            _ => return None,
        }
        out.push_string(inside);
        Some(end)
    }

    fn members(&mut self, out: &mut Sql, start: usize, keyed: bool) -> Option<usize> {
        let (call, close) = if keyed { ("JSON_OBJECT(", b'}') } else { ("JSON_ARRAY(", b']') };
        out.push(call);
        let mut place = start + 1;
        let mut first = true;
        while *self.text.get(place)? != close {
            if !first {
                place += self.text.get(place..)?.starts_with(b", ").then_some(2)?;
                out.push(",");
            }
            first = false;
            if keyed {
                let end = skip_string(self.text, place);
                let key = self.text.get(place..end)?;
                // JSON_OBJECT wants the key as a string, not as a JSON value.
                if key.contains(&b'\\') {
                    out.push("JSON_UNQUOTE(_utf8mb4");
                    out.push_string(key);
                    out.push(")");
                } else {
                    out.push("_utf8mb4");
                    out.push_string(key.get(1..key.len().checked_sub(1)?)?);
                }
                out.push(",");
                place = end + self.text.get(end..)?.starts_with(b": ").then_some(2)?;
            }
            place = self.part(out, place)?;
        }
        out.push(")");
        Some(place + 1)
    }

    /// Where the container at `start` ends, and whether a mark stands in it.
    fn extent(&self, start: usize) -> Option<(usize, bool)> {
        let (mut place, mut depth, mut typed) = (start, 0usize, false);
        loop {
            match *self.text.get(place)? {
                b'"' => {
                    place = skip_string(self.text, place);
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Some((place + 1, typed));
                    }
                }
                MARK => typed = true,
                _ => {}
            }
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> String {
        let mut out = Sql::default();
        push_json(&mut out, text.as_bytes(), JsonServer::MySql8021);
        out.to_string()
    }

    #[test]
    fn plain_documents_travel_as_text() {
        assert_eq!(
            sql(r#"{"a": 1, "b": 1.5, "c": "1.10", "d": 1e20}"#),
            r#"_utf8mb4'{"a": 1, "b": 1.5, "c": "1.10", "d": 1e20}'"#
        );
        let mut out = Sql::default();
        push_json(&mut out, b"#[#D1.50]", JsonServer::Text);
        assert_eq!(out.to_string(), "_utf8mb4'[1.50]'");
    }

    #[test]
    fn what_5_7_prints_is_mended() {
        assert_eq!(mended(br#"{"a": 1, "b": "x-0"}"#).unwrap(), br#"{"a": 1, "b": "x-0"}"#);
        assert_eq!(mended(b"[-0, -0.5, \"QUJD\nREVG\"]").unwrap(), br#"[-0.0, -0.5, "QUJD\nREVG"]"#);
        assert_eq!(mended(br#"{"a": [1, -7]}"#), None);
    }

    #[test]
    fn as_5_7_prints_it() {
        let old = JsonServer::MySql57 { measures: true };
        assert_eq!(printed(b"[1.0, -0.0, 1.5, \"1.0\", 10]", old).as_ref(), b"[1, -0, 1.5, \"1.0\", 10]");
        assert_eq!(printed(b"#[#D1.0, #b\"base64:type15:QUJD\\nREVG\"]", old).as_ref(), b"[1.0, \"base64:type15:QUJD\nREVG\"]");
        assert_eq!(printed(b"#[#D1.0]", JsonServer::MySql80).as_ref(), b"[1.0]");
    }

    #[test]
    fn documents_with_types_are_built() {
        assert_eq!(
            sql(
                r##"#{"a": #D1.10, "b\"": [true, "x'", {"c": 1.5}], "d": [1.5, #U7, null, #D5, 12345678901234567, #I12345678901]}"##
            ),
            r#"JSON_OBJECT(_utf8mb4'a',1.10,JSON_UNQUOTE(_utf8mb4'"b\\""'),CAST(_utf8mb4'[true, "x\'", {"c": 1.5}]' AS JSON),_utf8mb4'd',JSON_ARRAY(1.5e0,CAST(7 AS UNSIGNED),null,5.,CAST(_utf8mb4'12345678901234567' AS JSON),12345678901))"#
        );
        assert_eq!(sql("##D-1.50"), "CAST(-1.50 AS JSON)");
        assert_eq!(
            sql(r##"#[#d"2024-01-02", #t"-01:02:03.500000", #m"2024-01-02 03:04:05.000000", #b"base64:type15:AP8="]"##),
            "JSON_ARRAY(DATE'2024-01-02',TIME'-01:02:03.500000',TIMESTAMP'2024-01-02 03:04:05.000000',x'00FF')"
        );
    }

    #[test]
    fn hours_that_old_servers_count_otherwise() {
        let time = |text: &str| {
            let mut out = Sql::default();
            push_time(&mut out, text.as_bytes());
            out.to_string()
        };
        assert_eq!(time("31:59:59.000000"), "TIME'31:59:59.000000'");
        assert!(time("-630:59:59.500000").ends_with("'%838:%',TIME'-630:59:59.500000',TIME'-838:59:59.500000')"));
        assert!(time("32:00:00.000000").ends_with(",TIME'40:00:00.000000')"));
        // What an old server makes of the hours that it is given.
        for hours in 32..=631u32 {
            let text = time(&format!("{hours}:00:00.000000"));
            let (_, given) = text.rsplit_once("TIME'").unwrap();
            let given: u32 = given.split(':').next().unwrap().parse().unwrap();
            assert_eq!((given >> 5) * 24 + (given & 31), hours);
        }
        assert_eq!(time("838:59:59.000000"), "TIME'838:59:59.000000'");
    }

    #[test]
    fn what_a_server_cannot_make_is_refused() {
        let timestamp = br##"#[#s"2024-01-02 03:04:05.000000"]"##;
        assert_eq!(refusal(timestamp, JsonServer::MySql8021), None);
        assert!(refusal(timestamp, JsonServer::MySql80).unwrap().contains("TIMESTAMP"));
        assert_eq!(refusal(timestamp, JsonServer::Text), None);
        let binary = br##"#{"#": #b"base64:type254:QUI="}"##;
        assert_eq!(refusal(binary, JsonServer::MySql8021), None);
        assert!(refusal(binary, JsonServer::MySql57 { measures: true }).unwrap().contains("type 254"));
        assert!(refusal(br##"##b"base64:type249:QUI=""##, JsonServer::MySql8021).is_some());
    }

    #[test]
    fn a_document_nests_as_deep_as_servers_let_it() {
        let nested = |depth: usize| [b"#".to_vec(), b"[".repeat(depth), b"#D1.5".to_vec(), b"]".repeat(depth)].concat();
        assert_eq!(refusal(&nested(100), JsonServer::MySql8021), None);
        let deep = nested(101);
        assert!(refusal(&deep, JsonServer::MySql8021).unwrap().contains("not in the form"));
        let mut out = Sql::default();
        push_json(&mut out, &nested(1 << 16), JsonServer::MySql8021);
        assert!(out.as_bytes().starts_with(b"_utf8mb4'[["), "it goes as text, which the server refuses");
    }

    #[test]
    fn bytes_are_read_back() {
        assert_eq!(bytes_of(br#""base64:type252:AQID""#), Some((252, vec![1, 2, 3])));
        assert_eq!(bytes_of(br#""base64:type15:AP8=""#), Some((15, vec![0, 255])));
        assert_eq!(bytes_of(br#""base64:type15:AQ\nID""#), Some((15, vec![1, 2, 3])));
        assert_eq!(bytes_of(br#""base64:type15:A!""#), None);
    }
}
