//! Last stage: status and events. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lanyard_crds::status::{ClaimStatus, ConnectionState, IoTDeviceStatus, ProvisioningState};
use lanyard_handoff::status::{self as handoff, ConnectionReason as R};

use super::agent_ready::{NO_AGENT, agent_ready, no_agent_wanted};
use super::connection::{connection, connection_reason};
use super::credentials_ready;
use super::state;
use crate::agents::pod::{AGENT_STARTING, stuck};
use crate::agents::report::AgentSeen;
use crate::agents::report::Report;
use crate::agents::report::device_report;
use crate::agents::report::is_accepted;
use crate::conditions::{
    AGENT_READY, Aspect, CONNECTED, CREDENTIALS_EXPIRING, CREDENTIALS_READY, ConditionStatus, READY,
    conditions, find, progress, whole_seconds,
};
use crate::device::apply::written::Written;
use crate::device::observe::observation::DeviceObservation;
use crate::device::report::outcome::Outcome;
use crate::device::validate::approval;
use crate::device::validate::effective::Destination;
use crate::identity::index::{Identity, identity};
use crate::kubernetes::event::UserEvent;
use crate::kubernetes::event::normal;
use crate::reason::Reason;

/// Returns the status after a reconciliation of the device.
#[must_use]
pub fn status(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    outcome: &Outcome,
    now: Timestamp,
) -> IoTDeviceStatus {
    let device = &observed.device;
    let generation = device.metadata.generation.unwrap_or_default();
    let no_agent = no_agent_wanted(observed);
    let reported = device_report(&observed.agent, &device.name_any()).filter(|_| !no_agent);
    let connection = connection(observed, outcome, reported, before.connection.as_ref(), now);
    let credentials = credentials_ready::ready(outcome, reported, before.credentials.is_some());
    let expiring = credentials_ready::expiring(observed, outcome, before, now);
    let stuck = observed.agent.pod.as_ref().and_then(|pod| stuck(pod, now));
    let waits = stuck.is_some()
        || (!no_agent && waits_for_user(&observed.agent, reported))
        || credentials.reason == Reason::CredentialRefused;
    let agent = agent_ready(observed, outcome, reported, stuck);
    let connected = Aspect {
        status: match connection.state {
            ConnectionState::Connected => ConditionStatus::True,
            ConnectionState::Disconnected => ConditionStatus::False,
            ConnectionState::Unknown => ConditionStatus::Unknown,
        },
        reason: connection_reason(observed, outcome, reported),
        message: connection.message.clone(),
    };
    let ready =
        [&credentials, &agent, &connected].into_iter().find(|aspect| aspect.status != ConditionStatus::True);
    let ready = match ready {
        // The connection state is unknown without an agent.
        Some(worst) if worst.reason == NO_AGENT => credentials.clone(),
        Some(worst) => Aspect { status: ConditionStatus::False, ..worst.clone() },
        None => connected.clone(),
    };
    let [reconciling, stalled] =
        progress(&ready, outcome.fault().is_some_and(|fault| !fault.reason.is_a_step()) || waits);
    let assigned_hub = assigned_hub(outcome, before, reported);
    let issued = credentials_ready::status(outcome, before);
    let (provisioning_state, state_before_block) =
        provisioning_state(observed, before, assigned_hub.as_deref(), issued.is_some());
    let claim = claim(observed, before, reported, assigned_hub.as_deref(), now);
    IoTDeviceStatus {
        observed_generation: generation,
        device_id: Some(device.device_id().to_owned()),
        provisioning_state: Some(provisioning_state),
        state_before_block,
        assigned_hub,
        claim,
        admitted_to: Some(approval::admission(device, observed.group.as_deref())),
        credentials: issued,
        connection: Some(connection),
        conditions: conditions(
            [(READY, ready), (CREDENTIALS_READY, credentials)]
                .into_iter()
                .chain(expiring.map(|expiring| (CREDENTIALS_EXPIRING, expiring)))
                .chain([(AGENT_READY, agent), (CONNECTED, connected), reconciling, stalled])
                .collect(),
            &before.conditions,
            generation,
            now,
        ),
    }
}

/// Returns whether a user must change something at the hub, at DPS or in the object.
fn waits_for_user(agent: &AgentSeen, reported: Option<&handoff::DeviceStatus>) -> bool {
    let rejected =
        matches!(&agent.report, Some(Report::Status(status)) if status.configuration_problem.is_some());
    let refused = reported.is_some_and(|reported| {
        !reported.problems.is_empty()
            || matches!(
                reported.connection.reason,
                R::Unauthorized
                    | R::RegistrationUnauthorized
                    | R::EnrollmentDisabled
                    | R::CertificateNotTrusted
                    | R::ProtocolRefused
            )
    });
    rejected || refused
}

/// Returns the device's last known hub. It stays while the device is blocked, so that unblocking returns to the state
/// before.
fn assigned_hub(
    outcome: &Outcome,
    before: &IoTDeviceStatus,
    reported: Option<&handoff::DeviceStatus>,
) -> Option<String> {
    let was = before.assigned_hub.clone();
    let Outcome::Applied(valid, _) = outcome else { return was };
    let connected =
        reported.is_some_and(|reported| reported.connection.state == handoff::ConnectionState::Connected);
    let reported_hub = reported.and_then(|reported| reported.assigned_hub.clone());
    match &valid.destination {
        Destination::Dps(_) => reported_hub.or(was),
        Destination::Hub(hub) if connected => reported_hub.or_else(|| Some(hub.hostname.host().to_owned())),
        Destination::Hub(hub) => was.filter(|was| {
            was.split(':').next().is_some_and(|was| was.eq_ignore_ascii_case(hub.hostname.host()))
        }),
    }
}

/// Returns the identities that the device has proven. The time of the first proof stays as long as the identity does.
fn claim(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    reported: Option<&handoff::DeviceStatus>,
    assigned_hub: Option<&str>,
    now: Timestamp,
) -> Option<ClaimStatus> {
    let device = &observed.device;
    let uid = device.metadata.uid.clone()?;
    let own = identity(device, observed.group.as_deref())?;
    let before = before.claim.clone().filter(|before| {
        before.uid == uid && before.identities.first().is_some_and(|first| *first == own.to_string())
    });
    let Some(reported) = reported.filter(|reported| is_accepted(reported)) else { return before };
    let hub = assigned_hub.filter(|_| matches!(own, Identity::Registration { .. }));
    let hub = hub.map(|hub| Identity::at_hub(hub, &reported.device_id));
    let since = before.map_or_else(|| Time(whole_seconds(now)), |before| before.since);
    let identities = std::iter::once(own).chain(hub).map(|identity| identity.to_string()).collect();
    Some(ClaimStatus { identities, since, uid })
}

fn provisioning_state(
    observed: &DeviceObservation,
    before: &IoTDeviceStatus,
    assigned_hub: Option<&str>,
    issued: bool,
) -> (ProvisioningState, Option<ProvisioningState>) {
    let (device, group) = (&observed.device, observed.group.as_deref());
    let was =
        state::PreviousState { state: before.provisioning_state, before_block: before.state_before_block };
    let seen = state::StateInputs {
        blocked: device.spec.blocked,
        waits: approval::waits_for_approval(device, group),
        template: state::has_template(device, group),
        was_at_hub: assigned_hub.is_some(),
        issued,
    };
    state::next(was, seen)
}

/// Returns the events between two statuses; none if nothing changed.
#[must_use]
pub fn happened(before: &IoTDeviceStatus, after: &IoTDeviceStatus, outcome: &Outcome) -> Vec<UserEvent> {
    let mut events = Vec::new();
    if let Outcome::Applied(valid, applied) = outcome {
        events.extend(credentials_ready::written(before, after, valid, applied));
        let word = match applied.workload {
            Ok(Written::Created) => Some(Reason::AgentDeployed),
            Ok(Written::Updated { .. }) => Some(Reason::AgentUpdated),
            _ => None,
        };
        events.extend(word.map(|word| {
            let name = crate::device::plan::name::workload(&valid.name);
            normal(word, "Deploy", format!("wrote StatefulSet {name}"))
        }));
    }
    events.extend(credentials_ready::ends(before, after));
    let ready_state = |status: &IoTDeviceStatus| {
        find(&status.conditions, READY).map(|ready| (ready.status.clone(), ready.reason.clone()))
    };
    if ready_state(before) != ready_state(after)
        // Its start is reported when it is deployed.
        && ready_state(after).is_none_or(|(_, reason)| reason != AGENT_STARTING.as_str())
        && let Some(ready) = find(&after.conditions, READY)
        && let Some(reason) = Reason::parse(&ready.reason)
    {
        let was_ready = find(&before.conditions, READY).is_some_and(|ready| ready.status == "True");
        let is_ready = ready.status == "True";
        let stalled = find(&after.conditions, crate::conditions::STALLED)
            .is_some_and(|stalled| stalled.status == "True");
        // A user requested it.
        let blocked = after.provisioning_state == Some(ProvisioningState::Blocked);
        events.push(UserEvent {
            warning: !is_ready && !blocked && (was_ready || stalled),
            reason,
            action: "Observe",
            message: ready.message.clone(),
        });
    }
    events
}
