//! Check of a device's certificate at its hub (ref §9.5): by thumbprint, or by CA. Pure.

use jiff::Timestamp;

use crate::x509::authorities::Authorities;
use crate::x509::chain::{self, Ancestor, ChainError, ancestry};
use crate::x509::presented::Presented;
use crate::x509::thumbprint::{Thumbprint, Thumbprints};

/// Reason for refusing a certificate at a hub.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CertificateRefusal {
    /// Ref §9.5, in these words.
    #[error(
        "Thumbprint does not match configuration: Thumbprint: SHA1Hash={sha1}, SHA2Hash={sha2}; Configuration: \
            PrimaryThumbprint={primary}, SecondaryThumbprint={secondary}"
    )]
    Thumbprint {
        /// Presented.
        sha1: String,
        /// Presented.
        sha2: String,
        /// Registered.
        primary: String,
        /// Registered.
        secondary: String,
    },
    /// Ref §9.5: CN is the device id.
    #[error("the certificate's common name is {found:?}, not {device:?}")]
    CommonName {
        /// In the certificate.
        found: String,
        /// Id of the connecting device.
        device: String,
    },
    /// The way up leads to an uploaded CA whose owner never proved to have its key (ref §9.2).
    #[error("the CA {0:?} is uploaded but not verified")]
    Unverified(String),
    /// The chain does not lead to a known CA.
    #[error("no verified CA vouches for the certificate: {0}")]
    Chain(ChainError),
    /// The chain ends at a root that was not uploaded.
    #[error("no verified CA vouches for the certificate: its root {0:?} was never uploaded")]
    UnknownRoot(String),
}

/// Checks that the hash of the leaf is one of the two, and that the leaf has not expired; its chain and its common name
/// make no difference (ref §9.5).
///
/// # Errors
/// [`CertificateRefusal`].
pub fn check_thumbprint(
    thumbprints: &Thumbprints,
    presented: &Presented,
    now: Timestamp,
) -> Result<(), CertificateRefusal> {
    let der = presented.leaf.der();
    if !thumbprints.accept(der) {
        let text = |slot: &Option<Thumbprint>| slot.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(CertificateRefusal::Thumbprint {
            sha1: Thumbprint::sha1(der).to_string(),
            sha2: Thumbprint::sha256(der).to_string(),
            primary: text(&thumbprints.primary),
            secondary: text(&thumbprints.secondary),
        });
    }
    chain::check_dates(&presented.leaf, now).map_err(CertificateRefusal::Chain)
}

/// Checks that the leaf is for the device, and that a CA above it is verified (ref §9.5).
///
/// # Errors
/// [`CertificateRefusal`].
pub fn check_authority(
    device_id: &str,
    presented: &Presented,
    authorities: &Authorities,
    now: Timestamp,
) -> Result<(), CertificateRefusal> {
    let leaf = &presented.leaf;
    if leaf.common_name.as_deref() != Some(device_id) {
        let found = leaf.common_name.clone().unwrap_or_default();
        return Err(CertificateRefusal::CommonName { found, device: device_id.to_owned() });
    }
    chain::check_leaf(leaf, now).map_err(CertificateRefusal::Chain)?;
    let all = authorities.all();
    let known: Vec<_> = all.values().map(|authority| &authority.certificate).collect();
    let start = Ancestor { certificate: leaf, height: 0 };
    let above = ancestry(start, &presented.others, &known, now);
    let uploads = || {
        above
            .found
            .iter()
            .flat_map(|found| all.values().filter(|authority| authority.certificate == *found.certificate))
    };
    if uploads().any(|authority| authority.verified) {
        return Ok(());
    }
    if let Some(unverified) = uploads().next() {
        return Err(CertificateRefusal::Unverified(unverified.certificate.subject.to_string()));
    }
    Err(match above.ends.into_iter().next() {
        Some(end) => CertificateRefusal::Chain(end),
        None => {
            let top = above.found.last().map_or(leaf, |found| found.certificate);
            CertificateRefusal::UnknownRoot(top.subject.to_string())
        }
    })
}
