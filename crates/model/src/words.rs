//! Grammars of what stands in a statement without quotes: numbers, and names of character sets and collations.

use crate::error::{Error, Result};

/// Whether the bytes are digits with at most one sign in front and one point among them. No statement can be in there, and no comment
/// begins: there is no second sign.
pub fn is_exact_number(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut points = 0usize;
    let valid = digits.iter().all(|&byte| {
        points += usize::from(byte == b'.');
        byte.is_ascii_digit() || byte == b'.'
    });
    valid && points <= 1 && digits.len() > points
}

/// The same for the text of a double, with an exponent.
pub fn is_number(bytes: &[u8]) -> bool {
    match bytes.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        None => is_exact_number(bytes),
        Some(at) => {
            let power = &bytes[at + 1..];
            let power = power.strip_prefix(b"-").or_else(|| power.strip_prefix(b"+")).unwrap_or(power);
            is_exact_number(&bytes[..at]) && !power.is_empty() && power.iter().all(u8::is_ascii_digit)
        }
    }
}

/// Whether a name may stand without quotes: letters, digits and underscores, none of which ends or begins anything.
pub fn is_word(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A name that may stand without quotes ([`is_word`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word<'a>(&'a str);

impl<'a> Word<'a> {
    /// None: it is no word.
    pub fn of(name: &'a str) -> Option<Self> {
        is_word(name).then_some(Self(name))
    }

    /// Its letters.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

/// A name that stands without quotes; `what` is what it names, for the error.
///
/// # Errors
/// Definite when it is none.
pub fn word<'a>(name: &'a str, what: &str) -> Result<Word<'a>> {
    if let Some(word) = Word::of(name) {
        return Ok(word);
    }
    let shown: String = name.chars().take(64).flat_map(char::escape_default).collect();
    Err(Error::definite(format!(
        "{what} is called \"{shown}\", which is no name of a character set, collation or engine; the server says what no server of the \
         MySQL family says, and nothing was written"
    )))
}
