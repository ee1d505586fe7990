//! References of a device, and the origin of its credential: its group's key or CA, its own Secret, or the operator.
//! Pure.

use lanyard_crds::buffer::Buffer;
use lanyard_crds::certificate::Leaf;
use lanyard_crds::device::Auth;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::credential::external::DeviceNames;
use crate::credential::leaf::LeafRequest;
use crate::credential::pair::KeyKind;
use crate::credential::schedule;
use crate::fault::Fault;
use crate::kubernetes::reference::Referent;
use crate::reason::Reason;
use lanyard_crds::refer::TrustedCa;

/// Longest common name of a certificate (ref §9.1).
const MAX_COMMON_NAME: usize = 64;

/// Origin of a device's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A key derived from the key of its group.
    Group {
        /// Name of the group.
        group: String,
        /// Name of the group's Secret.
        secret: String,
        /// Name of the key in it.
        key: &'static str,
    },
    /// Its own key, from this Secret.
    Own {
        /// Name of the Secret.
        secret: String,
    },
    /// A certificate that its own key signs.
    SelfSigned(LeafRequest),
    /// A certificate that the group's CA signs.
    Issued {
        /// Name of the group.
        group: String,
        /// Name of the CA's Secret.
        secret: String,
        /// Certificate to issue.
        wanted: LeafRequest,
    },
    /// Certificate that another program maintains in this Secret.
    Kept {
        /// Name of the Secret.
        secret: String,
        /// Its common name.
        name: String,
        /// Comparison of names.
        letters: DeviceNames,
    },
}

impl Origin {
    /// Returns the certificate to issue, if the operator issues it.
    #[must_use]
    pub fn wanted(&self) -> Option<&LeafRequest> {
        match self {
            Self::SelfSigned(wanted) | Self::Issued { wanted, .. } => Some(wanted),
            Self::Group { .. } | Self::Own { .. } | Self::Kept { .. } => None,
        }
    }
}

/// The Secret that a device's credential comes from, its own or its group's; `None` where the operator needs none.
#[must_use]
pub fn secret<'a>(device: &'a IoTDevice, group: Option<&'a ProvisioningGroup>) -> Option<&'a str> {
    match (auth(device), group) {
        (Some(auth), _) => {
            let key = auth.symmetric_key.as_ref().map(|key| &key.secret_ref);
            key.or_else(|| auth.certificate.as_ref().map(|kept| &kept.secret_ref))
                .map(|secret| secret.name.as_str())
        }
        (None, Some(group)) => {
            let attestation = &group.spec.attestation;
            let key = attestation.symmetric_key.as_ref().map(|key| key.secret_ref.name.as_str());
            key.or_else(|| {
                attestation
                    .x509
                    .as_ref()
                    .and_then(|x509| x509.issuer_in_use())
                    .map(|issuer| issuer.secret_ref.name.as_str())
            })
        }
        (None, None) => None,
    }
}

/// The Secrets with a group's key and CAs.
pub fn secrets(group: &ProvisioningGroup) -> impl Iterator<Item = &str> {
    let attestation = &group.spec.attestation;
    let issuers =
        attestation.x509.iter().flat_map(|x509| std::iter::once(&x509.issuer).chain(&x509.secondary_issuer));
    let key = attestation.symmetric_key.iter().map(|key| &key.secret_ref);
    key.chain(issuers.map(|issuer| &issuer.secret_ref)).map(|secret| secret.name.as_str())
}

/// Returns the authentication of a device without a group.
#[must_use]
pub fn auth(device: &IoTDevice) -> Option<&Auth> {
    let spec = &device.spec;
    spec.hub.as_ref().map(|hub| &hub.auth).or_else(|| spec.dps.as_ref().map(|dps| &dps.auth))
}

/// Returns the origin for a device without a group. `name` is its id where it logs in; `field` is the path of its
/// `auth`.
///
/// # Errors
/// [`Fault`]: an error that a user must fix.
pub fn own(auth: &Auth, field: &str, name: &str, letters: DeviceNames) -> Result<Origin, Fault> {
    match (&auth.symmetric_key, &auth.self_signed, &auth.certificate) {
        (Some(key), None, None) => Ok(Origin::Own { secret: key.secret_ref.name.clone() }),
        (None, Some(leaf), None) => {
            Ok(Origin::SelfSigned(wanted(leaf, &format!("{field}.selfSigned"), name)?))
        }
        (None, None, Some(kept)) => {
            Ok(Origin::Kept { secret: kept.secret_ref.name.clone(), name: name.to_owned(), letters })
        }
        _ => Err(invalid(field, "set exactly one of symmetricKey, selfSigned and certificate")),
    }
}

/// Returns the origin for a device of a group.
///
/// # Errors
/// [`Fault`]: an error that a user must fix.
pub fn of_group(name: &str, group: &ProvisioningGroup, registration: &str) -> Result<Origin, Fault> {
    let attestation = &group.spec.attestation;
    let field = |field: &str| format!("{field} of ProvisioningGroup {name}");
    match (&attestation.symmetric_key, &attestation.x509) {
        (Some(key), None) => Ok(Origin::Group {
            group: name.to_owned(),
            secret: key.secret_ref.name.clone(),
            key: key.in_use.secret_key(),
        }),
        (None, Some(x509)) => {
            let issuer = x509.issuer_in_use();
            let issuer = issuer
                .ok_or_else(|| invalid(&field("attestation.x509"), "set secondaryIssuer, or use: Primary"))?;
            let leaf = x509.leaf.clone().unwrap_or_default();
            let wanted = wanted(&leaf, &field("attestation.x509.leaf"), registration)?;
            Ok(Origin::Issued { group: name.to_owned(), secret: issuer.secret_ref.name.clone(), wanted })
        }
        _ => Err(invalid(&field("attestation"), "set exactly one of symmetricKey and x509")),
    }
}

fn wanted(leaf: &Leaf, field: &str, name: &str) -> Result<LeafRequest, Fault> {
    if name.chars().count() > MAX_COMMON_NAME {
        let message = format!(
            "{name:?} is longer than the {MAX_COMMON_NAME} characters that a certificate's common name has: use a \
                key instead, or a shorter id"
        );
        return Err(invalid(field, message));
    }
    let (duration, renew_before) = schedule::lengths(leaf)
        .map_err(|wrong| invalid(&format!("{field}.{wrong}"), "use a length of time such as 8760h"))?;
    let key = KeyKind::wanted(leaf.private_key.as_ref());
    let key = key.ok_or_else(|| {
        invalid(&format!("{field}.privateKey.size"), "use 256 or 384 for ECDSA; 2048, 3072 or 4096 for RSA")
    })?;
    Ok(LeafRequest { common_name: name.to_owned(), duration, renew_before, key })
}

fn invalid(field: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
}

/// Returns the name of the claim that a device names, itself or through its group.
#[must_use]
pub fn existing_claim<'a>(device: &'a IoTDevice, group: Option<&'a ProvisioningGroup>) -> Option<&'a str> {
    match &device.spec.buffer {
        Some(buffer) => claim_of(buffer),
        None => claim_of_template(group?),
    }
}

/// Returns the name of the claim that a group's template names.
#[must_use]
pub fn claim_of_template(group: &ProvisioningGroup) -> Option<&str> {
    claim_of(group.spec.template.as_ref()?.buffer.as_ref()?)
}

fn claim_of(buffer: &Buffer) -> Option<&str> {
    Some(buffer.storage.as_ref()?.existing_claim.as_ref()?.name.as_str())
}

/// Objects that a device refers to, by itself or through its group.
#[derive(Debug, PartialEq, Eq)]
pub struct References<'a> {
    /// Secret of the credential, the group's key or the CA.
    pub key: Option<&'a str>,
    /// CA certificates.
    pub trusted_ca: Option<&'a TrustedCa>,
    /// Claim of the buffer that the operator did not create.
    pub existing_claim: Option<&'a str>,
}

/// Returns the objects that a device refers to. The same function decides what is read for a device, and which devices
/// a changed object triggers.
#[must_use]
pub fn references<'a>(device: &'a IoTDevice, group: Option<&'a ProvisioningGroup>) -> References<'a> {
    let spec = &device.spec;
    let own = spec.hub.as_ref().map(|hub| hub.trusted_ca.as_ref());
    let own = own.or_else(|| spec.dps.as_ref().map(|dps| dps.service.trusted_ca.as_ref()));
    let trusted_ca = own.unwrap_or_else(|| group.and_then(|group| group.spec.dps.trusted_ca.as_ref()));
    References { key: secret(device, group), trusted_ca, existing_claim: existing_claim(device, group) }
}

/// Returns whether a group refers to a Secret or ConfigMap for its devices.
#[must_use]
pub fn group_contains(group: &ProvisioningGroup, referent: Referent, name: &str) -> bool {
    (referent == Referent::Secret && secrets(group).any(|secret| secret == name))
        || ca_is(group.spec.dps.trusted_ca.as_ref(), referent, name)
}

fn ca_is(ca: Option<&TrustedCa>, referent: Referent, name: &str) -> bool {
    let reference = ca.and_then(|ca| match referent {
        Referent::Secret => ca.secret_key_ref.as_ref(),
        Referent::ConfigMap => ca.config_map_key_ref.as_ref(),
    });
    reference.is_some_and(|reference| reference.name == name)
}
