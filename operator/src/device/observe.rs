//! First stage: everything about one device, read once. Reads the cluster.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use lanyard_crds::refer::TrustedCa;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::agents::{Agents, Report};
use crate::cluster::claims::{Identity, Key, identity, seniority};
use crate::cluster::read::{CaFound, Reads, SecretData};
use crate::cluster::view::{View, to_ref};

/// Everything that the later stages look at.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// What the user asks for.
    pub device: Arc<IoTDevice>,
    /// The group it refers to, if it is there.
    pub group: Option<Arc<ProvisioningGroup>>,
    /// An older device with the same identity.
    pub senior: Option<Key>,
    /// The Secret with the group's or the device's key; `None` if it is missing.
    pub key: Option<SecretData>,
    /// What the reference to a trusted CA leads to.
    pub trusted_ca: CaFound,
    /// The agent.
    pub agent: AgentSeen,
}

/// What is seen of the agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentSeen {
    /// Its pod: the youngest that does not end.
    pub pod: Option<Arc<Pod>>,
    /// Whether pods of it, that one included, are there.
    pub any_pod: bool,
    /// Why its Deployment makes no pods.
    pub no_pods: Option<String>,
    /// What it said of itself.
    pub report: Option<Report>,
}

/// What a device refers to, itself or through its group.
#[derive(Debug, PartialEq, Eq)]
struct References<'a> {
    key: Option<&'a str>,
    trusted_ca: Option<&'a TrustedCa>,
}

/// Reads everything about one device.
///
/// # Errors
/// What the API server says; missing things are no errors.
pub async fn observe(
    reads: &Reads,
    view: &View,
    agents: &Agents,
    device: Arc<IoTDevice>,
) -> Result<Observed, kube::Error> {
    let group = reads.group(view, &device).await?;
    let senior = senior(view, &device, identity(&device, group.as_deref()).as_ref());
    let agent = agent_seen(view, agents, &Key::of(&*device));
    let (mut key, mut trusted_ca) = (None, CaFound::NotAsked);
    if !device.spec.blocked && senior.is_none() {
        let references = references(&device, group.as_deref());
        let namespace = device.namespace().unwrap_or_default();
        let read_key = reads.key(view, &namespace, references.key);
        let read_ca = reads.trusted_ca(view, &namespace, references.trusted_ca);
        (key, trusted_ca) = futures::try_join!(read_key, read_ca)?;
    }
    Ok(Observed { device, group, senior, key, trusted_ca, agent })
}

fn references<'a>(device: &'a IoTDevice, group: Option<&'a ProvisioningGroup>) -> References<'a> {
    match (&device.spec.hub, group) {
        (Some(hub), _) => References {
            key: hub.auth.symmetric_key.as_ref().map(|key| key.secret_ref.name.as_str()),
            trusted_ca: hub.trusted_ca.as_ref(),
        },
        (None, Some(group)) => References {
            key: group.spec.attestation.symmetric_key.as_ref().map(|key| key.secret_ref.name.as_str()),
            trusted_ca: group.spec.dps.trusted_ca.as_ref(),
        },
        (None, None) => References { key: None, trusted_ca: None },
    }
}

/// The oldest of those that claim the same identity, if it is not this device itself.
fn senior(view: &View, device: &IoTDevice, own: Option<&Identity>) -> Option<Key> {
    let own = own?;
    let rivals = view.rivals_of(device);
    let same =
        rivals.iter().filter(|rival| identity(rival, view.group_of(rival).as_deref()).as_ref() == Some(own));
    let oldest = same.map(|rival| seniority(rival)).min()?;
    (oldest < seniority(device)).then_some(oldest.1)
}

fn agent_seen(view: &View, agents: &Agents, key: &Key) -> AgentSeen {
    let pods = view.pods_of(key);
    let deployment =
        view.deployments.get(&to_ref(&Key::new(&key.namespace, &super::plan::workload_name(&key.name))));
    let conditions = deployment.and_then(|deployment| deployment.status.clone()?.conditions);
    let failure = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True");
    AgentSeen {
        any_pod: !pods.is_empty(),
        pod: super::agents::current(pods),
        no_pods: failure.and_then(|condition| condition.message),
        report: agents.report(key),
    }
}
