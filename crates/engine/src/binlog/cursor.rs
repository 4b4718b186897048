//! Reading bytes that may be cut short: every read is checked, none panics.

use godwit_model::error::{Error, Result};

/// The rest of a byte string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        match self.rest.split_at_checked(length) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => Err(truncated(length, self.rest.len())),
        }
    }

    pub(super) fn take_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(*head)
            }
            None => Err(truncated(N, self.rest.len())),
        }
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Result<u8> {
        self.take_array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.take_array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.take_array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.take_array().map(u64::from_le_bytes)
    }

    /// A little-endian unsigned number of `length` bytes, at most 8.
    #[inline]
    pub(super) fn uint(&mut self, length: usize) -> Result<u64> {
        self.take(length).map(little_endian)
    }

    /// MySQL's length-encoded integer.
    pub(super) fn lenenc(&mut self) -> Result<u64> {
        match self.u8()? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.uint(8),
            other => Err(malformed(format!("length byte {other}"))),
        }
    }

    /// A length-encoded integer that counts bytes or items held in memory.
    pub(super) fn lenenc_size(&mut self) -> Result<usize> {
        let value = self.lenenc()?;
        usize::try_from(value).map_err(|_| malformed(format!("length {value}")))
    }

    /// Bytes after their length-encoded length.
    pub(super) fn lenenc_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.lenenc_size()?;
        self.take(length)
    }

    /// Bytes after a one-byte length.
    pub(super) fn short_bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    /// Unsigned integer of the `mysql::serialization` library: the trailing ones of the first byte count
    /// the bytes that follow.
    pub(super) fn serialized_uint(&mut self) -> Result<u64> {
        let first = self.u8()?;
        let extra = first.trailing_ones() as usize;
        if extra >= 8 {
            return self.u64();
        }
        let high = self.uint(extra)?;
        // 7 - extra bits of the value are in the first byte.
        let low = u64::from(first) >> (extra + 1);
        Ok(low | high << (7 - extra))
    }

    /// Signed integer of the same library: zigzag, least significant bit is the sign.
    pub(super) fn serialized_int(&mut self) -> Result<i64> {
        let raw = self.serialized_uint()?;
        let magnitude = (raw >> 1) as i64;
        Ok(if raw & 1 == 1 { -magnitude - 1 } else { magnitude })
    }
}

#[inline]
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[inline]
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cold]
fn truncated(wanted: usize, left: usize) -> Error {
    malformed(format!("{wanted} bytes expected, {left} left"))
}

/// The bytes do not have the form they must have.
#[cold]
pub(super) fn malformed(what: impl std::fmt::Display) -> Error {
    Error::definite(format!("malformed: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_serialized_integers() {
        // Values from the library's documentation: 65535 takes three bytes 0xfb 0xff 0x07.
        assert_eq!(Cursor::new(&[0xfb, 0xff, 0x07]).serialized_uint().unwrap(), 65535);
        assert_eq!(Cursor::new(&[0x00]).serialized_uint().unwrap(), 0);
        assert_eq!(Cursor::new(&[0xfe]).serialized_uint().unwrap(), 127);
        assert_eq!(Cursor::new(&[0x01, 0x02]).serialized_uint().unwrap(), 128);
        assert_eq!(Cursor::new(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80]).serialized_uint().unwrap(), 0x8000_0000_0000_0001);
        assert_eq!(Cursor::new(&[0xff; 9]).serialized_int().unwrap(), i64::MIN);
        assert!(Cursor::new(&[0x03, 0x02]).serialized_uint().is_err());
        assert_eq!(Cursor::new(&[0x02]).serialized_int().unwrap(), -1);
        assert_eq!(Cursor::new(&[0x04]).serialized_int().unwrap(), 1);
    }

    #[test]
    fn reads_length_encoded_integers() {
        assert_eq!(Cursor::new(&[250]).lenenc().unwrap(), 250);
        assert_eq!(Cursor::new(&[252, 1, 2]).lenenc().unwrap(), 513);
        assert_eq!(Cursor::new(&[253, 1, 2, 3]).lenenc().unwrap(), 0x03_0201);
        assert_eq!(Cursor::new(&[254, 1, 0, 0, 0, 0, 0, 0, 1]).lenenc().unwrap(), 0x0100_0000_0000_0001);
        assert!(Cursor::new(&[251]).lenenc().is_err());
        assert!(Cursor::new(&[252, 1]).lenenc().is_err());
        assert!(Cursor::new(&[254, 255, 255, 255, 255, 255, 255, 255, 255]).lenenc_bytes().is_err());
    }
}
