//! Endpoint of a device's login: server, hub and device id. Pure.

use lanyard_handoff::config::{Device, Dps, Hub};
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::DeviceId;

use crate::dps::assignment::Assignment;
use crate::mqtt::failure::Peer;

/// Endpoint of a login.
pub(super) struct Endpoint {
    /// Server to connect to.
    pub(super) peer: Peer,
    /// Hub in user name and token, also with a gateway (ref §1.13).
    pub(super) hub: HostPort,
    /// The id there.
    pub(super) device_id: DeviceId,
    /// True if DPS assigned the hub some time ago; it may have lost the device to another one since.
    pub(super) stored: bool,
}

impl Endpoint {
    pub(super) fn of_hub(device: &Device, hub: &Hub) -> Self {
        let peer = match &hub.gateway_hostname {
            Some(gateway) => Peer { role: "gateway", at: gateway.clone() },
            None => Peer { role: "hub", at: hub.hostname.clone() },
        };
        Self { peer, hub: hub.hostname.clone(), device_id: device.device_id.clone(), stored: false }
    }

    pub(super) fn assigned(assignment: Assignment, stored: bool) -> Self {
        let peer = Peer { role: "hub", at: assignment.assigned_hub.clone() };
        Self { peer, hub: assignment.assigned_hub, device_id: assignment.device_id, stored }
    }
}

/// Returns the id under which a device registers: that of `dps`, or else its device id.
pub(super) fn registration_id<'a>(device: &'a Device, dps: &'a Dps) -> &'a str {
    dps.registration_id.as_ref().map_or(device.device_id.as_str(), |id| id.as_str())
}
