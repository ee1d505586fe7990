//! Content of a device's Secret: the current credential, and the previous one until the current one is proven. Pure.

use std::collections::BTreeMap;

use lanyard_crds::slot::InUse;
use lanyard_crds::status::CredentialsKind;
use lanyard_handoff::credentials as file;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_protocol::hub::key::SymmetricKey;
use zeroize::Zeroizing;

use crate::credential::certified::Certified;
use crate::kubernetes::secret::SecretData;

/// On a credentials Secret: which key of the group its key is derived from.
pub const ISSUER_ANNOTATION: &str = "lanyard.dev/issuer";
/// On a credentials Secret: the slot of a certificate that the operator renews by itself.
pub const SLOT_ANNOTATION: &str = "lanyard.dev/slot";

/// Credential of a device. `Debug` shows no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A key to sign tokens with.
    Key(SymmetricKey),
    /// A certificate with its private key.
    Certificate(Box<Certified>),
}

impl Credential {
    /// Returns the fingerprint of the key or the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Key(key) => Fingerprint::of_key(key),
            Self::Certificate(certified) => certified.fingerprint(),
        }
    }

    /// Returns the kind of the credential.
    #[must_use]
    pub const fn kind(&self) -> CredentialsKind {
        match self {
            Self::Key(_) => CredentialsKind::SharedAccessKey,
            Self::Certificate(_) => CredentialsKind::X509,
        }
    }

    /// Returns the certificate; `None` for a key.
    #[must_use]
    pub fn certified(&self) -> Option<&Certified> {
        match self {
            Self::Key(_) => None,
            Self::Certificate(certified) => Some(certified),
        }
    }
}

/// Content of a device's Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredCredentials {
    /// The credential; `None` when it is missing or damaged.
    pub current: Option<Credential>,
    /// The one before.
    pub previous: Option<Credential>,
    /// Issuer of the current one.
    pub issuer: Option<Fingerprint>,
    /// The slot of the current one.
    pub slot: Option<InUse>,
}

impl StoredCredentials {
    /// Reads the content of a Secret.
    #[must_use]
    pub fn read(data: &SecretData, annotations: &BTreeMap<String, String>) -> Self {
        let slot = match annotations.get(SLOT_ANNOTATION).map(String::as_str) {
            Some("Primary") => Some(InUse::Primary),
            Some("Secondary") => Some(InUse::Secondary),
            _ => None,
        };
        Self {
            current: credential(data, [file::SHARED_ACCESS_KEY, file::CERTIFICATE, file::PRIVATE_KEY]),
            previous: credential(
                data,
                [file::PREVIOUS_SHARED_ACCESS_KEY, file::PREVIOUS_CERTIFICATE, file::PREVIOUS_PRIVATE_KEY],
            ),
            issuer: annotations.get(ISSUER_ANNOTATION).cloned().map(Fingerprint::from),
            slot,
        }
    }
}

fn credential(data: &SecretData, [key, certificate, private_key]: [&str; 3]) -> Option<Credential> {
    if let Some(bytes) = data.bytes(key) {
        return SymmetricKey::read(bytes).ok().map(Credential::Key);
    }
    let certified = Certified::read(data.bytes(certificate)?, data.bytes(private_key)?).ok()?;
    Some(Credential::Certificate(Box::new(certified)))
}

impl From<Holding> for StoredCredentials {
    fn from(holding: Holding) -> Self {
        let Holding { current, previous, issuer, slot } = holding;
        Self { current: Some(current), previous, issuer, slot }
    }
}

/// Planned content of a device's Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The credential.
    pub current: Credential,
    /// The one before, until the current one is proven.
    pub previous: Option<Credential>,
    /// Issuer of the current one: a group's key or CA.
    pub issuer: Option<Fingerprint>,
    /// The slot of the current one, where the operator renews it by itself.
    pub slot: Option<InUse>,
}

impl Holding {
    /// Returns the keys of the Secret's data that the holding sets, with their values.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let mut files = parts(&self.current, [file::SHARED_ACCESS_KEY, file::CERTIFICATE, file::PRIVATE_KEY]);
        if let Some(previous) = &self.previous {
            files.extend(parts(
                previous,
                [file::PREVIOUS_SHARED_ACCESS_KEY, file::PREVIOUS_CERTIFICATE, file::PREVIOUS_PRIVATE_KEY],
            ));
        }
        files
    }

    /// Returns the annotations with the facts that the data does not contain.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let issuer = self.issuer.as_ref().map(|issuer| (ISSUER_ANNOTATION, issuer.to_string()));
        let slot = self.slot.map(|slot| (SLOT_ANNOTATION, slot.as_str().to_owned()));
        issuer.into_iter().chain(slot).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn parts(
    credential: &Credential,
    [key, certificate, private_key]: [&'static str; 3],
) -> Vec<(&'static str, Zeroizing<String>)> {
    match credential {
        Credential::Key(symmetric) => vec![(key, symmetric.to_base64())],
        Credential::Certificate(certified) => vec![
            (certificate, Zeroizing::new(certified.certificates())),
            (private_key, Zeroizing::new(certified.key().to_owned())),
        ],
    }
}
