//! Parsed certificate of a client or a CA, with the fields that hub and DPS use. The input can be any bytes. Pure.

use std::fmt;

use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// Error of bytes that are not a supported certificate.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Not X.509 in DER.
    #[error("this is no X.509 certificate: {0}")]
    Encoding(String),
    /// More follows.
    #[error("{0} bytes follow the certificate")]
    Trailing(usize),
    /// An extension that is there twice or cannot be read.
    #[error("the extension {0} cannot be read")]
    Extension(&'static str),
    /// The signed part names another algorithm than the signature.
    #[error("it names two signature algorithms")]
    Algorithms,
    /// A date outside of what a clock can show.
    #[error("its dates cannot be read")]
    Dates,
}

/// Subject or issuer of a certificate: encoded, and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    encoded: Vec<u8>,
    text: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// Subject of the certificate.
    pub subject: Name,
    /// Issuer of the certificate.
    pub issuer: Name,
    /// The subject's CN, when there is exactly one.
    pub common_name: Option<String>,
    /// Hexadecimal digits.
    pub serial: String,
    /// 1 or 3.
    pub version: u32,
    /// Valid from here…
    pub not_before: Timestamp,
    /// …to here.
    pub not_after: Timestamp,
    /// Permissions of a CA certificate, if it is one.
    pub authority: Option<CaRights>,
    /// True if the extended key usage allows client authentication, or is absent.
    pub client_usage: bool,
}

/// Permissions of a CA certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaRights {
    /// Maximum number of CAs between it and a leaf.
    pub path_length: Option<u32>,
    /// True if its key usage allows signing certificates, or is absent.
    pub signs: bool,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("subject", &self.subject.text).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads DER of version 1 or 3.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|error| CertificateError::Encoding(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError::Trailing(rest.len()));
        }
        if parsed.tbs_certificate.signature != parsed.signature_algorithm {
            return Err(CertificateError::Algorithms);
        }
        let date = |seconds| Timestamp::from_second(seconds).map_err(|_| CertificateError::Dates);
        let mut names = parsed.subject().iter_common_name();
        let common_name = names.next().filter(|_| names.next().is_none());
        Ok(Self {
            subject: name(parsed.subject()),
            issuer: name(parsed.issuer()),
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            serial: hex::encode_upper(parsed.raw_serial()),
            version: parsed.version().0.saturating_add(1),
            not_before: date(parsed.validity().not_before.timestamp())?,
            not_after: date(parsed.validity().not_after.timestamp())?,
            authority: authority(&parsed)?,
            client_usage: client_usage(&parsed)?,
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// Returns the certificate in DER, as it was received.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns whether `issuer` is the named issuer and its key signed this certificate.
    #[must_use]
    pub fn is_signed_by(&self, issuer: &Self) -> bool {
        if self.issuer.encoded != issuer.subject.encoded {
            return false;
        }
        let (Ok((_, own)), Ok((_, above))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        own.verify_signature(Some(above.public_key())).is_ok()
    }

    /// Returns whether issuer and subject are the same.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.issuer.encoded == self.subject.encoded
    }
}

fn name(parsed: &x509_parser::x509::X509Name<'_>) -> Name {
    Name { encoded: parsed.as_raw().to_vec(), text: parsed.to_string() }
}

fn authority(parsed: &X509Certificate<'_>) -> Result<Option<CaRights>, CertificateError> {
    let constraints =
        parsed.basic_constraints().map_err(|_| CertificateError::Extension("basicConstraints"))?;
    let usage = parsed.key_usage().map_err(|_| CertificateError::Extension("keyUsage"))?;
    Ok(constraints.filter(|constraints| constraints.value.ca).map(|constraints| CaRights {
        path_length: constraints.value.path_len_constraint,
        signs: usage.is_none_or(|usage| usage.value.key_cert_sign()),
    }))
}

fn client_usage(parsed: &X509Certificate<'_>) -> Result<bool, CertificateError> {
    let usage = parsed.extended_key_usage().map_err(|_| CertificateError::Extension("extendedKeyUsage"))?;
    Ok(usage.is_none_or(|usage| usage.value.client_auth || usage.value.any))
}

/// Reads the public key of a certificate in DER, of version 1 or 3, for the TLS handshake.
///
/// # Errors
/// [`CertificateError::Encoding`].
pub fn public_key(der: &[u8]) -> Result<SubjectPublicKeyInfoDer<'static>, CertificateError> {
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|error| CertificateError::Encoding(error.to_string()))?;
    Ok(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec()))
}
