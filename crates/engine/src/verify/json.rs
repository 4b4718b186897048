//! JSON of two kinds of servers: MySQL's own type prints one text for a document, MariaDB keeps the text that
//! was stored. Where the two meet, documents are compared by what they say, numbers by their exact value.

use std::collections::BTreeMap;

/// Nesting beyond this is not taken apart (MySQL allows 100).
const MAX_DEPTH: usize = 200;

/// One text for all spellings of a document; None when it is no JSON.
///
/// Members are sorted, of equal names the last one counts, strings lose their escapes, numbers become sign,
/// digits and exponent; a number with point or exponent stays apart from an integer.
pub(super) fn canonical(text: &[u8]) -> Option<Vec<u8>> {
    let mut parser = Parser { text, place: 0 };
    let mut out = Vec::with_capacity(text.len());
    parser.value(&mut out, 0)?;
    parser.space();
    (parser.place == text.len()).then_some(out)
}

struct Parser<'a> {
    text: &'a [u8],
    place: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.place).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.place += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        self.space();
        (self.peek()? == wanted).then(|| self.place += 1)
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                let string = self.string()?;
                push_string(out, &string);
                Some(())
            }
            b'-' | b'0'..=b'9' => self.number(out),
            _ => {
                let rest = self.text.get(self.place..)?;
                let word = [b"true".as_slice(), b"false", b"null"].into_iter().find(|word| rest.starts_with(word))?;
                out.extend_from_slice(word);
                self.place += word.len();
                Some(())
            }
        }
    }

    /// Whether another element follows; eats the comma or the closing bracket.
    fn more(&mut self, close: u8, first: bool) -> Option<bool> {
        self.space();
        if self.peek()? == close {
            self.place += 1;
            return Some(false);
        }
        if !first {
            self.take(b',')?;
        }
        Some(true)
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.take(b'[')?;
        out.push(b'[');
        let mut first = true;
        while self.more(b']', first)? {
            if !first {
                out.push(b',');
            }
            first = false;
            self.value(out, depth + 1)?;
        }
        out.push(b']');
        Some(())
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.take(b'{')?;
        let mut members = BTreeMap::new();
        while self.more(b'}', members.is_empty())? {
            self.space();
            let name = self.string()?;
            self.take(b':')?;
            let mut value = Vec::new();
            self.value(&mut value, depth + 1)?;
            members.insert(name, value);
        }
        out.push(b'{');
        for (number, (name, value)) in members.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            push_string(out, name);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Some(())
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        self.take(b'"')?;
        let mut out = Vec::new();
        loop {
            let byte = self.peek()?;
            self.place += 1;
            match byte {
                b'"' => return Some(out),
                b'\\' => {
                    let escape = self.peek()?;
                    self.place += 1;
                    match escape {
                        b'"' | b'\\' | b'/' => out.push(escape),
                        b'b' => out.push(8),
                        b'f' => out.push(12),
                        b'n' => out.push(b'\n'),
                        b'r' => out.push(b'\r'),
                        b't' => out.push(b'\t'),
                        b'u' => {
                            let character = self.unicode_escape()?;
                            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        _ => return None,
                    }
                }
                byte => out.push(byte),
            }
        }
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = std::str::from_utf8(self.text.get(self.place..self.place + 4)?).ok()?;
        self.place += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first);
        }
        if self.text.get(self.place..self.place + 2)? != b"\\u" {
            return None;
        }
        self.place += 2;
        let second = self.hex4()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + second)
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let start = self.place;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.place += 1;
        }
        push_number(out, std::str::from_utf8(&self.text[start..self.place]).ok()?)
    }
}

/// `i` or `f`, sign, digits without zeros at either end, `e`, the power of ten of the last digit.
fn push_number(out: &mut Vec<u8>, text: &str) -> Option<()> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: String = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let approximate = unsigned.contains(['.', 'e', 'E']);
    let significant = all.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    out.push(if approximate { b'f' } else { b'i' });
    if digits.is_empty() {
        // An integer has no negative zero.
        out.extend_from_slice(if negative && approximate { b"-0" } else { b"0" });
        return Some(());
    }
    let dropped = i64::try_from(significant.len() - digits.len()).ok()?;
    let power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    let sign = if negative { "-" } else { "" };
    out.extend_from_slice(format!("{sign}{digits}e{power}").as_bytes());
    Some(())
}

fn push_string(out: &mut Vec<u8>, string: &[u8]) {
    out.push(b'"');
    for &byte in string {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::canonical;

    fn same(left: &str, right: &str) -> bool {
        let (left, right) = (canonical(left.as_bytes()), canonical(right.as_bytes()));
        assert!(left.is_some() && right.is_some());
        left == right
    }

    #[test]
    fn spelling_does_not_count() {
        assert!(same(r#"{"b":1,"a":[true,null,"x"]}"#, r#" { "a" : [ true , null , "x" ] , "b" : 1 } "#));
        assert!(same(r#""\u00e4\u20ac\ud83d\ude00\/\n""#, "\"ä€😀/\\n\""));
        assert!(same(r#"{"a":1,"a":2}"#, r#"{"a":2}"#));
        assert!(same("1e2", "100.0"));
        assert!(same("1.10", "1.1"));
        assert!(same("0.0001", "1e-4"));
        assert!(same("-0", "0"));
    }

    #[test]
    fn values_count() {
        assert!(!same("1", "2"));
        assert!(!same("1", "1.0"));
        assert!(!same("1", "\"1\""));
        assert!(!same("0.0", "-0.0"));
        assert!(!same("12345678901234567890123", "12345678901234567890124"));
        assert!(!same("0.1", "0.10000000000000001"));
        assert!(!same(r#"{"a":null}"#, "{}"));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same(r#"["a\"","b"]"#, r#"["a","\"b"]"#));
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for text in ["", "{", "[1,]", "nul", "1 2", "\"\\x\"", "--1", "{\"a\" 1}", "\"\\ud800\""] {
            assert_eq!(canonical(text.as_bytes()), None, "{text}");
        }
        assert_eq!(canonical("[".repeat(100_000).as_bytes()), None);
    }
}
