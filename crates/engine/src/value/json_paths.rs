//! MySQL 5.7: the paths at which documents of a column have values that text does not tell.
//!
//! 5.7 has no quick way to list the types of a document, and a quick one to tell that of a path. So the paths are learned from some documents,
//! and a SELECT asks for the types at these paths. It also proves that nothing else in the document is in doubt: the same document with
//! `null` at the paths must be one that its text describes. Where it is not, every value is taken out singly, which takes a hundred times as long.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::json_nodes::{Node, nodes, with_paths};
use crate::sql::Sql;

/// No expression has more paths, nor more bytes of them.
const MOST_PATHS: usize = 200;
const MOST_BYTES: usize = 16 << 10;

/// Paths that are counted.
const MOST_COUNTED: usize = 10_000;

/// What 5.7 must not find in the text of a document whose size tells that nothing is lost (Henry Spencer's regular expressions).
pub(super) const DOUBTFUL: &str = "'base64:type|....-..-..|[0-9][.][0-9]|[0-9]{10}'";

/// See the module's page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonPaths(Arc<Vec<Vec<u8>>>);

impl JsonPaths {
    /// Those of these documents, the most frequent ones where there are too many. `measures`: the server knows the size of a document.
    pub fn of<'a>(documents: impl Iterator<Item = &'a [u8]>, measures: bool) -> Self {
        let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
        for document in documents {
            let Ok(nodes) = nodes(document) else { continue };
            with_paths(document, &nodes, &mut |path, place| {
                let node = &nodes[place];
                if node.is_container || !is_doubtful(node.token(document), measures) {
                    return;
                }
                if let Some(count) = counts.get_mut(path) {
                    *count += 1;
                } else if counts.len() < MOST_COUNTED {
                    counts.insert(path.to_vec(), 1);
                }
            });
        }
        let mut found: Vec<(Vec<u8>, usize)> = counts.into_iter().collect();
        found.sort_by(|(left, count), (right, other)| other.cmp(count).then_with(|| left.cmp(right)));
        let mut bytes = 0;
        let within = |(path, _): &(Vec<u8>, usize)| {
            bytes += path.len();
            bytes <= MOST_BYTES
        };
        let paths: BTreeSet<Vec<u8>> = found.into_iter().take(MOST_PATHS).take_while(within).map(|(path, _)| path).collect();
        Self(Arc::new(paths.into_iter().collect()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The paths as literals.
    pub(super) fn literals(&self) -> impl Iterator<Item = Sql> {
        self.0.iter().map(|path| {
            let mut literal = Sql::new("_utf8mb4");
            literal.push_string(path);
            literal
        })
    }

    /// Gives the nodes of a document the letters of the paths. False: a letter belongs to none of them.
    pub(super) fn assign(&self, text: &[u8], nodes: &mut [Node], letters: &[u8], plain: u8) -> bool {
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        with_paths(text, nodes, &mut |path, place| {
            places.insert(path.to_vec(), place);
        });
        self.0.iter().zip(letters).filter(|(_, letter)| **letter != plain).all(|(path, letter)| {
            let mut path = path.as_slice();
            // A value that is no array is its own first element.
            while !places.contains_key(path) {
                let Some(wrapped) = path.strip_suffix(b"[0]") else { return false };
                path = wrapped;
            }
            match places.get(path).and_then(|place| nodes.get_mut(*place)) {
                Some(node) => node.letter = *letter,
                None => return false,
            }
            true
        })
    }
}

/// Whether a value keeps its document from being told by its size: [`DOUBTFUL`], and numbers that may be a DOUBLE without a point.
fn is_doubtful(token: &[u8], measures: bool) -> bool {
    if !measures {
        return token.iter().any(u8::is_ascii_digit);
    }
    let is_number = matches!(token.first(), Some(b'-' | b'0'..=b'9'));
    if is_number && token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return true;
    }
    let digit = |byte: &u8| byte.is_ascii_digit();
    token.windows(10).any(|bytes| bytes.iter().all(digit) || bytes[4] == b'-' && bytes[7] == b'-')
        || token.windows(3).any(|bytes| digit(&bytes[0]) && bytes[1] == b'.' && digit(&bytes[2]))
        || token.windows(11).any(|bytes| bytes == b"base64:type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(documents: &[&str], measures: bool) -> Vec<String> {
        let paths = JsonPaths::of(documents.iter().map(|document| document.as_bytes()), measures);
        paths.0.iter().map(|path| String::from_utf8(path.clone()).unwrap()).collect()
    }

    #[test]
    fn paths_of_what_is_in_doubt() {
        let documents = [
            r#"{"id": 7, "sku": "a-12", "price": 1.5, "when": "2020-01-02", "phone": "491701234567", "at": [1e20, 3]}"#,
            r#"{"price": 10, "b": "base64:type15:QQ==", "big": 12345678901, "x": {"y.z": -0.5}}"#,
            "no document",
        ];
        let expected =
            [r#"$."at"[0]"#, r#"$."b""#, r#"$."big""#, r#"$."phone""#, r#"$."price""#, r#"$."when""#, r#"$."x"."y.z""#];
        assert_eq!(paths(&documents, true), expected);
        assert_eq!(paths(&[r#"{"sku": "a-12", "ok": true, "n": 7}"#], false), [r#"$."n""#, r#"$."sku""#]);
    }

    #[test]
    fn there_are_not_more_than_an_expression_bears() {
        let many: Vec<String> = (0..1000).map(|number| format!(r#"{{"often": 1.5, "k{number}": 1.5}}"#)).collect();
        let documents: Vec<&str> = many.iter().map(String::as_str).collect();
        let found = paths(&documents, true);
        assert_eq!(found.len(), MOST_PATHS);
        assert!(found.contains(&r#"$."often""#.to_owned()));
        let long = format!(r#"{{"{}": 1.5}}"#, "k".repeat(MOST_BYTES));
        assert!(paths(&[&long], true).is_empty());
    }

    #[test]
    fn letters_find_their_paths() {
        let text = br#"{"a": [1.5, 2.5], "b": 3}"#;
        let paths = JsonPaths::of([br#"{"a": [1.5, 2.5, 3.5], "b": [1.5], "c": 1.5}"#.as_slice()].into_iter(), true);
        assert_eq!(paths.len(), 5);
        let mut found = nodes(text).unwrap();
        // $.b[0] is $.b where that is no array.
        assert!(paths.assign(text, &mut found, b"Df.f.", b'.'));
        assert_eq!(found.iter().map(|node| node.letter).collect::<Vec<_>>(), b"..Dff");
        assert!(!paths.assign(text, &mut found, b"....D", b'.'));
    }
}
