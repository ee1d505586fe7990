//! Comparison of a device with others of the same identity. Reads the cluster.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use lanyard_crds::{IoTDevice, ProvisioningGroup};
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status::{ConnectionReason as R, DeviceStatus};

use crate::agents::poller::Agents;
use crate::agents::report::AgentSeen;
use crate::agents::report::device_report;
use crate::agents::report::is_accepted;
use crate::agents::trust::trusted;
use crate::clock;
use crate::credential::pair::{KeyKind, Pair, PairError};
use crate::credential::rollover_queue::RolloverTurn;
use crate::device::issue::credential::{Environment, KnownCredential, issue};
use crate::device::observe::look_up::referred;
use crate::device::observe::observation::DeviceObservation;
use crate::device::report::state::connects_elsewhere;
use crate::device::validate::approval::waits_for_approval;
use crate::device::validate::effective::validate;
use crate::identity::contest::Contest;
use crate::identity::index::{Identity, identities, proven_since};
use crate::identity::precedence::{Claimant, Evidence};
use crate::kubernetes::key::Key;
use crate::reader::Reads;
use crate::snapshot::View;

/// Maximum time after its end for which a pod of another device delays a new agent: the pod may belong to another tenant.
const PODS_MUST_END_WITHIN: SignedDuration = SignedDuration::from_secs(90);

/// With what claims are judged.
pub struct IdentityJudge<'a> {
    /// Secrets and trusted CAs.
    pub reads: &'a Reads,
    /// The mirrors.
    pub view: &'a View,
    /// Reports of agents.
    pub agents: &'a Agents,
}

impl IdentityJudge<'_> {
    /// Compares the device with the others of its identity.
    ///
    /// # Errors
    /// An error of the API server; a missing object is not an error.
    pub async fn contest(&self, observed: &DeviceObservation) -> Result<Contest, kube::Error> {
        let (device, now) = (&*observed.device, clock::instant());
        let own = identities(device, observed.group.as_deref());
        let former = self.view.former(&Key::of(device), &own);
        let mut contest = Contest {
            connected: former.iter().any(|key| self.may_be_connected(key, false)),
            ..Contest::default()
        };
        let mut contested = Vec::new();
        let mut rivals = Vec::new();
        for rival in self.view.rivals_of(device) {
            let group = self.view.group_of(&rival);
            let theirs = identities(&rival, group.as_deref());
            let same: Vec<Identity> = theirs.into_iter().filter(|theirs| own.contains(theirs)).collect();
            if same.is_empty() {
                continue;
            }
            let workload = self.view.workload_of(&rival).is_some();
            contest.connected |= self.may_be_connected(&Key::of(&*rival), workload);
            let usable =
                is_usable(&referred(self.reads, self.view, Arc::clone(&rival), group.clone()).await?);
            rivals.extend(self.claimant(&rival, group.as_deref(), &same, usable, now));
            contested.extend(same);
        }
        let Some(first) = rivals.into_iter().min() else { return Ok(contest) };
        let usable = is_usable(observed);
        let claim = |now| self.claimant(device, observed.group.as_deref(), &contested, usable, now);
        // Without a claim, the condition shows the device's own error.
        let Some(mut claimant) = claim(now) else { return Ok(contest) };
        if claimant < first && !claimant.is_proven() {
            let left = self.view.trials.spend(&device.uid().unwrap_or_default(), now);
            contest.turn = (!left.is_zero()).then_some(left);
            claimant = claim(now).unwrap_or(claimant);
        }
        contest.holder = (first < claimant).then_some(first.key);
        Ok(contest)
    }

    /// Returns the evidence of a device; none if it cannot compete: it is blocked, is being deleted, waits for
    /// approval, or has no credential.
    fn claimant(
        &self,
        device: &IoTDevice,
        group: Option<&ProvisioningGroup>,
        contested: &[Identity],
        usable: bool,
        now: Instant,
    ) -> Option<Claimant> {
        let issued = device.status.as_ref().is_some_and(|status| status.credentials.is_some());
        let runs = self.view.workload_of(device).is_some() || issued && connects_elsewhere(device, group);
        let out = device.spec.blocked
            || device.metadata.deletion_timestamp.is_some()
            || waits_for_approval(device, group);
        if out || !(usable || runs) {
            return None;
        }
        let key = Key::of(device);
        let uid = device.uid().unwrap_or_default();
        let report = self.agents.report(&key).map(|report| trusted(report, device));
        let agent = AgentSeen { report, ..AgentSeen::default() };
        let reported = self.view.agent_of(device).and_then(|_| device_report(&agent, &key.name));
        let seen = reported.is_some_and(is_accepted);
        let proven = proven_since(device, contested);
        let evidence = match (seen || proven.is_some(), runs) {
            (true, true) => Evidence::Running,
            (true, false) => Evidence::Accepted,
            (false, _) => {
                if reported.is_some_and(is_refused) {
                    self.view.trials.refused(&uid, now);
                }
                if self.view.trials.is_used(&uid, now) { Evidence::TriedInVain } else { Evidence::Untried }
            }
        };
        let since = match evidence {
            Evidence::Running | Evidence::Accepted => Some(proven.unwrap_or_else(clock::timestamp)),
            Evidence::Untried | Evidence::TriedInVain => None,
        };
        let created = device.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
        Some(Claimant { evidence, by_status_only: !seen, since, idle: !runs, created, key })
    }

    /// Returns whether an agent of that device may be connected, because its pod exists.
    fn may_be_connected(&self, device: &Key, has_workload: bool) -> bool {
        let still = |pod: &Arc<Pod>| match &pod.metadata.deletion_timestamp {
            Some(end) => clock::timestamp().duration_since(end.0) < PODS_MUST_END_WITHIN,
            None => has_workload || is_young(pod),
        };
        self.view.pods_of(device).iter().any(still)
    }
}

/// Returns whether the pod is in phase Running: Kubernetes has not begun to end the pod of a device that was deleted a
/// moment ago.
fn is_young(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
}

/// Returns whether the hub or DPS refuses the device with its credential.
fn is_refused(reported: &DeviceStatus) -> bool {
    matches!(
        reported.connection.reason,
        R::Unauthorized | R::RegistrationUnauthorized | R::EnrollmentDisabled | R::RegistrationFailed
    )
}

/// Returns whether the device has a credential, or could get one at once. The holder of the identity is not
/// considered.
fn is_usable(observed: &DeviceObservation) -> bool {
    let observed = DeviceObservation { contest: Contest::default(), ..observed.clone() };
    let issued =
        validate(&observed).and_then(|valid| issue(&valid, &observed, KnownCredential::default(), &DryRun));
    issued.is_ok()
}

/// Environment that make and count nothing.
struct DryRun;

impl Environment for DryRun {
    fn pair(&self, _: KeyKind) -> Result<Option<Pair>, PairError> {
        Ok(None)
    }

    fn serial(&self) -> [u8; 16] {
        [0; 16]
    }

    fn turn(&self, _: &Fingerprint) -> RolloverTurn {
        RolloverTurn::Now
    }

    fn now(&self) -> Timestamp {
        clock::timestamp()
    }
}
