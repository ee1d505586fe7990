//! Certificates that a client presented in the TLS handshake. Pure.

use rustls::pki_types::CertificateDer;

use super::certificate::{Certificate, CertificateError};

/// Error of presented certificates.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum PresentedError {
    /// The client has none, or does not show it.
    #[error("no certificate was presented")]
    Nothing,
    /// Not a certificate.
    #[error("the presented certificate cannot be read: {0}")]
    Leaf(CertificateError),
}

/// A chain, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The client's own; it has shown that it has the key.
    pub leaf: Certificate,
    /// Other certificates, in any order. Those that cannot be parsed are omitted.
    pub others: Vec<Certificate>,
}

impl Presented {
    /// Reads a chain, leaf first.
    ///
    /// # Errors
    /// [`PresentedError`].
    pub fn read(chain: &[CertificateDer<'_>]) -> Result<Self, PresentedError> {
        let (leaf, others) = chain.split_first().ok_or(PresentedError::Nothing)?;
        let leaf = Certificate::read(leaf).map_err(PresentedError::Leaf)?;
        let others = others.iter().filter_map(|der| Certificate::read(der).ok()).collect();
        Ok(Self { leaf, others })
    }
}
