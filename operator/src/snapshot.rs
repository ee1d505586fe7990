//! Snapshot of the cluster: cached objects, and queries on them. Reads memory only.

use parking_lot::Mutex;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::clock;
use crate::device::plan::name;
use crate::identity::index::{Identity, IdentityIndex};
use crate::identity::precedence::Trials;
use crate::kubernetes::found::ClaimSeen;
use crate::kubernetes::key::Key;
use crate::kubernetes::key::controller;
use crate::kubernetes::key::to_ref;
use crate::kubernetes::labels::{SHARED_LABEL, SHARED_VALUE};
use crate::kubernetes::store::Filled;
use crate::references::device::DeviceTarget;
use crate::references::group::GroupTarget;
use crate::references::index::ReferenceIndex;

/// Caches of all objects that the operator reads.
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
    /// Index of identities.
    pub identities: Mutex<IdentityIndex>,
    /// Index of the devices' references.
    pub references: Mutex<ReferenceIndex<DeviceTarget>>,
    /// Index of the groups' references.
    pub group_references: Mutex<ReferenceIndex<GroupTarget>>,
    /// The turns of devices that claim an identity without proof.
    pub trials: Trials,
    /// Kinds that have been listed.
    pub filled: Vec<(&'static str, Filled)>,
}

impl View {
    /// Returns the device of this name.
    #[must_use]
    pub fn device(&self, key: &Key) -> Option<Arc<IoTDevice>> {
        self.devices.get(&to_ref(key))
    }

    /// Returns the group that the device refers to, if it is there.
    #[must_use]
    pub fn group_of(&self, device: &IoTDevice) -> Option<Arc<ProvisioningGroup>> {
        let name = &device.spec.group_ref.as_ref()?.name;
        self.groups.get(&ObjectRef::new(name).within(&device.namespace().unwrap_or_default()))
    }

    /// Returns the devices that refer to an object.
    #[must_use]
    pub fn referring(&self, target: DeviceTarget, object: &Key) -> Vec<Arc<IoTDevice>> {
        let keys = self.references.lock().referring(target, object);
        keys.iter().filter_map(|key| self.device(key)).collect()
    }

    /// Returns the groups that refer to an object.
    #[must_use]
    pub fn groups_referring(&self, target: GroupTarget, object: &Key) -> Vec<Key> {
        self.group_references.lock().referring(target, object)
    }

    /// Returns the devices of a group.
    #[must_use]
    pub fn devices_of(&self, group: &Key) -> Vec<Arc<IoTDevice>> {
        self.referring(DeviceTarget::Group, group)
    }

    /// Returns all devices of a namespace. This reads every device.
    #[must_use]
    pub fn devices_in(&self, namespace: &str) -> Vec<Arc<IoTDevice>> {
        self.devices.state_filter(|device| device.metadata.namespace.as_deref() == Some(namespace))
    }

    /// Returns the name of a group of the namespace that names this Secret as its key or CA.
    #[must_use]
    pub fn group_with_secret(&self, namespace: &str, secret: &str) -> Option<String> {
        let groups = self.groups_referring(GroupTarget::Issuer, &Key::new(namespace, secret));
        groups.into_iter().next().map(|group| group.name)
    }

    /// Returns the state of a claim that the operator did not create.
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

    /// Returns other devices that might claim the same identity.
    #[must_use]
    pub fn rivals_of(&self, device: &IoTDevice) -> Vec<Arc<IoTDevice>> {
        let keys = self.identities.lock().others(device);
        keys.iter().filter_map(|key| self.device(key)).collect()
    }

    /// Returns the pods that have the name of a device's agent and are made for its `StatefulSet` or a former one of
    /// that name. A label alone makes no pod the agent: every user with the right to create pods can set it.
    #[must_use]
    pub fn pods_of(&self, device: &Key) -> Vec<Arc<Pod>> {
        let workload = name::workload(&device.name);
        let key = Key::new(&device.namespace, &name::pod(&workload));
        let pod = self.pods.get(&to_ref(&key));
        pod.filter(|pod| controller(&pod.metadata, "StatefulSet").is_some_and(|owner| owner.name == workload))
            .into_iter()
            .collect()
    }

    /// Returns the `StatefulSet` of a device's agent, if the device itself is its controller.
    #[must_use]
    pub fn workload_of(&self, device: &IoTDevice) -> Option<Arc<StatefulSet>> {
        let key = Key::new(&device.namespace().unwrap_or_default(), &name::workload(&device.name_any()));
        let own = |workload: &Arc<StatefulSet>| {
            let owner = controller(&workload.metadata, &IoTDevice::kind(&()));
            owner.is_some_and(|owner| Some(&owner.uid) == device.metadata.uid.as_ref())
        };
        self.workloads.get(&to_ref(&key)).filter(own)
    }

    /// Returns the pod that is the agent: the one that the device's own `StatefulSet` controls.
    #[must_use]
    pub fn agent_of(&self, device: &IoTDevice) -> Option<Arc<Pod>> {
        let workload = self.workload_of(device)?;
        self.pods_of(&Key::of(device)).into_iter().find(|pod| {
            let owner = controller(&pod.metadata, "StatefulSet");
            owner.is_some_and(|owner| Some(&owner.uid) == workload.metadata.uid.as_ref())
        })
    }

    /// Returns the devices of other names that were deleted a moment ago and had one of these identities.
    #[must_use]
    pub fn former(&self, own: &Key, identities: &[Identity]) -> Vec<Key> {
        let index = self.identities.lock();
        index.former(own, identities, clock::instant())
    }

    /// Returns the kinds that have not been listed yet, for readiness.
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
