//! Namespace and name of an object, and of its owner. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use super::labels::DEVICE_LABEL;

/// Namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// Returns the key of a namespaced object.
    pub fn of(object: &impl ResourceExt) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }

    /// Creates a key from its parts.
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

/// Returns the key of an object from its metadata.
#[must_use]
pub fn key_of(meta: &ObjectMeta) -> Key {
    Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

/// Returns the device that an agent's pod or a claim belongs to, by its label.
#[must_use]
pub fn device_of(meta: &ObjectMeta) -> Option<Key> {
    let name = meta.labels.as_ref()?.get(DEVICE_LABEL)?;
    Some(Key::new(meta.namespace.as_deref().unwrap_or_default(), name))
}

/// Returns the device or group that controls an object.
pub fn owner(meta: &ObjectMeta, kind: &str) -> Option<Key> {
    let ours = |owner: &&OwnerReference| owner.api_version.split('/').next() == Some("lanyard.dev");
    let owner = controller(meta, kind).filter(ours)?;
    Some(Key::new(meta.namespace.as_deref().unwrap_or_default(), &owner.name))
}

/// Returns the controller of an object, if it is of this kind.
#[must_use]
pub fn controller<'a>(meta: &'a ObjectMeta, kind: &str) -> Option<&'a OwnerReference> {
    let owners = meta.owner_references.iter().flatten();
    owners.into_iter().find(|owner| owner.controller == Some(true) && owner.kind == kind)
}

/// Converts a key to the form in which stores and queues name objects.
#[must_use]
pub fn to_ref<K: Resource<DynamicType = ()>>(key: &Key) -> ObjectRef<K> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_is_the_controller_of_this_api_and_kind() {
        for (api_version, kind, controls, owned) in [
            ("lanyard.dev/v1alpha1", "IoTDevice", true, true),
            ("lanyard.dev/v2", "IoTDevice", true, true),
            ("lanyard.dev/v1alpha1", "IoTDevice", false, false),
            ("lanyard.dev/v1alpha1", "ProvisioningGroup", true, false),
            ("example.com/v1", "IoTDevice", true, false),
        ] {
            let owner = OwnerReference {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                name: "press".to_owned(),
                controller: Some(controls),
                ..OwnerReference::default()
            };
            let namespace = Some("n".to_owned());
            let meta = ObjectMeta { namespace, owner_references: Some(vec![owner]), ..ObjectMeta::default() };
            let expected = owned.then(|| Key::new("n", "press"));
            assert_eq!(super::owner(&meta, "IoTDevice"), expected, "{api_version} {kind} {controls}");
        }
        assert_eq!(Key::new("n", "press").to_string(), "n/press");
    }
}
