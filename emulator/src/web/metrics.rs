//! `/metrics` in Prometheus' text format.

use std::fmt::Write;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;

use crate::state::EmulatorState;
use crate::web::state::Web;

/// Returns all metrics in Prometheus' text format.
pub async fn show(State(web): State<Web>) -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text(&web.state))
}

fn text(state: &EmulatorState) -> String {
    let devices: Vec<_> = state.hubs.iter().flat_map(|hub| hub.devices()).collect();
    let sum = |of: fn(&crate::hub::counters::Counters) -> u64| {
        devices.iter().map(|device| of(&device.counters)).sum::<u64>()
    };
    let connected = devices.iter().filter(|device| device.view().connected).count() as u64;
    let [tls_failures, refused, dps_answers] = state.totals.read();
    let assigned = state.dps.iter().map(|dps| dps.assigned() as u64).sum();
    let metrics = [
        ("devices", "gauge", "Devices in all registries.", devices.len() as u64),
        ("devices_connected", "gauge", "Devices that are connected now.", connected),
        ("connections_total", "counter", "Connections that hubs accepted.", sum(|c| c.connections())),
        ("connections_refused_total", "counter", "Connections refused with a CONNACK.", refused),
        (
            "takeovers_total",
            "counter",
            "Connections closed because their device connected again.",
            sum(|c| c.takeovers()),
        ),
        ("tls_failures_total", "counter", "Connections that ended in the TLS handshake.", tls_failures),
        ("messages_total", "counter", "Telemetry messages stored.", sum(|c| c.messages())),
        ("message_bytes_total", "counter", "Bodies of the telemetry messages stored.", sum(|c| c.bytes())),
        ("events_kept", "gauge", "Telemetry messages kept to be looked at.", state.events.len() as u64),
        ("dps_answers_total", "counter", "Answers of DPS.", dps_answers),
        ("dps_assigned_devices", "gauge", "Devices that DPS assigned to a hub.", assigned),
    ];
    let mut text = format!(
        "# HELP lanyard_build_info 1, with the version of the program.\n# TYPE lanyard_build_info \
            gauge\nlanyard_build_info{{program=\"lanyard-emulator\",version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    for (name, kind, help, value) in metrics {
        let written = write!(
            text,
            "# HELP lanyard_emulator_{name} {help}\n# TYPE lanyard_emulator_{name} {kind}\nlanyard_emulator_{name} {value}\n"
        );
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    text
}
