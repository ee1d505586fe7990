//! State of one device: its tasks write it; status, readiness and metrics read it.

use parking_lot::{Mutex, MutexGuard};

use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status::{
    Connection, ConnectionReason, ConnectionState, Credential, DeviceStatus, Refused,
};

use crate::clock;
use crate::messages::outbox::Outbox;
use crate::messages::shared_outbox::SharedOutbox;
use crate::status::metrics::DeviceMetrics;

/// One device, as its tasks and its readers share it.
pub struct DeviceState {
    /// Its name in the configuration.
    pub name: String,
    /// Its events on their way.
    pub outbox: SharedOutbox,
    /// Its series.
    pub metrics: DeviceMetrics,
    known: Mutex<DeviceFields>,
}

#[derive(Debug)]
struct DeviceFields {
    device_id: String,
    uid: Option<String>,
    hub: Option<String>,
    connection: Connection,
    credential: Credential,
    problems: Vec<String>,
}

impl DeviceState {
    /// A device that has not connected yet.
    ///
    /// # Errors
    /// Never with Lanyard's metric names; the library checks them at run time.
    pub fn new(name: &str, device_id: &str, outbox: Outbox) -> prometheus::Result<Self> {
        let connection = Connection {
            state: ConnectionState::Disconnected,
            since: clock::timestamp(),
            reason: ConnectionReason::Connecting,
            unknown_reason: None,
            message: String::new(),
        };
        let known = DeviceFields {
            device_id: device_id.to_owned(),
            uid: None,
            hub: None,
            connection,
            credential: Credential::default(),
            problems: Vec::new(),
        };
        Ok(Self {
            name: name.to_owned(),
            outbox: SharedOutbox::new(outbox),
            metrics: DeviceMetrics::new(name)?,
            known: Mutex::new(known),
        })
    }

    fn known(&self) -> MutexGuard<'_, DeviceFields> {
        self.known.lock()
    }

    /// The hub accepted the device.
    pub fn connected(&self, device_id: &str, hub: &str) {
        let mut known = self.known();
        device_id.clone_into(&mut known.device_id);
        known.hub = Some(hub.to_owned());
        known.connection = Connection {
            state: ConnectionState::Connected,
            since: clock::timestamp(),
            reason: ConnectionReason::Connected,
            unknown_reason: None,
            message: String::new(),
        };
        self.metrics.connected.set(1);
    }

    /// The device is not connected, for this reason.
    pub fn disconnected(&self, reason: ConnectionReason, message: &str) {
        let mut known = self.known();
        if known.connection.state == ConnectionState::Connected {
            known.connection.since = clock::timestamp();
        }
        known.connection.state = ConnectionState::Disconnected;
        known.connection.reason = reason;
        message.clone_into(&mut known.connection.message);
        self.metrics.connected.set(0);
    }

    /// A registration is in progress. A failure that is being retried stays visible instead.
    pub fn registering(&self) {
        let mut known = self.known();
        if known.connection.reason == ConnectionReason::Connecting {
            known.connection.reason = ConnectionReason::Registering;
        }
    }

    /// The hub accepted a credential; whether it is the newest.
    pub fn credential_accepted(&self, fingerprint: &Fingerprint, newest: bool) {
        let mut known = self.known();
        known.credential.accepted = Some(fingerprint.clone());
        if newest {
            known.credential.refused = None;
        }
    }

    /// Records that the hub or DPS refused the newest credential, or clears it. The time stays while the credential
    /// is the same.
    pub fn credential_refused(&self, refused: Option<Refused>) {
        let mut known = self.known();
        let since =
            known.credential.refused.as_ref().map(|before| (before.fingerprint.clone(), before.since));
        known.credential.refused = refused.map(|refused| match since {
            Some((fingerprint, since)) if fingerprint == refused.fingerprint => Refused { since, ..refused },
            _ => refused,
        });
    }

    /// Records the error of the current files.
    pub fn credentials_unreadable(&self, problem: Option<String>) {
        self.known().credential.unreadable = problem;
    }

    /// Keeps the uid of the object that the configuration was made from.
    pub fn set_uid(&self, uid: Option<String>) {
        self.known().uid = uid;
    }

    /// Replaces what cannot be read.
    pub fn set_problems(&self, problems: Vec<String>) {
        self.known().problems = problems;
    }

    /// Returns the status of the device.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        let buffer = self.outbox.lock().problem().map(str::to_owned);
        let known = self.known();
        DeviceStatus {
            name: self.name.clone(),
            device_id: known.device_id.clone(),
            uid: known.uid.clone(),
            assigned_hub: known.hub.clone(),
            connection: known.connection.clone(),
            credential: Some(known.credential.clone())
                .filter(|credential| *credential != Credential::default()),
            problems: known.problems.iter().cloned().chain(buffer).collect(),
        }
    }
}
