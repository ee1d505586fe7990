//! Durations as text: `500ms`, `10s`, `1h30m`. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Error of a text that is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?} is not a duration: write whole numbers with ms, s, m or h, such as 500ms, 10s or 1h30m")]
pub struct IntervalError {
    text: String,
}

/// Duration: one or more whole numbers, each with `ms`, `s`, `m` or `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(Duration);

impl Interval {
    /// Description of the durations that are allowed between two reads or two messages.
    pub const RANGE_OF_READS: &str = "10ms to 99999990ms (27.7 hours), such as 500ms, 10s or 1h30m";

    /// Returns a duration of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Returns a duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns the standard library's type.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads a text such as `500ms`, `10s` or `1h30m`.
    ///
    /// # Errors
    /// [`IntervalError`] for other texts, and for 2^64 milliseconds or more.
    pub fn parse(text: &str) -> Result<Self, IntervalError> {
        Self::read(text).ok_or_else(|| IntervalError { text: text.to_owned() })
    }

    fn read(mut text: &str) -> Option<Self> {
        let mut total: u64 = 0;
        loop {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = text.get(..digits)?.parse().ok()?;
            text = &text[digits..];
            // `ms` comes before `m`, which is its prefix.
            let (unit, millis) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
                .into_iter()
                .find(|(unit, _)| text.starts_with(unit))?;
            text = &text[unit.len()..];
            total = total.checked_add(number.checked_mul(millis)?)?;
            if text.is_empty() {
                return Some(Self(Duration::from_millis(total)));
            }
        }
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Interval {
    type Err = IntervalError;
    fn from_str(text: &str) -> Result<Self, IntervalError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Interval {
    type Error = IntervalError;
    fn try_from(text: String) -> Result<Self, IntervalError> {
        Self::parse(&text)
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> String {
        interval.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_as_milliseconds() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
            ("8760h", 31_536_000_000),
        ] {
            assert_eq!(Interval::parse(text).unwrap(), Interval::from_millis(millis), "{text}");
        }
        for bad in ["", "10", "s", "1.5s", "-1s", "1 s", "1d", "99999999999999999999h", "1s2"] {
            assert!(Interval::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn written_interval_is_read_back(millis in 0..=u64::MAX / 2) {
            let interval = Interval::from_millis(millis);
            prop_assert_eq!(Interval::parse(&interval.to_string()).unwrap(), interval);
        }
    }
}
