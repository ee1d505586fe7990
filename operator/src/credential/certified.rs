//! A certificate with its chain and its private key: what a device shows. Pure.

use lanyard_protocol::handoff::fingerprint::Fingerprint;
use zeroize::Zeroizing;

use super::certificate::{Certificate, CertificateError};
use super::pair::{Pair, PairError};
use super::pem;

/// Why two texts are no certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertifiedError {
    /// The one is no certificate.
    #[error("{0}")]
    Certificate(#[source] CertificateError),
    /// The other is no key.
    #[error("{0}")]
    Key(#[source] PairError),
    /// They do not belong together.
    #[error("the private key is not the certificate's")]
    Mismatch,
}

/// A certificate with its chain and its private key. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certified {
    leaf: Certificate,
    chain: Vec<Vec<u8>>,
    key: Zeroizing<String>,
}

impl Certified {
    /// From its parts.
    #[must_use]
    pub fn new(leaf: Certificate, chain: Vec<Vec<u8>>, pair: &Pair) -> Self {
        Self { leaf, chain, key: pair.text() }
    }

    /// From texts: the certificate first, then its chain; and the private key.
    ///
    /// # Errors
    /// [`CertifiedError`]: never a part of the key.
    pub fn read(certificates: &str, key: &str) -> Result<Self, CertifiedError> {
        let mut read = Certificate::read_all(certificates).map_err(CertifiedError::Certificate)?;
        let pair = Pair::read(key).map_err(CertifiedError::Key)?;
        let leaf = read.remove(0);
        if leaf.public_key != pair.public_key() {
            return Err(CertifiedError::Mismatch);
        }
        Ok(Self::new(leaf, read.into_iter().map(|above| above.der().to_vec()).collect(), &pair))
    }

    /// The device's own certificate.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The same with another chain.
    #[must_use]
    pub fn with_chain(self, chain: Vec<Vec<u8>>) -> Self {
        Self { chain, ..self }
    }

    /// The certificate's name among credentials.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.leaf.fingerprint()
    }

    /// The CA that follows it in the chain.
    #[must_use]
    pub fn issuer(&self) -> Option<Fingerprint> {
        self.chain.first().map(|der| Fingerprint::of_certificate(der))
    }

    /// The certificate and its chain as text.
    #[must_use]
    pub fn certificates(&self) -> String {
        let chain = self.chain.iter().map(|der| pem::certificate_text(der));
        std::iter::once(pem::certificate_text(self.leaf.der())).chain(chain).collect()
    }

    /// The private key as text, PKCS #8.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl std::fmt::Debug for Certified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certified")
            .field("leaf", &self.leaf)
            .field("above", &self.chain.len())
            .finish_non_exhaustive()
    }
}
