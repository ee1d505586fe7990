//! What a client presented in the TLS handshake: its own certificate and those above it. Pure.

use rustls::pki_types::CertificateDer;

use super::certificate::{Certificate, CertificateError};

/// Why there is nothing to look at.
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
    /// The others, in whatever order. What cannot be read vouches for nobody and is left out.
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
