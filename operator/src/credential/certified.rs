//! A certificate with its chain and its private key: what a device shows. Pure.

use jiff::Timestamp;
use lanyard_handoff::fingerprint::Fingerprint;
use zeroize::Zeroizing;

use super::certificate::{Certificate, CertificateError};
use super::pair::{Pair, PairError};
use super::pem;

/// Error of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertifiedError {
    /// The one is no certificate.
    #[error("{0}")]
    Certificate(#[source] CertificateError),
    /// The other is no key.
    #[error("{0}")]
    Key(#[source] PairError),
    /// Certificate and key do not belong together.
    #[error("the private key is not the certificate's")]
    Mismatch,
}

/// A certificate with its chain and its private key. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certified {
    leaf: Certificate,
    chain: Vec<Vec<u8>>,
    key: Zeroizing<String>,
    ends: End,
}

/// The certificate of a chain that ends first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Time of expiry.
    pub at: Timestamp,
    /// Its place in the chain, counted from 1; 1 is the device's own.
    pub position: usize,
    /// Its subject, for people.
    pub name: String,
}

impl End {
    /// Returns the earliest expiry of a certificate and its chain. A root at the end of the chain does not count: it
    /// may have expired, because servers have their own copy of it.
    fn of(leaf: &Certificate, chain: &[Vec<u8>]) -> Self {
        let above = chain.iter().enumerate().filter_map(|(index, der)| {
            let read = Certificate::read(der.clone(), index + 2).ok()?;
            let is_last = index + 1 == chain.len();
            (!(is_last && read.is_root())).then_some((index + 2, read))
        });
        let own = Self { at: leaf.not_after, position: 1, name: leaf.name.clone() };
        let ends = above.map(|(position, read)| Self { at: read.not_after, position, name: read.name });
        ends.fold(own, |first, end| if end.at < first.at { end } else { first })
    }
}

impl Certified {
    /// Creates a credential from a certificate, its chain and its private key.
    #[must_use]
    pub fn new(leaf: Certificate, chain: Vec<Vec<u8>>, pair: &Pair) -> Self {
        Self { ends: End::of(&leaf, &chain), leaf, chain, key: pair.text() }
    }

    /// Reads two texts: the certificate, followed by its chain; and the private key.
    ///
    /// # Errors
    /// [`CertifiedError`]: never a part of the key.
    pub fn read(certificates: &[u8], key: &[u8]) -> Result<Self, CertifiedError> {
        let mut read = Certificate::read_all(certificates).map_err(CertifiedError::Certificate)?;
        let pair = Pair::read(key).map_err(CertifiedError::Key)?;
        let leaf = read.remove(0);
        if leaf.public_key != pair.public_key() {
            return Err(CertifiedError::Mismatch);
        }
        Ok(Self::new(leaf, read.into_iter().map(|above| above.der().to_vec()).collect(), &pair))
    }

    /// Returns the device's own certificate.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// Returns the end of the certificate of the chain that expires first.
    #[must_use]
    pub fn ends(&self) -> &End {
        &self.ends
    }

    /// Returns the device's own certificate with the earliest expiry of its chain: a server refuses the whole chain
    /// then.
    #[must_use]
    pub fn leaf_within_chain(&self) -> Certificate {
        let mut leaf = self.leaf.clone();
        leaf.not_after = self.ends.at;
        leaf
    }

    /// Replaces the chain.
    #[must_use]
    pub fn with_chain(self, chain: Vec<Vec<u8>>) -> Self {
        Self { ends: End::of(&self.leaf, &chain), chain, ..self }
    }

    /// Returns the fingerprint of the device's own certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.leaf.fingerprint()
    }

    /// Returns the fingerprint of the CA that follows the certificate in the chain; `None` if the chain is empty.
    #[must_use]
    pub fn issuer(&self) -> Option<Fingerprint> {
        self.chain.first().map(|der| Fingerprint::of_certificate(der))
    }

    /// Returns the certificate and its chain as PEM text.
    #[must_use]
    pub fn certificates(&self) -> String {
        let chain = self.chain.iter().map(|der| pem::certificate_text(der));
        std::iter::once(pem::certificate_text(self.leaf.der())).chain(chain).collect()
    }

    /// Returns the private key as PEM text, in PKCS #8.
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
