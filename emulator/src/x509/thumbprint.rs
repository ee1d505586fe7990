//! Thumbprints: hashes by which a hub identifies a certificate without a CA (ref §9.5). Pure.

use std::fmt;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// Error of a text that is not a thumbprint.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ThumbprintError {
    /// As openssl writes it.
    #[error("has separators: remove the colons and spaces")]
    Separators,
    /// Something else.
    #[error("is not a hexadecimal number: use the 40 digits of SHA-1 or the 64 of SHA-256")]
    Digits,
    /// Too long or too short.
    #[error("has {0} hexadecimal digits: use the 40 of SHA-1 or the 64 of SHA-256")]
    Length(usize),
}

/// SHA-1 (20 bytes) or SHA-256 (32 bytes) of a certificate in DER.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Thumbprint(Vec<u8>);

impl Thumbprint {
    /// Reads hexadecimal digits in any case, without separators (ref §9.5).
    ///
    /// # Errors
    /// [`ThumbprintError`].
    pub fn parse(text: &str) -> Result<Self, ThumbprintError> {
        if text.contains([':', ' ', '-']) {
            return Err(ThumbprintError::Separators);
        }
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ThumbprintError::Digits);
        }
        if !matches!(text.len(), 40 | 64) {
            return Err(ThumbprintError::Length(text.len()));
        }
        let byte = |pair: &[u8]| {
            pair.iter().fold(0, |sum, &digit| sum << 4 | char::from(digit).to_digit(16).unwrap_or_default())
        };
        let bytes = text.as_bytes().chunks(2).map(|pair| u8::try_from(byte(pair)).unwrap_or_default());
        Ok(Self(bytes.collect()))
    }

    /// Returns the SHA-1 of `der`.
    #[must_use]
    pub fn sha1(der: &[u8]) -> Self {
        Self(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec())
    }

    /// Returns the SHA-256 of `der`.
    #[must_use]
    pub fn sha256(der: &[u8]) -> Self {
        Self(digest(&SHA256, der).as_ref().to_vec())
    }

    /// Returns whether this is the thumbprint of `der`, with the hash of its length.
    #[must_use]
    pub fn is_of(&self, der: &[u8]) -> bool {
        *self == if self.0.len() == 20 { Self::sha1(der) } else { Self::sha256(der) }
    }

    fn is_of_the_same_hash(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The two of a device; a certificate with either is its own (ref §9.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbprints {
    /// The first.
    pub primary: Option<Thumbprint>,
    /// The second.
    pub secondary: Option<Thumbprint>,
}

impl Thumbprints {
    /// Returns whether the certificate `der` has one of the thumbprints.
    #[must_use]
    pub fn accept(&self, der: &[u8]) -> bool {
        [&self.primary, &self.secondary].into_iter().flatten().any(|thumbprint| thumbprint.is_of(der))
    }

    /// Returns whether both thumbprints, if there are two, use the same hash (ref §9.5).
    #[must_use]
    pub fn are_alike(&self) -> bool {
        match (&self.primary, &self.secondary) {
            (Some(primary), Some(secondary)) => primary.is_of_the_same_hash(secondary),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ref §9.5.
    #[test]
    fn a_thumbprint_is_of_sha1_or_sha256_in_any_case() {
        let (sha1, sha256) = (Thumbprint::sha1(b"x"), Thumbprint::sha256(b"x"));
        assert_eq!(sha1.to_string(), "11F6AD8EC52A2984ABAAFD7C3B516503785C2072");
        assert_eq!(Thumbprint::parse(&sha1.to_string()), Ok(sha1.clone()));
        assert_eq!(Thumbprint::parse(&sha256.to_string().to_lowercase()), Ok(sha256.clone()));
        assert!(sha1.is_of(b"x") && sha256.is_of(b"x") && !sha1.is_of(b"y") && !sha256.is_of(b"y"));
    }

    #[test]
    fn invalid_thumbprint_is_refused() {
        let error = |text| Thumbprint::parse(text).unwrap_err();
        assert_eq!(error("8E:15:FF"), ThumbprintError::Separators);
        assert_eq!(error("xyz"), ThumbprintError::Digits);
        assert_eq!(error(""), ThumbprintError::Length(0));
        assert_eq!(error(&"ab".repeat(31)), ThumbprintError::Length(62));
    }

    #[test]
    fn either_thumbprint_is_accepted() {
        let both = |primary, secondary| Thumbprints { primary, secondary };
        let (one, two) = (Thumbprint::sha256(b"1"), Thumbprint::sha256(b"2"));
        let thumbprints = both(Some(one.clone()), Some(two));
        assert!(thumbprints.accept(b"1") && thumbprints.accept(b"2") && !thumbprints.accept(b"3"));
        assert!(thumbprints.are_alike() && !both(Some(one), Some(Thumbprint::sha1(b"2"))).are_alike());
    }
}
