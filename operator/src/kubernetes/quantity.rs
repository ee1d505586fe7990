//! Kubernetes quantities, such as `500m` and `1536Mi`. Pure.

/// Units without and with a power of two, in thousandths.
const UNITS: [(&str, i128); 14] = [
    ("", 1_000),
    ("m", 1),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
    ("Ei", 1_000 << 60),
];

/// Returns a quantity in thousandths; `None` for other texts, finer fractions, and numbers that overflow.
#[must_use]
pub fn thousandths(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (_, scale) = UNITS.iter().find(|(unit, _)| *unit == suffix)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(*scale)?;
    let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    (scaled % divisor == 0).then_some(scaled / divisor)
}

/// Returns the bytes of a quantity, rounded down; `None` for other texts and for 2^64 bytes or more.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    u64::try_from(thousandths(text)? / 1_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_has_its_size() {
        for (text, expected) in [
            ("0", 0),
            ("1", 1_000),
            ("5m", 5),
            ("0.5", 500),
            ("1.5Gi", (1_536 * 1_000) << 20),
            ("2k", 2_000_000),
            ("2M", 2_000_000_000),
            ("2G", 2_000_000_000_000),
            ("2T", 2_000_000_000_000_000),
            ("2P", 2_000_000_000_000_000_000),
            ("2E", 2_000_000_000_000_000_000_000),
            ("2Ki", 2_000 << 10),
            ("2Mi", 2_000 << 20),
            ("2Gi", 2_000 << 30),
            ("2Ti", 2_000_i128 << 40),
            ("2Pi", 2_000_i128 << 50),
            ("2Ei", 2_000_i128 << 60),
        ] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_have_no_size() {
        let overflow = "9".repeat(40);
        for text in ["", "Mi", "x", "-1", "1n", "1u", "1 Mi", "1.2.3", "0.5m", "0.0001", &overflow] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_are_whole() {
        assert_eq!(bytes("256Mi"), Some(256 << 20));
        assert_eq!(bytes("1500m"), Some(1));
        assert_eq!(bytes("16Ei"), None, "2^64");
        assert_eq!(bytes("15Ei"), Some(15 << 60));
    }
}
