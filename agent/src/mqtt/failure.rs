//! Errors of network, TLS and MQTT, as reason, cause and fix. Pure.

use lanyard_handoff::status::ConnectionReason;
use lanyard_protocol::hub::host::HostPort;
use rumqttc::mqttbytes::{self, v4::ConnectReturnCode};
use rustls::{AlertDescription, CertificateError};

use crate::wait::AskedWait;

/// Server at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `hub`, `gateway` or `DPS`.
    pub role: &'static str,
    /// Address of the server.
    pub at: HostPort,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}:{}", self.role, self.at.host(), self.at.port())
    }
}

/// Maximum length of a message in bytes. A message can contain text that a server chose, such as names in certificates.
const LONGEST_MESSAGE: usize = 2048;

/// Failure of a connect attempt or a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable word.
    pub reason: ConnectionReason,
    /// The cause and the fix, for people; never a secret.
    pub message: String,
    /// The least the server asks to wait.
    pub retry_after: Option<AskedWait>,
}

impl Failure {
    /// Creates a failure from a reason and its explanation.
    #[must_use]
    pub fn new(reason: ConnectionReason, message: impl Into<String>) -> Self {
        Self { reason, message: readable(message.into()), retry_after: None }
    }

    /// Creates the failure for a name that did not resolve.
    #[must_use]
    pub fn not_found(peer: &Peer, error: &std::io::Error) -> Self {
        let host = peer.at.host();
        Self::new(
            ConnectionReason::HostNotFound,
            format!(
                "the name {host:?} of the {} does not resolve ({error}): check its spelling and the DNS",
                peer.role
            ),
        )
    }

    /// Creates the failure for a host of which no address accepted the connection.
    #[must_use]
    pub fn unreachable(peer: &Peer, error: &std::io::Error) -> Self {
        let message = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                format!("{peer} refuses connections: check the port, and that the server is running")
            }
            _ => format!(
                "{peer} cannot be reached ({error}): check that network and firewalls let TCP port {} through",
                peer.at.port()
            ),
        };
        Self::new(ConnectionReason::HostUnreachable, message)
    }

    /// Creates the failure for an error of the TLS handshake.
    #[must_use]
    pub fn of_handshake(peer: &Peer, error: &std::io::Error) -> Self {
        tls(peer, error)
    }

    /// Creates the failure for an error of a connection whose TLS handshake succeeded.
    #[must_use]
    pub fn of_line(peer: &Peer, error: &mqttbytes::Error) -> Self {
        match error {
            mqttbytes::Error::Io(error) if tls_cause(error).is_some() => tls(peer, error),
            mqttbytes::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Self::closed(peer)
            }
            mqttbytes::Error::Io(error) => Self::new(
                ConnectionReason::ConnectionLost,
                format!(
                    "the connection to {peer} broke ({error}): check the network if this repeats; the agent reconnects"
                ),
            ),
            other => Self::not_mqtt(peer, other),
        }
    }

    /// Creates the failure for a connection that the server ended.
    #[must_use]
    pub fn closed(peer: &Peer) -> Self {
        let message = format!(
            "{peer} closed the connection without a reason: if that repeats, check that no other client connects \
                with this device's id, and that it is enabled there"
        );
        Self::new(ConnectionReason::ConnectionLost, message)
    }

    /// Creates the failure for a server that sent something other than MQTT.
    #[must_use]
    pub fn not_mqtt(peer: &Peer, what: &dyn std::fmt::Display) -> Self {
        let message = format!(
            "{peer} does not follow MQTT 3.1.1 ({what}): check that host and port are those of an IoT Hub or DPS"
        );
        Self::new(ConnectionReason::ConnectionLost, message)
    }

    /// Creates the failure for a login that the server refused (ref §1.10); `checks` tells the user what to check.
    #[must_use]
    pub fn refused(peer: &Peer, code: ConnectReturnCode, checks: &str) -> Self {
        refused(peer, code, checks)
    }
}

/// Returns the message as one short line, because a server may have written parts of it: replaces control characters,
/// and cuts it after [`LONGEST_MESSAGE`] bytes.
fn readable(mut message: String) -> String {
    if message.contains(char::is_control) {
        message = message.replace(char::is_control, "\u{fffd}");
    }
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.push('…');
    }
    message
}

fn refused(peer: &Peer, code: ConnectReturnCode, checks: &str) -> Failure {
    use ConnectionReason as R;
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => Failure::new(
            R::Unauthorized,
            format!(
                "{peer} refuses the device: check that it is registered and enabled there, {checks}, and that this machine's clock is right"
            ),
        ),
        ConnectReturnCode::ServiceUnavailable => Failure::new(
            R::HubUnavailable,
            format!(
                "{peer} is not available: it is overloaded, or hub.hostname is not its name; the agent retries"
            ),
        ),
        ConnectReturnCode::RefusedProtocolVersion => Failure::new(
            R::ProtocolRefused,
            format!("{peer} refuses MQTT 3.1.1: check that the host is an IoT Hub"),
        ),
        ConnectReturnCode::BadClientId => Failure::new(
            R::ProtocolRefused,
            format!("{peer} refuses the device id as MQTT client id: check deviceId"),
        ),
        ConnectReturnCode::Success => Failure::closed(peer),
    }
}

fn tls_cause(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

fn tls(peer: &Peer, error: &std::io::Error) -> Failure {
    let trusted = |message: String| Failure::new(ConnectionReason::CertificateNotTrusted, message);
    let host = peer.at.host();
    match tls_cause(error) {
        Some(rustls::Error::InvalidCertificate(cause)) => match cause {
            // A CA of the same name with another key signs badly.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => trusted(format!(
                "the certificate of {peer} is not signed by a CA that is trusted: add the CA's certificate to the \
                    device's trustedCA (ca.crt in its credentials folder), or to --trusted-ca"
            )),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                trusted(format!(
                    "the certificate of {peer} is not for the name {host:?}: use a host name that is in the certificate, \
                        or install a certificate for this name there ({cause})"
                ))
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => trusted(format!(
                "the certificate of {peer} has expired: renew it there, or check this machine's clock ({cause})"
            )),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => trusted(format!(
                "the certificate of {peer} is not valid yet: check the clocks of both machines ({cause})"
            )),
            other => trusted(format!("the certificate of {peer} cannot be trusted: {other}")),
        },
        Some(rustls::Error::InvalidMessage(_)) => Failure::new(
            ConnectionReason::TlsFailed,
            format!("{peer} does not speak TLS: use the port of MQTT over TLS, usually 8883"),
        ),
        Some(rustls::Error::AlertReceived(alert)) if is_of_certificate(*alert) => {
            refused_certificate(peer, *alert)
        }
        Some(other) => Failure::new(ConnectionReason::TlsFailed, format!("TLS with {peer} failed: {other}")),
        None => Failure::new(
            ConnectionReason::TlsFailed,
            format!(
                "{peer} ended the connection during the TLS handshake ({error}): check that the port is that of MQTT over TLS"
            ),
        ),
    }
}

/// Returns whether a TLS alert concerns the client's certificate. Hubs accept every certificate and refuse at CONNECT
/// (ref §1.4); gateways may refuse in the handshake.
const fn is_of_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::CertificateRequired
            | A::NoCertificate
            // A signature that does not verify: a CA of the right name and another key.
            | A::DecryptError
    )
}

fn refused_certificate(peer: &Peer, alert: AlertDescription) -> Failure {
    let (reason, fix) = match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => (
            ConnectionReason::Unauthorized,
            "it requires a certificate: provide tls.crt and tls.key instead of sharedAccessKey",
        ),
        AlertDescription::CertificateExpired => {
            (ConnectionReason::CredentialExpired, "renew it, or check the clocks of both machines")
        }
        _ => (
            ConnectionReason::Unauthorized,
            "check that it knows the thumbprint, or has verified the CA that signed it, and that tls.crt has every CA between the two",
        ),
    };
    Failure::new(reason, format!("{peer} refuses the device's certificate ({alert:?}): {fix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m2_overlong_message_of_a_server_is_cut() {
        let failure = Failure::new(ConnectionReason::Timeout, "ä".repeat(100_000));
        assert!(failure.message.len() <= LONGEST_MESSAGE + '…'.len_utf8(), "{}", failure.message.len());
        assert!(failure.message.ends_with("ä…"));
        assert_eq!(Failure::new(ConnectionReason::Timeout, "short").message, "short");
    }

    #[test]
    fn l16_control_characters_of_a_server_do_not_reach_logs() {
        let failure = Failure::new(ConnectionReason::Timeout, "unknown `\n\u{1b}[2JERROR all is lost`");
        assert_eq!(failure.message, "unknown `\u{fffd}\u{fffd}[2JERROR all is lost`");
    }
}
