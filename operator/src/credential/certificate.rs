//! One certificate, and what is read of it. Pure.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lanyard_crds::status::CertificateStatus;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_protocol::text::pem::{self, PemError};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::pair::KeyKind;

/// Error of bytes that are not a usable certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text holds none, or a damaged block.
    #[error("{0}")]
    Pem(#[source] PemError),
    /// The encoding is damaged.
    #[error("certificate {0} of the text is damaged")]
    Unreadable(usize),
}

/// A certificate, with what is read of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// The subject's name as it is written.
    pub subject: Vec<u8>,
    /// The name of who signed it, as it is written.
    pub issuer: Vec<u8>,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The whole subject's name, for people.
    pub name: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// To when it is valid.
    pub not_after: Timestamp,
    /// The subject's public key.
    pub public_key: Vec<u8>,
    /// Kind of the key; `None` for a kind that the operator does not generate.
    pub key_kind: Option<KeyKind>,
    /// CA fields of the certificate.
    pub ca: CaFields,
    /// True if a TLS client may use it.
    pub for_clients: bool,
    serial: Vec<u8>,
}

/// CA fields of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaFields {
    /// basicConstraints says CA:TRUE.
    pub is: bool,
    /// keyUsage, if it is there, has keyCertSign.
    pub may_sign: bool,
    /// Maximum number of CAs below it.
    pub path_length: Option<u32>,
}

impl Certificate {
    /// Reads a certificate from DER. A certificate of version 1, as `openssl x509 -req` makes it without extensions, is
    /// a client's and never a CA's (ref §9.5); `place` is its position in a text, for the error.
    ///
    /// # Errors
    /// [`CertificateError`]
    pub fn read(der: Vec<u8>, place: usize) -> Result<Self, CertificateError> {
        let damaged = || CertificateError::Unreadable(place);
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|_| damaged())?;
        if !rest.is_empty() {
            return Err(damaged());
        }
        let time = |second: i64| Timestamp::from_second(second).map_err(|_| damaged());
        let common_name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let constraints = parsed.basic_constraints().map_err(|_| damaged())?.map(|extension| extension.value);
        let usage = parsed.key_usage().map_err(|_| damaged())?.map(|extension| extension.value);
        let extended = parsed.extended_key_usage().map_err(|_| damaged())?.map(|extension| extension.value);
        Ok(Self {
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            common_name: common_name.map(str::to_owned),
            name: parsed.subject().to_string(),
            not_before: time(parsed.validity().not_before.timestamp())?,
            not_after: time(parsed.validity().not_after.timestamp())?,
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            key_kind: key_kind(&parsed),
            ca: CaFields {
                is: constraints.is_some_and(|constraints| constraints.ca),
                may_sign: usage.is_none_or(|usage| usage.key_cert_sign()),
                path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            },
            for_clients: usage.is_none_or(|usage| usage.digital_signature())
                && extended.is_none_or(|extended| extended.client_auth || extended.any),
            serial: parsed.raw_serial().to_vec(),
            der,
        })
    }

    /// Reads every certificate of a text, at least one.
    ///
    /// # Errors
    /// [`CertificateError`]
    pub fn read_all(text: &[u8]) -> Result<Vec<Self>, CertificateError> {
        let found = pem::certificates(text).map_err(CertificateError::Pem)?;
        found.into_iter().enumerate().map(|(index, der)| Self::read(der, index + 1)).collect()
    }

    /// Returns the certificate as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the certificate's SHA-256 thumbprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_certificate(&self.der)
    }

    /// Returns whether issuer and subject are the same: a root. Servers have their own copy of it.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.subject == self.issuer
    }

    /// Returns whether `above` signed it. If the kind of signature cannot be verified here, the name decides.
    #[must_use]
    pub fn is_signed_by(&self, above: &Self) -> bool {
        use x509_parser::error::X509Error;
        let (Ok((_, own)), Ok((_, above_))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&above.der))
        else {
            return false;
        };
        self.issuer == above.subject
            && matches!(
                own.verify_signature(Some(above_.public_key())),
                Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm)
            )
    }

    /// Returns thumbprints, serial number and expiry in the form that Azure's portal asks for (ref §9.5).
    #[must_use]
    pub fn status(&self) -> CertificateStatus {
        CertificateStatus {
            sha1_thumbprint: hex::encode_upper(digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref()),
            sha256_thumbprint: self.fingerprint().to_string(),
            serial_number: hex::encode_upper(&self.serial),
            not_after: Time(self.not_after),
        }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} {})", self.name, self.fingerprint())
    }
}

/// Returns the certificates of a chain whose validity period counts. A root at the end of a chain may have expired,
/// because servers have their own copy of it.
pub fn within_time(chain: &[Certificate]) -> impl Iterator<Item = &Certificate> {
    let last = chain.len().saturating_sub(1);
    let counts = move |index: usize, one: &Certificate| index == 0 || index < last || !one.is_root();
    chain.iter().enumerate().filter(move |(index, one)| counts(*index, one)).map(|(_, one)| one)
}

fn key_kind(parsed: &X509Certificate<'_>) -> Option<KeyKind> {
    match parsed.public_key().parsed().ok()? {
        PublicKey::EC(point) => match point.key_size() {
            256 => Some(KeyKind::P256),
            384 => Some(KeyKind::P384),
            _ => None,
        },
        PublicKey::RSA(key) => match key.key_size() {
            2048 => Some(KeyKind::Rsa2048),
            3072 => Some(KeyKind::Rsa3072),
            4096 => Some(KeyKind::Rsa4096),
            _ => None,
        },
        _ => None,
    }
}
