//! Index of identities: at a hub, or at a Device Provisioning Service. Pure.

use crate::kubernetes::key::Key;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

/// Identity of a device at Azure. A hub closes the connection of one of two objects with the same identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// At a hub, whose name is compared without case; device ids are case-sensitive.
    Hub {
        /// The hub's name in lower case, without port.
        host: String,
        /// As it is.
        device_id: String,
    },
    /// At a Device Provisioning Service, which compares registration ids without case.
    Registration {
        /// As it is.
        id_scope: String,
        /// In lower case.
        registration_id: String,
    },
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hub { host, device_id } => write!(f, "hub:{host}/{device_id}"),
            Self::Registration { id_scope, registration_id } => write!(f, "dps:{id_scope}/{registration_id}"),
        }
    }
}

impl Identity {
    /// Creates the identity of a device at a hub. The hub's name may have a port, which is left out.
    #[must_use]
    pub fn at_hub(hostname: &str, device_id: &str) -> Self {
        let host = hostname.split(':').next().unwrap_or_default().to_ascii_lowercase();
        Self::Hub { host, device_id: device_id.to_owned() }
    }
}

/// Returns every identity of a device: its own, and where DPS assigned a hub, the one at that hub. Empty while its
/// group is missing.
#[must_use]
pub fn identities(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> Vec<Identity> {
    let own = identity(device, group);
    let hub = device.status.as_ref().and_then(|status| status.assigned_hub.as_deref());
    let assigned = hub.filter(|_| matches!(own, Some(Identity::Registration { .. })));
    let assigned = assigned.map(|hub| Identity::at_hub(hub, device.device_id()));
    own.into_iter().chain(assigned).collect()
}

/// Returns the time since which the object itself has proven one of these identities, according to its status.
#[must_use]
pub fn proven_since(device: &IoTDevice, contested: &[Identity]) -> Option<Timestamp> {
    let claim = device.status.as_ref()?.claim.as_ref()?;
    let own = Some(claim.uid.as_str()) == device.metadata.uid.as_deref();
    let same = contested.iter().any(|identity| claim.identities.contains(&identity.to_string()));
    (own && same).then_some(claim.since.0)
}

/// Returns the identity of a device; `None` if its group does not exist.
#[must_use]
pub fn identity(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> Option<Identity> {
    let device_id = device.device_id();
    match (&device.spec.hub, &device.spec.dps, group) {
        (Some(hub), _, _) => Some(Identity::at_hub(&hub.hostname, device_id)),
        (None, Some(individual), _) => {
            let id_scope = individual.service.id_scope.clone();
            Some(Identity::Registration {
                id_scope,
                registration_id: registered(device).to_ascii_lowercase(),
            })
        }
        (None, None, Some(group)) => {
            let id_scope = group.spec.dps.id_scope.clone();
            Some(Identity::Registration { id_scope, registration_id: device_id.to_ascii_lowercase() })
        }
        (None, None, None) => None,
    }
}

/// Returns the registration id of a device's enrollment, or its device id if there is none.
fn registered(device: &IoTDevice) -> &str {
    let own = device.spec.dps.as_ref().and_then(|individual| individual.registration_id.as_deref());
    own.unwrap_or_else(|| device.device_id())
}

/// A device that was deleted, while its agent may still be connected.
#[derive(Debug)]
struct DeletedDevice {
    key: Key,
    identities: Vec<Identity>,
    at: Instant,
}

/// The time for which a deleted device is remembered: longer than its agent takes to end.
const REMEMBERED: Duration = Duration::from_secs(180);

/// Devices by id, so that a claim is compared with its like only and not with thousands of others.
#[derive(Debug, Default)]
pub struct IdentityIndex {
    /// Nearly every id has one device; a set would take half a kilobyte for it.
    by_id: HashMap<String, Vec<Key>>,
    gone: Vec<DeletedDevice>,
}

/// Returns the ids by which a device is found, in lower case: at hubs and at DPS.
fn ids(device: &IoTDevice) -> BTreeSet<String> {
    [registered(device), device.device_id()].into_iter().map(str::to_ascii_lowercase).collect()
}

impl IdentityIndex {
    /// Adds a device under each of its ids.
    pub fn add(&mut self, device: &IoTDevice) {
        for id in ids(device) {
            self.by_id.entry(id).or_default().push(Key::of(device));
        }
    }

    /// Removes a device from each of its ids.
    pub fn remove(&mut self, device: &IoTDevice) {
        for id in ids(device) {
            if let Some(keys) = self.by_id.get_mut(&id) {
                keys.retain(|key| *key != Key::of(device));
                if keys.is_empty() {
                    self.by_id.remove(&id);
                }
            }
        }
    }

    /// Returns the other devices with an id of this one, whatever its case.
    #[must_use]
    pub fn others(&self, device: &IoTDevice) -> Vec<Key> {
        let own = Key::of(device);
        let keys = ids(device).into_iter().filter_map(|id| self.by_id.get(&id)).flatten();
        let others: BTreeSet<&Key> = keys.filter(|key| **key != own).collect();
        others.into_iter().cloned().collect()
    }

    /// Records a deleted device: its agent may be connected a while longer.
    pub fn deleted(&mut self, key: Key, identities: Vec<Identity>, now: Instant) {
        self.gone.retain(|gone| now.duration_since(gone.at) < REMEMBERED);
        self.gone.push(DeletedDevice { key, identities, at: now });
    }

    /// Returns the devices of other names that had one of these identities and were deleted a moment ago.
    #[must_use]
    pub fn former(&self, own: &Key, identities: &[Identity], now: Instant) -> Vec<Key> {
        let recent = self.gone.iter().filter(|gone| now.duration_since(gone.at) < REMEMBERED);
        let same = recent.filter(|gone| gone.identities.iter().any(|identity| identities.contains(identity)));
        same.filter(|gone| gone.key != *own).map(|gone| gone.key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use lanyard_crds::status::{ClaimStatus, IoTDeviceStatus};

    use super::*;

    fn device(yaml: &str) -> IoTDevice {
        let head =
            "{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {name: a, namespace: n}, spec: ";
        serde_saphyr::from_str(&format!("{head}{yaml}}}")).unwrap()
    }

    #[test]
    fn hubs_compare_ids_with_case_and_dps_without() {
        let at_hub = |id: &str, host: &str| {
            let auth = "auth: {symmetricKey: {secretRef: {name: s}}}";
            identity(&device(&format!("{{deviceId: {id}, hub: {{hostname: '{host}', {auth}}}}}")), None)
                .unwrap()
        };
        assert_eq!(at_hub("D", "Hub.x:8883"), at_hub("D", "hub.X"));
        assert_ne!(at_hub("D", "hub.x"), at_hub("d", "hub.x"));
        let mut group = ProvisioningGroup::default();
        group.spec.dps.id_scope = "0ne1".to_owned();
        let in_group =
            |id: &str| identity(&device(&format!("{{deviceId: {id}, groupRef: {{name: g}}}}")), Some(&group));
        assert_eq!(in_group("D"), in_group("d"));
        assert_eq!(identity(&device("{groupRef: {name: g}}"), None), None);
        // An enrollment of its own has a name of its own, among those of the same service.
        let enrolled = |id: &str, scope: &str, name: &str| {
            let auth = "auth: {selfSigned: {}}";
            let device = device(&format!(
                "{{deviceId: {id}, dps: {{idScope: {scope}, registrationId: {name}, {auth}}}}}"
            ));
            (identity(&device, None).unwrap(), device)
        };
        assert_eq!(Some(enrolled("x", "0ne1", "D").0), in_group("d"));
        assert_ne!(enrolled("x", "0ne2", "D").0, enrolled("x", "0ne1", "D").0);
        let mut claims = IdentityIndex::default();
        let mut member = device("{deviceId: d, groupRef: {name: g}}");
        member.metadata.name = Some("member".to_owned());
        claims.add(&member);
        assert_eq!(claims.others(&enrolled("x", "0ne1", "D").1), [Key::new("n", "member")]);
    }

    #[test]
    fn claims_forget_deleted_devices() {
        let mut claims = IdentityIndex::default();
        let (one, mut two) = (device("{deviceId: D}"), device("{deviceId: d}"));
        two.metadata.name = Some("b".to_owned());
        claims.add(&one);
        claims.add(&two);
        assert_eq!(claims.others(&one), [Key::new("n", "b")]);
        claims.remove(&two);
        assert!(claims.others(&one).is_empty());
    }

    #[test]
    fn m6_the_assigned_hub_counts_as_an_identity() {
        let mut member = device("{deviceId: d, groupRef: {name: g}}");
        let mut group = ProvisioningGroup::default();
        group.spec.dps.id_scope = "0ne1".to_owned();
        assert_eq!(identities(&member, Some(&group)).len(), 1);
        let assigned = Some("Contoso.example:8883".to_owned());
        member.status = Some(IoTDeviceStatus { assigned_hub: assigned, ..IoTDeviceStatus::default() });
        let direct = device("{deviceId: d, hub: {hostname: contoso.example, auth: {selfSigned: {}}}}");
        assert_eq!(identities(&member, Some(&group))[1..], identities(&direct, None));
    }

    #[test]
    fn h1_a_claim_counts_for_its_object_and_identity_only() {
        let mut member = device("{deviceId: d, hub: {hostname: contoso.example, auth: {selfSigned: {}}}}");
        let own = identities(&member, None);
        member.metadata.uid = Some("u".to_owned());
        let claimed = |identity: &str, uid: &str| {
            let since = Time(Timestamp::UNIX_EPOCH);
            let claim = ClaimStatus { identities: vec![identity.to_owned()], since, uid: uid.to_owned() };
            let status = IoTDeviceStatus { claim: Some(claim), ..IoTDeviceStatus::default() };
            proven_since(&IoTDevice { status: Some(status), ..member.clone() }, &own).is_some()
        };
        assert!(claimed("hub:contoso.example/d", "u"));
        assert!(!claimed("hub:contoso.example/d", "of a backup"), "another object proved it");
        assert!(!claimed("hub:other.example/d", "u"), "it was another identity");
    }

    #[test]
    fn a_deleted_device_is_remembered_while_its_agent_ends() {
        let (mut claims, start) = (IdentityIndex::default(), Instant::now());
        let identity = vec![Identity::at_hub("h", "d")];
        claims.deleted(Key::new("n", "a"), identity.clone(), start);
        let former = |name: &str, after: u64| {
            claims.former(&Key::new("n", name), &identity, start + Duration::from_secs(after)).len()
        };
        assert_eq!([former("b", 1), former("a", 1), former("b", 179), former("b", 180)], [1, 0, 1, 0]);
        for (after, remembered) in [(179, 2), (180, 2)] {
            claims.deleted(Key::new("n", "c"), Vec::new(), start + Duration::from_secs(after));
            assert_eq!(claims.gone.len(), remembered, "the first one is forgotten after {after} s");
        }
    }
}
