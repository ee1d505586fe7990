//! Readiness of the agent, and the missing parts. Pure.

use lanyard_handoff::status::{AgentStatus, ConnectionReason, ConnectionState, DeviceStatus};

/// Returns the readiness and its description. The agent is ready if all devices are connected or renew their login.
/// The absence of the hub does not affect liveness.
#[must_use]
pub fn readiness(status: &AgentStatus) -> (bool, String) {
    let mut missing = Vec::new();
    for device in &status.devices {
        let connection = &device.connection;
        let renewing = connection.reason == ConnectionReason::Renewing;
        if connection.state != ConnectionState::Connected && !renewing {
            missing.push(format!(
                "device {:?}: {}: {}",
                device.name,
                connection.reason.as_str(),
                connection.message
            ));
        }
    }
    let ready = missing.is_empty();
    let mut lines = if ready { vec!["ready".to_owned()] } else { missing };
    lines.extend(status.devices.iter().flat_map(credential_problems));
    if let Some(problem) = &status.configuration_problem {
        lines.push(format!("configuration: the newest document is not used: {problem}"));
    }
    (ready, lines.join("\n") + "\n")
}

/// Returns the errors of a device's newest credential; an older one may still work.
fn credential_problems(device: &DeviceStatus) -> Vec<String> {
    let Some(credential) = &device.credential else { return Vec::new() };
    let refused = credential.refused.as_ref().map(|refused| ("is refused", &refused.message));
    let unreadable = credential.unreadable.as_ref().map(|problem| ("is not used", problem));
    let line = |(how, why)| format!("device {:?}: the newest credential {how}: {why}", device.name);
    unreadable.into_iter().chain(refused).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanyard_handoff::status::{Connection, Credential};

    fn status(reason: ConnectionReason, state: ConnectionState) -> AgentStatus {
        let connection = Connection {
            state,
            since: jiff::Timestamp::UNIX_EPOCH,
            reason,
            unknown_reason: None,
            message: "why".to_owned(),
        };
        let device = DeviceStatus {
            name: "d".to_owned(),
            device_id: "d".to_owned(),
            uid: None,
            assigned_hub: None,
            connection,
            credential: None,
            problems: Vec::new(),
        };
        AgentStatus {
            version: 1,
            agent_version: String::new(),
            configuration_problem: None,
            devices: vec![device],
        }
    }

    #[test]
    fn missing_parts_are_named() {
        assert_eq!(
            readiness(&status(ConnectionReason::Connected, ConnectionState::Connected)),
            (true, "ready\n".to_owned())
        );
        assert!(readiness(&status(ConnectionReason::Renewing, ConnectionState::Disconnected)).0);
        let refused = readiness(&status(ConnectionReason::Unauthorized, ConnectionState::Disconnected));
        assert_eq!(refused, (false, "device \"d\": Unauthorized: why\n".to_owned()));
        let mut old = status(ConnectionReason::Connected, ConnectionState::Connected);
        old.configuration_problem = Some("bad".to_owned());
        let (ready, body) = readiness(&old);
        assert!(ready && body.contains("configuration:"), "{body}");
        let mut half = status(ConnectionReason::Connected, ConnectionState::Connected);
        half.devices[0].credential =
            Some(Credential { unreadable: Some("no key".to_owned()), ..Credential::default() });
        let (ready, body) = readiness(&half);
        assert!(ready && body.contains("device \"d\": the newest credential is not used: no key"), "{body}");
    }
}
