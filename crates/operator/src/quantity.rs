//! Kubernetes quantities as numbers: `500m`, `2`, `512Mi`, `1.5G` (k8s.io/apimachinery `pkg/api/resource`).

use godwit_api::UnitResources;
use godwit_api::cluster::{UNIT_CPU_RULE, UNIT_LEAST_CPU_MILLIS, UNIT_LEAST_MEMORY, UNIT_MEMORY_RULE};

/// Thousandths of the unit; None for what is no quantity.
pub(crate) fn parse(text: &str) -> Option<u128> {
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
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
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

/// CPU in thousandths of a core; what is no quantity is 0.
pub(crate) fn cpu_millis(text: &str) -> u64 {
    parse(text).map_or(0, |milli| u64::try_from(milli).unwrap_or(u64::MAX))
}

/// Memory in bytes; what is no quantity is 0.
pub(crate) fn bytes(text: &str) -> u64 {
    parse(text).map_or(0, |milli| u64::try_from(milli / 1000).unwrap_or(u64::MAX))
}

/// What one unit must at least be worth, as the CRD's rules have it; an error names the field.
pub(crate) fn check_unit(unit: &UnitResources) -> Result<(), String> {
    if cpu_millis(&unit.cpu.0) < UNIT_LEAST_CPU_MILLIS {
        return Err(UNIT_CPU_RULE.to_owned());
    }
    if bytes(&unit.memory.0) < UNIT_LEAST_MEMORY {
        return Err(UNIT_MEMORY_RULE.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        assert_eq!((cpu_millis("500m"), cpu_millis("2"), cpu_millis("0.25"), cpu_millis("1.5")), (500, 2000, 250, 1500));
        assert_eq!((bytes("512Mi"), bytes("1G"), bytes("1.5Gi"), bytes("128")), (512 << 20, 1_000_000_000, 3 << 29, 128));
        assert_eq!((bytes("1Pi"), bytes("2E"), bytes("999999E")), (1 << 50, 2 * 10_u64.pow(18), u64::MAX));
        assert_eq!((parse(""), parse("x"), parse("1Q"), parse("-1")), (None, None, None, None));
    }

    #[test]
    fn a_unit_is_worth_something() {
        use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
        let unit =
            |cpu: &str, memory: &str| check_unit(&UnitResources { cpu: Quantity(cpu.into()), memory: Quantity(memory.into()) });
        for (cpu, memory) in [("10m", "64Mi"), ("2", "1Pi"), ("0.5", "67108864")] {
            assert_eq!(unit(cpu, memory), Ok(()), "{cpu}, {memory}");
        }
        for cpu in ["0", "9m", "0.001", "0m"] {
            assert!(unit(cpu, "512Mi").unwrap_err().starts_with("spec.unitResources.cpu: "), "{cpu}");
        }
        for memory in ["0", "512m", "512", "63Mi", "0Gi"] {
            assert!(unit("500m", memory).unwrap_err().starts_with("spec.unitResources.memory: "), "{memory}");
        }
    }
}
