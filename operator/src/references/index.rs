//! Index from an object to the devices or groups that refer to it. Pure.
//!
//! A cluster with 10,000 devices has 10,000 Secrets. Without the index, each change of a Secret would read all devices.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use kube::ResourceExt;

use crate::kubernetes::key::Key;

/// Kind of a reference: of which objects, and to what.
pub trait Target: Copy + Eq + Hash {
    /// Object that refers to others.
    type Referrer: ResourceExt;

    /// Returns the references of an object.
    fn all(referrer: &Self::Referrer) -> Vec<(Self, Key)>;

    /// Returns the object that refers to another one by a usual name, and has no entry for it. It need not exist.
    fn usual_referrer(self, _object: &Key) -> Option<Key> {
        None
    }
}

/// Objects by what they refer to.
#[derive(Debug)]
pub struct ReferenceIndex<T>(HashMap<(T, Key), BTreeSet<Key>>);

impl<T> Default for ReferenceIndex<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Target> ReferenceIndex<T> {
    /// Replaces the references of an object; `before` must be as it was indexed.
    pub fn replace(&mut self, before: Option<&T::Referrer>, now: Option<&T::Referrer>) {
        before.into_iter().for_each(|referrer| self.remove(referrer));
        now.into_iter().for_each(|referrer| self.add(referrer));
    }

    fn add(&mut self, referrer: &T::Referrer) {
        for target in T::all(referrer) {
            self.0.entry(target).or_default().insert(Key::of(referrer));
        }
    }

    fn remove(&mut self, referrer: &T::Referrer) {
        for target in T::all(referrer) {
            if let Some(keys) = self.0.get_mut(&target) {
                keys.remove(&Key::of(referrer));
                if keys.is_empty() {
                    self.0.remove(&target);
                }
            }
        }
    }

    /// Returns the objects that refer to another one: first the one with the usual name, then all others in the order
    /// of their names.
    #[must_use]
    pub fn referring(&self, target: T, object: &Key) -> Vec<Key> {
        let keys = self.0.get(&(target, object.clone()));
        target.usual_referrer(object).into_iter().chain(keys.into_iter().flatten().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use lanyard_crds::{IoTDevice, ProvisioningGroup};

    use super::*;
    use crate::device::plan::name;
    use crate::kubernetes::reference::Referent;
    use crate::references::device::DeviceTarget;
    use crate::references::group::GroupTarget;

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
        let mut index = ReferenceIndex::<DeviceTarget>::default();
        index.add(&device);
        let referring = |index: &ReferenceIndex<DeviceTarget>, target: DeviceTarget, name: &str| {
            index.referring(target, &Key::new("n", name)) == [Key::new("n", "press")]
        };
        let found = [
            (DeviceTarget::Referent(Referent::Secret), "key"),
            (DeviceTarget::Referent(Referent::ConfigMap), "roots"),
            (DeviceTarget::Credentials, "press-credentials"),
            (DeviceTarget::OwnClaim, "press-agent-buffer"),
            (DeviceTarget::ExistingClaim, "disk"),
        ];
        for (target, name) in found {
            assert!(referring(&index, target, name), "{target:?} {name}");
            assert!(!index.referring(target, &Key::new("other", name)).contains(&Key::new("n", "press")));
        }
        index.remove(&device);
        assert!(index.0.is_empty());
        let long = "l".repeat(60);
        let unusual = super::tests::device(&long, "{credentials: {secretName: mine}}");
        index.add(&unusual);
        assert_eq!(
            index.referring(DeviceTarget::Credentials, &Key::new("n", "mine")),
            [Key::new("n", &long)]
        );
        assert_eq!(
            index.referring(DeviceTarget::OwnClaim, &Key::new("n", &name::claim(&long))),
            [Key::new("n", &long)]
        );
    }

    #[test]
    fn devices_of_a_group_are_listed_by_name() {
        let mut index = ReferenceIndex::<DeviceTarget>::default();
        for name in ["b", "a"] {
            index.add(&device(name, "{groupRef: {name: g}}"));
        }
        index.add(&device("c", "{groupRef: {name: other}}"));
        let names = index.referring(DeviceTarget::Group, &Key::new("n", "g"));
        assert_eq!(names, [Key::new("n", "a"), Key::new("n", "b")]);
    }

    #[test]
    fn index_finds_every_reference_of_a_group() {
        let group: ProvisioningGroup = serde_saphyr::from_str(
            "{apiVersion: lanyard.dev/v1alpha1, kind: ProvisioningGroup, metadata: {name: line, namespace: n}, spec: { \
                dps: {idScope: s, trustedCA: {configMapKeyRef: {name: roots, key: ca.crt}}}, \
                attestation: {x509: {issuer: {secretRef: {name: ca}, verificationCode: C}, \
                    secondaryIssuer: {secretRef: {name: next-ca}}}}, \
                template: {buffer: {storage: {existingClaim: {name: disk}}}}, \
                import: {configMapRef: {name: list, key: csv}}, export: {secretName: out}}}",
        )
        .unwrap();
        let mut index = ReferenceIndex::<GroupTarget>::default();
        index.add(&group);
        for (target, name) in [
            (GroupTarget::Issuer, "ca"),
            (GroupTarget::Issuer, "next-ca"),
            (GroupTarget::Answer, "line-verification"),
            (GroupTarget::TrustedCa(Referent::ConfigMap), "roots"),
            (GroupTarget::ExistingClaim, "disk"),
            (GroupTarget::Import, "list"),
            (GroupTarget::Export, "out"),
        ] {
            let found = index.referring(target, &Key::new("n", name));
            assert_eq!(found, [Key::new("n", "line")], "{target:?} {name}");
            assert!(index.referring(target, &Key::new("other", name)).is_empty(), "{target:?} {name}");
        }
        assert_eq!(index.0.len(), 7, "nothing else is a reference");
        index.remove(&group);
        assert!(index.0.is_empty());
    }
}
