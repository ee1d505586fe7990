//! `/api/devices`: what every device did, and closing its connection.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::events::json::time;
use crate::faults::fault::{FaultPeer, Service};
use crate::faults::store::NamedFault;
use crate::hub::connections::CloseOrder;
use crate::hub::device::Device;
use crate::hub::hubs::Hub;
use crate::web::state::Web;

/// One device.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    hub: String,
    device_id: String,
    status: &'static str,
    connected: bool,
    connection_state_updated_time: Option<String>,
    connections: u64,
    takeovers: u64,
    refusals: u64,
    last_disconnect: Option<String>,
    last_refusal: Option<String>,
    messages: u64,
    bytes: u64,
    last_message: Option<String>,
    subscriptions: Vec<String>,
    faults: Vec<String>,
}

impl DeviceView {
    fn of(hub: &Hub, device: &Device, faults: &[Arc<NamedFault>]) -> Self {
        let peer = FaultPeer { service: Service::Hub, hub: &hub.name, device_id: device.identity.id() };
        let faults =
            faults.iter().filter(|named| !named.is_used_up() && named.fault().selector.selects(&peer));
        let view = device.view();
        Self {
            hub: hub.name.to_string(),
            device_id: device.identity.id().to_string(),
            status: if view.enabled { "enabled" } else { "disabled" },
            connected: view.connected,
            connection_state_updated_time: view.changed.map(time),
            connections: device.counters.connections(),
            takeovers: device.counters.takeovers(),
            refusals: device.counters.refusals(),
            last_disconnect: view.last_end,
            last_refusal: view.last_refusal,
            messages: device.counters.messages(),
            bytes: device.counters.bytes(),
            last_message: device.counters.last_message().map(time),
            subscriptions: view.subscriptions.into_iter().map(|subscription| subscription.filter).collect(),
            faults: faults.map(|named| named.name().to_owned()).collect(),
        }
    }
}

/// Returns all devices, by hub and id.
pub async fn list(State(web): State<Web>) -> Json<Vec<DeviceView>> {
    let faults = web.state.faults.all();
    let of_hub = |hub: &Hub| {
        hub.devices().iter().map(|device| DeviceView::of(hub, device, &faults)).collect::<Vec<_>>()
    };
    Json(web.state.hubs.iter().flat_map(|hub| of_hub(hub)).collect())
}

/// Query that selects the hub, if several have a device with that id.
#[derive(Debug, Deserialize)]
pub struct DeviceQuery {
    hub: Option<String>,
}

/// Closes the device's TCP connection without a DISCONNECT, as a hub does.
pub async fn disconnect(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(which): Query<DeviceQuery>,
) -> (StatusCode, String) {
    let devices = match named(&web, &id, which.hub.as_deref()) {
        Ok(devices) => devices,
        Err(unknown) => return unknown,
    };
    let closed = devices.iter().filter(|device| device.close(CloseOrder::Requested)).count();
    if closed == 0 {
        return (StatusCode::CONFLICT, format!("device {id:?} is not connected\n"));
    }
    (StatusCode::OK, format!("closed the connection of {id:?}\n"))
}

/// Finds the devices of this id, of one hub or of all.
fn named(web: &Web, id: &str, hub: Option<&str>) -> Result<Vec<Arc<Device>>, (StatusCode, String)> {
    let hubs = web.state.hubs.iter();
    let hubs = hubs.filter(|found| hub.is_none_or(|name| found.name.eq_ignore_ascii_case(name)));
    let devices: Vec<_> = hubs.filter_map(|hub| hub.device(id)).collect();
    if devices.is_empty() {
        let words = format!("no hub has a device {id:?}; GET /api/devices lists them\n");
        return Err((StatusCode::NOT_FOUND, words));
    }
    Ok(devices)
}
