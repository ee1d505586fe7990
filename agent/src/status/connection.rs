//! State of a device's connection and credentials: the session writes it; status and metrics read it.

use std::time::Duration;

use jiff::Timestamp;
use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status::{Connection, ConnectionReason, ConnectionState, Credential, Refused};
use parking_lot::{Mutex, MutexGuard};

use crate::status::metrics::ConnectionMetrics;

/// State of a device's connection. A session can only write it.
pub struct ConnectionStatus {
    name: String,
    metrics: ConnectionMetrics,
    fields: Mutex<ConnectionFields>,
}

/// Fields of the status that a session changes.
#[derive(Debug, Clone)]
pub(super) struct ConnectionFields {
    pub(super) device_id: String,
    pub(super) hub: Option<String>,
    pub(super) connection: Connection,
    pub(super) credential: Credential,
}

impl ConnectionStatus {
    /// Creates the status of a device that has not connected yet.
    ///
    /// # Errors
    /// Never with Lanyard's metric names; the library checks them at run time.
    pub fn new(name: &str, device_id: &str, now: Timestamp) -> prometheus::Result<Self> {
        let connection = Connection {
            state: ConnectionState::Disconnected,
            since: now,
            reason: ConnectionReason::Connecting,
            unknown_reason: None,
            message: String::new(),
        };
        let fields = ConnectionFields {
            device_id: device_id.to_owned(),
            hub: None,
            connection,
            credential: Credential::default(),
        };
        Ok(Self { name: name.to_owned(), metrics: ConnectionMetrics::new(name)?, fields: Mutex::new(fields) })
    }

    /// Returns the device's name in the configuration, for logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn metrics(&self) -> &ConnectionMetrics {
        &self.metrics
    }

    pub(super) fn fields(&self) -> MutexGuard<'_, ConnectionFields> {
        self.fields.lock()
    }

    /// Records that the hub accepted the device.
    pub fn connected(&self, device_id: &str, hub: &str, now: Timestamp) {
        self.metrics.attempted(ConnectionReason::Connected);
        let mut fields = self.fields();
        device_id.clone_into(&mut fields.device_id);
        fields.hub = Some(hub.to_owned());
        fields.connection = Connection {
            state: ConnectionState::Connected,
            since: now,
            reason: ConnectionReason::Connected,
            unknown_reason: None,
            message: String::new(),
        };
        self.metrics.connected.set(1);
    }

    /// Records that the device is not connected, for this reason.
    pub fn disconnected(&self, reason: ConnectionReason, message: &str, now: Timestamp) {
        let mut fields = self.fields();
        if fields.connection.state == ConnectionState::Connected {
            fields.connection.since = now;
        }
        fields.connection.state = ConnectionState::Disconnected;
        fields.connection.reason = reason;
        message.clone_into(&mut fields.connection.message);
        self.metrics.connected.set(0);
    }

    /// Records that a registration is in progress. A failure that is being retried stays visible instead.
    pub fn registering(&self) {
        let mut fields = self.fields();
        if fields.connection.reason == ConnectionReason::Connecting {
            fields.connection.reason = ConnectionReason::Registering;
        }
    }

    /// Counts a failed attempt to connect or to register.
    pub fn attempt_failed(&self, reason: ConnectionReason) {
        self.metrics.attempted(reason);
    }

    /// Counts the end of an accepted connection.
    pub fn connection_ended(&self, reason: ConnectionReason) {
        self.metrics.disconnected(reason);
    }

    /// Counts a message that the hub acknowledged so long after it was sent.
    pub fn acknowledged(&self, latency: Duration) {
        self.metrics.published.inc();
        self.metrics.latency.observe(latency.as_secs_f64());
    }

    /// Records the expiry of the token in use, in seconds since 1970-01-01T00:00:00Z.
    pub fn token_expires(&self, at: u64) {
        self.metrics.token_expires(at);
    }

    /// Records the expiry of the certificate in use.
    pub fn certificate_expires(&self, at: Timestamp) {
        self.metrics.certificate_expires(at);
    }

    /// Records that the hub accepted a credential, and whether it is the newest.
    pub fn credential_accepted(&self, fingerprint: &Fingerprint, newest: bool) {
        let mut fields = self.fields();
        fields.credential.accepted = Some(fingerprint.clone());
        if newest {
            fields.credential.refused = None;
        }
    }

    /// Records that the hub or DPS refused the newest credential, or clears it. The time stays while the credential
    /// is the same.
    pub fn credential_refused(&self, refused: Option<Refused>) {
        let mut fields = self.fields();
        let since =
            fields.credential.refused.as_ref().map(|before| (before.fingerprint.clone(), before.since));
        fields.credential.refused = refused.map(|refused| match since {
            Some((fingerprint, since)) if fingerprint == refused.fingerprint => Refused { since, ..refused },
            _ => refused,
        });
    }

    /// Records the error of the current files.
    pub fn credentials_unreadable(&self, problem: Option<String>) {
        self.fields().credential.unreadable = problem;
    }
}
