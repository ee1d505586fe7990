//! Look-up of the objects that a device refers to. Reads the cluster.

use std::sync::Arc;

use kube::ResourceExt;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::observation::DeviceObservation;
use crate::kubernetes::found::ClaimSeen;
use crate::kubernetes::key::Key;
use crate::reader::Reads;
use crate::references::device::DeviceReferences;
use crate::snapshot::View;

/// Reads the objects that a device refers to, as far as its credential needs them.
pub(crate) async fn referred(
    reads: &Reads,
    view: &View,
    device: Arc<IoTDevice>,
    group: Option<Arc<ProvisioningGroup>>,
) -> Result<DeviceObservation, kube::Error> {
    let references = DeviceReferences::of(&device, group.as_deref());
    let namespace = device.namespace().unwrap_or_default();
    let read_key = reads.key(view, &namespace, references.key);
    let read_ca = reads.trusted_ca(view, &namespace, references.trusted_ca);
    let read_ca_secret = reads.ca_secret(view, &namespace, references.trusted_ca);
    let (key, trusted_ca, ca_secret) = futures::try_join!(read_key, read_ca, read_ca_secret)?;
    let key_of_group = references.key.and_then(|secret| view.group_with_secret(&namespace, secret));
    let existing_claim = references
        .existing_claim
        .map_or(ClaimSeen::NotAsked, |claim| view.existing_claim(&Key::new(&namespace, claim)));
    Ok(DeviceObservation {
        key,
        trusted_ca,
        ca_secret,
        key_of_group,
        existing_claim,
        device,
        group,
        ..DeviceObservation::default()
    })
}
