//! First stage: everything about one device, read once. Reads the cluster.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use lanyard_crds::IoTDevice;

use crate::agents::poller::Agents;
use crate::agents::report::AgentSeen;
use crate::agents::trust::trusted;
use crate::credential::stored::StoredCredentials;
use crate::device::apply::cache::Remembered;
use crate::device::observe::look_up::referred;
use crate::device::observe::observation::DeviceObservation;
use crate::device::plan::name;
use crate::identity::compare::IdentityJudge;
use crate::kubernetes::key::Key;
use crate::kubernetes::key::to_ref;
use crate::kubernetes::labels::REVISION_LABEL;
use crate::reader::Reads;
use crate::snapshot::View;

/// Reads everything about one device.
///
/// # Errors
/// An error of the API server; a missing object is not an error.
pub async fn observe(
    reads: &Reads,
    view: &View,
    agents: &Agents,
    remembered: &Remembered,
    device: Arc<IoTDevice>,
) -> Result<DeviceObservation, kube::Error> {
    let group = reads.group(view, &device).await?;
    let agent = agent_seen(reads, view, agents, &device).await?;
    if device.spec.blocked {
        return Ok(DeviceObservation { device, group, agent, ..DeviceObservation::default() });
    }
    let read = referred(reads, view, Arc::clone(&device), group);
    let read_stored = stored_for(reads, view, remembered, &device);
    let (seen, (stored, own_seen)) = futures::try_join!(read, read_stored)?;
    let mut observed = DeviceObservation { stored, own_seen, agent, ..seen };
    observed.contest = IdentityJudge { reads, view, agents }.contest(&observed).await?;
    Ok(observed)
}

/// Returns the content of the device's Secret, or of the one with its previous name while the former does not exist;
/// and whether it is the former. Content that the operator itself wrote or read is not read again.
async fn stored_for(
    reads: &Reads,
    view: &View,
    remembered: &Remembered,
    device: &IoTDevice,
) -> Result<(Option<StoredCredentials>, bool), kube::Error> {
    let status = device.status.as_ref().and_then(|status| status.credentials.as_ref());
    let former = status.map(|credentials| credentials.secret_name.clone());
    let own = name::credentials(device);
    for name in std::iter::once(own.clone()).chain(former.filter(|former| *former != own)) {
        let key = Key::new(&device.namespace().unwrap_or_default(), &name);
        let mirrored = view.secrets.get(&to_ref(&key));
        let mirrored = mirrored.as_ref().map(|known| &known.metadata);
        let stored = match (remembered.stored(device, &key, mirrored), mirrored) {
            (Some(stored), _) => Some(stored),
            (None, Some(_)) => reads.stored(&key, device).await?.map(|(meta, stored)| {
                remembered.hold(device, &key, &meta, mirrored, stored.clone());
                stored
            }),
            (None, None) => None,
        };
        if stored.is_some() {
            return Ok((stored, name == own));
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
    // A pod that outlives its StatefulSet is reported, and not polled any more.
    let is_asked = agent.is_some();
    let pod = agent.or_else(|| view.pods_of(&Key::of(device)).pop().filter(|_| workload.is_none()));
    let (mut outdated, mut no_pod) = (false, None);
    match (&workload, &pod) {
        (Some(workload), Some(pod)) => outdated = is_outdated(workload, pod),
        // A StatefulSet has no condition for it.
        (Some(workload), None) => no_pod = reads.why_no_pod(workload).await?,
        (None, _) => {}
    }
    // The answer of a pod that is no longer the agent does not count.
    let report = agents.report(&Key::of(device)).filter(|_| is_asked);
    let report = report.map(|report| trusted(report, device));
    Ok(AgentSeen { pod, outdated, no_pod, report })
}

/// Returns whether a pod has another specification than its `StatefulSet`.
fn is_outdated(workload: &StatefulSet, pod: &Pod) -> bool {
    let Some(status) = &workload.status else { return true };
    let unseen = status.observed_generation < workload.metadata.generation;
    unseen || pod.labels().get(REVISION_LABEL) != status.update_revision.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pod_is_outdated_until_its_revision_is_the_newest() {
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
