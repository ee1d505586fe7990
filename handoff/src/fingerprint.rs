//! Fingerprints: identify a credential and reveal nothing about it. Operator and agent compare them. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use lanyard_protocol::hub::key::SymmetricKey;

// The HMAC does not reveal a random key of 16 bytes or more. A key that is a word can be guessed from it, as from every
// token that the key signs. No derived key equals this HMAC, because registration ids contain no '/'.
/// Text whose HMAC under a key is the fingerprint of the key.
const OF_A_KEY: &[u8] = b"lanyard.dev/credential-fingerprint";

/// Fingerprint of a credential. It reveals nothing, so status, logs and annotations may contain it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Returns the fingerprint of a key: 32 hexadecimal digits.
    #[must_use]
    pub fn of_key(key: &SymmetricKey) -> Self {
        Self(hex::encode_upper(&key.sign(OF_A_KEY)[..16]))
    }

    /// Returns the SHA-256 thumbprint of a certificate in DER as Azure writes it: 64 upper-case hexadecimal digits
    /// without separators (ref §9.5).
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(hex::encode_upper(Sha256::digest(der)))
    }

    /// Returns the hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Fingerprint {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, engine::general_purpose::STANDARD};

    /// Certificate of ref §9.6.
    const CERTIFICATE: &str = "MIIBQTCB6KADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBGRldjEwHhcNMjAwMTAxMDAwMDAwWhcNNDkxMjMxMDAwMDAwWjAPMQ0wCwYDVQQDDARkZXYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2Wh0CvuAAa5yYJbdPkfwqDw14Mt3L0v7JTsHpFoX1F4P7A4EZCFvPWmZfy3MrogpQ4u9tbdu/SG5TcBZllLb2aM1MDMwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIwCgYIKoZIzj0EAwIDSAAwRQIgYDyOBJQGTAL9SWmeRIu/3wvKcDpDKIjh34w0Gl6r1bgCIQDysx29Y74ctzjcXmMi6WxpRiz2iX3w/MFXRWgtYnK1oQ==";

    #[test]
    fn certificate_has_the_thumbprint_of_the_portal() {
        let der = STANDARD.decode(CERTIFICATE).unwrap();
        let name = Fingerprint::of_certificate(&der);
        assert_eq!(name.to_string(), name.as_str());
        assert_eq!(name.as_str(), "B8413FDBACD7BB4937D3D0F6E81CDCF3C8EFE9C675AE77E9213741F5B7C1A386");
    }

    #[test]
    fn equal_keys_have_equal_fingerprints() {
        let key = |text: &[u8]| SymmetricKey::from_base64(&STANDARD.encode(text)).unwrap();
        let (one, two) = (key(&[1; 32]), key(&[2; 32]));
        assert_eq!(Fingerprint::of_key(&one), Fingerprint::of_key(&key(&[1; 32])));
        assert_ne!(Fingerprint::of_key(&one), Fingerprint::of_key(&two));
        assert_eq!(Fingerprint::of_key(&one).as_str().len(), 32);
    }
}
