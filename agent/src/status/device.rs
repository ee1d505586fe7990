//! State of one device: its tasks write it; status, readiness and metrics read it.

use std::sync::Arc;

use jiff::Timestamp;
use lanyard_handoff::status::{Credential, DeviceStatus};
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::messages::outbox::Outbox;
use crate::messages::shared_outbox::SharedOutbox;
use crate::status::connection::ConnectionStatus;
use crate::status::metrics;

/// One device, as its tasks and its readers share it.
pub struct DeviceState {
    /// Its events on their way.
    pub outbox: Arc<SharedOutbox>,
    /// Its connection and credentials.
    pub connection: Arc<ConnectionStatus>,
    /// Tags that could not be read the last time.
    pub tags_bad: IntGauge,
    configured: Mutex<ConfiguredFields>,
}

/// Fields of the status that a configuration changes.
#[derive(Debug, Default)]
struct ConfiguredFields {
    uid: Option<String>,
    problems: Vec<String>,
}

impl DeviceState {
    /// Creates the state of a device that has not connected yet.
    ///
    /// # Errors
    /// Never with Lanyard's metric names; the library checks them at run time.
    pub fn new(name: &str, device_id: &str, outbox: Outbox, now: Timestamp) -> prometheus::Result<Self> {
        Ok(Self {
            outbox: Arc::new(SharedOutbox::new(outbox)),
            connection: Arc::new(ConnectionStatus::new(name, device_id, now)?),
            tags_bad: metrics::tags_bad(name)?,
            configured: Mutex::default(),
        })
    }

    /// Returns the device's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        self.connection.name()
    }

    /// Keeps the uid of the object that the configuration was made from.
    pub fn set_uid(&self, uid: Option<String>) {
        self.configured.lock().uid = uid;
    }

    /// Replaces what cannot be read.
    pub fn set_problems(&self, problems: Vec<String>) {
        self.configured.lock().problems = problems;
    }

    /// Returns the status of the device.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        let buffer = self.outbox.lock().problem().map(str::to_owned);
        let connection = self.connection.fields().clone();
        let configured = self.configured.lock();
        DeviceStatus {
            name: self.name().to_owned(),
            device_id: connection.device_id,
            uid: configured.uid.clone(),
            assigned_hub: connection.hub,
            connection: connection.connection,
            credential: Some(connection.credential).filter(|credential| *credential != Credential::default()),
            problems: configured.problems.iter().cloned().chain(buffer).collect(),
        }
    }
}
