//! Probes, metrics and controls.

use serde_json::{Value, json};

use crate::running::Running;

fn device(running: &Running, id: &str) -> Value {
    let devices: Vec<Value> = serde_json::from_str(&running.http("GET", "/api/devices").1).unwrap();
    devices.into_iter().find(|device| device["deviceId"] == id).unwrap()
}

fn bodies(running: &Running, query: &str) -> Vec<Value> {
    let (status, text) = running.http("GET", &format!("/api/events{query}"));
    assert_eq!(status, 200);
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["body"].clone()).collect()
}

#[test]
fn probes_answer() {
    let running = Running::start();
    assert_eq!(running.http("GET", "/livez"), (200, "ok\n".to_owned()));
    assert_eq!(running.http("GET", "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(running.http("GET", "/nothing").0, 404);
}

#[test]
fn devices_and_metrics_tell_what_happened() {
    let running = Running::start();
    let mut dev1 = running.device("dev1");
    dev1.publish("dev1", "", "{}");
    let view = device(&running, "dev1");
    assert_eq!((&view["hub"], &view["status"]), (&json!("contoso.azure-devices.net"), &json!("enabled")));
    assert_eq!(
        (&view["connected"], &view["connections"], &view["takeovers"]),
        (&json!(true), &json!(1), &json!(0))
    );
    assert_eq!((&view["messages"], &view["bytes"]), (&json!(1), &json!(2)));
    assert!(view["lastMessage"].is_string() && view["connectionStateUpdatedTime"].is_string());
    assert_eq!(device(&running, "dev2")["connected"], false);
    let metrics = running.http("GET", "/metrics").1;
    for line in
        ["devices 2", "devices_connected 1", "connections_total 1", "messages_total 1", "takeovers_total 0"]
    {
        assert!(metrics.contains(&format!("\nlanyard_emulator_{line}\n")), "{metrics}");
    }
}

#[test]
fn a_connection_is_closed_on_request() {
    let running = Running::start();
    assert_eq!(running.http("POST", "/api/devices/dev9/disconnect").0, 404);
    assert_eq!(running.http("POST", "/api/devices/dev1/disconnect").0, 409);
    assert_eq!(running.http("GET", "/api/devices/dev1/disconnect").0, 405);
    let mut dev1 = running.device("dev1");
    assert_eq!(running.http("POST", "/api/devices/dev1/disconnect?hub=other").0, 404);
    assert_eq!(running.http("POST", "/api/devices/dev1/disconnect").0, 200);
    dev1.closed();
    assert_eq!(device(&running, "dev1")["lastDisconnect"], "somebody asked for it");
}

#[test]
fn pubacks_are_lost_on_request() {
    let running = Running::start();
    assert_eq!(running.http("POST", "/api/devices/dev9/pubacks?oneIn=1").0, 404);
    assert_eq!(running.http("POST", "/api/devices/dev1/pubacks?hub=other&oneIn=1").0, 404);
    assert_eq!(running.http("POST", "/api/devices/dev1/pubacks").0, 400);
    assert_eq!(running.http("POST", "/api/devices/dev1/pubacks?oneIn=1").0, 200);
}

#[test]
fn events_are_filtered_and_limited() {
    let running = Running::start();
    let (mut dev1, mut dev2) = (running.device("dev1"), running.device("dev2"));
    for n in ["1", "2", "3"] {
        dev1.publish("dev1", "", n);
        dev2.publish("dev2", "", &format!("\"{n}\""));
    }
    assert_eq!(bodies(&running, ""), [json!(1), json!("1"), json!(2), json!("2"), json!(3), json!("3")]);
    assert_eq!(bodies(&running, "?device=dev1"), [1, 2, 3]);
    assert_eq!(bodies(&running, "?device=dev2&limit=1"), ["3"]);
    assert_eq!(bodies(&running, "?limit=0"), [0; 0]);
    assert_eq!(bodies(&running, "?device=dev9"), [0; 0]);
    assert_eq!(running.http("GET", "/api/events?limit=x").0, 400);
}
