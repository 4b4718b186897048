//! Kubernetes quantities as numbers: `500m`, `2`, `512Mi`, `1.5G` (k8s.io/apimachinery `pkg/api/resource`).

/// Thousandths of the unit; None for what is no quantity.
pub fn parse(text: &str) -> Option<u128> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let milli = decimal_milli(number)?;
    let factor: u128 = match suffix {
        "m" => return Some(milli.div_ceil(1000)),
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    milli.checked_mul(factor)
}

/// `1.5` as 1500.
fn decimal_milli(number: &str) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 18 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut padded = fraction.to_owned();
    padded.push_str("000");
    let fraction: u128 = padded.get(..3)?.parse().ok()?;
    Some(whole * 1000 + fraction)
}

/// CPU in thousandths of a core.
pub fn cpu_millis(text: &str) -> u64 {
    parse(text).and_then(|milli| u64::try_from(milli).ok()).unwrap_or(0)
}

/// Memory in bytes.
pub fn bytes(text: &str) -> u64 {
    parse(text).and_then(|milli| u64::try_from(milli / 1000).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        assert_eq!((cpu_millis("500m"), cpu_millis("2"), cpu_millis("0.25"), cpu_millis("1.5")), (500, 2000, 250, 1500));
        assert_eq!((bytes("512Mi"), bytes("1G"), bytes("1.5Gi"), bytes("128")), (512 << 20, 1_000_000_000, 3 << 29, 128));
        assert_eq!((parse(""), parse("x"), parse("1Q"), parse("-1")), (None, None, None, None));
    }
}
