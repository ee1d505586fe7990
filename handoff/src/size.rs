//! Sizes in bytes as text: `65536`, `256Mi`, `10Gi`. Pure.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units with a power of two, the largest first.
const UNITS: [(&str, u64); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

/// Error of a text that is not a size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{text:?} is not a number of bytes: write a whole number, alone or with Ki, Mi, Gi or Ti, such as 256Mi"
)]
pub struct ByteSizeError {
    text: String,
}

/// Size in bytes: a whole number, alone or with `Ki`, `Mi`, `Gi` or `Ti`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Returns a size of so many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns the number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Reads a text such as `65536` or `256Mi`.
    ///
    /// # Errors
    /// [`ByteSizeError`] for other texts, and for 2^64 bytes or more.
    pub fn parse(text: &str) -> Result<Self, ByteSizeError> {
        let read = || {
            let (digits, unit) = UNITS
                .iter()
                .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
                .unwrap_or((text, 1));
            if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            digits.parse::<u64>().ok()?.checked_mul(unit).map(Self)
        };
        read().ok_or_else(|| ByteSizeError { text: text.to_owned() })
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match UNITS.iter().find(|(_, unit)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = ByteSize;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of bytes, such as 256Mi")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_read_as_bytes() {
        for (text, bytes) in
            [("65536", 65_536), ("64Ki", 65_536), ("256Mi", 1 << 28), ("10Gi", 10 << 30), ("0", 0)]
        {
            assert_eq!(ByteSize::parse(text).map(ByteSize::get), Ok(bytes), "{text}");
        }
        for bad in ["", "Mi", "1.5Mi", "-1", "+1", "1M", "1 Mi", "99999999999999999999", "99999999Ti"] {
            assert!(ByteSize::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn documents_contain_numbers_or_texts() {
        for document in ["1048576", "\"1Mi\"", "\"1024Ki\""] {
            assert_eq!(serde_json::from_str::<ByteSize>(document).unwrap(), ByteSize(1 << 20));
        }
        assert_eq!(serde_json::to_string(&ByteSize(1 << 20)).unwrap(), "\"1Mi\"");
        assert_eq!(ByteSize(0).to_string(), "0");
        let error = serde_json::from_str::<ByteSize>("true").unwrap_err().to_string();
        assert!(error.contains("a number of bytes, such as 256Mi"), "{error}");
    }

    proptest! {
        #[test]
        fn written_size_is_read_back(bytes: u64) {
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).to_string()), Ok(ByteSize(bytes)));
        }
    }
}
