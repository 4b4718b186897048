//! Numbers of row images as text.

use super::cursor::malformed;
use godwit_model::error::Result;

/// Room for any 64-bit number with a sign.
const INTEGER_DIGITS: usize = 20;

/// Calls `with` with the decimal text of an unsigned number.
#[inline]
pub(super) fn unsigned_text<R>(value: u64, with: impl FnOnce(&[u8]) -> R) -> R {
    integer_text(value, false, with)
}

/// The same for a signed number.
#[inline]
pub(super) fn signed_text<R>(value: i64, with: impl FnOnce(&[u8]) -> R) -> R {
    integer_text(value.unsigned_abs(), value < 0, with)
}

#[inline]
fn integer_text<R>(mut rest: u64, negative: bool, with: impl FnOnce(&[u8]) -> R) -> R {
    let mut text = [b'0'; INTEGER_DIGITS + 1];
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if negative {
        start -= 1;
        text[start] = b'-';
    }
    with(&text[start..])
}

/// The number in `length` little-endian bytes, with its sign.
#[inline]
pub(super) fn sign_extended(value: u64, length: usize) -> i64 {
    let unused = 64 - 8 * length.clamp(1, 8) as u32;
    (value << unused) as i64 >> unused
}

/// Bytes of 0..9 decimal digits.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Most digits of a DECIMAL (`DECIMAL_MAX_PRECISION` of both families).
const MAX_PRECISION: u8 = 65;

/// Bytes of a DECIMAL(precision, scale) in its binary form.
pub(super) fn decimal_length(precision: u8, scale: u8) -> Result<usize> {
    if precision > MAX_PRECISION || scale > precision {
        return Err(malformed(format!("DECIMAL({precision},{scale})")));
    }
    let (whole, fraction) = (usize::from(precision - scale), usize::from(scale));
    Ok(whole / 9 * 4 + DIGIT_BYTES[whole % 9] + fraction / 9 * 4 + DIGIT_BYTES[fraction % 9])
}

/// Appends the text of a binary DECIMAL: groups of nine digits in four bytes, big endian, the odd digits at
/// both outer ends; the first bit is inverted, and all bits of a negative number.
pub(super) fn decimal_text(out: &mut Vec<u8>, bytes: &[u8], precision: u8, scale: u8) -> Result<()> {
    if bytes.len() != decimal_length(precision, scale)? {
        return Err(malformed(format!("DECIMAL({precision},{scale}) of {} bytes", bytes.len())));
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 == 0);
    let mask = if negative { 0xff } else { 0 };
    let (whole, fraction) = (usize::from(precision - scale), usize::from(scale));
    let groups = [whole % 9]
        .into_iter()
        .chain(std::iter::repeat_n(9, whole / 9 + fraction / 9))
        .chain([fraction % 9])
        .filter(|digits| *digits > 0);
    let mut digits = [0u8; MAX_PRECISION as usize];
    let mut filled = 0;
    let mut place = 0;
    for count in groups {
        let length = DIGIT_BYTES[count];
        let group = bytes.get(place..place + length).unwrap_or_default();
        let mut value = group.iter().enumerate().fold(0u32, |value, (i, byte)| {
            let first = if place + i == 0 { 0x80 } else { 0 };
            value << 8 | u32::from(byte ^ mask ^ first)
        });
        place += length;
        for slot in digits[filled..filled + count].iter_mut().rev() {
            *slot = (value % 10) as u8;
            value /= 10;
        }
        if value > 0 {
            return Err(malformed("DECIMAL with a digit group that is too large"));
        }
        filled += count;
    }
    let digits = &digits[..filled];
    if negative && digits.iter().any(|digit| *digit != 0) {
        out.push(b'-');
    }
    let significant = digits[..whole].iter().position(|digit| *digit != 0).unwrap_or(whole);
    if significant == whole {
        out.push(b'0');
    }
    out.extend(digits[significant..whole].iter().map(|digit| b'0' + digit));
    if fraction > 0 {
        out.push(b'.');
        out.extend(digits[whole..].iter().map(|digit| b'0' + digit));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The server's `decimal2bin`, from text with all digits.
    fn encode(text: &str, precision: u8, scale: u8) -> Vec<u8> {
        let negative = text.starts_with('-');
        let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
        let whole = format!("{whole:0>width$}", width = usize::from(precision - scale));
        let whole = whole[whole.len() - usize::from(precision - scale)..].to_owned();
        let mut groups: Vec<(String, usize)> = Vec::new();
        let odd = whole.len() % 9;
        if odd > 0 {
            groups.push((whole[..odd].to_owned(), DIGIT_BYTES[odd]));
        }
        let all = format!("{}{}", &whole[odd..], fraction);
        for group in all.as_bytes().chunks(9) {
            groups.push((String::from_utf8(group.to_vec()).unwrap(), DIGIT_BYTES[group.len()]));
        }
        let mut out = Vec::new();
        for (digits, length) in groups {
            let value: u32 = digits.parse().unwrap();
            out.extend_from_slice(&value.to_be_bytes()[4 - length..]);
        }
        if negative {
            out.iter_mut().for_each(|byte| *byte = !*byte);
        }
        out[0] ^= 0x80;
        out
    }

    fn text(bytes: &[u8], precision: u8, scale: u8) -> String {
        let mut out = Vec::new();
        decimal_text(&mut out, bytes, precision, scale).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers() {
        unsigned_text(u64::MAX, |text| assert_eq!(text, b"18446744073709551615"));
        unsigned_text(0, |text| assert_eq!(text, b"0"));
        signed_text(i64::MIN, |text| assert_eq!(text, b"-9223372036854775808"));
        assert_eq!(sign_extended(0xff_ffff, 3), -1);
        assert_eq!(sign_extended(0x7f_ffff, 3), 0x7f_ffff);
        assert_eq!(sign_extended(u64::MAX, 8), -1);
    }

    #[test]
    fn decimals_of_the_manual() {
        // The example of decimal2bin: 1234567890.1234 as DECIMAL(14,4).
        assert_eq!(text(&[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2], 14, 4), "1234567890.1234");
        assert_eq!(text(&[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d], 14, 4), "-1234567890.1234");
        assert_eq!(text(&encode("-0.00", 4, 2), 4, 2), "0.00");
        assert_eq!(text(&encode("0.123", 3, 3), 3, 3), "0.123");
        assert!(decimal_text(&mut Vec::new(), &[], 66, 0).is_err());
        assert!(decimal_text(&mut Vec::new(), &[0xff, 0xff], 3, 0).is_err());
    }

    proptest! {
        #[test]
        fn any_decimal(precision in 1u8..=65, scale in 0u8..=38, negative: bool, digits in proptest::collection::vec(0u8..10, 65)) {
            let scale = scale.min(precision);
            let digits: String = digits.iter().take(usize::from(precision)).map(|d| char::from(b'0' + d)).collect();
            let (whole, fraction) = digits.split_at(usize::from(precision - scale));
            let whole = whole.trim_start_matches('0');
            let mut expected = if whole.is_empty() { "0".to_owned() } else { whole.to_owned() };
            if scale > 0 {
                expected = format!("{expected}.{fraction}");
            }
            if negative && expected.bytes().any(|b| b.is_ascii_digit() && b != b'0') {
                expected = format!("-{expected}");
            }
            prop_assert_eq!(text(&encode(&expected, precision, scale), precision, scale), expected);
        }

        #[test]
        fn malformed_decimals_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), precision: u8, scale: u8) {
            let _ = decimal_text(&mut Vec::new(), &bytes, precision, scale);
        }
    }
}
