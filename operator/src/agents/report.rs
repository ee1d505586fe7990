//! Report of an agent, and its pod. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use lanyard_handoff::status::{AgentStatus, ConnectionState, DeviceStatus};

/// Report of an agent, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The agent answered.
    Status(Box<AgentStatus>),
    /// The agent did not answer.
    Silent(String),
    /// The answer contradicts the agent's configuration; it is ignored.
    Contradicts(String),
}

/// Observation of the agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentSeen {
    /// Its pod: the youngest that does not end.
    pub pod: Option<Arc<Pod>>,
    /// True if the pod has an older specification, so that Kubernetes is about to replace it.
    pub outdated: bool,
    /// Reason why the `StatefulSet` has no pod.
    pub no_pod: Option<String>,
    /// Report of the agent.
    pub report: Option<Report>,
}

/// Returns the agent's report about this device.
pub(crate) fn device_report<'a>(agent: &'a AgentSeen, name: &str) -> Option<&'a DeviceStatus> {
    match &agent.report {
        Some(Report::Status(status)) => status.devices.iter().find(|device| device.name == name),
        _ => None,
    }
}

/// Returns whether a hub has accepted the device.
pub(crate) fn is_accepted(reported: &DeviceStatus) -> bool {
    reported.connection.state == ConnectionState::Connected
        || reported.credential.as_ref().is_some_and(|credential| credential.accepted.is_some())
}
