//! Attestation of devices at DPS, by key or by certificate (ref §9.1, §11.5). Pure.

use std::collections::BTreeMap;

use super::authentication::Keys;
use crate::x509::certificate::Certificate;

/// Two of a kind; either counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots<T> {
    /// The first.
    pub primary: T,
    /// The second, when there is one.
    pub secondary: Option<T>,
}

impl<T> Slots<T> {
    /// Returns the primary, then the secondary if there is one.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.primary).chain(self.secondary.as_ref())
    }
}

/// Attestation of devices at DPS (ref §9.1, §11.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// By keys: the enrollment's own, or those from which the devices of a group derive theirs.
    SymmetricKey(Keys),
    /// An individual, by its own certificates.
    ClientCertificates(Slots<Certificate>),
    /// A group, by CAs that are enrolled with it.
    SigningCertificates(Slots<Certificate>),
    /// A group, by the names of uploaded CAs.
    CaReferences(Slots<String>),
}

impl Attestation {
    /// Returns the type, as Azure's REST API writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if matches!(self, Self::SymmetricKey(_)) { "symmetricKey" } else { "x509" }
    }

    /// Returns the enrolled certificates; a name gives the certificate that is uploaded under it now.
    #[must_use]
    pub fn certificates<'a>(&'a self, uploads: &BTreeMap<String, &'a Certificate>) -> Vec<&'a Certificate> {
        match self {
            Self::SymmetricKey(_) => Vec::new(),
            Self::ClientCertificates(slots) | Self::SigningCertificates(slots) => slots.iter().collect(),
            Self::CaReferences(names) => names.iter().filter_map(|name| uploads.get(name).copied()).collect(),
        }
    }
}
