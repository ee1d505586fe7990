//! A device's certificate with its private key, from two PEM texts. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_protocol::handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::key::SymmetricKey;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Which of the two texts is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificates.
    Certificate,
    /// The private key.
    Key,
}

/// Why two texts are no certificate with its key. No variant carries any of them.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No file or nothing in it: a writer is not done, or forgot it.
    #[error(
        "it is missing or empty: put PEM there, the certificate into tls.crt and its private key into tls.key"
    )]
    Empty(Part),
    /// No certificate there.
    #[error(
        "it has no certificate: put the device's there, then every intermediate CA, from '-----BEGIN CERTIFICATE-----' on"
    )]
    NoCertificate,
    /// No key there.
    #[error(
        "it has no private key: put PKCS #8 without a passphrase there, from '-----BEGIN PRIVATE KEY-----' on"
    )]
    NoKey,
    /// Broken PEM.
    #[error("it is not PEM: copy it whole")]
    Pem(Part),
    /// PEM of something else.
    #[error("certificate {position} in it is no X.509: copy it whole")]
    NotX509 {
        /// Counted from 1.
        position: usize,
    },
    /// A key that nobody signs TLS with.
    #[error("its private key cannot be used: use ECDSA P-256 or P-384, or RSA of 2048 bits or more")]
    KeyKind,
    /// Each is right, together they are not.
    #[error(
        "it is not the key of the first certificate: put certificate and key there that belong together, the device's own certificate first"
    )]
    Mismatch,
}

impl CertificateError {
    /// Which text it is about.
    #[must_use]
    pub const fn part(&self) -> Part {
        match self {
            Self::Empty(part) | Self::Pem(part) => *part,
            Self::NoCertificate | Self::NotX509 { .. } => Part::Certificate,
            Self::NoKey | Self::KeyKind | Self::Mismatch => Part::Key,
        }
    }
}

/// A device's certificate, what it is signed by, and its private key.
#[derive(Clone)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    /// Made of the private key.
    own: SymmetricKey,
    /// Its SHA-256 thumbprint.
    pub fingerprint: Fingerprint,
    /// When its life begins.
    pub not_before: Timestamp,
    /// When its life ends.
    pub not_after: Timestamp,
}

impl Certificate {
    /// Reads a chain and a key, and checks that they belong together.
    ///
    /// # Errors
    /// [`CertificateError`] says which text is wrong, and never repeats it.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = certificates(chain)?;
        let key = private_key(key)?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (_, parsed) =
            X509Certificate::from_der(leaf).map_err(|_| CertificateError::NotX509 { position: 1 })?;
        let signer = any_supported_type(&key).map_err(|_| CertificateError::KeyKind)?;
        // Not left to the TLS library, which refuses the X.509 v1 certificates that older openssl makes (ref §9.5).
        let matches = signer.public_key().is_some_and(|public| public.as_ref() == parsed.public_key().raw);
        if !matches {
            return Err(CertificateError::Mismatch);
        }
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        let validity = parsed.validity();
        let (not_before, not_after) =
            (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
        let fingerprint = Fingerprint::of_certificate(leaf);
        let own = SymmetricKey::of_private_key(key.secret_der());
        let certified = Arc::new(CertifiedKey::new(chain, signer));
        Ok(Self { certified, own, fingerprint, not_before, not_after })
    }

    /// For the TLS handshake.
    #[must_use]
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// A key that only the holder of the private key has, for what the agent keeps for itself.
    #[must_use]
    pub const fn own_key(&self) -> &SymmetricKey {
        &self.own
    }
}

/// The key is that of the certificate, so the certificates tell all.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    if pem.trim_ascii().is_empty() {
        return Err(CertificateError::Empty(Part::Certificate));
    }
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| CertificateError::Pem(Part::Certificate))?;
        let position = chain.len() + 1;
        X509Certificate::from_der(&certificate).map_err(|_| CertificateError::NotX509 { position })?;
        chain.push(certificate);
    }
    if chain.is_empty() { Err(CertificateError::NoCertificate) } else { Ok(chain) }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    if pem.trim_ascii().is_empty() {
        return Err(CertificateError::Empty(Part::Key));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound => CertificateError::NoKey,
        _ => CertificateError::Pem(Part::Key),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ref §9.6, a throw-away key.
    const VECTOR_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBQTCB6KADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMMBGRldjEwHhcN
MjAwMTAxMDAwMDAwWhcNNDkxMjMxMDAwMDAwWjAPMQ0wCwYDVQQDDARkZXYxMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2Wh0CvuAAa5yYJbdPkfwqDw14Mt3L0v7
JTsHpFoX1F4P7A4EZCFvPWmZfy3MrogpQ4u9tbdu/SG5TcBZllLb2aM1MDMwDAYD
VR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwIw
CgYIKoZIzj0EAwIDSAAwRQIgYDyOBJQGTAL9SWmeRIu/3wvKcDpDKIjh34w0Gl6r
1bgCIQDysx29Y74ctzjcXmMi6WxpRiz2iX3w/MFXRWgtYnK1oQ==
-----END CERTIFICATE-----
";
    const VECTOR_KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgNfzgVpNiehqs1Lpl
+omUBaDsrcVa1taJmUoG2g22W2ahRANCAATZaHQK+4ABrnJglt0+R/CoPDXgy3cv
S/slOwekWhfUXg/sDgRkIW89aZl/LcyuiClDi721t279IblNwFmWUtvZ
-----END PRIVATE KEY-----
";

    fn error(certificate: &str, key: &str) -> CertificateError {
        Certificate::parse(certificate.as_bytes(), key.as_bytes()).unwrap_err()
    }

    #[test]
    fn the_vector_is_read() {
        let certificate = Certificate::parse(VECTOR_CERTIFICATE.as_bytes(), VECTOR_KEY.as_bytes()).unwrap();
        assert_eq!(
            certificate.fingerprint.as_str(),
            "B8413FDBACD7BB4937D3D0F6E81CDCF3C8EFE9C675AE77E9213741F5B7C1A386"
        );
        assert_eq!(certificate.not_before.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(certificate.not_after.to_string(), "2049-12-31T00:00:00Z");
        assert!(!format!("{certificate:?}").contains("key"), "{certificate:?}");
    }

    /// What `openssl x509 -req -signkey` makes without an extension file, as Azure's tutorial says (ref §9.5).
    #[test]
    fn a_certificate_of_version_1_is_read() {
        let certificate = "-----BEGIN CERTIFICATE-----
MIIBGTCBwQIUAisKeE/p7uE+BM3hRnsOE/n8FicwCgYIKoZIzj0EAwIwDzENMAsG
A1UEAwwEZGV2MTAgFw0yNjExMjMxMjU3MDdaGA8yMTI2MTAzMDEyNTcwN1owDzEN
MAsGA1UEAwwEZGV2MTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABD1PDysVgV27
2YRQZufeiZFltxws3CbviU5uds8k9g5roTcGH/sp0CIJ0bNUITPpGG3apkvADnJ6
vR5cs7gBGm8wCgYIKoZIzj0EAwIDRwAwRAIgMGY9nnLnOhx9xc9uYF7IfI8k/t2v
gt+AWUcfG7JI2OsCIHID4qjVykYqBoD+lwcSbzsTqsiM0YfHsKgAMioMbIbw
-----END CERTIFICATE-----
";
        let key = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOOe9TIVeJtb74v4I
BkFLuphfqwGm02jr4Iq3m4jJ+tWhRANCAAQ9Tw8rFYFdu9mEUGbn3omRZbccLNwm
74lObnbPJPYOa6E3Bh/7KdAiCdGzVCEz6Rht2qZLwA5yer0eXLO4ARpv
-----END PRIVATE KEY-----
";
        let certificate = Certificate::parse(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert!(certificate.fingerprint.as_str().starts_with("5453027EFE83"));
    }

    #[test]
    fn every_kind_of_key_in_use_is_read() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA256]
        {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let pem = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
            Certificate::parse(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_text() {
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let whole = VECTOR_CERTIFICATE;
        let cut = &whole[..whole.len() / 2];
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let cases = [
            (whole, "", Part::Key, "missing or empty"),
            ("\n", VECTOR_KEY, Part::Certificate, "missing or empty"),
            ("hello", VECTOR_KEY, Part::Certificate, "no certificate"),
            (cut, VECTOR_KEY, Part::Certificate, "not PEM"),
            (nonsense, VECTOR_KEY, Part::Certificate, "certificate 1 in it is no X.509"),
            (whole, "hello", Part::Key, "no private key"),
            (whole, whole, Part::Key, "no private key"),
            (whole, locked, Part::Key, "without a passphrase"),
            (whole, no_key, Part::Key, "cannot be used"),
            (whole, &other, Part::Key, "not the key of the first certificate"),
        ];
        for (certificate, key, part, words) in cases {
            let error = error(certificate, key);
            assert_eq!(error.part(), part, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
