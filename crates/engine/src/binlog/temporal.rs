//! Dates and times of row images as text: the formats of MySQL 5.6 and later, the ones before, and
//! MariaDB's own with fractions (`mysql56_temporal_format=OFF`).

use super::cursor::{big_endian, little_endian, malformed};
use godwit_model::error::Result;

/// Longest text: `-838:59:59.999999`, `9999-12-31 23:59:59.999999`.
const LONGEST: usize = 32;

/// A short text on the stack.
pub(super) struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
    }

    /// The last `COUNT` decimal digits. The count is constant so that no division is a real one.
    #[inline]
    fn digits<const COUNT: usize>(&mut self, mut value: u64) {
        if let Some(slots) = self.bytes.get_mut(self.length..self.length + COUNT) {
            for slot in slots.iter_mut().rev() {
                *slot = b'0' + (value % 10) as u8;
                value /= 10;
            }
            self.length += COUNT;
        }
    }

    fn date(&mut self, year: u64, month: u64, day: u64) {
        self.digits::<4>(year);
        self.byte(b'-');
        self.digits::<2>(month);
        self.byte(b'-');
        self.digits::<2>(day);
    }

    fn clock(&mut self, hour: u64, minute: u64, second: u64) {
        if hour > 99 {
            self.digits::<3>(hour);
        } else {
            self.digits::<2>(hour);
        }
        self.byte(b':');
        self.digits::<2>(minute);
        self.byte(b':');
        self.digits::<2>(second);
    }

    fn fraction(&mut self, microseconds: u64, fsp: u8) {
        if (1..=6).contains(&fsp) {
            self.byte(b'.');
            self.digits::<6>(microseconds);
            self.length -= usize::from(6 - fsp);
        }
    }
}

/// Bytes of the fraction behind TIME2, DATETIME2, TIMESTAMP2.
pub(super) fn fraction_length(fsp: u8) -> usize {
    usize::from(fsp.min(6)).div_ceil(2)
}

/// A fraction of 0..3 bytes as microseconds.
fn fraction_microseconds(bytes: &[u8]) -> u64 {
    let value = big_endian(bytes);
    match bytes.len() {
        0 => 0,
        1 => value * 10_000,
        2 => value * 100,
        _ => value & 0xff_ffff,
    }
}

/// DATE: day 5 bits, month 4, year above, little endian.
pub(super) fn date(bytes: &[u8]) -> Text {
    let value = little_endian(bytes);
    let mut text = Text::new();
    text.date(value >> 9, value >> 5 & 15, value & 31);
    text
}

/// YEAR: 0, or years since 1900.
pub(super) fn year(byte: u8) -> Text {
    let mut text = Text::new();
    text.digits::<4>(if byte == 0 { 0 } else { 1900 + u64::from(byte) });
    text
}

/// TIME2: hours, minutes, seconds in three bytes, big endian, biased by 0x800000; the fraction continues
/// the number below, so that a negative time with a fraction borrows.
pub(super) fn time2(bytes: &[u8], fsp: u8) -> Result<Text> {
    let (head, tail) = bytes.split_at_checked(3).ok_or_else(|| malformed("TIME"))?;
    let whole = big_endian(head) as i64 - 0x80_0000;
    let unit = match tail.len() {
        0 | 3 => 1,
        1 => 10_000,
        2 => 100,
        _ => return Err(malformed("TIME")),
    };
    // Back to one number: 24 bits of fraction below.
    let bits = 8 * tail.len() as u32;
    let packed = (whole << bits) + big_endian(tail) as i64;
    let negative = packed < 0;
    let packed = packed.unsigned_abs();
    let (whole, fraction) = (packed >> bits, packed & ((1 << bits) - 1));
    let mut text = Text::new();
    if negative {
        text.byte(b'-');
    }
    text.clock(whole >> 12 & 0x3ff, whole >> 6 & 0x3f, whole & 0x3f);
    text.fraction(fraction * unit, fsp);
    Ok(text)
}

/// DATETIME2: `year * 13 + month` 17 bits, day 5, hour 5, minute 6, second 6, biased by 1 << 39, big endian.
pub(super) fn datetime2(bytes: &[u8], fsp: u8) -> Result<Text> {
    let (head, tail) = bytes.split_at_checked(5).ok_or_else(|| malformed("DATETIME"))?;
    let packed = big_endian(head).checked_sub(1 << 39).ok_or_else(|| malformed("DATETIME before the year 0"))?;
    let mut text = Text::new();
    packed_datetime(&mut text, packed);
    text.fraction(fraction_microseconds(tail), fsp);
    Ok(text)
}

fn packed_datetime(text: &mut Text, packed: u64) {
    let months = packed >> 22;
    text.date(months / 13, months % 13, packed >> 17 & 31);
    text.byte(b' ');
    text.clock(packed >> 12 & 31, packed >> 6 & 63, packed & 63);
}

/// TIMESTAMP2: seconds since 1970, unsigned (MariaDB 11.5 uses all 32 bits), big endian.
pub(super) fn timestamp2(bytes: &[u8], fsp: u8) -> Result<Text> {
    let (head, tail) = bytes.split_at_checked(4).ok_or_else(|| malformed("TIMESTAMP"))?;
    Ok(timestamp(big_endian(head), fraction_microseconds(tail), fsp))
}

/// TIMESTAMP before 5.6: little endian.
pub(super) fn old_timestamp(bytes: &[u8]) -> Text {
    timestamp(little_endian(bytes), 0, 0)
}

/// In UTC. 0 without a fraction is the zero timestamp, which is not 1970.
fn timestamp(seconds: u64, microseconds: u64, fsp: u8) -> Text {
    let mut text = Text::new();
    if seconds == 0 && microseconds == 0 {
        text.date(0, 0, 0);
        text.byte(b' ');
        text.clock(0, 0, 0);
    } else {
        let (year, month, day) = civil_from_days(seconds / 86_400);
        text.date(year, month, day);
        text.byte(b' ');
        text.clock(seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    }
    text.fraction(microseconds, fsp);
    text
}

/// Year, month, day of the days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms": years that begin in March, eras of 400).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// TIME before 5.6: `hhmmss` as a signed decimal number in three bytes, little endian.
pub(super) fn old_time(bytes: &[u8]) -> Text {
    let value = super::numbers::sign_extended(little_endian(bytes), 3);
    let mut text = Text::new();
    if value < 0 {
        text.byte(b'-');
    }
    let value = value.unsigned_abs();
    text.clock(value / 10_000, value / 100 % 100, value % 100);
    text
}

/// DATETIME before 5.6: `YYYYMMDDhhmmss` as a decimal number, little endian.
pub(super) fn old_datetime(bytes: &[u8]) -> Text {
    let value = little_endian(bytes);
    let (date, clock) = (value / 1_000_000, value % 1_000_000);
    let mut text = Text::new();
    text.date(date / 10_000, date / 100 % 100, date % 100);
    text.byte(b' ');
    text.clock(clock / 10_000, clock / 100 % 100, clock % 100);
    text
}

/// Bytes of MariaDB's own TIME with a fraction.
pub(super) fn hires_time_length(fsp: u8) -> usize {
    [3, 4, 4, 5, 5, 5, 6].get(usize::from(fsp)).copied().unwrap_or(6)
}

/// Bytes of MariaDB's own DATETIME with a fraction.
pub(super) fn hires_datetime_length(fsp: u8) -> usize {
    [5, 6, 6, 7, 7, 7, 8].get(usize::from(fsp)).copied().unwrap_or(8)
}

/// Bytes of the fraction in MariaDB's own TIMESTAMP.
pub(super) fn hires_fraction_length(fsp: u8) -> usize {
    [0, 1, 1, 2, 2, 3, 3].get(usize::from(fsp)).copied().unwrap_or(3)
}

/// MariaDB's own TIME with a fraction: units of the last digit, biased by 839 hours' worth.
pub(super) fn hires_time(bytes: &[u8], fsp: u8) -> Text {
    const BIAS_SECONDS: i64 = 839 * 3600;
    let unit = 10i64.pow(u32::from(fsp.min(6)));
    let packed = (big_endian(bytes) as i64).wrapping_sub(BIAS_SECONDS * unit);
    let mut text = Text::new();
    if packed < 0 {
        text.byte(b'-');
    }
    let packed = packed.unsigned_abs();
    let (seconds, fraction) = (packed / unit as u64, packed % unit as u64);
    text.clock(seconds / 3600, seconds / 60 % 60, seconds % 60);
    text.fraction(fraction * (1_000_000 / unit as u64), fsp);
    text
}

/// MariaDB's own DATETIME with a fraction: mixed radix (13 months, 32 days, 24, 60, 60, units), big endian.
pub(super) fn hires_datetime(bytes: &[u8], fsp: u8) -> Text {
    let unit = 10u64.pow(u32::from(fsp.min(6)));
    let mut rest = big_endian(bytes);
    let mut digit = |radix: u64| {
        let value = rest % radix;
        rest /= radix;
        value
    };
    let (fraction, second, minute, hour) = (digit(unit), digit(60), digit(60), digit(24));
    let (day, month, year) = (digit(32), digit(13), digit(u64::MAX));
    let mut text = Text::new();
    text.date(year, month, day);
    text.byte(b' ');
    text.clock(hour, minute, second);
    text.fraction(fraction * (1_000_000 / unit), fsp);
    text
}

/// MariaDB's own TIMESTAMP with a fraction: seconds, then units of the last digit, both big endian.
pub(super) fn hires_timestamp(bytes: &[u8], fsp: u8) -> Result<Text> {
    let (head, tail) = bytes.split_at_checked(4).ok_or_else(|| malformed("TIMESTAMP"))?;
    let unit = 10u64.pow(6 - u32::from(fsp.min(6)));
    Ok(timestamp(big_endian(head), big_endian(tail).saturating_mul(unit), fsp))
}

/// DATE, TIME, DATETIME inside JSON: one signed number, 24 bits of microseconds below.
pub(super) fn json_temporal(packed: i64, kind: JsonTemporal) -> Text {
    let mut text = Text::new();
    let negative = packed < 0;
    let packed = packed.unsigned_abs();
    let (whole, microseconds) = (packed >> 24, packed & 0xff_ffff);
    match kind {
        JsonTemporal::Date => {
            let months = whole >> 22;
            text.date(months / 13, months % 13, whole >> 17 & 31);
        }
        JsonTemporal::DateTime => {
            packed_datetime(&mut text, whole);
            text.fraction(microseconds, 6);
        }
        JsonTemporal::Time => {
            if negative {
                text.byte(b'-');
            }
            text.clock(whole >> 12 & 0x3ff, whole >> 6 & 63, whole & 63);
            text.fraction(microseconds, 6);
        }
    }
    text
}

/// What a number inside JSON is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonTemporal {
    Date,
    Time,
    DateTime,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(text: Text) -> String {
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    /// The server's `my_time_packed_to_binary`.
    fn encode_time(negative: bool, hour: i64, minute: i64, second: i64, micro: i64, fsp: u8) -> Vec<u8> {
        let packed = ((hour << 12 | minute << 6 | second) << 24) + micro;
        let packed = if negative { -packed } else { packed };
        let (whole, fraction) = (packed >> 24, packed % (1 << 24));
        match fsp {
            0 => ((whole + 0x80_0000) as u32).to_be_bytes()[1..].to_vec(),
            1 | 2 => {
                let mut out = ((whole + 0x80_0000) as u32).to_be_bytes()[1..].to_vec();
                out.push((fraction / 10_000) as i8 as u8);
                out
            }
            3 | 4 => {
                let mut out = ((whole + 0x80_0000) as u32).to_be_bytes()[1..].to_vec();
                out.extend(((fraction / 100) as i16).to_be_bytes());
                out
            }
            _ => ((packed + 0x8000_0000_0000) as u64).to_be_bytes()[2..].to_vec(),
        }
    }

    #[test]
    fn days() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
        assert_eq!(civil_from_days(u64::from(u32::MAX) / 86_400), (2106, 2, 7));
        assert_eq!(s(timestamp2(&[0x7f, 0xff, 0xff, 0xff], 0).unwrap()), "2038-01-19 03:14:07");
        assert_eq!(s(timestamp2(&[0, 0, 0, 0, 0, 0], 3).unwrap()), "0000-00-00 00:00:00.000");
        assert_eq!(s(timestamp2(&[0, 0, 0, 1, 0x26, 0xac], 3).unwrap()), "1970-01-01 00:00:01.990");
    }

    #[test]
    fn old_formats() {
        assert_eq!(s(old_time(&(-8_385_959i32).to_le_bytes()[..3])), "-838:59:59");
        assert_eq!(s(old_datetime(&20_150_115_232_425u64.to_le_bytes())), "2015-01-15 23:24:25");
        assert_eq!(s(year(0)), "0000");
        assert_eq!(s(year(255)), "2155");
        assert_eq!(s(date(&[0, 0, 0])), "0000-00-00");
        assert_eq!(s(hires_time(&(839u64 * 360_000 - 1).to_be_bytes()[4..], 2)), "-00:00:00.01");
    }

    proptest! {
        #[test]
        fn times_come_back(negative: bool, hour in 0i64..839, minute in 0i64..60, second in 0i64..60, micro in 0i64..1_000_000, fsp in 0u8..=6) {
            let unit = 10i64.pow(6 - u32::from(fsp));
            let micro = if fsp == 0 { 0 } else { micro / unit * unit };
            let bytes = encode_time(negative, hour, minute, second, micro, fsp);
            let zero = hour + minute + second + micro == 0;
            let mut expected = format!("{}{hour:02}:{minute:02}:{second:02}", if negative && !zero { "-" } else { "" });
            if fsp > 0 {
                expected += &format!(".{:0width$}", micro / unit, width = usize::from(fsp));
            }
            prop_assert_eq!(s(time2(&bytes, fsp).unwrap()), expected);
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..12), fsp: u8, packed: i64) {
            let _ = (date(&bytes), old_time(&bytes), old_datetime(&bytes), old_timestamp(&bytes));
            let _ = (time2(&bytes, fsp).is_ok(), datetime2(&bytes, fsp).is_ok(), timestamp2(&bytes, fsp).is_ok());
            let _ = (hires_datetime(&bytes, fsp), hires_timestamp(&bytes, fsp).is_ok());
            let _ = hires_time(&bytes, fsp);
            for kind in [JsonTemporal::Date, JsonTemporal::Time, JsonTemporal::DateTime] {
                let _ = json_temporal(packed, kind);
            }
        }
    }
}
