//! Devices of a hub's registry (ref §11.1). In memory.

use std::sync::Arc;

use super::body;
use super::change::{Action, ChangeError, Done};
use super::view;
use crate::config::files::Files;
use crate::config::hub as entries;
use crate::config::problems::Problems;
use crate::hub::hubs::Hub;
use crate::registry::device::RegisteredDevice;
use crate::state::EmulatorState;

/// Makes, changes or removes a device. Disabling and removing close its connection (ref §14.6 row 4, §1.11).
///
/// # Errors
/// [`ChangeError`].
pub fn change(
    state: &EmulatorState,
    hub: &str,
    device_id: &str,
    action: &Action,
) -> Result<Done, ChangeError> {
    let hub = find(state, hub)?;
    match action {
        Action::Put(text) => {
            let entry = body::read(text, "deviceId", device_id)?;
            let earlier = hub.device(device_id).map(|device| RegisteredDevice {
                id: device_id.to_owned(),
                authentication: device.identity.authentication(),
                enabled: device.identity.enabled(),
            });
            let mut problems = Problems::default();
            let changed = entries::device(&entry, "", Files(None), earlier, &mut problems);
            let changed = body::checked(changed, &problems)?;
            let enabled = changed.enabled;
            let device = hub.put(changed);
            device.set_enabled(enabled);
            Ok(Done::Shown(view::device(&device)))
        }
        _ if hub.remove(device_id) => Ok(Done::Removed),
        _ => Err(unknown(hub, device_id)),
    }
}

/// Returns a device as it is now.
///
/// # Errors
/// [`ChangeError::NotFound`].
pub fn show(state: &EmulatorState, hub: &str, device_id: &str) -> Result<serde_json::Value, ChangeError> {
    let hub = find(state, hub)?;
    hub.device(device_id).map(|device| view::device(&device)).ok_or_else(|| unknown(hub, device_id))
}

fn find<'a>(state: &'a EmulatorState, name: &str) -> Result<&'a Arc<Hub>, ChangeError> {
    state.hubs.find(name).ok_or_else(|| {
        let names: Vec<_> = state.hubs.iter().map(|hub| hub.name.to_string()).collect();
        ChangeError::NotFound(format!("no hub is named {name:?}: use {}", names.join(", ")))
    })
}

fn unknown(hub: &Hub, device_id: &str) -> ChangeError {
    ChangeError::NotFound(format!(
        "hub {} has no device {device_id:?}; GET /api/devices lists them",
        hub.name
    ))
}
