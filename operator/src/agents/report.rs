//! Report of an agent, and its pod. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use lanyard_protocol::handoff::status::{AgentStatus, ConnectionState, DeviceStatus};

/// What an agent said of itself, or why it said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It answered.
    Said(Box<AgentStatus>),
    /// It did not.
    Silent(String),
    /// It answered something that contradicts what it was given, which is ignored.
    Contradicts(String),
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

/// What the agent said of this device.
pub(crate) fn said_of<'a>(agent: &'a AgentSeen, name: &str) -> Option<&'a DeviceStatus> {
    match &agent.report {
        Some(Report::Said(status)) => status.devices.iter().find(|device| device.name == name),
        _ => None,
    }
}

/// Whether a hub has accepted the device.
pub(crate) fn is_accepted(said: &DeviceStatus) -> bool {
    said.connection.state == ConnectionState::Connected
        || said.credential.as_ref().is_some_and(|credential| credential.accepted.is_some())
}
