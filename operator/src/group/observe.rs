//! First stage: everything about one group, read once. Reads the cluster.

use std::sync::Arc;

use kube::ResourceExt;
use lanyard_crds::slot::InUse;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use crate::kubernetes::found::CaSecret;
use crate::kubernetes::found::{CaFound, ListFound};
use crate::kubernetes::key::Key;
use crate::kubernetes::secret::SecretData;
use crate::reader::Reads;
use crate::references::group::{GroupReferences, IssuerReference};
use crate::snapshot::View;

/// Input of the later stages.
#[derive(Debug, Clone, Default)]
pub struct GroupObservation {
    /// The group.
    pub group: Arc<ProvisioningGroup>,
    /// The devices that refer to it.
    pub devices: Vec<Arc<IoTDevice>>,
    /// The Secret with its keys; `None` if it is missing.
    pub key: Option<SecretData>,
    /// The Secrets of its CAs, with what has been answered to their verification codes.
    pub issuers: Vec<IssuerSeen>,
    /// Result of looking up the trusted CA.
    pub trusted_ca: CaFound,
    /// The Secret that the trusted CA comes from.
    pub ca_secret: Option<CaSecret>,
    /// Result of looking up the list of devices.
    pub list: ListFound,
    /// All devices of the namespace, if there is a list.
    pub neighbours: Vec<Arc<IoTDevice>>,
}

/// A CA of a group.
#[derive(Debug, Clone)]
pub struct IssuerSeen {
    /// Its slot.
    pub slot: InUse,
    /// Name of its Secret.
    pub secret: String,
    /// Data of the Secret; `None` if it does not exist.
    pub data: Option<SecretData>,
    /// The Secret with the answer to its verification code, where there is a code.
    pub answer: Option<SecretData>,
}

/// Reads everything about one group.
///
/// # Errors
/// An error of the API server; a missing object is not an error.
pub async fn observe(
    reads: &Reads,
    view: &View,
    group: Arc<ProvisioningGroup>,
) -> Result<GroupObservation, kube::Error> {
    let namespace = group.namespace().unwrap_or_default();
    let references = GroupReferences::of(&group);
    let read_key = reads.key(view, &namespace, references.key);
    let read_ca = reads.trusted_ca(view, &namespace, references.trusted_ca);
    let read_ca_secret = reads.ca_secret(view, &namespace, references.trusted_ca);
    let read_list = reads.list(view, &namespace, references.import);
    let read_issuers = issuers(reads, view, &namespace, &references.issuers);
    let (key, trusted_ca, ca_secret, list, issuers) =
        futures::try_join!(read_key, read_ca, read_ca_secret, read_list, read_issuers)?;
    let neighbours = if list == ListFound::NotAsked { Vec::new() } else { view.devices_in(&namespace) };
    Ok(GroupObservation {
        devices: view.devices_of(&Key::of(&*group)),
        neighbours,
        group,
        key,
        issuers,
        trusted_ca,
        ca_secret,
        list,
    })
}

async fn issuers(
    reads: &Reads,
    view: &View,
    namespace: &str,
    references: &[IssuerReference<'_>],
) -> Result<Vec<IssuerSeen>, kube::Error> {
    let mut seen = Vec::new();
    for IssuerReference { slot, secret, answer } in references {
        let data = reads.key(view, namespace, Some(secret)).await?;
        let answer = reads.key(view, namespace, answer.as_deref()).await?;
        seen.push(IssuerSeen { slot: *slot, secret: (*secret).to_owned(), data, answer });
    }
    Ok(seen)
}
