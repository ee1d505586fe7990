//! Symmetric keys, and the derivation of a device's key from its group's (ref §3.1). Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::text::{self, TextError};

/// Allowed sizes of a key, in bytes (ref §3.1).
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// Text whose HMAC under a private key is the derived key.
const OF_A_PRIVATE_KEY: &[u8] = b"lanyard.dev/key-of-a-private-key";

/// Error of a text that is not a key. No variant contains any of the text.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not UTF-8 text.
    #[error("the key cannot be read: {0}")]
    Text(#[source] TextError),
    /// Not standard base64 with padding.
    #[error("the key is not base64: copy it whole, including the '=' at its end")]
    NotBase64,
    /// Fewer than 16 or more than 64 bytes.
    #[error("the key decodes to {bytes} bytes, Azure takes 16 to 64: copy it whole")]
    Length {
        /// Number of decoded bytes.
        bytes: usize,
    },
}

/// Key of a device, group or policy. Zeroed when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SymmetricKey(Zeroizing<Vec<u8>>);

impl SymmetricKey {
    /// Reads a key from a file or a Secret, as [`Self::from_base64`] does.
    ///
    /// # Errors
    /// [`KeyError`], which never repeats the text.
    pub fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::from_base64(text::decode(bytes).map_err(KeyError::Text)?)
    }

    /// Reads standard base64. ASCII white space anywhere is ignored, because `openssl rand -base64 64` writes two lines,
    /// and so is a byte order mark.
    ///
    /// # Errors
    /// [`KeyError`], which never repeats the text.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
        digits.extend(text::without_mark(text).bytes().filter(|byte| !byte.is_ascii_whitespace()));
        let bytes = Zeroizing::new(STANDARD.decode(&*digits).map_err(|_| KeyError::NotBase64)?);
        if KEY_BYTES.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(KeyError::Length { bytes: bytes.len() })
        }
    }

    /// Returns the key in base64. Never log it.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    /// Returns the HMAC-SHA256 of `message` under this key.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        self.mac(message).finalize().into_bytes().into()
    }

    /// Returns whether `signature` is this key's HMAC-SHA256 of `message`. The time does not depend on the position
    /// of a difference.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.mac(message).verify_slice(signature).is_ok()
    }

    /// Returns the key of a device from the key of its enrollment group: the HMAC-SHA256 of the registration id (ref
    /// §3.1).
    #[must_use]
    pub fn derive(&self, registration_id: &str) -> Self {
        Self(Zeroizing::new(self.sign(registration_id.as_bytes()).to_vec()))
    }

    /// Returns a key derived from a certificate's private key in DER, for signing the files of a device; never for Azure.
    #[must_use]
    pub fn of_private_key(der: &[u8]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(der).expect("HMAC takes a key of any length");
        mac.update(OF_A_PRIVATE_KEY);
        Self(Zeroizing::new(mac.finalize().into_bytes().to_vec()))
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(message);
        mac
    }
}

impl std::fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SymmetricKey(«redacted»)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K32: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const K64: &str =
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";

    /// Ref §3.2, vectors 1 to 7.
    #[test]
    fn derived_keys_match_the_reference() {
        let published =
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
        let contoso =
            "G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";
        let vectors = [
            (
                published,
                "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6",
                "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=",
            ),
            (K32, "dev-01", "luaCqHSmg758Dy2PlrF3Vl83Pcf53G9Nc/vj86Xl0d4="),
            (K64, "dev-01", "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE="),
            (K64, "DEV-01", "ckwTMj5xUtrcfx2iwbXf3lc07Ih0UYeaxaM3h52doqA="),
            (K64, "sensor:line3_a.7", "aapYnrjcHOEz9dza5mBFw2t3uo9/xLJcNhOz1lptp9c="),
            (K64, "", "NJnxY/SGBMCxWsieTnxm8xT7OyA7isL1ZIKOYva+nZ0="),
            (contoso, "contoso-simdevice", "prIvMivIPDAqwBH6aCT4P8raQxEulx32+eNjQpp5/bM="),
        ];
        for (group, id, device) in vectors {
            let key = SymmetricKey::from_base64(group).unwrap().derive(id);
            assert_eq!(key.to_base64().as_str(), device, "{id}");
        }
    }

    #[test]
    fn white_space_and_byte_order_mark_are_ignored() {
        // Output of `openssl rand -base64 64`, and of Notepad.
        for text in [format!("{}\n{}\n", &K64[..64], &K64[64..]), format!("\u{feff}{K64}\r\n")] {
            let key = SymmetricKey::read(text.as_bytes()).unwrap().derive("dev-01");
            assert_eq!(key.to_base64().as_str(), "UwwVfsD5lA+qU/1oNyCqDCDeShqtT/bvsaUt7i0bKJE=");
        }
    }

    #[test]
    fn errors_repeat_nothing_of_the_key() {
        assert_eq!(SymmetricKey::from_base64("not base64!"), Err(KeyError::NotBase64));
        assert_eq!(SymmetricKey::from_base64("AAEC"), Err(KeyError::Length { bytes: 3 }));
        assert!(SymmetricKey::from_base64(&format!("  {K32}\n")).is_ok());
        let utf16: Vec<u8> = K32.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(SymmetricKey::read(&utf16), Err(KeyError::Text(TextError::Utf16)));
        assert_eq!(format!("{:?}", SymmetricKey::from_base64(K32).unwrap()), "SymmetricKey(«redacted»)");
    }

    proptest! {
        #[test]
        fn key_with_line_breaks_is_written_without_them(
            bytes in prop::collection::vec(any::<u8>(), 16..=64),
            width in 1usize..40,
        ) {
            let text = STANDARD.encode(&bytes);
            let lines: Vec<_> = text.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
            let key = SymmetricKey::from_base64(&lines.join("\n")).unwrap();
            let written = key.to_base64();
            prop_assert_eq!(written.as_str(), text);
        }

        #[test]
        fn key_verifies_only_what_it_signed(bytes in prop::collection::vec(any::<u8>(), 16..=64), a: Vec<u8>, b: Vec<u8>) {
            let key = SymmetricKey::from_base64(&STANDARD.encode(bytes)).unwrap();
            prop_assert!(key.verifies(&a, &key.sign(&a)));
            prop_assert_eq!(key.verifies(&b, &key.sign(&a)), a == b);
        }
    }
}
