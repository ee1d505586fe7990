//! Where a device logs in, and as whom: the hub of the configuration, the remembered one, or the one that DPS assigns.
//! Talks to the network.

use std::sync::Arc;

use lanyard_protocol::handoff::config::{Device, Dps, Hub};
use lanyard_protocol::handoff::status::ConnectionReason;
use lanyard_protocol::hub::host::HostPort;
use lanyard_protocol::hub::id::DeviceId;
use lanyard_protocol::hub::key::SymmetricKey;

use super::assignment::{Assignment, AssignmentFile};
use super::connection::Connection;
use super::failure::{Failure, Peer};
use super::registration::Registration;

/// Where to log in, and as whom.
pub(super) struct Target {
    /// What is dialled.
    pub(super) peer: Peer,
    /// Whose name stands in user name and token, even when a gateway is dialled (ref §1.13).
    pub(super) hub: HostPort,
    /// The id there.
    pub(super) device_id: DeviceId,
}

impl Target {
    fn of_hub(device: &Device, hub: &Hub) -> Self {
        let peer = match &hub.gateway_hostname {
            Some(gateway) => Peer { role: "gateway", at: gateway.clone() },
            None => Peer { role: "hub", at: hub.hostname.clone() },
        };
        Self { peer, hub: hub.hostname.clone(), device_id: device.device_id.clone() }
    }

    fn assigned(assignment: Assignment) -> Self {
        let peer = Peer { role: "hub", at: assignment.assigned_hub.clone() };
        Self { peer, hub: assignment.assigned_hub, device_id: assignment.device_id }
    }
}

/// The name a device registers under.
pub(super) fn registration_id<'a>(device: &'a Device, dps: &'a Dps) -> &'a str {
    dps.registration_id.as_ref().map_or(device.device_id.as_str(), |id| id.as_str())
}

/// Finds the hub, with a token until `expiry` for DPS if that has to be asked.
pub(super) async fn find(
    this: &Connection,
    device: &Device,
    key: &SymmetricKey,
    expiry: u64,
    tls: &Arc<rustls::ClientConfig>,
) -> Result<Target, Failure> {
    if let Some(hub) = &device.hub {
        return Ok(Target::of_hub(device, hub));
    }
    let Some(dps) = &device.dps else {
        // The configuration was checked; the words are for whoever changes the check.
        return Err(Failure::new(
            ConnectionReason::HostNotFound,
            "the configuration names neither hub nor DPS",
        ));
    };
    let registration_id = registration_id(device, dps);
    let file = AssignmentFile::new(&this.folder, dps, registration_id);
    if let Some(assignment) = file.load() {
        return Ok(Target::assigned(assignment));
    }
    this.state.registering();
    let model_id = device.model_id.as_deref();
    let registration = Registration { dps, registration_id, model_id, key, expiry, slots: &this.slots };
    let assignment = registration.run(Arc::clone(tls)).await?;
    tracing::info!(device = this.state.name, hub = %assignment.assigned_hub, "DPS assigned the device to a hub");
    if let Err(error) = file.save(&assignment) {
        tracing::warn!(
            device = this.state.name,
            "the assignment cannot be remembered, and DPS will be asked at every start: {error}"
        );
    }
    Ok(Target::assigned(assignment))
}
