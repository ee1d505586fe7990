//! First stage: everything about one device, read once. Reads the cluster.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use lanyard_crds::refer::TrustedCa;
use lanyard_crds::{IoTDevice, ProvisioningGroup};

use super::agents::{Agents, Report};
use super::claim::{self, ClaimSeen};
use super::heed::heed;
use super::identity::{Contest, Judge};
use super::name;
use super::origin;
use super::remembered::Remembered;
use crate::cluster::claims::Key;
use crate::cluster::read::{CaFound, Reads, SecretData};
use crate::cluster::view::{REVISION_LABEL, View, to_ref};
use crate::credential::held::Held;

/// Everything that the later stages look at.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// What the user asks for.
    pub device: Arc<IoTDevice>,
    /// The group it refers to, if it is there.
    pub group: Option<Arc<ProvisioningGroup>>,
    /// The others that claim the same identity.
    pub contest: Contest,
    /// The Secret that the device's credential comes from; `None` if it is missing.
    pub key: Option<SecretData>,
    /// What the device's own Secret holds; `None` if it is not there.
    pub held: Option<Held>,
    /// Whether that is of the Secret of the name that the device has now. What is decided without is no reason to write over one.
    pub own_seen: bool,
    /// A group of the namespace that names the same Secret as its key or CA.
    pub key_of_group: Option<String>,
    /// The Secret that the trusted CA comes from.
    pub ca_secret: Option<CaSecret>,
    /// The claim of the buffer that somebody else made.
    pub existing_claim: ClaimSeen,
    /// What the reference to a trusted CA leads to.
    pub trusted_ca: CaFound,
    /// The agent.
    pub agent: AgentSeen,
}

/// The Secret of a trusted CA.
#[derive(Debug, Clone)]
pub struct CaSecret {
    /// Its name.
    pub name: String,
    /// Its marks, without its data.
    pub marks: SecretData,
}

/// What is seen of the agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentSeen {
    /// Its pod: the youngest that does not end.
    pub pod: Option<Arc<Pod>>,
    /// Whether that pod is of an older specification, so that Kubernetes is about to replace it.
    pub outdated: bool,
    /// Why its `StatefulSet` makes no pod.
    pub no_pod: Option<String>,
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
    remembered: &Remembered,
    device: Arc<IoTDevice>,
) -> Result<Observed, kube::Error> {
    let group = reads.group(view, &device).await?;
    let agent = agent_seen(reads, view, agents, &device).await?;
    if device.spec.blocked {
        return Ok(Observed { device, group, agent, ..Observed::default() });
    }
    let read = referred(reads, view, Arc::clone(&device), group);
    let read_held = held_by(reads, view, remembered, &device);
    let (seen, (held, own_seen)) = futures::try_join!(read, read_held)?;
    let mut observed = Observed { held, own_seen, agent, ..seen };
    observed.contest = Judge { reads, view, agents }.contest(&observed).await?;
    Ok(observed)
}

/// What a device refers to: as much of it as its credential needs.
pub(super) async fn referred(
    reads: &Reads,
    view: &View,
    device: Arc<IoTDevice>,
    group: Option<Arc<ProvisioningGroup>>,
) -> Result<Observed, kube::Error> {
    let references = references(&device, group.as_deref());
    let namespace = device.namespace().unwrap_or_default();
    let read_key = reads.key(view, &namespace, references.key);
    let read_ca = reads.trusted_ca(view, &namespace, references.trusted_ca);
    let read_ca_secret = reads.ca_secret(view, &namespace, references.trusted_ca);
    let (key, trusted_ca, ca_secret) = futures::try_join!(read_key, read_ca, read_ca_secret)?;
    let key_of_group = references.key.and_then(|secret| view.group_with_secret(&namespace, secret));
    let existing_claim = claim::existing(&device, group.as_deref())
        .map_or(ClaimSeen::NotAsked, |claim| view.existing_claim(&Key::new(&namespace, claim)));
    Ok(Observed {
        key,
        trusted_ca,
        ca_secret,
        key_of_group,
        existing_claim,
        device,
        group,
        ..Observed::default()
    })
}

fn references<'a>(device: &'a IoTDevice, group: Option<&'a ProvisioningGroup>) -> References<'a> {
    let spec = &device.spec;
    let own = spec.hub.as_ref().map(|hub| hub.trusted_ca.as_ref());
    let own = own.or_else(|| spec.dps.as_ref().map(|dps| dps.service.trusted_ca.as_ref()));
    let trusted_ca = own.unwrap_or_else(|| group.and_then(|group| group.spec.dps.trusted_ca.as_ref()));
    References { key: origin::secret(device, group), trusted_ca }
}

/// What the device's Secret holds, or the one of its former name while that is not there yet, and whether it is not the
/// former. What the operator wrote or read itself it does not read again.
async fn held_by(
    reads: &Reads,
    view: &View,
    remembered: &Remembered,
    device: &IoTDevice,
) -> Result<(Option<Held>, bool), kube::Error> {
    let status = device.status.as_ref().and_then(|status| status.credentials.as_ref());
    let former = status.map(|credentials| credentials.secret_name.clone());
    let own = name::credentials(device);
    for name in std::iter::once(own.clone()).chain(former.filter(|former| *former != own)) {
        let key = Key::new(&device.namespace().unwrap_or_default(), &name);
        let mirrored = view.secrets.get(&to_ref(&key));
        let mirrored = mirrored.as_ref().map(|known| &known.metadata);
        let held = match (remembered.held(device, &key, mirrored), mirrored) {
            (Some(held), _) => Some(held),
            (None, Some(_)) => reads.held(&key, device).await?.map(|(meta, held)| {
                remembered.hold(device, &key, &meta, mirrored, held.clone());
                held
            }),
            (None, None) => None,
        };
        if held.is_some() {
            return Ok((held, name == own));
        }
    }
    Ok((None, false))
}

async fn agent_seen(
    reads: &Reads,
    view: &View,
    agents: &Agents,
    device: &IoTDevice,
) -> Result<AgentSeen, kube::Error> {
    let (agent, workload) = (view.agent_of(device), view.workload_of(device));
    // One that outlives its StatefulSet for a while is told of, and not asked any more.
    let is_asked = agent.is_some();
    let pod = agent.or_else(|| view.pods_of(&Key::of(device)).pop().filter(|_| workload.is_none()));
    let (mut outdated, mut no_pod) = (false, None);
    match (&workload, &pod) {
        (Some(workload), Some(pod)) => outdated = is_outdated(workload, pod),
        // A StatefulSet has no condition for it.
        (Some(workload), None) => no_pod = reads.why_no_pod(workload).await?,
        (None, _) => {}
    }
    // One that answered and is not the agent any more is not heard.
    let report = agents.report(&Key::of(device)).filter(|_| is_asked);
    let report = report.map(|report| heed(report, device));
    Ok(AgentSeen { pod, outdated, no_pod, report })
}

/// Whether a pod is of another specification than its `StatefulSet` has now.
fn is_outdated(workload: &StatefulSet, pod: &Pod) -> bool {
    let Some(status) = &workload.status else { return true };
    let unseen = status.observed_generation < workload.metadata.generation;
    unseen || pod.labels().get(REVISION_LABEL) != status.update_revision.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_outdated_until_its_revision_is_the_newest_of_the_newest_generation() {
        let workload = |generation: i64, status: &str| -> StatefulSet {
            serde_saphyr::from_str(&format!("{{metadata: {{generation: {generation}}}, status: {status}}}"))
                .unwrap()
        };
        let pod: Pod =
            serde_saphyr::from_str("{metadata: {labels: {controller-revision-hash: a-1}}}").unwrap();
        for (generation, status, outdated) in [
            (1, "{replicas: 1, observedGeneration: 1, updateRevision: a-1}", false),
            (2, "{replicas: 1, observedGeneration: 1, updateRevision: a-1}", true),
            (2, "{replicas: 1, observedGeneration: 2, updateRevision: a-2}", true),
        ] {
            assert_eq!(is_outdated(&workload(generation, status), &pod), outdated, "{generation} {status}");
        }
        assert!(is_outdated(&StatefulSet::default(), &pod), "its controller has not looked at it yet");
    }
}
