//! Devices that DPS gives to another hub, or takes their enrollment from.

use lanyard_tests::agent::Setup;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::controls;
use crate::fixture::{
    GROUP, RAMP, SECONDARY, assert_account, assert_contiguous, assert_streams, derived, document,
    fingerprint, stored_assignment, values, wait_for_accepted, wait_for_ramp_of, wait_for_refused,
};

/// Another name of the same machine is another hub.
const OTHER: &str = "127.0.0.1";

fn emulator() -> Emulator {
    let keys = json!({"primaryKey": GROUP, "secondaryKey": SECONDARY});
    let group = json!({
        "enrollmentGroupId": "plant-a", "iotHubs": ["localhost"],
        "attestation": {"type": "symmetricKey", "symmetricKey": keys},
    });
    let config = json!({
        "hubs": [{"hostName": "localhost"}, {"hostName": OTHER}],
        "dps": [{"idScope": "0ne00ABCDEF", "hostName": "localhost", "enrollmentGroups": [group]}],
        "emulator": {"pollsUntilAssigned": 0, "retryAfterSeconds": 1, "certificateNames": [OTHER]},
    });
    Emulator::start(&config.to_string())
}

fn change(emulator: &Emulator, change: Value) {
    let mut group = change;
    group["enrollmentGroupId"] = "plant-a".into();
    controls::put(emulator, "/api/enrollmentGroups/plant-a", &group);
}

fn setup(emulator: &Emulator) -> Setup {
    let device = format!(
        "{{name: dev-01, deviceId: dev-01, dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
         sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
        emulator.mqtt.port()
    );
    Setup::new(&document(&[device])).key("dev-01", &derived("dev-01")).ca("dev-01", &emulator.ca())
}

fn at_hub(emulator: &Emulator, hub: &str) -> Option<Value> {
    emulator.devices().into_iter().find(|device| device["deviceId"] == "dev-01" && device["hub"] == hub)
}

fn assert_moved(emulator: &Emulator, agent: &lanyard_tests::agent::Agent) {
    agent.wait_for("has moved", "dev-01", |device| {
        device.assigned_hub.as_deref() == Some(OTHER) && device.connection.reason.as_str() == "Connected"
    });
    let so_far = values(&emulator.events(Some("dev-01")), "Ramp").last().copied().unwrap_or(0);
    let events = wait_for_ramp_of(emulator, "dev-01", so_far + 10);
    assert_contiguous(&values(&events, "Ramp"));
    assert_account(agent, "dev-01");
    assert_eq!(at_hub(emulator, OTHER).map(|device| device["takeovers"].clone()), Some(0.into()));
    let file = std::fs::read_to_string(agent.setup.path("buffer/dev-01/assignment.json"));
    assert!(file.as_ref().is_ok_and(|file| file.contains(OTHER)), "{file:?}");
}

#[test]
fn unknown_device_asks_dps_for_its_new_hub() {
    let emulator = emulator();
    let agent = setup(&emulator).start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    change(&emulator, json!({"iotHubs": [OTHER]}));
    controls::delete(&emulator, "/api/hubs/localhost/devices/dev-01");
    assert_moved(&emulator, &agent);
}

#[test]
fn renewed_credential_asks_dps_for_the_current_hub() {
    let emulator = emulator();
    let agent = setup(&emulator).start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    change(&emulator, json!({"iotHubs": [OTHER]}));
    let secondary = lanyard_protocol::hub::key::SymmetricKey::from_base64(SECONDARY).unwrap();
    let secondary = secondary.derive("dev-01").to_base64().to_string();
    agent.setup.set_key("dev-01", &secondary);
    wait_for_accepted(&agent, "dev-01", &fingerprint(&secondary));
    assert_moved(&emulator, &agent);
    let lost = agent.metrics().sum("lanyard_device_disconnections_total{device=\"dev-01\"");
    assert_eq!(lost, 1.0, "one goodbye, and no refusal");
}

#[test]
fn disabled_enrollment_differs_from_a_wrong_key() {
    let emulator = emulator();
    change(&emulator, json!({"provisioningStatus": "disabled"}));
    let mut agent = setup(&emulator).start();
    let disabled = agent.wait_for_reason("dev-01", "EnrollmentDisabled");
    assert!(disabled.connection.message.contains("enable it there"), "{}", disabled.connection.message);
    agent.setup.set_key("dev-01", GROUP);
    eventually("the key is not even looked at, or refused", LIMIT, || {
        let device = agent.device("dev-01")?;
        let refused = device.credential?.refused?;
        (refused.fingerprint == fingerprint(GROUP)).then_some(())
    });
    change(&emulator, json!({"provisioningStatus": "enabled"}));
    agent.restart();
    agent.wait_for_reason("dev-01", "RegistrationUnauthorized");
    agent.setup.set_key("dev-01", &derived("dev-01"));
    wait_for_accepted(&agent, "dev-01", &fingerprint(&derived("dev-01")));
}

#[test]
fn disabled_enrollment_closes_no_connection() {
    let emulator = emulator();
    let agent = setup(&emulator).arguments(&["--credential-retry", "2m"]).start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    change(&emulator, json!({"provisioningStatus": "disabled"}));
    let secondary = lanyard_protocol::hub::key::SymmetricKey::from_base64(SECONDARY).unwrap();
    let secondary = secondary.derive("dev-01").to_base64().to_string();
    agent.setup.set_key("dev-01", &secondary);
    let message = wait_for_refused(&agent, "dev-01", &fingerprint(&secondary));
    assert!(message.contains("is disabled"), "{message}");
    assert_streams(&emulator, &agent, "dev-01");
    assert_eq!(emulator.device("dev-01").unwrap()["connections"], 1);
    change(&emulator, json!({"provisioningStatus": "enabled"}));
    wait_for_accepted(&agent, "dev-01", &fingerprint(&secondary));
    assert_streams(&emulator, &agent, "dev-01");
}

/// The new key cannot be verified, so the connection with the old one stays.
#[test]
fn unreachable_dps_leaves_devices_connected() {
    let keys = json!({"primaryKey": derived("dev-01"), "secondaryKey": SECONDARY});
    let device = json!({"deviceId": "dev-01", "authentication": {"type": "sas", "symmetricKey": keys}});
    let emulator =
        Emulator::start(&json!({"hubs": [{"hostName": "localhost", "devices": [device]}]}).to_string());
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = setup(&emulator);
    setup.configure(&document(&[format!(
        "{{name: dev-01, deviceId: dev-01, dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
         sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
        closed_port.port()
    )]));
    let [dps, hub] = [closed_port.port(), emulator.mqtt.port()].map(|port| format!("localhost:{port}"));
    setup.write("buffer/dev-01/assignment.json", &stored_assignment(&dps, &hub).to_string());
    let agent = setup.start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    agent.setup.set_key("dev-01", SECONDARY);
    let away = "lanyard_device_connection_attempts_total{device=\"dev-01\",result=\"HostUnreachable\"}";
    eventually("DPS does not answer", LIMIT, || (agent.metrics().get(away)? >= 1.0).then_some(()));
    assert_streams(&emulator, &agent, "dev-01");
    assert_eq!(emulator.device("dev-01").unwrap()["connections"], 1);
    assert_eq!(
        agent.device("dev-01").unwrap().credential.unwrap().refused,
        None,
        "the credential was not refused"
    );
    // Nor does a lost connection wait for DPS.
    assert!(emulator.disconnect("dev-01"));
    assert_streams(&emulator, &agent, "dev-01");
}
