//! Partial JSON (`binlog_row_value_options=PARTIAL_JSON`): an after image that only says what changed in a
//! document. The document is taken from the before image, changed, and printed.

use super::cursor::{Cursor, malformed};
use super::jsonb::{self, JsonForm, Value};
use crate::value::json_nodes::MAX_DEPTH;
use crate::value::json_types::MARK;
use godwit_model::error::{Error, Result};

/// A document that can be changed. Objects keep the server's order: by length of the key, then its bytes.
enum Node<'a> {
    Scalar(Value<'a>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Vec<u8>, Node<'a>)>),
}

/// Appends the canonical form of `document` (binary JSON) after the changes in `diffs`, as a row image has them.
pub(super) fn apply(document: &[u8], diffs: &[u8], form: JsonForm, out: &mut Vec<u8>) -> Result<()> {
    let mut root = node(document)?;
    let mut cursor = Cursor::new(diffs);
    while !cursor.is_empty() {
        let operation = cursor.u8()?;
        let path_bytes = cursor.lenenc_bytes()?;
        let path = parse_path(path_bytes).ok_or_else(|| unusable("a path that cannot be read", path_bytes))?;
        let change = match operation {
            0 => Change::Replace(node(cursor.lenenc_bytes()?)?),
            1 => Change::Insert(node(cursor.lenenc_bytes()?)?),
            2 => Change::Remove,
            other => return Err(malformed(format!("JSON change {other}"))),
        };
        change.apply(&mut root, &path).ok_or_else(|| unusable("a path that the document does not have", path_bytes))?;
    }
    let start = out.len();
    if print(&root, form, out)? {
        out.insert(start, MARK);
    }
    Ok(())
}

fn unusable(what: &str, path: &[u8]) -> Error {
    Error::definite(format!("a partial JSON update has {what}: {}", String::from_utf8_lossy(path)))
}

fn node(document: &[u8]) -> Result<Node<'_>> {
    if document.is_empty() {
        return Ok(Node::Scalar(Value::Null));
    }
    let mut budget = document.len();
    build(jsonb::parse(document)?, 0, &mut budget)
}

fn build<'a>(value: Value<'a>, depth: usize, budget: &mut usize) -> Result<Node<'a>> {
    // A valid document's parts do not overlap: what is built and printed is no more than its bytes stand for.
    let container = match value {
        Value::Container(container) => container,
        Value::String(bytes) | Value::Opaque { data: bytes, .. } => {
            spend(budget, bytes.len())?;
            return Ok(Node::Scalar(value));
        }
        _ => return Ok(Node::Scalar(value)),
    };
    spend(budget, container.table_size())?;
    if depth >= MAX_DEPTH {
        return Err(malformed("JSON nested too deeply"));
    }
    if container.is_object {
        let mut members = Vec::with_capacity(container.count);
        for i in 0..container.count {
            let key = container.key(i)?;
            spend(budget, key.len())?;
            members.push((key.to_vec(), build(container.value(i)?, depth + 1, budget)?));
        }
        Ok(Node::Object(members))
    } else {
        let elements = (0..container.count).map(|i| build(container.value(i)?, depth + 1, budget));
        Ok(Node::Array(elements.collect::<Result<_>>()?))
    }
}

fn spend(budget: &mut usize, bytes: usize) -> Result<()> {
    *budget = budget.checked_sub(bytes).ok_or_else(|| malformed("JSON whose parts overlap"))?;
    Ok(())
}

/// Whether a value has a mark.
fn print(node: &Node<'_>, form: JsonForm, out: &mut Vec<u8>) -> Result<bool> {
    let mut typed = false;
    match node {
        Node::Scalar(value) => return jsonb::write_scalar(value, form, out),
        Node::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                typed |= print(element, form, out)?;
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (i, (key, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                jsonb::write_string(key, out);
                out.extend_from_slice(b": ");
                typed |= print(member, form, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(typed)
}

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Leg {
    Member(Vec<u8>),
    Index(usize),
    /// `last`, `last-1`, …
    FromLast(usize),
}

impl Leg {
    fn index(&self, length: usize) -> Option<usize> {
        match self {
            Self::Member(_) => None,
            Self::Index(index) => Some(*index),
            Self::FromLast(back) => length.checked_sub(1)?.checked_sub(*back),
        }
    }
}

/// The server's own form: `$.key."other key"[3]`. None for what it never writes.
fn parse_path(path: &[u8]) -> Option<Vec<Leg>> {
    let mut rest = path.strip_prefix(b"$")?;
    let mut legs = Vec::new();
    loop {
        // The server allows paths of 100 legs, as deep as documents are.
        if legs.len() > MAX_DEPTH {
            return None;
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => return Some(legs),
            Some((b'.', after)) => {
                let after = after.trim_ascii_start();
                let end = if after.first() == Some(&b'"') {
                    closing_quote(after)? + 1
                } else {
                    after.iter().position(|byte| matches!(byte, b'.' | b'[' | b' ')).unwrap_or(after.len())
                };
                let (name, after) = after.split_at_checked(end)?;
                let name: Vec<u8> = if name.first() == Some(&b'"') {
                    serde_json::from_slice::<String>(name).ok()?.into_bytes()
                } else {
                    name.to_vec()
                };
                legs.push(Leg::Member(name));
                rest = after;
            }
            Some((b'[', after)) => {
                let end = after.iter().position(|byte| *byte == b']')?;
                let inside = std::str::from_utf8(after.get(..end)?).ok()?.trim();
                legs.push(match inside.strip_prefix("last") {
                    Some("") => Leg::FromLast(0),
                    Some(back) => Leg::FromLast(back.trim().strip_prefix('-')?.trim().parse().ok()?),
                    None => Leg::Index(inside.parse().ok()?),
                });
                rest = after.get(end + 1..)?;
            }
            Some(_) => return None,
        }
    }
}

/// Place of the quote that ends the string at the start of `text`.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().enumerate().skip(1).find_map(|(i, byte)| {
        let ends = !escaped && *byte == b'"';
        escaped = !escaped && *byte == b'\\';
        ends.then_some(i)
    })
}

enum Change<'a> {
    Replace(Node<'a>),
    Insert(Node<'a>),
    Remove,
}

impl<'a> Change<'a> {
    /// None: the document does not have the path.
    fn apply(self, root: &mut Node<'a>, path: &[Leg]) -> Option<()> {
        let Some((last, parents)) = path.split_last() else {
            return match self {
                Self::Replace(new) => {
                    *root = new;
                    Some(())
                }
                _ => None,
            };
        };
        match self {
            Self::Replace(new) => *seek(root, path)? = new,
            Self::Insert(new) => match (seek(root, parents)?, last) {
                (Node::Object(members), Leg::Member(name)) => match find(members, name) {
                    Ok(_) => return None,
                    Err(place) => members.insert(place, (name.clone(), new)),
                },
                (Node::Array(elements), leg) => {
                    let place = match leg {
                        Leg::FromLast(back) => elements.len().saturating_sub(back + 1),
                        other => other.index(elements.len())?,
                    };
                    elements.insert(place.min(elements.len()), new);
                }
                _ => return None,
            },
            Self::Remove => match (seek(root, parents)?, last) {
                (Node::Object(members), Leg::Member(name)) => {
                    let place = find(members, name).ok()?;
                    members.remove(place);
                }
                (Node::Array(elements), leg) => {
                    let place = leg.index(elements.len()).filter(|place| *place < elements.len())?;
                    elements.remove(place);
                }
                _ => return None,
            },
        }
        Some(())
    }
}

fn seek<'n, 'a>(mut node: &'n mut Node<'a>, path: &[Leg]) -> Option<&'n mut Node<'a>> {
    for leg in path {
        node = match (node, leg) {
            (Node::Object(members), Leg::Member(name)) => {
                let place = find(members, name).ok()?;
                &mut members.get_mut(place)?.1
            }
            (Node::Array(elements), leg) => {
                let place = leg.index(elements.len())?;
                elements.get_mut(place)?
            }
            // Anything but an array is the only element of itself.
            (other, Leg::Index(0) | Leg::FromLast(0)) => other,
            _ => return None,
        };
    }
    Some(node)
}

/// Place of a key, or where it belongs.
fn find(members: &[(Vec<u8>, Node<'_>)], name: &[u8]) -> std::result::Result<usize, usize> {
    members.binary_search_by(|(key, _)| key.len().cmp(&name.len()).then_with(|| key.as_slice().cmp(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// {"a": 1, "b": [null, "x"]}
    const OBJECT: &[u8] = &[
        0x00, 2, 0, 33, 0, 18, 0, 1, 0, 19, 0, 1, 0, 5, 1, 0, 2, 20, 0, b'a', b'b', 2, 0, 13, 0, 4, 0, 0, 12, 10, 0, 1, b'x', 0,
    ];

    fn diff(operation: u8, path: &str, value: Option<&[u8]>) -> Vec<u8> {
        let mut out = vec![operation, path.len() as u8];
        out.extend_from_slice(path.as_bytes());
        if let Some(value) = value {
            out.push(value.len() as u8);
            out.extend_from_slice(value);
        }
        out
    }

    fn after(diffs: &[Vec<u8>]) -> Result<String> {
        let mut out = Vec::new();
        apply(OBJECT, &diffs.concat(), JsonForm::MySql80, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn changes_apply_in_order() {
        let seven: &[u8] = &[5, 7, 0];
        assert_eq!(after(&[]).unwrap(), r#"{"a": 1, "b": [null, "x"]}"#);
        assert_eq!(after(&[diff(0, "$.a", Some(seven))]).unwrap(), r#"{"a": 7, "b": [null, "x"]}"#);
        assert_eq!(after(&[diff(0, "$.b[1]", Some(OBJECT))]).unwrap(), r#"{"a": 1, "b": [null, {"a": 1, "b": [null, "x"]}]}"#);
        assert_eq!(after(&[diff(1, "$.\"k \\\"1\"", Some(seven))]).unwrap(), r#"{"a": 1, "b": [null, "x"], "k \"1": 7}"#);
        assert_eq!(after(&[diff(1, "$.b[1]", Some(seven)), diff(2, "$.b[0]", None)]).unwrap(), r#"{"a": 1, "b": [7, "x"]}"#);
        assert_eq!(after(&[diff(1, "$.b[9]", Some(seven)), diff(2, "$.a", None)]).unwrap(), r#"{"b": [null, "x", 7]}"#);
        assert_eq!(after(&[diff(0, "$.b[last]", Some(seven))]).unwrap(), r#"{"a": 1, "b": [null, 7]}"#);
        let decimal: &[u8] = &[0x0f, 246, 4, 3, 1, 0x81, 5];
        assert_eq!(after(&[diff(0, "$.a", Some(decimal))]).unwrap(), r##"#{"a": #D1.5, "b": [null, "x"]}"##);
        assert!(after(&[diff(0, "$.c", Some(seven))]).is_err());
        assert!(after(&[diff(1, "$.a", Some(seven))]).is_err());
        assert!(after(&[diff(2, "$.b[2]", None)]).is_err());
        assert!(after(&[diff(2, "$.b[", None)]).is_err());
    }

    proptest! {
        #[test]
        fn malformed_changes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), path in "[$.\\[\\]a\"\\\\0-9last -]{0,20}") {
            let mut out = Vec::new();
            let _ = apply(OBJECT, &bytes, JsonForm::MySql80, &mut out);
            let _ = apply(OBJECT, &diff(2, &path, None), JsonForm::MySql80, &mut out);
        }
    }
}
