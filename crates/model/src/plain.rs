//! What others wrote, as it may be shown: no longer than a screen, and without characters that do something where they are printed.
//!
//! Servers choose their errors, names and definitions. A terminal obeys escape sequences in them, a log has lines by their line breaks, and a
//! report grows by their length. So each text of theirs goes through here where it enters (`engine::text`, the precheck's findings, the
//! report), and whatever is printed goes through here once more.

use std::borrow::Cow;
use std::fmt::Write;

/// Bytes that are kept of what a server says in one go.
pub const SAID: usize = 1 << 10;

/// Whether a character does something other than stand there: it moves, deletes, hides or turns around what is beside it, or begins a command to
/// the terminal. (Unicode: Cc, the separators of lines and paragraphs, and of Cf what has no place in a name; joiners have one.)
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Several lines: `\u{1b}` in place of what acts, except for line breaks and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| acts(character) && !matches!(character, '\n' | '\t'))
}

/// One line: `\n` in place of a line break, `\u{1b}` in place of what else acts.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

fn escaped(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts(character) { plain.extend(character.escape_default()) } else { plain.push(character) }
    }
    Cow::Owned(plain)
}

/// JSON with the escapes of JSON: the same document, which can be printed. Its own line breaks and tabs stay.
pub fn json(document: &str) -> Cow<'_, str> {
    let acts = |character: char| acts(character) && !matches!(character, '\n' | '\t');
    if !document.contains(acts) {
        return Cow::Borrowed(document);
    }
    let mut plain = String::with_capacity(document.len() + 16);
    for character in document.chars() {
        if acts(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String does not fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// At most `most` bytes: its beginning and its end, which often holds the point, and between them how much was left out.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let gap = format!(" … ({} bytes in all) … ", text.len());
    let room = most.saturating_sub(gap.len());
    let head = text.floor_char_boundary(room - room / 4);
    let tail = text.ceil_char_boundary(text.len() - room / 4);
    match room {
        // No room for anything but its beginning.
        0 => Cow::Borrowed(text.get(..text.floor_char_boundary(most)).unwrap_or_default()),
        _ => Cow::Owned(format!("{}{gap}{}", text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default())),
    }
}

/// What a server said: one line of at most [`SAID`] bytes.
pub fn said(text: &str) -> String {
    fitted(text, SAID, line).into_owned()
}

/// Lines of at most `most` bytes together.
pub fn bounded(text: &str, most: usize) -> Cow<'_, str> {
    fitted(text, most, lines)
}

/// Cut first, so that what is long is not escaped as a whole; shorter where escapes, which are six times as long as what they stand for at
/// most, make it too long again.
fn fitted(text: &str, most: usize, escape: impl Fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    for limit in [most, most / 2] {
        let escaped = match cut(text, limit) {
            Cow::Borrowed(cut) => escape(cut),
            Cow::Owned(cut) => Cow::Owned(escape(&cut).into_owned()),
        };
        if escaped.len() <= most {
            return escaped;
        }
    }
    Cow::Owned(escape(&cut(text, most / 8)).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_shown_as_what_it_is() {
        for (text, shown) in [
            ("Table 'größe' …", "Table 'größe' …"),
            ("a\x1b[2Jb\x1b]0;title\x07c", "a\\u{1b}[2Jb\\u{1b}]0;title\\u{7}c"),
            ("\u{9b}31m\u{202e}txt\u{2066}\u{feff}\u{e0041}", "\\u{9b}31m\\u{202e}txt\\u{2066}\\u{feff}\\u{e0041}"),
            // A Persian word and a family hold joiners.
            ("می\u{200c}خواهم 👩\u{200d}👧", "می\u{200c}خواهم 👩\u{200d}👧"),
            ("one\ntwo\r\x00\x7f", "one\\ntwo\\r\\u{0}\\u{7f}"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("one\n\ttwo\r\x1b"), "one\n\ttwo\\r\\u{1b}");
        assert_eq!(json("{\n\"a\": \"\u{9b}\u{202e}\u{e0041}\"}"), "{\n\"a\": \"\\u009b\\u202e\\udb40\\udc41\"}");
    }

    #[test]
    fn what_is_long_keeps_its_beginning_and_its_end() {
        let said = said(&format!("Duplicate entry '{}' for key 'items.u'", "ä\x1b".repeat(4 << 20)));
        assert!(said.len() <= SAID && said.starts_with("Duplicate entry 'ä") && said.ends_with("' for key 'items.u'"), "{said}");
        assert!(said.contains("(12582948 bytes in all)") && !said.contains('\x1b'), "{said}");
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("much too long", 4), "much");
        assert_eq!(cut("größer", 3), "gr");
    }

    proptest! {
        #[test]
        fn whatever_is_said(text in "(\\PC|\\x1b|\\n|\\x07|[\\x{80}-\\x{9f}]|[\\x{2000}-\\x{2070}]|[\\x{e0000}-\\x{e007f}]|\\x00){0,700}", most in 0usize..3000) {
            let (line, lines, said) = (line(&text), lines(&text), said(&text));
            prop_assert!(!line.contains(acts) && !said.contains(acts));
            prop_assert!(!lines.contains(|c: char| acts(c) && !matches!(c, '\n' | '\t')));
            let bounded = bounded(&text, most);
            prop_assert!(said.len() <= SAID && bounded.len() <= most, "{}", bounded.len());
            // Once more changes nothing.
            prop_assert_eq!(super::line(&line), &*line);
            prop_assert_eq!(super::said(&said), said);
            prop_assert_eq!(super::bounded(&bounded, most), &*bounded);
            // JSON says the same.
            let document = serde_json::to_string(&text).unwrap();
            let plain = json(&document);
            prop_assert!(!plain.contains(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&plain).unwrap(), text);
        }
    }
}
