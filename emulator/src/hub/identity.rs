//! Identity of a device at its hub: its ids, its authentication, and its permission to connect. In memory.

use parking_lot::Mutex;
use std::sync::Arc;

use crate::random;
use crate::registry::authentication::Authentication;
use crate::registry::device::RegisteredDevice;

/// Identity of a device. Its ids never change.
#[derive(Debug)]
pub struct Identity {
    id: Arc<str>,
    generation_id: String,
    access: Mutex<Access>,
}

#[derive(Debug)]
struct Access {
    authentication: Authentication,
    enabled: bool,
}

impl Identity {
    /// Returns the identity of a device that was registered now.
    pub(super) fn new(registered: RegisteredDevice) -> Self {
        let RegisteredDevice { id, authentication, enabled } = registered;
        let generation_id =
            (600_000_000_000_000_000_u64 + random::random::<u64>() % 100_000_000_000_000_000).to_string();
        Self { id: id.into(), generation_id, access: Mutex::new(Access { authentication, enabled }) }
    }

    /// Returns the device id, which is case-sensitive.
    #[must_use]
    pub const fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Returns the generation id, which distinguishes the device from an earlier one of the same id.
    #[must_use]
    pub fn generation_id(&self) -> &str {
        &self.generation_id
    }

    /// Returns the current authentication of the device.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.access.lock().authentication.clone()
    }

    /// Sets the authentication; an open connection stays open.
    pub(super) fn set_authentication(&self, authentication: Authentication) {
        self.access.lock().authentication = authentication;
    }

    /// Returns whether the device may connect.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.access.lock().enabled
    }

    /// Allows the device to connect, or forbids it.
    pub(super) fn set_enabled(&self, enabled: bool) {
        self.access.lock().enabled = enabled;
    }
}
