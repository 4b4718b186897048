//! What tells documents of one text and different types apart in a condition: rows without a key are found by it.

use super::json_nodes::{Node, nodes, places, with_paths};
use super::json_paths::JsonPaths;
use super::json_types::{JsonServer, PLAIN, is_unsigned_by_text};
use crate::sql;
use crate::sql::Sql;

/// Appends ` AND …` for the types that this document has, if its text leaves a choice. `quoted`: the column's name.
pub(super) fn push_types_condition(out: &mut Sql, quoted: &Sql, document: &[u8], server: JsonServer) {
    // Every type that a text may be mistaken for has a digit in it.
    if server == JsonServer::Text || !document.iter().any(u8::is_ascii_digit) {
        return;
    }
    let Ok(nodes) = nodes(document) else {
        // No column of the type holds it.
        return out.push(" AND FALSE");
    };
    match (server, server.types_expression(quoted, &JsonPaths::default())) {
        (JsonServer::MySql8021, Some(types)) => {
            let mut letters = vec![PLAIN; nodes.len()];
            for (node, place) in nodes.iter().zip(places(&nodes)) {
                letters[place] = letter(document, node);
            }
            out.add(&sql!(" AND {}=_utf8mb4", types));
            out.push_string(&letters);
        }
        // Sessions that write have no character set, and JSON_TABLE wants one there, or is not known at all.
        _ => with_paths(document, &nodes, &mut |path, place| {
            push_type(out, quoted, path, &nodes[place], document, server);
        }),
    }
}

/// The letter that the server gives for a value ([`JsonServer::types_expression`]).
fn letter(document: &[u8], node: &Node) -> u8 {
    match (node.letter, document.get(node.start)) {
        (PLAIN, Some(b'-' | b'0'..=b'9')) => match integer(node.token(document)) {
            Some(true) => b'U',
            Some(false) => b'I',
            None => PLAIN,
        },
        (letter, _) => letter,
    }
}

/// Whether a parser makes an UNSIGNED INTEGER of these digits, or an INTEGER. None: a DOUBLE.
fn integer(token: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(token).ok()?;
    match text.parse::<u64>() {
        Ok(number) => Some(is_unsigned_by_text(number)),
        Err(_) => text.parse::<i64>().ok().map(|_| false),
    }
}

/// Whether a string might be a date, a time or bytes by its text.
fn is_doubtful(token: &[u8]) -> bool {
    matches!(token.get(1), Some(b'-' | b'0'..=b'9')) || token.starts_with(b"\"base64:type")
}

fn push_type(out: &mut Sql, quoted: &Sql, path: &[u8], node: &Node, document: &[u8], server: JsonServer) {
    let token = node.token(document);
    let is_57 = matches!(server, JsonServer::MySql57 { .. });
    let is_number = matches!(document.get(node.start), Some(b'-' | b'0'..=b'9'));
    let wanted = match (node.letter, is_number) {
        (b'D', _) => "=_utf8mb4'DECIMAL'",
        (b'd', _) => "=_utf8mb4'DATE'",
        (b't', _) => "=_utf8mb4'TIME'",
        (b'm', _) => "=_utf8mb4'DATETIME'",
        (b's', _) => "=_utf8mb4'TIMESTAMP'",
        // The text tells which bytes.
        (b'b', _) => "<>_utf8mb4'STRING'",
        (_, true) => match (letter(document, node), is_57) {
            // There both count as what a parser makes of the digits.
            (b'U' | b'I', true) => " IN (_utf8mb4'INTEGER',_utf8mb4'UNSIGNED INTEGER')",
            (b'U', false) => "=_utf8mb4'UNSIGNED INTEGER'",
            (b'I', false) => "=_utf8mb4'INTEGER'",
            _ => "=_utf8mb4'DOUBLE'",
        },
        (_, false) if !node.is_container && is_doubtful(token) => "=_utf8mb4'STRING'",
        _ => return,
    };
    out.add(&sql!(" AND JSON_TYPE(JSON_EXTRACT({},_utf8mb4", quoted));
    out.push_string(path);
    out.add(&sql!(")){}", wanted));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(document: &str, server: JsonServer) -> String {
        let mut out = Sql::default();
        push_types_condition(&mut out, &Sql::new("`j`"), document.as_bytes(), server);
        out.to_string()
    }

    #[test]
    fn only_where_the_text_leaves_a_choice() {
        for server in [JsonServer::MySql57 { measures: true }, JsonServer::MySql80, JsonServer::MySql8021] {
            assert_eq!(condition(r#"{"a": [true, null, "x", {}]}"#, server), "");
        }
        assert_eq!(condition(r#"{"a": 1.5}"#, JsonServer::Text), "");
    }

    #[test]
    fn letters_are_those_that_the_server_gives() {
        let letters = |document: &str| {
            let condition = condition(document, JsonServer::MySql8021);
            condition.rsplit_once('=').unwrap().1.to_owned()
        };
        assert_eq!(letters(r#"{"a": 1.5}"#), "_utf8mb4'..'");
        assert_eq!(letters(r##"#{"a": #D1.5}"##), "_utf8mb4'.D'");
        assert_eq!(letters("[7, -7, 4294967296, 18446744073709551615, 1e300, 99999999999999999999]"), "_utf8mb4'.IIUU..'");
        assert_eq!(
            letters(r##"#{"a": {"b": #U1, "c": [2, [#I4294967296]]}, "d": "2020-01-02", "e": #d"2020-01-02"}"##),
            "_utf8mb4'...dU.I.I'"
        );
    }

    #[test]
    fn older_servers_are_asked_path_by_path() {
        let of = |path: &str| format!(" AND JSON_TYPE(JSON_EXTRACT(`j`,_utf8mb4'{path}'))");
        let document = r##"#{"a": #D1.5, "b'": [1.5, 7, "2020-01-02", #m"2020-01-02 00:00:00.000000", #b"base64:type15:QQ=="]}"##;
        let with = |seven: &str| {
            let b = r#"$."b\'""#;
            [
                of(r#"$."a""#) + "=_utf8mb4'DECIMAL'",
                of(&format!("{b}[0]")) + "=_utf8mb4'DOUBLE'",
                of(&format!("{b}[1]")) + seven,
                of(&format!("{b}[2]")) + "=_utf8mb4'STRING'",
                of(&format!("{b}[3]")) + "=_utf8mb4'DATETIME'",
                of(&format!("{b}[4]")) + "<>_utf8mb4'STRING'",
            ]
            .concat()
        };
        assert_eq!(condition(document, JsonServer::MySql80), with("=_utf8mb4'INTEGER'"));
        let old = JsonServer::MySql57 { measures: true };
        assert_eq!(condition(document, old), with(" IN (_utf8mb4'INTEGER',_utf8mb4'UNSIGNED INTEGER')"));
        assert_eq!(condition("{\"a\": 1", JsonServer::MySql80), " AND FALSE");
    }
}
