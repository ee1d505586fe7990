//! References of a group. Pure.

use kube::ResourceExt;
use lanyard_crds::ProvisioningGroup;
use lanyard_crds::buffer::Buffer;
use lanyard_crds::certificate::Issuer;
use lanyard_crds::refer::{KeyReference, TrustedCa};
use lanyard_crds::slot::InUse;

use super::index::Target;
use crate::group::possession;
use crate::kubernetes::key::Key;
use crate::kubernetes::reference::Referent;

/// Objects that a group refers to, for itself or for its devices.
#[derive(Debug, PartialEq, Eq)]
pub struct GroupReferences<'a> {
    /// Secret of the key.
    pub key: Option<&'a str>,
    /// Secrets of the CAs.
    pub issuers: Vec<IssuerReference<'a>>,
    /// Secret of the key or CA in use.
    pub in_use: Option<&'a str>,
    /// CA certificates of DPS and hub.
    pub trusted_ca: Option<&'a TrustedCa>,
    /// Claim of the devices' buffers that the operator did not create.
    pub existing_claim: Option<&'a str>,
    /// ConfigMap with the list of devices.
    pub import: Option<&'a KeyReference>,
    /// Secret for the list of devices with their credentials.
    pub export: Option<&'a str>,
}

/// References of one CA of a group.
#[derive(Debug, PartialEq, Eq)]
pub struct IssuerReference<'a> {
    /// Its slot.
    pub slot: InUse,
    /// Secret of its certificate and key.
    pub secret: &'a str,
    /// Secret for the answer to its verification code, if it has a code.
    pub answer: Option<String>,
}

impl<'a> GroupReferences<'a> {
    /// Returns the objects that a group refers to.
    #[must_use]
    pub fn of(group: &'a ProvisioningGroup) -> Self {
        let spec = &group.spec;
        let key = spec.attestation.symmetric_key.as_ref().map(|key| key.secret_ref.name.as_str());
        let x509 = spec.attestation.x509.as_ref();
        let in_use = x509.and_then(|x509| x509.issuer_in_use()).map(|issuer| issuer.secret_ref.name.as_str());
        let primary = x509.map(|x509| (InUse::Primary, &x509.issuer));
        let secondary = x509.and_then(|x509| Some((InUse::Secondary, x509.secondary_issuer.as_ref()?)));
        let issuer = |(slot, issuer): (InUse, &'a Issuer)| IssuerReference {
            slot,
            secret: &issuer.secret_ref.name,
            answer: possession::code(group, slot).map(|_| possession::secret_name(&group.name_any(), slot)),
        };
        Self {
            key,
            issuers: primary.into_iter().chain(secondary).map(issuer).collect(),
            in_use: key.or(in_use),
            trusted_ca: spec.dps.trusted_ca.as_ref(),
            existing_claim: spec.template.as_ref().and_then(|template| claim_of(template.buffer.as_ref()?)),
            import: spec.import.as_ref().map(|import| &import.config_map_ref),
            export: spec.export.as_ref().map(|export| export.secret_name.as_str()),
        }
    }

    /// Returns the Secrets with the group's key and CAs.
    pub fn secrets(&self) -> impl Iterator<Item = &'a str> {
        self.key.into_iter().chain(self.issuers.iter().map(|issuer| issuer.secret))
    }
}

/// Returns the claim that a buffer names.
pub(super) fn claim_of(buffer: &Buffer) -> Option<&str> {
    Some(buffer.storage.as_ref()?.existing_claim.as_ref()?.name.as_str())
}

/// Reference of a group in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupTarget {
    /// The Secret of its key or of a CA.
    Issuer,
    /// A Secret or ConfigMap with CA certificates.
    TrustedCa(Referent),
    /// The claim that its devices inherit.
    ExistingClaim,
    /// The ConfigMap with its list of devices.
    Import,
    /// The Secret that the operator makes for its list of devices.
    Export,
    /// A Secret that the operator makes for the answer to a verification code.
    Answer,
}

impl GroupTarget {
    /// Returns the references to a kind of object.
    #[must_use]
    pub const fn to(referent: Referent) -> &'static [Self] {
        match referent {
            Referent::Secret => {
                &[Self::Issuer, Self::TrustedCa(Referent::Secret), Self::Export, Self::Answer]
            }
            Referent::ConfigMap => &[Self::TrustedCa(Referent::ConfigMap), Self::Import],
        }
    }

    /// Returns whether the group's devices depend on the object too.
    #[must_use]
    pub const fn is_inherited(self) -> bool {
        matches!(self, Self::Issuer | Self::TrustedCa(_) | Self::ExistingClaim)
    }

    /// Returns whether the operator makes the object.
    #[must_use]
    pub const fn is_made(self) -> bool {
        matches!(self, Self::Export | Self::Answer)
    }
}

impl Target for GroupTarget {
    type Referrer = ProvisioningGroup;

    fn all(group: &ProvisioningGroup) -> Vec<(Self, Key)> {
        let references = GroupReferences::of(group);
        let secrets = references.secrets().map(|name| (Self::Issuer, name));
        // A reference that is forgotten here does not compile.
        let GroupReferences { key: _, issuers, in_use: _, trusted_ca, existing_claim, import, export } =
            &references;
        let answers = issuers.iter().filter_map(|issuer| Some((Self::Answer, issuer.answer.as_deref()?)));
        let trusted = trusted(*trusted_ca).map(|(referent, name)| (Self::TrustedCa(referent), name));
        let claim = existing_claim.map(|name| (Self::ExistingClaim, name));
        let import = import.map(|list| (Self::Import, list.name.as_str()));
        let export = export.map(|name| (Self::Export, name));
        let all = secrets.chain(answers).chain(trusted).chain(claim).chain(import).chain(export);
        let namespace = group.namespace().unwrap_or_default();
        all.map(|(target, name)| (target, Key::new(&namespace, name))).collect()
    }
}

/// Returns the Secret and the ConfigMap that CA certificates come from; a valid object names one of them.
pub(super) fn trusted(ca: Option<&TrustedCa>) -> impl Iterator<Item = (Referent, &str)> {
    let secret = ca.and_then(|ca| ca.secret_key_ref.as_ref()).map(|from| (Referent::Secret, from));
    let config_map = ca.and_then(|ca| ca.config_map_key_ref.as_ref()).map(|from| (Referent::ConfigMap, from));
    secret.into_iter().chain(config_map).map(|(referent, from)| (referent, from.name.as_str()))
}
