//! Answer of an agent on `/status`: the state of each of its devices. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;

/// Version of the answer.
pub const VERSION: u32 = 1;

/// State of an agent and its devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Version of the answer, [`VERSION`]. Additional fields do not change it.
    pub version: u32,
    /// Version of the agent.
    pub agent_version: String,
    /// Error of the newest configuration document, if the agent does not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_problem: Option<String>,
    /// Devices in the order of the configuration.
    pub devices: Vec<DeviceStatus>,
}

/// State of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatus {
    /// Name of the device in the configuration.
    pub name: String,
    /// Id of the device at the hub.
    pub device_id: String,
    /// Kubernetes object of the device, from the configuration. The operator ignores the state of an object with
    /// another uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Host name of the hub: configured, or assigned by DPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// Connection to the hub.
    pub connection: Connection,
    /// Credential of the device; absent while it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// Errors of tags that cannot be read: field and fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Credential of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// Credential that the hub accepted last, since the agent started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Fingerprint>,
    /// Newest credential, if hub or DPS refused it. The device continues with the previous one, if it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Error of the current files, if they are unusable: file and fix, never a secret. The device continues with its
    /// loaded credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A credential that hub or DPS refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Fingerprint of the credential.
    pub fingerprint: Fingerprint,
    /// Time of the refusal.
    pub since: Timestamp,
    /// Error and its fix; never a secret.
    pub message: String,
}

/// State of a connection, with reason and message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "ReceivedConnection")]
pub struct Connection {
    /// State of the connection.
    pub state: ConnectionState,
    /// Time of the last change of the state.
    pub since: Timestamp,
    /// Reason of the state.
    pub reason: ConnectionReason,
    /// Name of a reason that only a newer agent knows; the reason is [`ConnectionReason::Unknown`] then.
    #[serde(skip_serializing)]
    pub unknown_reason: Option<String>,
    /// Message with the cause and its fix; never a secret.
    pub message: String,
}

/// Connection as it is received, before its reason is known.
#[derive(Deserialize)]
struct ReceivedConnection {
    state: ConnectionState,
    since: Timestamp,
    reason: String,
    #[serde(default)]
    message: String,
}

impl From<ReceivedConnection> for Connection {
    fn from(received: ReceivedConnection) -> Self {
        let ReceivedConnection { state, since, reason: name, message } = received;
        let known = ConnectionReason::parse(&name);
        let unknown_reason = known.is_none().then_some(name);
        Self { state, since, reason: known.unwrap_or(ConnectionReason::Unknown), unknown_reason, message }
    }
}

/// State of a connection to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectionState {
    /// The hub accepted the device, and the connection is open.
    Connected,
    /// There is no connection.
    Disconnected,
}

/// Reason of a connection's state: stable names for conditions, events and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum ConnectionReason {
    /// The hub accepted the device.
    Connected,
    /// The first connect attempt is in progress.
    Connecting,
    /// A registration at DPS is in progress.
    Registering,
    /// A file of the credentials folder is missing, invalid, or does not match the others.
    CredentialsUnreadable,
    /// The device's certificate has expired.
    CredentialExpired,
    /// The host name does not resolve.
    HostNotFound,
    /// The host does not answer, or refuses on that port.
    HostUnreachable,
    /// The server's certificate is not signed by a trusted CA, or not for that name, or out of date.
    CertificateNotTrusted,
    /// TLS failed for another reason.
    TlsFailed,
    /// The hub refuses key or certificate, does not know the device or has disabled it (CONNACK 4 or 5, or TLS).
    Unauthorized,
    /// The hub does not know its own name in the user name, or is busy (CONNACK 3).
    HubUnavailable,
    /// The server refuses the protocol or the client id (CONNACK 1 or 2).
    ProtocolRefused,
    /// DPS refuses key or certificate, or does not know id scope or enrollment.
    RegistrationUnauthorized,
    /// DPS says that the enrollment is disabled.
    EnrollmentDisabled,
    /// DPS ended the registration without a hub.
    RegistrationFailed,
    /// The server closed the connection, or the network failed.
    ConnectionLost,
    /// The server accepted a message and did not acknowledge it, or did not answer in time.
    Timeout,
    /// The agent closed the connection to use a new token, credential or configuration.
    Renewing,
    /// The agent is shutting down.
    ShuttingDown,
    /// A reason of a newer agent.
    Unknown,
}

impl ConnectionReason {
    /// All reasons.
    pub const ALL: [Self; 20] = [
        Self::Connected,
        Self::Connecting,
        Self::Registering,
        Self::CredentialsUnreadable,
        Self::CredentialExpired,
        Self::HostNotFound,
        Self::HostUnreachable,
        Self::CertificateNotTrusted,
        Self::TlsFailed,
        Self::Unauthorized,
        Self::HubUnavailable,
        Self::ProtocolRefused,
        Self::RegistrationUnauthorized,
        Self::EnrollmentDisabled,
        Self::RegistrationFailed,
        Self::ConnectionLost,
        Self::Timeout,
        Self::Renewing,
        Self::ShuttingDown,
        Self::Unknown,
    ];

    /// Returns the reason with a name; `None` for a name of a newer agent.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Returns the name in conditions, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Connecting => "Connecting",
            Self::Registering => "Registering",
            Self::CredentialsUnreadable => "CredentialsUnreadable",
            Self::CredentialExpired => "CredentialExpired",
            Self::HostNotFound => "HostNotFound",
            Self::HostUnreachable => "HostUnreachable",
            Self::CertificateNotTrusted => "CertificateNotTrusted",
            Self::TlsFailed => "TlsFailed",
            Self::Unauthorized => "Unauthorized",
            Self::HubUnavailable => "HubUnavailable",
            Self::ProtocolRefused => "ProtocolRefused",
            Self::RegistrationUnauthorized => "RegistrationUnauthorized",
            Self::EnrollmentDisabled => "EnrollmentDisabled",
            Self::RegistrationFailed => "RegistrationFailed",
            Self::ConnectionLost => "ConnectionLost",
            Self::Timeout => "Timeout",
            Self::Renewing => "Renewing",
            Self::ShuttingDown => "ShuttingDown",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_stable_and_tolerates_newer_agents() {
        let text = r#"{"version":1,"agentVersion":"0.1.0","devices":[{"name":"press-17","deviceId":"press-17","assignedHub":"contoso.azure-devices.net","connection":{"state":"Disconnected","since":"2026-01-02T03:04:05Z","reason":"Unauthorized","message":"the hub refuses the key"}}]}"#;
        let status: AgentStatus = serde_json::from_str(text).unwrap();
        assert_eq!(status.devices[0].connection.reason, ConnectionReason::Unauthorized);
        assert_eq!(serde_json::to_string(&status).unwrap(), text);
        let newer =
            text.replace("Unauthorized", "EatenByMice").replace("\"version\":1", "\"version\":1,\"more\":{}");
        let status: AgentStatus = serde_json::from_str(&newer).unwrap();
        let connection = &status.devices[0].connection;
        assert_eq!(connection.reason.as_str(), "Unknown");
        assert_eq!(connection.unknown_reason.as_deref(), Some("EatenByMice"));
    }

    #[test]
    fn every_reason_is_parsed_from_its_name() {
        for reason in ConnectionReason::ALL {
            let json = serde_json::to_value(reason).unwrap();
            assert_eq!(json, reason.as_str());
            let text =
                format!(r#"{{"state":"Disconnected","since":"2026-01-02T03:04:05Z","reason":{json}}}"#);
            let connection: Connection = serde_json::from_str(&text).unwrap();
            assert_eq!((connection.reason, connection.unknown_reason), (reason, None));
        }
    }

    #[test]
    fn credential_results_are_stable() {
        let text = r#"{"accepted":"AA","refused":{"fingerprint":"BB","since":"2026-01-02T03:04:05Z","message":"wrong"},"unreadable":"tls.key is empty"}"#;
        let credential: Credential = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&credential).unwrap(), text);
        assert_eq!(serde_json::from_str::<Credential>("{}").unwrap(), Credential::default());
    }
}
