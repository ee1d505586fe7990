//! Origin of a device's credential: its group's key or CA, its own Secret, or the operator. Pure.

use lanyard_crds::ProvisioningGroup;
use lanyard_crds::certificate::Leaf;
use lanyard_crds::device::Auth;

use crate::credential::external::DeviceNames;
use crate::credential::leaf::LeafRequest;
use crate::credential::pair::KeyKind;
use crate::credential::schedule;
use crate::fault::Fault;
use crate::reason::Reason;

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
        request: LeafRequest,
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
    pub fn request(&self) -> Option<&LeafRequest> {
        match self {
            Self::SelfSigned(request) | Self::Issued { request, .. } => Some(request),
            Self::Group { .. } | Self::Own { .. } | Self::Kept { .. } => None,
        }
    }
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
            Ok(Origin::SelfSigned(leaf_request(leaf, &format!("{field}.selfSigned"), name)?))
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
            let request = leaf_request(&leaf, &field("attestation.x509.leaf"), registration)?;
            Ok(Origin::Issued { group: name.to_owned(), secret: issuer.secret_ref.name.clone(), request })
        }
        _ => Err(invalid(&field("attestation"), "set exactly one of symmetricKey and x509")),
    }
}

fn leaf_request(leaf: &Leaf, field: &str, name: &str) -> Result<LeafRequest, Fault> {
    if name.chars().count() > MAX_COMMON_NAME {
        let message = format!(
            "{name:?} is longer than the {MAX_COMMON_NAME} characters that a certificate's common name has: use a \
                key instead, or a shorter id"
        );
        return Err(invalid(field, message));
    }
    let (duration, renew_before) = schedule::lengths(leaf)
        .map_err(|wrong| invalid(&format!("{field}.{wrong}"), "use a length of time such as 8760h"))?;
    let key = KeyKind::requested(leaf.private_key.as_ref());
    let key = key.ok_or_else(|| {
        invalid(&format!("{field}.privateKey.size"), "use 256 or 384 for ECDSA; 2048, 3072 or 4096 for RSA")
    })?;
    Ok(LeafRequest { common_name: name.to_owned(), duration, renew_before, key })
}

fn invalid(field: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
}
