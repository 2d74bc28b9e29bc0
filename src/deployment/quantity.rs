//! Amounts of CPU and memory as Kubernetes writes them.

use std::fmt;
use std::str::FromStr;

/// An amount such as `100m`, `1.5` or `128Mi` (Kubernetes API, `resource.Quantity`).
///
/// Compared by value: `1000m` equals `1`.
#[derive(Clone, Debug)]
pub struct Quantity {
    text: String,
    /// In units of 10⁻⁹, the finest that Kubernetes keeps.
    nanos: u128,
}

/// A text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount; write a number with a suffix, such as 100m, 1.5, 128Mi or 2Gi")]
pub struct InvalidQuantity;

impl Quantity {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a multiple of 10⁻³.
    pub(super) fn is_whole_millis(&self) -> bool {
        self.nanos.is_multiple_of(1_000_000)
    }

    /// Whether it is a whole number.
    pub(super) fn is_whole(&self) -> bool {
        self.nanos.is_multiple_of(NANO)
    }
}

const NANO: u128 = 1_000_000_000;
/// Kubernetes keeps amounts in 63 bits.
const LIMIT: u128 = (i64::MAX as u128) * NANO;

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let nanos = nanos(text).ok_or(InvalidQuantity)?;
        Ok(Self {
            text: text.to_owned(),
            nanos,
        })
    }
}

fn nanos(text: &str) -> Option<u128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    // Eighteen digits are more than any machine has bytes; fewer than 10⁻⁹ do not exist.
    if digits.is_empty() || digits.len() > 18 || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let value: u128 = digits.parse().ok()?;
    let unit = 10_u128.pow(9 - u32::try_from(fraction.len()).ok()?);
    let scaled = value.checked_mul(unit)?;
    let nanos = match suffix {
        "n" => exact(scaled, NANO)?,
        "u" => exact(scaled, 1_000_000)?,
        "m" => exact(scaled, 1_000)?,
        _ => scaled.checked_mul(multiplier(suffix)?)?,
    };
    (nanos <= LIMIT).then_some(nanos)
}

fn exact(value: u128, divisor: u128) -> Option<u128> {
    value.is_multiple_of(divisor).then_some(value / divisor)
}

fn multiplier(suffix: &str) -> Option<u128> {
    let binary = |power: u32| 1_u128 << (10 * power);
    Some(match suffix {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: u32 = exponent
                .strip_prefix('+')
                .unwrap_or(exponent)
                .parse()
                .ok()?;
            10_u128.checked_pow(exponent)?
        }
    })
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kubernetes_reads() {
        for (text, nanos) in [
            ("100m", 100_000_000),
            ("1", NANO),
            ("1.5", 1_500_000_000),
            (".5", 500_000_000),
            ("2.", 2 * NANO),
            ("1e3", 1000 * NANO),
            ("1E3", 1000 * NANO),
            ("1k", 1000 * NANO),
            ("128Mi", 128 * 1024 * 1024 * NANO),
            ("1.5Gi", 1536 * 1024 * 1024 * NANO),
            ("5n", 5),
            ("0", 0),
            ("1E", 1_000_000_000_000_000_000 * NANO),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap().nanos, nanos, "{text}");
        }
        for bad in [
            "",
            "m",
            ".",
            "1.2.3",
            "-1",
            "+1",
            "1 Gi",
            "1gi",
            "128MB",
            "1Kb",
            "0.5n",
            "1e",
            "1e99",
            "9Ei",
            "1e-3x",
            "٣",
            "1000000000000000000000",
        ] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn compares_by_value() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(quantity("1000m"), quantity("1"));
        assert!(quantity("1Gi") > quantity("1G"));
        assert_eq!(quantity("1Gi").to_string(), "1Gi");
    }
}
