//! Index from an object to the devices that refer to it. Pure.
//!
//! A cluster with 10,000 devices has 10,000 Secrets. Without the index, each change of a Secret would read all devices.

use std::collections::{BTreeSet, HashMap};

use kube::ResourceExt;
use lanyard_crds::IoTDevice;

use super::name;
use super::references::references;
use crate::kubernetes::key::Key;
use crate::kubernetes::reference::Referent;

/// Kind of an object in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
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

/// Devices by the objects they refer to.
#[derive(Debug, Default)]
pub struct ReferenceIndex(HashMap<(Target, Key), BTreeSet<Key>>);

impl ReferenceIndex {
    /// Adds a device.
    pub fn add(&mut self, device: &IoTDevice) {
        for target in targets(device) {
            self.0.entry(target).or_default().insert(Key::of(device));
        }
    }

    /// Removes a device; it must be as it was added.
    pub fn remove(&mut self, device: &IoTDevice) {
        for target in targets(device) {
            if let Some(keys) = self.0.get_mut(&target) {
                keys.remove(&Key::of(device));
                if keys.is_empty() {
                    self.0.remove(&target);
                }
            }
        }
    }

    /// Returns the devices that refer to an object, in the order of their names. A device whose Secret or claim would have
    /// that name by default is among them, and need not exist.
    #[must_use]
    pub fn devices(&self, target: Target, object: &Key) -> Vec<Key> {
        let keys = self.0.get(&(target, object.clone()));
        let usual = match target {
            Target::Credentials => name::device_of_credentials(&object.name),
            Target::OwnClaim => name::device_of_claim(&object.name),
            Target::Group | Target::Referent(_) | Target::ExistingClaim => None,
        };
        let usual = usual.map(|device| Key::new(&object.namespace, device));
        usual.into_iter().chain(keys.into_iter().flatten().cloned()).collect()
    }
}

fn targets(device: &IoTDevice) -> Vec<(Target, Key)> {
    let namespace = device.namespace().unwrap_or_default();
    let key = |name: &str| Key::new(&namespace, name);
    let own = references(device, None);
    let group = device.spec.group_ref.as_ref().map(|group| (Target::Group, key(&group.name)));
    let secrets = [own.key, own.trusted_ca.and_then(|ca| Some(ca.secret_key_ref.as_ref()?.name.as_str()))];
    let config_map = own.trusted_ca.and_then(|ca| Some(ca.config_map_key_ref.as_ref()?.name.as_str()));
    let secrets = secrets.into_iter().flatten().map(|name| (Target::Referent(Referent::Secret), key(name)));
    let config_map = config_map.map(|name| (Target::Referent(Referent::ConfigMap), key(name)));
    let (device_name, secret) = (device.name_any(), name::credentials(device));
    let claim = name::claim(&device_name);
    let made = [
        (Target::Credentials, name::device_of_credentials(&secret) != Some(&device_name), secret.as_str()),
        (Target::OwnClaim, name::device_of_claim(&claim) != Some(&device_name), claim.as_str()),
    ];
    let made =
        made.into_iter().filter(|(_, unusual, _)| *unusual).map(|(target, _, name)| (target, key(name)));
    let existing = own.existing_claim.map(|name| (Target::ExistingClaim, key(name)));
    group.into_iter().chain(secrets).chain(config_map).chain(made).chain(existing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, spec: &str) -> IoTDevice {
        let text = format!(
            "{{apiVersion: lanyard.dev/v1alpha1, kind: IoTDevice, metadata: {{name: {name}, namespace: n}}, spec: {spec}}}"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn index_finds_every_reference_of_a_device() {
        let device = device(
            "press",
            "{hub: {hostname: h, auth: {symmetricKey: {secretRef: {name: key}}}, \
                trustedCA: {configMapKeyRef: {name: roots, key: ca.crt}}}, \
                buffer: {storage: {existingClaim: {name: disk}}}}",
        );
        let mut index = ReferenceIndex::default();
        index.add(&device);
        let referring = |index: &ReferenceIndex, target: Target, name: &str| {
            index.devices(target, &Key::new("n", name)) == [Key::new("n", "press")]
        };
        let found = [
            (Target::Referent(Referent::Secret), "key"),
            (Target::Referent(Referent::ConfigMap), "roots"),
            (Target::Credentials, "press-credentials"),
            (Target::OwnClaim, "press-agent-buffer"),
            (Target::ExistingClaim, "disk"),
        ];
        for (target, name) in found {
            assert!(referring(&index, target, name), "{target:?} {name}");
            assert!(!index.devices(target, &Key::new("other", name)).contains(&Key::new("n", "press")));
        }
        index.remove(&device);
        assert!(index.0.is_empty());
        let long = "l".repeat(60);
        let unusual = super::tests::device(&long, "{credentials: {secretName: mine}}");
        index.add(&unusual);
        assert_eq!(index.devices(Target::Credentials, &Key::new("n", "mine")), [Key::new("n", &long)]);
        assert_eq!(
            index.devices(Target::OwnClaim, &Key::new("n", &name::claim(&long))),
            [Key::new("n", &long)]
        );
    }

    #[test]
    fn devices_of_a_group_are_listed_by_name() {
        let mut index = ReferenceIndex::default();
        for name in ["b", "a"] {
            index.add(&device(name, "{groupRef: {name: g}}"));
        }
        index.add(&device("c", "{groupRef: {name: other}}"));
        let names = index.devices(Target::Group, &Key::new("n", "g"));
        assert_eq!(names, [Key::new("n", "a"), Key::new("n", "b")]);
    }
}
