//! What the operator sees: mirrors of all it needs to know, and questions about them. Reads memory only.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::claims::{Claims, Key};
use super::mirror::Filled;
use crate::device::claim::{ClaimSeen, SHARED_LABEL, SHARED_VALUE};
use crate::device::origin;

/// On what the operator makes: the device it belongs to.
pub const DEVICE_LABEL: &str = "lanyard.dev/device";
/// On a pod: the revision of its `StatefulSet` that it was made from. Set by Kubernetes.
pub const REVISION_LABEL: &str = "controller-revision-hash";

/// Mirrors of all that the operator needs to know.
pub struct View {
    /// Every device.
    pub devices: Store<IoTDevice>,
    /// Every group.
    pub groups: Store<ProvisioningGroup>,
    /// The agents' StatefulSets, without their specs.
    pub workloads: Store<StatefulSet>,
    /// The agents' pods, without their specs.
    pub pods: Store<Pod>,
    /// Names and versions of all claims.
    pub volume_claims: Store<PartialObjectMeta<PersistentVolumeClaim>>,
    /// Names and versions of all Secrets.
    pub secrets: Store<PartialObjectMeta<Secret>>,
    /// Names and versions of all ConfigMaps.
    pub config_maps: Store<PartialObjectMeta<ConfigMap>>,
    /// Who claims which device id.
    pub claims: Mutex<Claims>,
    /// Which kinds have been listed.
    pub filled: Vec<(&'static str, Filled)>,
}

impl View {
    /// The device of this name.
    #[must_use]
    pub fn device(&self, key: &Key) -> Option<Arc<IoTDevice>> {
        self.devices.get(&to_ref(key))
    }

    /// The group that the device refers to, if it is there.
    #[must_use]
    pub fn group_of(&self, device: &IoTDevice) -> Option<Arc<ProvisioningGroup>> {
        let name = &device.spec.group_ref.as_ref()?.name;
        self.groups.get(&ObjectRef::new(name).within(&device.namespace().unwrap_or_default()))
    }

    /// The devices that refer to the group of this name.
    #[must_use]
    pub fn devices_of(&self, group: &Key) -> Vec<Arc<IoTDevice>> {
        self.devices.state_filter(|device| {
            device.metadata.namespace.as_deref() == Some(&group.namespace)
                && device.spec.group_ref.as_ref().is_some_and(|reference| reference.name == group.name)
        })
    }

    /// All devices of a namespace.
    #[must_use]
    pub fn devices_in(&self, namespace: &str) -> Vec<Arc<IoTDevice>> {
        self.devices.state_filter(|device| device.metadata.namespace.as_deref() == Some(namespace))
    }

    /// A group of the namespace that names this Secret as its key or CA.
    #[must_use]
    pub fn group_with_secret(&self, namespace: &str, secret: &str) -> Option<String> {
        let named = |group: &ProvisioningGroup| {
            group.metadata.namespace.as_deref() == Some(namespace)
                && origin::secrets(group).any(|name| name == secret)
        };
        self.groups.state_filter(named).iter().map(|group| group.name_any()).min()
    }

    /// A claim that the operator did not make.
    #[must_use]
    pub fn existing_claim(&self, claim: &Key) -> ClaimSeen {
        match self.volume_claims.get(&to_ref(claim)) {
            None => ClaimSeen::Missing,
            Some(claim) if claim.labels().get(SHARED_LABEL).is_some_and(|value| value == SHARED_VALUE) => {
                ClaimSeen::Shared
            }
            Some(_) => ClaimSeen::Unlabelled,
        }
    }

    /// Other devices that might claim the same identity.
    #[must_use]
    pub fn rivals_of(&self, device: &IoTDevice) -> Vec<Arc<IoTDevice>> {
        let keys = self.claims.lock().unwrap_or_else(PoisonError::into_inner).others(device);
        keys.iter().filter_map(|key| self.device(key)).collect()
    }

    /// The pods of a device's agent; more than one while one ends.
    #[must_use]
    pub fn pods_of(&self, device: &Key) -> Vec<Arc<Pod>> {
        self.pods.state_filter(|pod| {
            pod.metadata.namespace.as_deref() == Some(&device.namespace)
                && pod.labels().get(DEVICE_LABEL).is_some_and(|name| *name == device.name)
        })
    }

    /// What has not been listed yet, for people who wait.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.filled.iter().filter(|(_, filled)| !*filled.borrow()).map(|(kind, _)| *kind).collect()
    }

    /// Waits until everything has been listed.
    pub async fn listed(&self) {
        for (_, filled) in &self.filled {
            // An error means that the mirror ended, which ends the operator elsewhere.
            let _ = filled.clone().wait_for(|filled| *filled).await;
        }
    }
}

/// As stores and queues name objects.
#[must_use]
pub fn to_ref<K: Resource<DynamicType = ()>>(key: &Key) -> ObjectRef<K> {
    ObjectRef::new(&key.name).within(&key.namespace)
}
