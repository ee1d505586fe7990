//! Hubs and their devices. In memory.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

use lanyard_protocol::hub::host::{HostPort, MQTT_TLS_PORT};

use super::connections::CloseOrder;
use super::device::Device;
use crate::registry::device::RegisteredDevice;

/// One hub.
#[derive(Debug)]
pub struct Hub {
    /// Address of the hub in the answers of DPS. Azure's addresses have no port; a hub here may listen on any.
    pub address: String,
    /// The host name as it is configured, for user names, tokens and events.
    pub name: Arc<str>,
    devices: RwLock<HashMap<String, Arc<Device>>>,
}

impl Hub {
    /// Creates a hub without devices. Its address has the port of its host name, or else `port`.
    #[must_use]
    pub fn new(host: &HostPort, port: u16) -> Self {
        let port = if host.port() == MQTT_TLS_PORT { port } else { host.port() };
        let address =
            if port == MQTT_TLS_PORT { host.host().to_owned() } else { format!("{}:{port}", host.host()) };
        Self { name: Arc::from(host.host()), address, devices: RwLock::default() }
    }

    /// Returns the device with exactly this id (ids are case-sensitive, ref §3.3).
    #[must_use]
    pub fn device(&self, id: &str) -> Option<Arc<Device>> {
        self.devices.read().get(id).cloned()
    }

    /// Adds a device. Of a known one, only the authentication changes.
    pub fn put(&self, registered: RegisteredDevice) -> Arc<Device> {
        let mut devices = self.devices.write();
        if let Some(device) = devices.get(&registered.id) {
            device.set_authentication(registered.authentication);
            return device.clone();
        }
        let id = registered.id.clone();
        let device = Arc::new(Device::new(registered));
        devices.insert(id, device.clone());
        device
    }

    /// Forgets a device and closes its connection; `false` when there is none.
    pub fn remove(&self, id: &str) -> bool {
        let removed = self.devices.write().remove(id);
        removed.is_some_and(|device| {
            device.close(CloseOrder::Removed);
            true
        })
    }

    /// Returns all devices, by id.
    #[must_use]
    pub fn devices(&self) -> Vec<Arc<Device>> {
        let devices = self.devices.read();
        let mut all: Vec<_> = devices.values().cloned().collect();
        all.sort_by(|a, b| a.identity.id().cmp(b.identity.id()));
        all
    }
}

/// All hubs.
#[derive(Debug, Default)]
pub struct Hubs(Vec<Arc<Hub>>);

impl Hubs {
    /// Creates the collection of these hubs.
    #[must_use]
    pub fn new(hubs: Vec<Arc<Hub>>) -> Self {
        Self(hubs)
    }

    /// Finds the hub of this name. Case and a port make no difference (ref §14.1).
    #[must_use]
    pub fn find(&self, host: &str) -> Option<&Arc<Hub>> {
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        self.0.iter().find(|hub| hub.name.eq_ignore_ascii_case(name))
    }

    /// Returns the hubs in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Hub>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> String {
        Hub::new(&HostPort::parse(host).unwrap(), port).address
    }

    /// Azure never writes a port; Node and Lanyard's agent understand one (ref §14.1).
    #[test]
    fn an_address_has_a_port_when_it_needs_one() {
        assert_eq!(address("contoso.azure-devices.net", 8883), "contoso.azure-devices.net");
        assert_eq!(address("localhost", 40_123), "localhost:40123");
        assert_eq!(address("localhost:18883", 40_123), "localhost:18883");
    }

    #[test]
    fn hubs_are_found_without_case_and_port() {
        let hubs =
            Hubs::new(vec![Arc::new(Hub::new(&HostPort::parse("contoso.azure-devices.net").unwrap(), 8883))]);
        assert!(hubs.find("CONTOSO.azure-devices.net").is_some());
        assert!(hubs.find("contoso.azure-devices.net:18883").is_some());
        assert!(hubs.find("contoso").is_none() && hubs.find("").is_none());
    }
}
