//! CRC-8 with the polynomial x⁸ + x² + x + 1 (0x07), not reflected, beginning at 0: the checksum of PlainBuffer's cells and rows.

const TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut rest = at as u8;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 0x80 == 0 { rest << 1 } else { (rest << 1) ^ 0x07 };
            bit += 1;
        }
        table[at] = rest;
        at += 1;
    }
    table
}

/// The checksum of what `crc` covers and of one more byte.
pub(crate) fn byte(crc: u8, next: u8) -> u8 {
    // A table of 256 has a place for every byte.
    TABLE[usize::from(crc ^ next)]
}

/// The checksum of what `crc` covers and of more bytes.
pub(crate) fn bytes(crc: u8, next: &[u8]) -> u8 {
    next.iter().fold(crc, |crc, next| byte(crc, *next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_that_of_the_catalogue() {
        // CRC-8/SMBUS in the catalogue of parametrised CRC algorithms: check 0xf4.
        assert_eq!(bytes(0, b"123456789"), 0xf4);
    }
}
