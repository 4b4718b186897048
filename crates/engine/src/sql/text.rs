//! The text of statements, of which only the frame is taken as it stands.
//!
//! [`Sql`] has no constructor from a string that was made while the program runs. It grows by constants of the program, by quoted names, by quoted
//! strings, by numbers, by words of a grammar without punctuation ([`Word`]), and by other texts made that way. So whatever a server says can become
//! a name, a value or a word, and never a second statement. Only [`super::Queries`] sends statements, and it takes nothing else.

use std::fmt;

use godwit_model::names::TableName;
use godwit_model::words::{Word, is_number};

/// A statement, a part of one, or several that travel in one packet: bytes, because literals hold values in the character sets of their columns.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Sql {
    bytes: Vec<u8>,
}

/// A place between two parts of a text, to which it can be cut back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(usize);

impl Sql {
    /// A text of the program's own.
    pub fn new(constant: &'static str) -> Self {
        Self { bytes: constant.as_bytes().to_vec() }
    }

    /// An empty text with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends a text of the program's own.
    pub fn push(&mut self, constant: &'static str) {
        self.bytes.extend_from_slice(constant.as_bytes());
    }

    /// Appends a name in backticks.
    pub fn push_name(&mut self, name: &str) {
        self.bytes.push(b'`');
        for byte in name.bytes() {
            if byte == b'`' {
                self.bytes.push(b'`');
            }
            self.bytes.push(byte);
        }
        self.bytes.push(b'`');
    }

    /// Appends `'…'` with the bytes escaped for a session without NO_BACKSLASH_ESCAPES whose character set is ASCII below 128 and has no
    /// backslash in a letter: UTF-8 or none. All of Godwit's sessions are such ([`crate::connection`]).
    pub fn push_string(&mut self, bytes: &[u8]) {
        if bytes.len() > LARGE {
            // Exactly: growing by doubling would take twice the room of a value that is large already.
            let escapes = bytes.iter().filter(|byte| matches!(byte, 0 | b'\'' | b'\\')).count();
            self.bytes.reserve_exact(bytes.len() + escapes + REST_OF_STATEMENT);
        } else {
            self.bytes.reserve(bytes.len() + 2);
        }
        self.bytes.push(b'\'');
        let mut start = 0;
        for (place, &byte) in bytes.iter().enumerate() {
            let escape = match byte {
                0 => b'0',
                b'\'' => b'\'',
                b'\\' => b'\\',
                _ => continue,
            };
            self.bytes.extend_from_slice(&bytes[start..place]);
            self.bytes.push(b'\\');
            self.bytes.push(escape);
            start = place + 1;
        }
        self.bytes.extend_from_slice(&bytes[start..]);
        self.bytes.push(b'\'');
    }

    /// Appends a number that came as text, if it is one; else it is a string, which servers judge as a value.
    pub fn push_number(&mut self, bytes: &[u8]) {
        if is_number(bytes) { self.bytes.extend_from_slice(bytes) } else { self.push_string(bytes) }
    }

    /// Appends the bytes as hexadecimal digits.
    pub fn push_hex(&mut self, bytes: &[u8]) {
        self.bytes.reserve(2 * bytes.len());
        for byte in bytes {
            self.bytes.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }

    /// Appends a part.
    pub fn add(&mut self, part: &(impl Part + ?Sized)) {
        part.push_to(self);
    }

    /// Appends the parts with commas between them.
    pub fn add_list<P: Part>(&mut self, parts: impl IntoIterator<Item = P>) {
        let mut separator = "";
        for part in parts {
            self.push(separator);
            separator = ",";
            part.push_to(self);
        }
    }

    /// The parts with commas between them.
    pub fn list<P: Part>(parts: impl IntoIterator<Item = P>) -> Self {
        let mut out = Self::default();
        out.add_list(parts);
        out
    }

    /// The constant with the parts in the places of its `{}`. Use [`crate::sql!`], which counts them when it is compiled.
    pub fn fill(constant: &'static str, parts: &[&dyn Part]) -> Self {
        let mut out = Self::with_capacity(constant.len() + 32 * parts.len());
        let mut parts = parts.iter();
        for (number, piece) in constant.split(PLACE).enumerate() {
            if number > 0
                && let Some(part) = parts.next()
            {
                part.push_to(&mut out);
            }
            out.push(piece);
        }
        out
    }

    /// The end of what there is.
    pub fn mark(&self) -> Mark {
        Mark(self.bytes.len())
    }

    /// Takes away what was appended after the mark.
    pub fn cut(&mut self, mark: Mark) -> Self {
        Self { bytes: self.bytes.split_off(mark.0.min(self.bytes.len())) }
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes, for whoever sends or shows them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Values from this size on are measured before they are written.
const LARGE: usize = 1 << 20;

/// What else stands in a statement with a large value, most of the time.
const REST_OF_STATEMENT: usize = 16 << 10;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

const PLACE: &str = "{}";

/// How many parts a constant has places for. A brace that belongs to none counts as many, so that no number of parts fits.
pub const fn places(constant: &str) -> usize {
    let bytes = constant.as_bytes();
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'{' && at + 1 < bytes.len() && bytes[at + 1] == b'}' {
            count += 1;
            at += 1;
        } else if bytes[at] == b'{' || bytes[at] == b'}' {
            return usize::MAX;
        }
        at += 1;
    }
    count
}

/// A statement from a constant and parts: ``sql!("DELETE FROM {} WHERE id={}", table, 7u64)``.
#[macro_export]
macro_rules! sql {
    ($constant:literal $(, $part:expr)* $(,)?) => {{
        const {
            assert!(
                $crate::sql::places($constant) == [$($crate::sql!(@one $part)),*].len(),
                "as many parts as places"
            );
        }
        $crate::sql::Sql::fill($constant, &[$(&$part),*])
    }};
    (@one $part:expr) => { () };
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.bytes), f)
    }
}

/// What may become a part of a statement. The list is closed: it is made here and in the module of words.
pub trait Part: sealed::Sealed {
    /// Appends it.
    fn push_to(&self, out: &mut Sql);
}

pub(super) mod sealed {
    /// Only this crate's `sql` module implements it.
    pub trait Sealed {}
}

/// A name, in backticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a>(pub &'a str);

/// A text, in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<'a>(pub &'a str);

/// Bytes, as `X'…'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8]);

macro_rules! parts {
    ($($kind:ty: |$this:ident, $out:ident| $push:expr;)*) => {$(
        impl sealed::Sealed for $kind {}
        impl Part for $kind {
            fn push_to(&self, $out: &mut Sql) {
                let $this = self;
                $push
            }
        }
    )*};
}

parts! {
    &'static str: |this, out| out.push(this);
    Sql: |this, out| out.bytes.extend_from_slice(&this.bytes);
    &Sql: |this, out| out.bytes.extend_from_slice(&this.bytes);
    Name<'_>: |this, out| out.push_name(this.0);
    Quoted<'_>: |this, out| out.push_string(this.0.as_bytes());
    Hex<'_>: |this, out| {
        out.push("X'");
        out.push_hex(this.0);
        out.push("'");
    };
    Word<'_>: |this, out| out.bytes.extend_from_slice(this.as_str().as_bytes());
    TableName: |this, out| Qualified::from(this).push_to(out);
    &TableName: |this, out| Qualified::from(*this).push_to(out);
    Qualified<'_>: |this, out| {
        out.push_name(this.database);
        out.push(".");
        out.push_name(this.object);
    };
    u8: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
    u16: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
    u32: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
    u64: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
    u128: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
    usize: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
    i64: |this, out| out.bytes.extend_from_slice(this.to_string().as_bytes());
}

/// `` `database`.`object` ``
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qualified<'a> {
    pub database: &'a str,
    pub object: &'a str,
}

impl<'a> From<&'a TableName> for Qualified<'a> {
    fn from(name: &'a TableName) -> Self {
        Self { database: &name.database, object: &name.table }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
