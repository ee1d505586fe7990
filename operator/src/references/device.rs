//! References of a device, of its own and through its group. Pure.

use kube::ResourceExt;
use lanyard_crds::device::Auth;
use lanyard_crds::refer::TrustedCa;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::group::{GroupReferences, claim_of, trusted};
use super::index::Target;
use crate::device::plan::name;
use crate::kubernetes::key::Key;
use crate::kubernetes::reference::Referent;

/// Objects that a device refers to, by itself or through its group.
#[derive(Debug, PartialEq, Eq)]
pub struct DeviceReferences<'a> {
    /// Secret of the credential, the group's key or the CA; `None` where the operator needs none.
    pub key: Option<&'a str>,
    /// CA certificates.
    pub trusted_ca: Option<&'a TrustedCa>,
    /// Claim of the buffer that the operator did not create.
    pub existing_claim: Option<&'a str>,
}

impl<'a> DeviceReferences<'a> {
    /// Returns the objects that a device refers to.
    #[must_use]
    pub fn of(device: &'a IoTDevice, group: Option<&'a ProvisioningGroup>) -> Self {
        let spec = &device.spec;
        let group = group.map(GroupReferences::of);
        let own = spec.hub.as_ref().map(|hub| (&hub.auth, hub.trusted_ca.as_ref()));
        let own = own.or_else(|| spec.dps.as_ref().map(|dps| (&dps.auth, dps.service.trusted_ca.as_ref())));
        let inherited = group.as_ref();
        let (key, trusted_ca) = match own {
            Some((auth, trusted_ca)) => (secret(auth), trusted_ca),
            None => (inherited.and_then(|group| group.in_use), inherited.and_then(|group| group.trusted_ca)),
        };
        let existing_claim = match &spec.buffer {
            Some(buffer) => claim_of(buffer),
            None => inherited.and_then(|group| group.existing_claim),
        };
        Self { key, trusted_ca, existing_claim }
    }
}

fn secret(auth: &Auth) -> Option<&str> {
    let key = auth.symmetric_key.as_ref().map(|key| &key.secret_ref);
    let secret = key.or_else(|| auth.certificate.as_ref().map(|certificate| &certificate.secret_ref));
    secret.map(|secret| secret.name.as_str())
}

/// Reference of a device in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceTarget {
    /// The device's group.
    Group,
    /// A Secret or ConfigMap that the device reads without its group.
    Referent(Referent),
    /// The Secret for the device's credentials, where it does not have the usual name.
    Credentials,
    /// The claim that the operator makes for the device's buffer, where it does not have the usual name.
    OwnClaim,
    /// The claim that the device names for its buffer, without its group.
    ExistingClaim,
}

impl Target for DeviceTarget {
    type Referrer = IoTDevice;

    fn all(device: &IoTDevice) -> Vec<(Self, Key)> {
        let DeviceReferences { key, trusted_ca, existing_claim } = DeviceReferences::of(device, None);
        let group = device.spec.group_ref.as_ref().map(|group| (Self::Group, group.name.as_str()));
        let key = key.map(|name| (Self::Referent(Referent::Secret), name));
        let trusted = trusted(trusted_ca).map(|(referent, name)| (Self::Referent(referent), name));
        let (own, secret) = (device.name_any(), name::credentials(device));
        let claim = name::claim(&own);
        let made = [
            (Self::Credentials, name::device_of_credentials(&secret) != Some(&own), secret.as_str()),
            (Self::OwnClaim, name::device_of_claim(&claim) != Some(&own), claim.as_str()),
        ];
        let made =
            made.into_iter().filter(|(_, unusual, _)| *unusual).map(|(target, _, name)| (target, name));
        let existing = existing_claim.map(|name| (Self::ExistingClaim, name));
        let all = group.into_iter().chain(key).chain(trusted).chain(made).chain(existing);
        let namespace = device.namespace().unwrap_or_default();
        all.map(|(target, name)| (target, Key::new(&namespace, name))).collect()
    }

    fn usual_referrer(self, object: &Key) -> Option<Key> {
        let device = match self {
            Self::Credentials => name::device_of_credentials(&object.name),
            Self::OwnClaim => name::device_of_claim(&object.name),
            Self::Group | Self::Referent(_) | Self::ExistingClaim => None,
        };
        device.map(|device| Key::new(&object.namespace, device))
    }
}
