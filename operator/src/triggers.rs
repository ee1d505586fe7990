//! Triggers: from a change in the cluster to the devices and groups to reconcile. Reads memory only.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::clock;
use crate::identity::index::identities;
use crate::kubernetes::key::Key;
use crate::kubernetes::key::device_of;
use crate::kubernetes::key::key_of;
use crate::kubernetes::key::owner;
use crate::kubernetes::queues::Debounced;
use crate::kubernetes::queues::Queues;
use crate::kubernetes::reference::Referent;
use crate::kubernetes::store::Change;
use crate::references::device::{DeviceReferences, DeviceTarget};
use crate::references::group::{GroupReferences, GroupTarget};
use crate::snapshot::View;

/// Queues what a new, changed or deleted device affects: itself, the devices that claim the same id, and the group that
/// counts it.
pub fn device_changed(view: &View, queues: &Queues, change: &Change<'_, IoTDevice>) {
    let (before, now) = (change.before.as_deref(), change.now.as_deref());
    let has_changed = before.map(relevant) != now.map(relevant);
    if has_changed {
        index(view, before, now);
    }
    // A proof, and a hub that DPS assigned, decide among those with one identity.
    let proven = |device: &IoTDevice| {
        let status = device.status.as_ref();
        status.map(|status| (status.claim.clone(), status.assigned_hub.clone()))
    };
    let proof_changed = before.and_then(proven) != now.and_then(proven);
    if let (Some(device), true) = (now, has_changed) {
        queues.device(&Key::of(device));
    }
    if let (Some(device), true) = (now.or(before), has_changed || proof_changed) {
        queues.devices(&view.rivals_of(device));
    }
    if before.map(counted) != now.map(counted) {
        for device in before.into_iter().chain(now) {
            if let Some(group) = &device.spec.group_ref {
                let key = Key::new(&device.namespace().unwrap_or_default(), &group.name);
                queues.soon(Debounced::Group(key));
            }
        }
    }
}

/// Keeps the indexes of identities and references. Both depend on the spec only, not on the status.
fn index(view: &View, before: Option<&IoTDevice>, now: Option<&IoTDevice>) {
    let mut index = view.identities.lock();
    before.into_iter().for_each(|device| index.remove(device));
    if let (Some(device), None) = (before, now) {
        // Its agent may be connected until its pod has ended.
        let had = identities(device, view.group_of(device).as_deref());
        index.deleted(Key::of(device), had, clock::instant());
    }
    now.into_iter().for_each(|device| index.add(device));
    drop(index);
    view.references.lock().replace(before, now);
}

/// Returns the fields to which the operator responds; its own status is not among them.
fn relevant(device: &IoTDevice) -> (Option<String>, Option<i64>, bool) {
    (device.uid(), device.metadata.generation, device.metadata.deletion_timestamp.is_some())
}

/// Returns the fields that a group counts, lists and exports.
fn counted(device: &IoTDevice) -> impl PartialEq + use<> {
    let status = device.status.as_ref();
    let group = device.spec.group_ref.as_ref().map(|group| group.name.clone());
    let connection = status.and_then(|status| status.connection.as_ref()).map(|connection| connection.state);
    let credentials = status.and_then(|status| status.credentials.as_ref());
    let moved = credentials.map(|credentials| (credentials.issuer_fingerprint.clone(), credentials.proof));
    let exported =
        credentials.map(|credentials| (credentials.primary.clone(), credentials.secondary.clone()));
    let meta = &device.metadata;
    let object = (
        meta.uid.clone(),
        meta.generation,
        meta.deletion_timestamp.is_some(),
        meta.owner_references.clone(),
        meta.annotations.clone(),
    );
    (group, status.and_then(|status| status.provisioning_state), connection, moved, exported, object)
}

/// Queues what a new, changed or deleted group affects: itself and all its devices.
pub fn group_changed(view: &View, queues: &Queues, change: &Change<'_, ProvisioningGroup>) {
    let relevant = |group: &ProvisioningGroup| (group.uid(), group.metadata.generation);
    if change.before.as_deref().map(relevant) == change.now.as_deref().map(relevant) {
        return;
    }
    view.group_references.lock().replace(change.before.as_deref(), change.now.as_deref());
    let key = key_of(change.meta);
    if change.now.is_some() {
        queues.group(&key);
    }
    let devices = view.devices_of(&key);
    queues.devices(&devices);
    // The group tells the identities of its devices.
    devices.iter().for_each(|device| queues.devices(&view.rivals_of(device)));
    // A Secret that becomes a group's, or is one no more, decides about devices that name it as their own.
    let groups = [change.before.as_deref(), change.now.as_deref()].into_iter().flatten();
    let secrets: HashSet<&str> =
        groups.flat_map(|group| GroupReferences::of(group).secrets().collect::<Vec<_>>()).collect();
    for secret in secrets {
        let secret = Key::new(&key.namespace, secret);
        queues.devices(&view.referring(DeviceTarget::Referent(Referent::Secret), &secret));
    }
}

/// Queues what a new, changed or deleted Secret or ConfigMap affects: the device or group it was made for, unless the
/// operator itself changed it, and all that refer to it.
pub fn referent_changed(
    view: &View,
    queues: &Queues,
    referent: Referent,
    meta: &ObjectMeta,
    by_operator: bool,
) {
    if !by_operator {
        owner(meta, &IoTDevice::kind(&())).iter().for_each(|owner| queues.device(owner));
        owner(meta, &ProvisioningGroup::kind(&())).iter().for_each(|owner| queues.group(owner));
    }
    let object = key_of(meta);
    queues.devices(&view.referring(DeviceTarget::Referent(referent), &object));
    // A Secret of another program with the name of a device's credentials blocks the device until it is deleted.
    if referent == Referent::Secret && owner(meta, &IoTDevice::kind(&())).is_none() {
        queues.devices(&view.referring(DeviceTarget::Credentials, &object));
    }
    for target in GroupTarget::to(referent).iter().filter(|target| !(by_operator && target.is_made())) {
        for group in view.groups_referring(*target, &object) {
            queues.group(&group);
            if target.is_inherited() {
                queues.devices(&view.devices_of(&group));
            }
        }
    }
}

/// Queues the device whose agent's `StatefulSet` is new, changed or deleted. Of its status, only what the pods do not
/// report themselves counts.
pub fn workload_changed(queues: &Queues, change: &Change<'_, StatefulSet>) {
    let relevant = |workload: &StatefulSet| {
        let meta = workload.meta();
        let revision = workload
            .status
            .as_ref()
            .map(|status| (status.observed_generation, status.update_revision.clone()));
        (meta.uid.clone(), meta.generation, meta.labels.clone(), meta.annotations.clone(), revision)
    };
    if change.before.as_deref().map(relevant) != change.now.as_deref().map(relevant)
        && let Some(owner) = owner(change.meta, &IoTDevice::kind(&()))
    {
        queues.soon(Debounced::Device(owner));
    }
}

/// Queues what a new, changed or deleted claim affects: the device it was made for, or in whose way it was, and all
/// that refer to it.
pub fn volume_claim_changed(view: &View, queues: &Queues, meta: &ObjectMeta) {
    let key = key_of(meta);
    match device_of(meta) {
        Some(device) => queues.soon(Debounced::Device(device)),
        None => queues.devices(&view.referring(DeviceTarget::OwnClaim, &key)),
    }
    queues.devices(&view.referring(DeviceTarget::ExistingClaim, &key));
    for group in view.groups_referring(GroupTarget::ExistingClaim, &key) {
        let inherits = |device: &IoTDevice| {
            let group = view.group_of(device);
            DeviceReferences::of(device, group.as_deref()).existing_claim == Some(&key.name)
        };
        let mut devices = view.devices_of(&group);
        devices.retain(|device| inherits(device));
        queues.devices(&devices);
    }
}
