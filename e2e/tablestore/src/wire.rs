//! Protobuf, as far as it is needed: fields by number, without generated messages. It is written apart from the client's, so that a wrong number
//! or type on one side does not find the same mistake on the other.

use crate::refusal::{Refusal, invalid};

/// A message, taken apart into its fields.
pub(crate) struct Message<'a> {
    fields: Vec<(u64, Field<'a>)>,
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Message<'a> {
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Result<Self, Refusal> {
        let damaged = || invalid("Parse PBMessage from RawString failed.");
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes).ok_or_else(damaged)?;
            let field = match tag & 7 {
                0 => Field::Number(varint(&mut bytes).ok_or_else(damaged)?),
                1 => skip(&mut bytes, 8).ok_or_else(damaged)?,
                2 => {
                    let length = varint(&mut bytes).and_then(|length| usize::try_from(length).ok()).ok_or_else(damaged)?;
                    let (content, rest) = bytes.split_at_checked(length).ok_or_else(damaged)?;
                    bytes = rest;
                    Field::Bytes(content)
                }
                5 => skip(&mut bytes, 4).ok_or_else(damaged)?,
                _ => return Err(damaged()),
            };
            fields.push((tag >> 3, field));
        }
        Ok(Self { fields })
    }

    pub(crate) fn all_bytes(&self, number: u64) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter_map(move |(of, field)| match field {
            Field::Bytes(bytes) if *of == number => Some(*bytes),
            _ => None,
        })
    }

    pub(crate) fn bytes(&self, number: u64) -> Option<&'a [u8]> {
        self.all_bytes(number).last()
    }

    pub(crate) fn needed(&self, number: u64, name: &str) -> Result<&'a [u8], Refusal> {
        self.bytes(number).ok_or_else(|| invalid(format!("Missing required field: {name}.")))
    }

    pub(crate) fn message(&self, number: u64) -> Result<Option<Message<'a>>, Refusal> {
        self.bytes(number).map(Message::parse).transpose()
    }

    pub(crate) fn all_texts(&self, number: u64) -> Result<Vec<String>, Refusal> {
        self.all_bytes(number).map(text).collect()
    }

    pub(crate) fn needed_text(&self, number: u64, name: &str) -> Result<String, Refusal> {
        text(self.needed(number, name)?)
    }

    pub(crate) fn text(&self, number: u64) -> Result<Option<String>, Refusal> {
        self.bytes(number).map(text).transpose()
    }

    /// An int32, int64, enumeration or boolean: all are the low bits of a number of 64 bits.
    pub(crate) fn number(&self, number: u64) -> Option<i64> {
        let mut numbers = self.fields.iter().filter_map(|(of, field)| match field {
            Field::Number(value) if *of == number => Some(value.cast_signed()),
            _ => None,
        });
        numbers.next_back()
    }

    pub(crate) fn needed_number(&self, number: u64, name: &str) -> Result<i64, Refusal> {
        self.number(number).ok_or_else(|| invalid(format!("Missing required field: {name}.")))
    }
}

fn text(bytes: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(bytes.to_vec()).map_err(|_| invalid("Invalid UTF-8 in a string."))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (place * 7);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn skip<'a>(bytes: &mut &'a [u8], length: usize) -> Option<Field<'a>> {
    *bytes = bytes.get(length..)?;
    Some(Field::Other)
}

/// A message that is being written, field by field.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, number: u64, value: i64) {
        self.varint(number << 3);
        self.varint(value.cast_unsigned());
    }

    /// An sint64: small negative numbers stay short.
    pub(crate) fn zigzag(&mut self, number: u64, value: i64) {
        self.number(number, (value << 1) ^ (value >> 63));
    }

    pub(crate) fn bytes(&mut self, number: u64, content: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(content.len() as u64);
        self.0.extend_from_slice(content);
    }

    pub(crate) fn message(&mut self, number: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(number, &inner.0);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }
}
