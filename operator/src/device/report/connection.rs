//! State of a device's connection, from the report of its agent. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lanyard_crds::status::{Connection, ConnectionState};
use lanyard_handoff::status::{self as handoff, ConnectionReason as R};

use super::agent_ready::{NO_AGENT, ignored, no_agent_wanted};
use super::outcome::Outcome;
use crate::agents::report::Report;
use crate::conditions::whole_seconds;
use crate::device::observe::observation::DeviceObservation;
use crate::reason::Reason;

/// Returns the state of the connection: what the agent reports, or why it is unknown.
pub(super) fn connection(
    observed: &DeviceObservation,
    outcome: &Outcome,
    reported: Option<&handoff::DeviceStatus>,
    before: Option<&Connection>,
    now: Timestamp,
) -> Connection {
    let reason = connection_reason(observed, outcome, reported).as_str().to_owned();
    if let (Some(reported), false) = (reported, matches!(outcome, Outcome::Withdrawn(_))) {
        let state = match reported.connection.state {
            handoff::ConnectionState::Connected => ConnectionState::Connected,
            handoff::ConnectionState::Disconnected => ConnectionState::Disconnected,
        };
        let since = Some(Time(whole_seconds(reported.connection.since)));
        return Connection { state, since, reason, message: message(reported) };
    }
    let (state, message) = match (outcome, &observed.agent.report) {
        (Outcome::Withdrawn(fault), _) => (ConnectionState::Disconnected, fault.message.clone()),
        _ if no_agent_wanted(observed) => (
            ConnectionState::Unknown,
            "agent.mode is None: the operator cannot see the connection of this device".to_owned(),
        ),
        (_, Some(Report::Silent(why))) => {
            (ConnectionState::Unknown, format!("the agent's /status cannot be read: {why}"))
        }
        (_, Some(Report::Contradicts(why))) => (ConnectionState::Unknown, ignored(why)),
        (_, Some(Report::Status(_))) => {
            (ConnectionState::Unknown, "the agent does not know the device yet".to_owned())
        }
        (_, None) => (ConnectionState::Unknown, "no agent answers".to_owned()),
    };
    let same = before.filter(|before| before.state == state && before.reason == reason);
    let since = same.map_or_else(|| Some(Time(whole_seconds(now))), |before| before.since.clone());
    Connection { state, since, reason, message }
}

/// Returns the agent's message about the connection, or one for the reason.
fn message(reported: &handoff::DeviceStatus) -> String {
    let handoff::Connection { message, unknown_reason, .. } = &reported.connection;
    let newer = unknown_reason.as_ref().map(|reason| {
        format!(
            "the agent reports reason {reason:?}, which this operator does not know: upgrade the operator"
        )
    });
    match (newer, message.as_str()) {
        (None, "") => in_words(reported),
        (None, message) => message.to_owned(),
        (Some(newer), "") => newer,
        (Some(newer), message) => format!("{newer}; {message}"),
    }
}

/// Returns the message for a state of which the agent reports only the reason.
fn in_words(reported: &handoff::DeviceStatus) -> String {
    match (reported.connection.reason, &reported.assigned_hub) {
        (R::Connected, Some(hub)) => format!("connected to {hub}"),
        (R::Connecting, Some(hub)) => format!("connecting to {hub}"),
        (R::Connecting, None) => "connecting to the hub".to_owned(),
        (R::Registering, _) => "asking DPS for the hub".to_owned(),
        _ => String::new(),
    }
}

/// Returns the reason of the state of the connection.
pub(super) fn connection_reason(
    observed: &DeviceObservation,
    outcome: &Outcome,
    reported: Option<&handoff::DeviceStatus>,
) -> Reason {
    match (outcome, reported, &observed.agent.report) {
        (Outcome::Withdrawn(fault), _, _) => fault.reason,
        _ if no_agent_wanted(observed) => NO_AGENT,
        (_, Some(reported), _) => Reason::Connection(reported.connection.reason),
        (_, None, Some(Report::Silent(_))) => Reason::AgentUnreachable,
        (_, None, Some(Report::Contradicts(_))) => Reason::AnswerIgnored,
        (_, None, Some(Report::Status(_))) => Reason::Connection(R::Connecting),
        (_, None, None) => Reason::AgentNotRunning,
    }
}
