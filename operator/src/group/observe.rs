//! First stage: everything about one group, read once. Reads the cluster.

use std::sync::Arc;

use kube::ResourceExt;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::cluster::claims::Key;
use crate::cluster::read::{CaFound, Reads, SecretData};
use crate::cluster::view::View;

/// Everything that the later stages look at.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// What the user asks for.
    pub group: Arc<ProvisioningGroup>,
    /// The devices that refer to it.
    pub devices: Vec<Arc<IoTDevice>>,
    /// The Secret with its keys; `None` if it is missing.
    pub key: Option<SecretData>,
    /// What the reference to a trusted CA leads to.
    pub trusted_ca: CaFound,
}

/// Reads everything about one group.
///
/// # Errors
/// What the API server says; missing things are no errors.
pub async fn observe(
    reads: &Reads,
    view: &View,
    group: Arc<ProvisioningGroup>,
) -> Result<Observed, kube::Error> {
    let namespace = group.namespace().unwrap_or_default();
    let secret = group.spec.attestation.symmetric_key.as_ref().map(|key| key.secret_ref.name.as_str());
    let read_key = reads.key(view, &namespace, secret);
    let read_ca = reads.trusted_ca(view, &namespace, group.spec.dps.trusted_ca.as_ref());
    let (key, trusted_ca) = futures::try_join!(read_key, read_ca)?;
    Ok(Observed { devices: view.devices_of(&Key::of(&*group)), group, key, trusted_ca })
}
