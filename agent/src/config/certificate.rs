//! A device's certificate with its private key, from two PEM texts. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_protocol::text::pem::{self, KeyForm, PemError};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// One of the two PEM texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemPart {
    /// The certificates.
    Certificate,
    /// The private key.
    Key,
}

/// Error of a certificate and its key. No variant contains any of the texts.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No file or nothing in it: a writer is not done, or forgot it.
    #[error(
        "it is missing or empty: put PEM there, the certificate into tls.crt and its private key into tls.key"
    )]
    Empty(PemPart),
    /// Not the PEM that is wanted.
    #[error("{1}")]
    Pem(PemPart, #[source] PemError),
    /// PEM of something else.
    #[error("certificate {position} in it is no X.509: copy it whole")]
    NotX509 {
        /// Counted from 1.
        position: usize,
    },
    /// The kind of key is not supported by TLS.
    #[error("its private key cannot be used: use ECDSA P-256 or P-384, or RSA of 2048 bits or more")]
    KeyKind,
    /// Each is right, together they are not.
    #[error(
        "it is not the key of the first certificate: store the key of that certificate, with the device's own certificate first in tls.crt"
    )]
    Mismatch,
}

impl CertificateError {
    /// Returns the text with the error.
    #[must_use]
    pub const fn part(&self) -> PemPart {
        match self {
            Self::Empty(part) | Self::Pem(part, _) => *part,
            Self::NotX509 { .. } => PemPart::Certificate,
            Self::KeyKind | Self::Mismatch => PemPart::Key,
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
    /// Start of the validity of the certificate and all above it.
    pub not_before: Timestamp,
    /// Earliest expiry of the certificate and those above it. A root at the end of the chain may have expired,
    /// because servers have their own copy of it.
    pub not_after: Timestamp,
    /// Place in the chain of the certificate that ends first, counted from 1.
    pub ends_first: usize,
}

impl Certificate {
    /// Reads a chain and a key, and checks that they belong together.
    ///
    /// # Errors
    /// [`CertificateError`] says which text is wrong, and never repeats it.
    pub fn parse(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = certificates(chain)?;
        let key = private_key(key)?;
        let mut read = Vec::with_capacity(chain.len());
        for (index, der) in chain.iter().enumerate() {
            let position = index + 1;
            let (_, parsed) =
                X509Certificate::from_der(der).map_err(|_| CertificateError::NotX509 { position })?;
            read.push(parsed);
        }
        let parsed = read.first().ok_or(CertificateError::Empty(PemPart::Certificate))?;
        let signer = any_supported_type(&key).map_err(|_| CertificateError::KeyKind)?;
        // Not left to the TLS library, which refuses the X.509 v1 certificates that older openssl makes (ref §9.5).
        let matches = signer.public_key().is_some_and(|public| public.as_ref() == parsed.public_key().raw);
        if !matches {
            return Err(CertificateError::Mismatch);
        }
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        let is_root = |index: usize| {
            index > 0 && index + 1 == read.len() && read[index].subject() == read[index].issuer()
        };
        let counted = || read.iter().enumerate().filter(|(index, _)| !is_root(*index));
        let not_before = counted().map(|(_, one)| time(one.validity().not_before.timestamp())).max();
        let ends =
            counted().map(|(index, one)| (time(one.validity().not_after.timestamp()), index + 1)).min();
        let (not_after, ends_first) = ends.unwrap_or((Timestamp::MAX, 1));
        let own = SymmetricKey::of_private_key(key.secret_der());
        Ok(Self {
            own,
            fingerprint: Fingerprint::of_certificate(&chain[0]),
            not_before: not_before.unwrap_or(Timestamp::MIN),
            not_after,
            ends_first,
            certified: Arc::new(CertifiedKey::new(chain, signer)),
        })
    }

    /// Returns the chain and the private key for the TLS handshake.
    #[must_use]
    pub fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// Returns a key for the agent's own files, which only the holder of the private key can derive.
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
        return Err(CertificateError::Empty(PemPart::Certificate));
    }
    let found = pem::certificates(pem).map_err(|error| CertificateError::Pem(PemPart::Certificate, error))?;
    Ok(found.into_iter().map(CertificateDer::from).collect())
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    if pem.trim_ascii().is_empty() {
        return Err(CertificateError::Empty(PemPart::Key));
    }
    let key = pem::private_key(pem).map_err(|error| CertificateError::Pem(PemPart::Key, error))?;
    let der = key.der.to_vec();
    Ok(match key.form {
        KeyForm::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
        KeyForm::Rsa => PrivateKeyDer::Pkcs1(der.into()),
        KeyForm::Ec => PrivateKeyDer::Sec1(der.into()),
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

    /// `openssl x509 -req -signkey` without an extension file makes version 1, as in Azure's tutorial (ref §9.5).
    #[test]
    fn a_certificate_of_version_1_is_read() {
        let certificate = include_str!("../../../operator/tests/stages/version-1.crt");
        let key = include_str!("../../../operator/tests/stages/version-1.key");
        let certificate = Certificate::parse(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert!(certificate.fingerprint.as_str().starts_with("5453027EFE83"));
    }

    #[test]
    fn the_earliest_end_in_the_chain_counts_but_for_a_root() {
        let made = |name: &str, year, issuer: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>| {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let pem = match issuer {
                Some(issuer) => params.signed_by(&key, issuer).unwrap().pem(),
                None => params.self_signed(&key).unwrap().pem(),
            };
            (pem, key.serialize_pem(), rcgen::Issuer::new(params, key))
        };
        let (root, _, root_issuer) = made("root", 2000, None);
        let (middle, _, middle_issuer) = made("middle", 2030, Some(&root_issuer));
        let (leaf, key, _) = made("leaf", 2040, Some(&middle_issuer));
        let chain = Certificate::parse(format!("{leaf}{middle}{root}").as_bytes(), key.as_bytes()).unwrap();
        assert_eq!((chain.ends_first, chain.not_after.to_string()), (2, "2030-01-01T00:00:00Z".to_owned()));
        let alone = Certificate::parse(leaf.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!((alone.ends_first, alone.not_after.to_string()), (1, "2040-01-01T00:00:00Z".to_owned()));
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
    fn errors_name_the_wrong_text() {
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let whole = VECTOR_CERTIFICATE;
        let cut = &whole[..whole.len() / 2];
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let locked_by_openssl = format!(
            "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC {}",
            "PRIVATE KEY-----\n"
        );
        let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let cases = [
            (whole, "", PemPart::Key, "missing or empty"),
            ("\n", VECTOR_KEY, PemPart::Certificate, "missing or empty"),
            ("hello", VECTOR_KEY, PemPart::Certificate, "no certificate"),
            (cut, VECTOR_KEY, PemPart::Certificate, "block 1 is cut"),
            (nonsense, VECTOR_KEY, PemPart::Certificate, "certificate 1 in it is no X.509"),
            (whole, "hello", PemPart::Key, "no private key"),
            (whole, whole, PemPart::Key, "no private key"),
            (whole, locked, PemPart::Key, "is encrypted"),
            (whole, &locked_by_openssl, PemPart::Key, "is encrypted"),
            (whole, no_key, PemPart::Key, "cannot be used"),
            (whole, &other, PemPart::Key, "not the key of the first certificate"),
        ];
        for (certificate, key, part, words) in cases {
            let error = error(certificate, key);
            assert_eq!(error.part(), part, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
