//! Last stage: what the user is told, in status and events. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lanyard_crds::status::{
    Connection, ConnectionState, CredentialsKind, CredentialsStatus, IoTDeviceStatus, ProvisioningState,
};
use lanyard_protocol::handoff::status::{self as said, ConnectionReason as R};

use super::agents::Report;
use super::apply::{Applied, Written};
use super::observe::{AgentSeen, Observed};
use super::pod::{AGENT_STARTING, of_pod, starting};
use super::validate::{Destination, KeySource, Valid};
use crate::conditions::{
    AGENT_READY, Aspect, CONNECTED, CREDENTIALS_READY, READY, Truth, conditions, find, progress,
    whole_seconds,
};
use crate::fault::Fault;

/// How far a look at a device came.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// To the end.
    Applied(Box<Valid>, Applied),
    /// To something that somebody has to change; nothing was written, and what is there stays.
    Faulty(Fault),
    /// The device was taken away from the hub.
    Withdrawn(Fault),
}

impl Outcome {
    /// The first thing that somebody has to change.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Faulty(fault) | Self::Withdrawn(fault) => Some(fault),
            Self::Applied(_, Applied { credentials, configuration, workload }) => {
                [credentials, configuration, workload].into_iter().find_map(|written| written.as_ref().err())
            }
        }
    }

    /// How long to wait when something has to end or calm down first.
    #[must_use]
    pub fn waits(&self) -> Option<Duration> {
        let Self::Applied(_, Applied { credentials, configuration, workload }) = self else { return None };
        let waits = [credentials, configuration, workload].into_iter().filter_map(|written| match written {
            Ok(Written::Waiting(_)) => Some(Duration::ZERO),
            Ok(Written::Contested(_, wait)) => Some(*wait),
            _ => None,
        });
        waits.min()
    }
}

/// The status after a look at the device.
#[must_use]
pub fn status(
    observed: &Observed,
    before: &IoTDeviceStatus,
    outcome: &Outcome,
    now: Timestamp,
) -> IoTDeviceStatus {
    let device = &observed.device;
    let generation = device.metadata.generation.unwrap_or_default();
    let said = said_of(&observed.agent, &device.name_any());
    let connection = connection(observed, outcome, said, before.connection.as_ref(), now);
    let credentials = credentials_aspect(outcome);
    let agent = agent_aspect(observed, outcome);
    let connected = Aspect {
        truth: match connection.state {
            ConnectionState::Connected => Truth::True,
            ConnectionState::Disconnected => Truth::False,
            ConnectionState::Unknown => Truth::Unknown,
        },
        reason: connection_reason(outcome, &observed.agent, said),
        message: connection.message.clone(),
    };
    let ready = [&credentials, &agent, &connected].into_iter().find(|aspect| aspect.truth != Truth::True);
    let ready =
        ready.map_or_else(|| connected.clone(), |worst| Aspect { truth: Truth::False, ..worst.clone() });
    let stalled = outcome.fault().is_some() || waits_for_somebody(&observed.agent, said);
    let [reconciling, stalled] = progress(&ready, stalled);
    let assigned_hub = assigned_hub(outcome, before, said);
    IoTDeviceStatus {
        observed_generation: generation,
        device_id: Some(device.device_id().to_owned()),
        provisioning_state: Some(provisioning_state(outcome, &credentials, assigned_hub.as_deref())),
        assigned_hub,
        credentials: credentials_status(outcome, before),
        connection: Some(connection),
        conditions: conditions(
            vec![
                (READY, ready),
                (CREDENTIALS_READY, credentials),
                (AGENT_READY, agent),
                (CONNECTED, connected),
                reconciling,
                stalled,
            ],
            &before.conditions,
            generation,
            now,
        ),
    }
}

/// What the agent said of this device.
fn said_of<'a>(agent: &'a AgentSeen, name: &str) -> Option<&'a said::DeviceStatus> {
    match &agent.report {
        Some(Report::Said(status)) => status.devices.iter().find(|device| device.name == name),
        _ => None,
    }
}

fn from_fault(fault: &Fault) -> Aspect {
    Aspect::new(false, fault.reason.as_str(), fault.message.clone())
}

fn credentials_aspect(outcome: &Outcome) -> Aspect {
    match outcome {
        Outcome::Faulty(fault) | Outcome::Withdrawn(fault) => from_fault(fault),
        Outcome::Applied(_, Applied { credentials: Err(fault), .. }) => from_fault(fault),
        Outcome::Applied(_, Applied { credentials: Ok(Written::Waiting(why)), .. }) => {
            Aspect::new(false, "Waiting", why.clone())
        }
        Outcome::Applied(_, Applied { credentials: Ok(Written::Contested(why, _)), .. }) => {
            Aspect::new(false, "Contested", why.clone())
        }
        Outcome::Applied(valid, _) => {
            let from = match &valid.key_source {
                KeySource::Group { group, key, .. } => {
                    format!("derived from the {key} of ProvisioningGroup {group}")
                }
                KeySource::Own { secret } => format!("from Secret {secret}"),
            };
            Aspect::new(
                true,
                "Issued",
                format!("Secret {} holds the device's key, {from}", valid.secret_name),
            )
        }
    }
}

fn agent_aspect(observed: &Observed, outcome: &Outcome) -> Aspect {
    let agent = &observed.agent;
    match outcome {
        Outcome::Withdrawn(fault) => return from_fault(fault),
        Outcome::Applied(
            _,
            Applied { configuration: Err(fault), .. } | Applied { workload: Err(fault), .. },
        ) => return from_fault(fault),
        Outcome::Applied(_, Applied { workload: Ok(Written::Waiting(why)), .. }) => {
            return Aspect::new(false, "Waiting", why.clone());
        }
        Outcome::Applied(
            _,
            Applied { configuration: Ok(Written::Contested(why, _)), .. }
            | Applied { workload: Ok(Written::Contested(why, _)), .. },
        ) => return Aspect::new(false, "Contested", why.clone()),
        _ => {}
    }
    if let Some(Report::Said(status)) = &agent.report {
        return match &status.configuration_problem {
            Some(problem) => Aspect::new(false, "ConfigurationRejected", problem.clone()),
            None => Aspect::new(true, "Running", format!("agent {} runs", status.agent_version)),
        };
    }
    let Some(pod) = &agent.pod else {
        return match &agent.no_pods {
            Some(why) => {
                Aspect::new(false, "AgentPodRefused", format!("the agent's pod cannot be made: {why}"))
            }
            None => starting(),
        };
    };
    let aspect = of_pod(pod);
    match (&aspect.truth, &agent.report) {
        // It has not been asked yet.
        (Truth::True, None) => starting(),
        _ => aspect,
    }
}

fn connection(
    observed: &Observed,
    outcome: &Outcome,
    said: Option<&said::DeviceStatus>,
    before: Option<&Connection>,
    now: Timestamp,
) -> Connection {
    let reason = connection_reason(outcome, &observed.agent, said).to_owned();
    if let (Some(said), false) = (said, matches!(outcome, Outcome::Withdrawn(_))) {
        let state = match said.connection.state {
            said::ConnectionState::Connected => ConnectionState::Connected,
            said::ConnectionState::Disconnected => ConnectionState::Disconnected,
        };
        let mut message = said.connection.message.clone();
        if message.is_empty() {
            message = in_words(said);
        }
        for problem in &said.problems {
            message = if message.is_empty() { problem.clone() } else { format!("{message}; {problem}") };
        }
        return Connection {
            state,
            since: Some(Time(whole_seconds(said.connection.since))),
            reason,
            message,
        };
    }
    let (state, message) = match (outcome, &observed.agent.report) {
        (Outcome::Withdrawn(fault), _) => (ConnectionState::Disconnected, fault.message.clone()),
        (_, Some(Report::Silent(why))) => {
            (ConnectionState::Unknown, format!("the agent's /status cannot be read: {why}"))
        }
        (_, Some(Report::Said(_))) => {
            (ConnectionState::Unknown, "the agent does not know the device yet".to_owned())
        }
        (_, None) => (ConnectionState::Unknown, "no agent runs".to_owned()),
    };
    let same = before.filter(|before| before.state == state && before.reason == reason);
    let since = same.map_or_else(|| Some(Time(whole_seconds(now))), |before| before.since.clone());
    Connection { state, since, reason, message }
}

/// Where an agent has nothing to add to the one word.
fn in_words(said: &said::DeviceStatus) -> String {
    match (said.connection.reason, &said.assigned_hub) {
        (R::Connected, Some(hub)) => format!("connected to {hub}"),
        (R::Connecting, Some(hub)) => format!("connecting to {hub}"),
        (R::Connecting, None) => "connecting to the hub".to_owned(),
        (R::Registering, _) => "asking DPS for the hub".to_owned(),
        _ => String::new(),
    }
}

fn connection_reason(
    outcome: &Outcome,
    agent: &AgentSeen,
    said: Option<&said::DeviceStatus>,
) -> &'static str {
    match (outcome, said, &agent.report) {
        (Outcome::Withdrawn(fault), _, _) => fault.reason.as_str(),
        (_, Some(said), _) => said.connection.reason.as_str(),
        (_, None, Some(Report::Silent(_))) => "AgentUnreachable",
        (_, None, Some(Report::Said(_))) => "Connecting",
        (_, None, None) => "AgentNotRunning",
    }
}

/// Whether nothing goes on until somebody changes something at the hub, at DPS or in the object.
fn waits_for_somebody(agent: &AgentSeen, said: Option<&said::DeviceStatus>) -> bool {
    let rejected =
        matches!(&agent.report, Some(Report::Said(status)) if status.configuration_problem.is_some());
    let refused = said.is_some_and(|said| {
        matches!(
            said.connection.reason,
            R::Unauthorized
                | R::RegistrationUnauthorized
                | R::EnrollmentDisabled
                | R::CertificateNotTrusted
                | R::ProtocolRefused
        )
    });
    rejected || refused
}

/// The hub a device was at. It stays while the device is blocked, so that unblocking returns to the state before.
fn assigned_hub(
    outcome: &Outcome,
    before: &IoTDeviceStatus,
    said: Option<&said::DeviceStatus>,
) -> Option<String> {
    let was = before.assigned_hub.clone();
    let Outcome::Applied(valid, _) = outcome else { return was };
    let connected = said.is_some_and(|said| said.connection.state == said::ConnectionState::Connected);
    let told = said.and_then(|said| said.assigned_hub.clone());
    match &valid.destination {
        Destination::Dps(_) => told.or(was),
        Destination::Hub(hub) if connected => told.or_else(|| Some(hub.hostname.host().to_owned())),
        Destination::Hub(hub) => was.filter(|was| {
            was.split(':').next().is_some_and(|was| was.eq_ignore_ascii_case(hub.hostname.host()))
        }),
    }
}

fn provisioning_state(
    outcome: &Outcome,
    credentials: &Aspect,
    assigned_hub: Option<&str>,
) -> ProvisioningState {
    match (outcome, assigned_hub, credentials.truth) {
        (Outcome::Withdrawn(fault), _, _) if fault.reason == crate::fault::Reason::Blocked => {
            ProvisioningState::Blocked
        }
        (Outcome::Withdrawn(_), _, _) => ProvisioningState::Unassociated,
        (_, Some(_), _) => ProvisioningState::Provisioned,
        (_, None, Truth::True) => ProvisioningState::Registered,
        (_, None, _) => ProvisioningState::Unassociated,
    }
}

fn credentials_status(outcome: &Outcome, before: &IoTDeviceStatus) -> Option<CredentialsStatus> {
    match outcome {
        Outcome::Withdrawn(_) => None,
        Outcome::Applied(valid, Applied { credentials: Ok(_), .. }) => Some(CredentialsStatus {
            secret_name: valid.secret_name.clone(),
            kind: CredentialsKind::SharedAccessKey,
        }),
        _ => before.credentials.clone(),
    }
}

/// Something worth an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Whether it is a warning.
    pub warning: bool,
    /// In one word.
    pub reason: String,
    /// What the operator did or saw.
    pub action: &'static str,
    /// In words.
    pub message: String,
}

/// What happened between two statuses; nothing when nothing changed.
#[must_use]
pub fn happened(before: &IoTDeviceStatus, after: &IoTDeviceStatus, outcome: &Outcome) -> Vec<Happened> {
    let mut events = Vec::new();
    if let Outcome::Applied(valid, applied) = outcome {
        let word = match applied.credentials {
            Ok(Written::Created) => Some("CredentialsIssued"),
            Ok(Written::Updated) => Some("CredentialsRenewed"),
            _ => None,
        };
        events.extend(word.map(|word| normal(word, "Issue", format!("wrote Secret {}", valid.secret_name))));
        let word = match applied.workload {
            Ok(Written::Created) => Some("AgentDeployed"),
            Ok(Written::Updated) => Some("AgentUpdated"),
            _ => None,
        };
        events.extend(
            word.map(|word| normal(word, "Deploy", format!("wrote Deployment {}-agent", valid.name))),
        );
    }
    let told = |status: &IoTDeviceStatus| {
        find(&status.conditions, READY).map(|ready| (ready.status.clone(), ready.reason.clone()))
    };
    if told(before) != told(after)
        // That it starts is said when it is deployed.
        && told(after).is_none_or(|(_, reason)| reason != AGENT_STARTING)
        && let Some(ready) = find(&after.conditions, READY)
    {
        let was_ready = find(&before.conditions, READY).is_some_and(|ready| ready.status == "True");
        let is_ready = ready.status == "True";
        let stalled = find(&after.conditions, crate::conditions::STALLED)
            .is_some_and(|stalled| stalled.status == "True");
        let blocked = after.provisioning_state == Some(ProvisioningState::Blocked);
        events.push(Happened {
            warning: !is_ready && !blocked && (was_ready || stalled),
            reason: ready.reason.clone(),
            action: "Observe",
            message: ready.message.clone(),
        });
    }
    events
}

fn normal(reason: &str, action: &'static str, message: String) -> Happened {
    Happened { warning: false, reason: reason.to_owned(), action, message }
}
