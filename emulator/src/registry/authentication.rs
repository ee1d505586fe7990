//! Authentication of a device at its hub (ref §11.1): by keys, by thumbprint, or by CA. Pure.

use lanyard_protocol::hub::key::SymmetricKey;

use crate::x509::certificate::Certificate;
use crate::x509::thumbprint::{Thumbprint, Thumbprints};

/// Both keys are valid at all times (ref §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The first.
    pub primary: SymmetricKey,
    /// The second, when there is one.
    pub secondary: Option<SymmetricKey>,
}

impl Keys {
    /// Returns the primary key, then the secondary one if there is one.
    pub fn iter(&self) -> impl Iterator<Item = &SymmetricKey> {
        std::iter::once(&self.primary).chain(self.secondary.as_ref())
    }

    /// Derives the keys of the device that registers as `registration_id` from these keys of its group (ref §3.1).
    #[must_use]
    pub fn derive(&self, registration_id: &str) -> Self {
        Self {
            primary: self.primary.derive(registration_id),
            secondary: self.secondary.as_ref().map(|key| key.derive(registration_id)),
        }
    }
}

/// `authentication.type` and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// By a token, signed with either key.
    Sas(Keys),
    /// A certificate with one of two thumbprints; it needs no CA.
    SelfSigned(Thumbprints),
    /// By a certificate for the device's id that a verified CA vouches for.
    CertificateAuthority,
}

impl Authentication {
    /// Returns the authentication by a certificate with this thumbprint.
    #[must_use]
    pub const fn by_thumbprint(thumbprint: Thumbprint) -> Self {
        Self::SelfSigned(Thumbprints { primary: Some(thumbprint), secondary: None })
    }

    /// Returns the authentication of a device that attested with this certificate.
    #[must_use]
    pub fn by_certificate(certificate: &Certificate) -> Self {
        Self::by_thumbprint(Thumbprint::sha256(certificate.der()))
    }

    /// Returns the type, as Azure's REST API writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sas(_) => "sas",
            Self::SelfSigned(_) => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
        }
    }
}
