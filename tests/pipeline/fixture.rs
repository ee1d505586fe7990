//! The plant that these tests run: one hub with one device, a DPS with one group, and a ramp that counts scans.

use std::collections::BTreeMap;
use std::time::Duration;

use lanyard_handoff::fingerprint::Fingerprint;
use lanyard_handoff::status::{Credential, DeviceStatus};
use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::agent::{Agent, Setup};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::Value;

pub(crate) const PRIMARY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const SECONDARY: &str =
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==";
pub(crate) const GROUP: &str =
    "G3vn0IZH9oK3d4wsxFpWBtd2KUrtjI+39dZVRf26To8w9OX0LaFV9yZ93ELXY7voqHEUsNhnb9bt717UP87KxA==";

/// Starts an emulator with the device press-17, and with the group plant-a at its DPS.
pub(crate) fn emulator() -> Emulator {
    Emulator::start(&emulator_config(""))
}

/// Returns the configuration of that emulator, with more settings of the emulator itself.
pub(crate) fn emulator_config(settings: &str) -> String {
    format!(
        "
hubs:
  - hostName: localhost
    devices:
      - deviceId: press-17
        authentication: {{type: sas, symmetricKey: {{primaryKey: '{PRIMARY}', secondaryKey: '{SECONDARY}'}}}}
dps:
  - idScope: 0ne00ABCDEF
    hostName: localhost
    iotHubs: [localhost]
    enrollmentGroups:
      - enrollmentGroupId: plant-a
        attestation: {{type: symmetricKey, symmetricKey: {{primaryKey: '{GROUP}', secondaryKey: '{SECONDARY}'}}}}
emulator: {{pollsUntilAssigned: 1, retryAfterSeconds: 1{settings}}}
"
    )
}

/// A ramp that a test can count: one step every scan.
pub(crate) const RAMP: &str =
    "{name: Ramp, source: sim, address: 'RAMP(50, 0, 1000000, 1)', scanInterval: 50ms}";

/// Returns the configuration of a device that connects directly to the hub.
pub(crate) fn device(name: &str, id: &str, hub: &str, tags: &str, telemetry: &str) -> String {
    format!(
        "{{name: '{name}', deviceId: '{id}', hub: {{hostname: '{hub}'}}, \
         sources: [{{name: sim, simulator: {{}}}}], tags: [{tags}], telemetry: {{{telemetry}}}}}"
    )
}

/// Returns a document with these devices.
pub(crate) fn document(devices: &[String]) -> String {
    format!("version: 1\ndevices: [{}]\n", devices.join(", "))
}

/// Returns the configuration of press-17 with its ramp, four messages a second.
pub(crate) fn press(emulator: &Emulator) -> String {
    press_with(emulator, RAMP, "interval: 250ms")
}

/// Returns the configuration of press-17 with other tags or telemetry.
pub(crate) fn press_with(emulator: &Emulator, tags: &str, telemetry: &str) -> String {
    let hub = format!("localhost:{}", emulator.mqtt.port());
    document(&[device("press-17", "press-17", &hub, tags, telemetry)])
}

/// Returns a setup for press-17 that trusts the emulator.
pub(crate) fn setup(emulator: &Emulator, config: &str) -> Setup {
    Setup::new(config).key("press-17", PRIMARY).ca("press-17", &emulator.ca())
}

/// Derives the key of a device of the group plant-a.
pub(crate) fn derived(id: &str) -> String {
    SymmetricKey::from_base64(GROUP).expect("the group key is base64").derive(id).to_base64().to_string()
}

/// Returns the name of a key where the key itself must not appear.
pub(crate) fn fingerprint(key: &str) -> Fingerprint {
    Fingerprint::of_key(&SymmetricKey::from_base64(key).expect("keys are base64"))
}

/// Returns the assignment that an agent stores for dev-01, signed with its key.
pub(crate) fn stored_assignment(dps: &str, hub: &str) -> Value {
    let key = SymmetricKey::from_base64(&derived("dev-01")).expect("keys are base64");
    let credential = Fingerprint::of_key(&key);
    let mut message = b"lanyard.dev/assignment\0".to_vec();
    for part in [dps, "0ne00ABCDEF", "dev-01", credential.as_str(), hub, "dev-01"] {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    serde_json::json!({
        "endpoint": dps, "idScope": "0ne00ABCDEF", "registrationId": "dev-01", "credential": credential,
        "assignedHub": hub, "deviceId": "dev-01", "signature": hex::encode_upper(key.sign(&message)),
    })
}

/// Returns the messages of a device, each once: redelivered ones carry the same id.
pub(crate) fn messages(events: &[Value]) -> Vec<&Value> {
    let mut seen = std::collections::HashSet::new();
    let id = |event: &&Value| event["systemProperties"]["message-id"].as_str().map(str::to_owned);
    events.iter().filter(|event| seen.insert(id(event).expect("every message has an id"))).collect()
}

/// Returns the values of a tag, in the order in which messages and events came, without redeliveries.
pub(crate) fn values(events: &[Value], tag: &str) -> Vec<i64> {
    let of_tag = |value: &&Value| value["id"] == tag;
    let values = messages(events)
        .into_iter()
        .flat_map(|event| event["body"]["values"].as_array().expect("values").clone());
    values.filter(|value| of_tag(&value)).map(|value| value["v"].as_i64().expect("a whole number")).collect()
}

/// Checks that a ramp came without a gap, without a repetition and in order.
pub(crate) fn assert_contiguous(values: &[i64]) {
    let broken = values.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!(broken, None, "{values:?}");
}

/// Waits until press-17's ramp has come at least to `value`, and gives all messages.
pub(crate) fn wait_for_ramp(emulator: &Emulator, value: i64) -> Vec<Value> {
    wait_for_ramp_of(emulator, "press-17", value)
}

/// Waits until a device's ramp has come at least to `value`, and gives all messages.
pub(crate) fn wait_for_ramp_of(emulator: &Emulator, id: &str, value: i64) -> Vec<Value> {
    let limit = LIMIT + Duration::from_millis(50) * u32::try_from(value).unwrap_or(0);
    eventually(&format!("the ramp comes to {value}"), limit, || {
        let events = emulator.events(Some(id));
        values(&events, "Ramp").last().is_some_and(|&last| last >= value).then_some(events)
    })
}

/// Checks that everything a device read has come so far, in order, and goes on coming; that nothing was dropped, and
/// that the identity was never connected twice.
pub(crate) fn assert_streams(emulator: &Emulator, agent: &Agent, id: &str) {
    let so_far = values(&emulator.events(Some(id)), "Ramp").last().copied().unwrap_or(0);
    assert_contiguous(&values(&wait_for_ramp_of(emulator, id, so_far + 10), "Ramp"));
    assert_account(agent, id);
    assert_eq!(emulator.device(id).map(|device| device["takeovers"].clone()), Some(0.into()), "{id}");
}

/// Checks a device's event counts: read = acknowledged + buffered, and nothing dropped.
pub(crate) fn assert_account(agent: &Agent, id: &str) {
    let metrics = agent.metrics();
    let of = |name: &str| metrics.sum(&format!("lanyard_{name}{{device=\"{id}\""));
    assert_eq!(of("events_dropped_total"), 0.0, "{id}");
    assert!(of("events_read_total") > 0.0, "{id}");
    assert_eq!(of("events_read_total"), of("events_acknowledged_total") + of("buffer_events"), "{id}");
}

/// Returns the credential part of a device's status.
pub(crate) fn credential(device: &DeviceStatus) -> Credential {
    device.credential.clone().unwrap_or_default()
}

/// Waits until the hub accepted this credential, and nothing is left of another.
pub(crate) fn wait_for_accepted(agent: &Agent, id: &str, fingerprint: &Fingerprint) {
    agent.wait_for("has the credential accepted", id, |device| {
        let credential = credential(device);
        credential.accepted.as_ref() == Some(fingerprint) && credential.refused.is_none()
    });
}

/// Waits until the newest credential is refused, and gives the words.
pub(crate) fn wait_for_refused(agent: &Agent, id: &str, fingerprint: &Fingerprint) -> String {
    let refused = |device: &DeviceStatus| {
        credential(device).refused.filter(|refused| refused.fingerprint == *fingerprint)
    };
    let device = agent.wait_for("has the credential refused", id, |device| refused(device).is_some());
    refused(&device).expect("it was waited for").message
}

/// Returns every body, by message id, to find ids that two different messages have.
pub(crate) fn bodies(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut bodies: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let id = event["systemProperties"]["message-id"].as_str().unwrap_or_default().to_owned();
        bodies.entry(id).or_default().push(event["body"].to_string());
    }
    bodies
}
