//! Who claims which identity: at a hub, or at a Device Provisioning Service. Pure.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use kube::ResourceExt;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Of any namespaced object.
    pub fn of(object: &impl ResourceExt) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }

    /// From its parts.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Who a device is for Azure. Two objects with one identity would throw each other out for ever.
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

/// Who this device is; `None` while its group is missing.
#[must_use]
pub fn identity(device: &IoTDevice, group: Option<&ProvisioningGroup>) -> Option<Identity> {
    let device_id = device.device_id();
    match (&device.spec.hub, &device.spec.dps, group) {
        (Some(hub), _, _) => {
            let host = hub.hostname.split(':').next().unwrap_or_default().to_ascii_lowercase();
            Some(Identity::Hub { host, device_id: device_id.to_owned() })
        }
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

/// The name of a device's enrollment, if that is not its id.
fn registered(device: &IoTDevice) -> &str {
    let own = device.spec.dps.as_ref().and_then(|individual| individual.registration_id.as_deref());
    own.unwrap_or_else(|| device.device_id())
}

/// The older of two claimants wins; of two as old as each other the one whose name comes first.
#[must_use]
pub fn seniority(device: &IoTDevice) -> (Timestamp, Key) {
    let created = device.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    (created, Key::of(device))
}

/// Devices by id, so that a claim is compared with its like only and not with thousands of others.
#[derive(Debug, Default)]
pub struct Claims(HashMap<String, BTreeSet<Key>>);

impl Claims {
    /// A device is there.
    pub fn add(&mut self, device: &IoTDevice) {
        self.0.entry(registered(device).to_ascii_lowercase()).or_default().insert(Key::of(device));
    }

    /// A device is gone.
    pub fn remove(&mut self, device: &IoTDevice) {
        let id = registered(device).to_ascii_lowercase();
        if let Some(keys) = self.0.get_mut(&id) {
            keys.remove(&Key::of(device));
            if keys.is_empty() {
                self.0.remove(&id);
            }
        }
    }

    /// The other devices of that id, whatever its case.
    #[must_use]
    pub fn others(&self, device: &IoTDevice) -> Vec<Key> {
        let own = Key::of(device);
        let keys = self.0.get(&registered(device).to_ascii_lowercase());
        keys.into_iter().flatten().filter(|key| **key != own).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
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
        let mut claims = Claims::default();
        let mut member = device("{deviceId: d, groupRef: {name: g}}");
        member.metadata.name = Some("member".to_owned());
        claims.add(&member);
        assert_eq!(claims.others(&enrolled("x", "0ne1", "D").1), [Key::new("n", "member")]);
    }

    #[test]
    fn claims_forget_who_is_gone() {
        let mut claims = Claims::default();
        let (one, mut two) = (device("{deviceId: D}"), device("{deviceId: d}"));
        two.metadata.name = Some("b".to_owned());
        claims.add(&one);
        claims.add(&two);
        assert_eq!(claims.others(&one), [Key::new("n", "b")]);
        claims.remove(&two);
        assert!(claims.others(&one).is_empty());
    }
}
