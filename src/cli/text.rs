//! Numbers, sizes and times as people read them.

use std::time::Duration;

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `1,234 rows`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `999`, `4.2 k`, `201 M`: three digits.
pub(super) fn short(number: u64) -> String {
    scaled(number, ["", "k", "M", "G", "T", "P", "E"])
}

/// `17 B`, `4.2 kB`, `201 MB`: decimal units, three digits.
pub(super) fn bytes(number: u64) -> String {
    scaled(number, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

fn scaled(number: u64, units: [&str; 7]) -> String {
    if number < 1_000 {
        return format!("{number} {}", units[0]).trim_end().to_owned();
    }
    let mut value = number as f64 / 1e3;
    let mut unit = 1;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1e3;
        unit += 1;
    }
    let decimals = if value < 9.95 { 1 } else { 0 };
    format!("{value:.decimals$} {}", units[unit])
}

/// `0.2 s`, `12 s`, `1 m 12 s`, `2 h 05 m`, `3 d 04 h`.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} m {:02} s", whole % 60),
        3600..86_400 => format!("{hours} h {:02} m", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// A rate over a whole run; nothing for one too short to say.
pub(super) fn per_second(number: u64, during: Duration) -> Option<u64> {
    (during >= Duration::from_millis(100)).then(|| (number as f64 / during.as_secs_f64()).round() as u64)
}

/// Cuts a text that is longer than `width` characters and says so with an ellipsis.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "row", "rows"), counted(0, "row", "rows")), ("1 row".into(), "0 rows".into()));
        let sizes = [17, 4_200, 9_990, 201_300_000, 999_700_000, 1_500_000_000_000].map(bytes);
        assert_eq!((short(999), short(4_200), short(0)), ("999".into(), "4.2 k".into(), "0".into()));
        assert_eq!(sizes, ["17 B", "4.2 kB", "10 kB", "201 MB", "1.0 GB", "1.5 TB"]);
    }

    #[test]
    fn times() {
        let texts = [0.04, 0.2, 9.97, 59.4, 72.0, 7_500.0, 273_600.0].map(|seconds| time(Duration::from_secs_f64(seconds)));
        assert_eq!(texts, ["0.0 s", "0.2 s", "10 s", "59 s", "1 m 12 s", "2 h 05 m", "3 d 04 h"]);
        assert_eq!(per_second(100, Duration::from_millis(20)), None);
        assert_eq!(per_second(100, Duration::from_secs(2)), Some(50));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!((fit("größer", 6), fit("größer", 4)), ("größer".into(), "grö…".into()));
    }
}
