//! The values of a document in canonical form or as a server prints it: where each stands, and its path.

use std::ops::Range;

use super::json_types::{MARK, PLAIN, number_end, skip_string};

/// Containers within each other. MySQL allows as many ("The JSON Data Type").
pub const MAX_DEPTH: usize = 100;

/// A value of a document.
pub struct Node {
    pub start: usize,
    /// Its name with the quotes, where it is a member of an object.
    pub name: Option<Range<usize>>,
    pub is_object: bool,
    pub is_container: bool,
    pub children: usize,
    /// Index behind the last node below this one.
    pub end: usize,
    /// Its type, where the text has a mark.
    pub letter: u8,
}

impl Node {
    fn of(start: usize, name: Option<Range<usize>>, letter: u8) -> Self {
        Self { start, name, is_object: false, is_container: false, children: 0, end: 0, letter }
    }

    /// The text of a value that is no container.
    pub fn token<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let end = match text.get(self.start) {
            Some(b'"') => skip_string(text, self.start),
            _ => number_end(text, self.start),
        };
        text.get(self.start..end).unwrap_or_default()
    }
}

/// All values in the order of the text, the root first.
///
/// # Errors
/// What the text has that no document has.
pub fn nodes(text: &[u8]) -> Result<Vec<Node>, &'static str> {
    let mut nodes = Vec::new();
    let begin = usize::from(text.len() > 1 && text.first() == Some(&MARK));
    let end = read(text, begin, None, 0, &mut nodes).ok_or("the text is no document")?;
    if end == text.len() { Ok(nodes) } else { Err("the text goes on behind the document") }
}

fn skip_separators(text: &[u8], mut place: usize) -> usize {
    while matches!(text.get(place), Some(b' ' | b',' | b':')) {
        place += 1;
    }
    place
}

/// Appends the value at `place` and all below it; gives the place behind it.
fn read(text: &[u8], mut place: usize, name: Option<Range<usize>>, depth: usize, nodes: &mut Vec<Node>) -> Option<usize> {
    let mut letter = PLAIN;
    if text.get(place) == Some(&MARK) {
        letter = *text.get(place + 1)?;
        place += 2;
    }
    let first = *text.get(place)?;
    let number = nodes.len();
    nodes.push(Node { end: number + 1, ..Node::of(place, name, letter) });
    let is_object = first == b'{';
    if !is_object && first != b'[' {
        return Some(match first {
            b'"' => skip_string(text, place),
            b'-' | b'0'..=b'9' => number_end(text, place),
            b't' | b'n' => place + 4,
            b'f' => place + 5,
            _ => return None,
        });
    }
    if depth >= MAX_DEPTH {
        return None;
    }
    let close = if is_object { b'}' } else { b']' };
    let mut at = skip_separators(text, place + 1);
    let mut children = 0;
    while *text.get(at)? != close {
        let mut name = None;
        if is_object {
            let end = skip_string(text, at);
            name = Some(at..end);
            at = skip_separators(text, end);
        }
        at = skip_separators(text, read(text, at, name, depth + 1, nodes)?);
        children += 1;
    }
    let end = nodes.len();
    let node = nodes.get_mut(number)?;
    (node.is_object, node.is_container, node.children, node.end) = (is_object, true, children, end);
    Some(at + 1)
}

/// For each node its place among the letters of `JsonServer::types_expression`: the root, then all members of objects, then all elements
/// of arrays; within both, a container's children stand together, before those of its children.
pub fn places(nodes: &[Node]) -> Vec<usize> {
    let members = nodes.iter().filter(|node| node.is_object).map(|node| node.children).sum::<usize>();
    let mut order = Order { nodes, places: vec![0; nodes.len()], member: 1, element: 1 + members };
    if !nodes.is_empty() {
        order.below(0);
    }
    order.places
}

struct Order<'a> {
    nodes: &'a [Node],
    places: Vec<usize>,
    /// Where the next container's letters stand.
    member: usize,
    element: usize,
}

impl Order<'_> {
    fn below(&mut self, parent: usize) {
        let Node { children, is_object, .. } = self.nodes[parent];
        let next = if is_object { &mut self.member } else { &mut self.element };
        let base = *next;
        *next += children;
        let mut child = parent + 1;
        for number in 0..children {
            self.places[child] = base + number;
            child = self.nodes[child].end;
        }
        let mut child = parent + 1;
        for _ in 0..children {
            if self.nodes[child].is_container {
                self.below(child);
            }
            child = self.nodes[child].end;
        }
    }
}

/// Visits the places of all nodes with their paths, as the server's functions take them: `$."a"[0]`.
pub fn with_paths(text: &[u8], nodes: &[Node], visit: &mut impl FnMut(&[u8], usize)) {
    let mut path = b"$".to_vec();
    if !nodes.is_empty() {
        visit_below(text, nodes, 0, &mut path, visit);
    }
}

fn visit_below(text: &[u8], nodes: &[Node], place: usize, path: &mut Vec<u8>, visit: &mut impl FnMut(&[u8], usize)) {
    let node = &nodes[place];
    visit(path, place);
    let length = path.len();
    let mut child = place + 1;
    for number in 0..node.children {
        match &nodes[child].name {
            Some(name) => {
                path.push(b'.');
                path.extend_from_slice(text.get(name.clone()).unwrap_or_default());
            }
            None => path.extend_from_slice(format!("[{number}]").as_bytes()),
        }
        visit_below(text, nodes, child, path, visit);
        path.truncate(length);
        child = nodes[child].end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_path() {
        let text = br##"#{"a": #D1.5, "b.\"c": [true, {"d": "x#]"}, []]}"##;
        let mut found = Vec::new();
        let nodes = nodes(text).unwrap();
        with_paths(text, &nodes, &mut |path, place| {
            let token = nodes[place].token(text);
            found.push(format!("{} {}", String::from_utf8_lossy(path), String::from_utf8_lossy(token)));
        });
        let expected = [
            r#"$ "#,
            r#"$."a" 1.5"#,
            r#"$."b.\"c" "#,
            r#"$."b.\"c"[0] "#,
            r#"$."b.\"c"[1] "#,
            r##"$."b.\"c"[1]."d" "x#]""##,
            r#"$."b.\"c"[2] "#,
        ];
        assert_eq!(found, expected);
        assert_eq!(nodes[1].letter, b'D');
    }

    #[test]
    fn depth_is_bounded_as_the_servers_bound_it() {
        let nested = |depth: usize| [b"[".repeat(depth), b"1".to_vec(), b"]".repeat(depth)].concat();
        assert!(nodes(&nested(100)).is_ok());
        assert!(nodes(&nested(101)).is_err());
        assert!(nodes(&b"[".repeat(1 << 20)).is_err());
    }
}
