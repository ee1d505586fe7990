//! Keys change while devices stream: nothing is lost or out of order, what works is kept until the new one works too,
//! and no identity is ever connected twice.

use std::time::Duration;

use lanyard_protocol::hub::key::SymmetricKey;
use lanyard_tests::agent::Setup;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::controls;
use crate::fixture::{
    GROUP, PRIMARY, RAMP, SECONDARY, assert_account, assert_contiguous, assert_streams, credential, derived,
    document, emulator, emulator_config, fingerprint, press, setup, values, wait_for_accepted, wait_for_ramp,
    wait_for_ramp_of, wait_for_refused,
};

const WRONG: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// Another key, which is valid only after the hub was changed.
const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Derives the key of a group's device from another key of the group.
fn derived_from(group: &str, id: &str) -> String {
    SymmetricKey::from_base64(group).expect("the group key is base64").derive(id).to_base64().to_string()
}

fn group(emulator: &Emulator, ids: &[String]) -> Setup {
    let device = |id: &String| {
        format!(
            "{{name: '{id}', deviceId: '{id}', dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
             sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
            emulator.mqtt.port()
        )
    };
    let mut setup = Setup::new(&document(&ids.iter().map(device).collect::<Vec<_>>()));
    for id in ids {
        setup = setup.key(id, &derived(id)).ca(id, &emulator.ca());
    }
    setup
}

fn connections(emulator: &Emulator, id: &str) -> u64 {
    emulator.device(id).and_then(|device| device["connections"].as_u64()).unwrap_or(0)
}

#[test]
fn a_wrong_key_costs_a_hub_device_a_reconnect_and_no_event() {
    let emulator = emulator();
    let agent = setup(&emulator, &press(&emulator)).start();
    wait_for_ramp(&emulator, 10);
    agent.setup.set_key("press-17", WRONG);
    let message = wait_for_refused(&agent, "press-17", &fingerprint(WRONG));
    assert!(message.contains("sharedAccessKey"), "{message}");
    let device = agent.wait_for_reason("press-17", "Connected");
    assert_eq!(credential(&device).accepted, Some(fingerprint(PRIMARY)), "it went back to what it had");
    assert_eq!(connections(&emulator, "press-17"), 2);
    assert_streams(&emulator, &agent, "press-17");
    let ready = agent.get("/readyz");
    assert!(ready.status == 200 && ready.body.contains("is refused"), "{}", ready.body);
    agent.setup.set_key("press-17", SECONDARY);
    wait_for_accepted(&agent, "press-17", &fingerprint(SECONDARY));
    assert_streams(&emulator, &agent, "press-17");
    let device = emulator.device("press-17").unwrap();
    assert_eq!((device["connections"].as_u64(), device["refusals"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn wrong_key_does_not_close_a_connection_behind_dps() {
    let emulator = emulator();
    let agent = group(&emulator, &["dev-01".to_owned()]).start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    agent.setup.set_key("dev-01", WRONG);
    let message = wait_for_refused(&agent, "dev-01", &fingerprint(WRONG));
    assert!(message.contains("derived from the key of its group"), "{message}");
    assert_streams(&emulator, &agent, "dev-01");
    assert_eq!(connections(&emulator, "dev-01"), 1);
    let secondary = derived_from(SECONDARY, "dev-01");
    agent.setup.set_key("dev-01", &secondary);
    wait_for_accepted(&agent, "dev-01", &fingerprint(&secondary));
    assert_streams(&emulator, &agent, "dev-01");
    let device = emulator.device("dev-01").unwrap();
    assert_eq!((device["connections"].as_u64(), device["refusals"].as_u64()), (Some(2), Some(0)));
    let metrics = agent.metrics();
    let lost = "lanyard_device_disconnections_total{device=\"dev-01\",reason=\"Renewing\"}";
    assert_eq!((metrics.get(lost), metrics.sum("lanyard_device_disconnections_total")), (Some(1.0), 1.0));
}

/// DPS takes eight seconds to answer, which no device spends without its hub.
#[test]
fn fifty_devices_move_to_the_secondary_key_while_streaming() {
    let emulator =
        Emulator::start(&emulator_config("").replace("retryAfterSeconds: 1", "retryAfterSeconds: 8"));
    let ids: Vec<String> = (1..=50).map(|number| format!("dev-{number:02}")).collect();
    let agent = group(&emulator, &ids).start();
    for id in &ids {
        wait_for_ramp_of(&emulator, id, 10);
    }
    for id in &ids {
        agent.setup.write(&format!("credentials/{id}/previousSharedAccessKey"), &derived(id));
        agent.setup.set_key(id, &derived_from(SECONDARY, id));
    }
    for id in &ids {
        wait_for_accepted(&agent, id, &fingerprint(&derived_from(SECONDARY, id)));
    }
    assert_streams(&emulator, &agent, &ids[0]);
    for id in &ids {
        assert_contiguous(&values(&emulator.events(Some(id)), "Ramp"));
        assert_account(&agent, id);
        let device = emulator.device(id).unwrap();
        assert_eq!(
            (device["connections"].as_u64(), device["takeovers"].as_u64()),
            (Some(2), Some(0)),
            "{id}"
        );
        let silence = longest_silence(&emulator, id);
        assert!(silence < Duration::from_secs(5), "{id} was away for {silence:?}");
    }
}

/// Returns the longest time between two consecutive messages of a device.
fn longest_silence(emulator: &Emulator, id: &str) -> Duration {
    let events = emulator.events(Some(id));
    let time = |event: &Value| {
        let text = event["enqueuedTime"].as_str().unwrap_or_default();
        text.parse::<jiff::Timestamp>().expect("the emulator writes times as Azure does")
    };
    let times: Vec<jiff::Timestamp> = events.iter().map(time).collect();
    times.windows(2).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs()).max().unwrap_or_default()
}

#[test]
fn group_key_is_used_once_dps_knows_it() {
    let emulator = emulator();
    let setup = group(&emulator, &["dev-01".to_owned()]);
    let agent = setup.arguments(&["--credential-retry", "1m"]).start();
    wait_for_ramp_of(&emulator, "dev-01", 10);
    let new = derived_from(NEW, "dev-01");
    agent.setup.set_key("dev-01", &new);
    wait_for_refused(&agent, "dev-01", &fingerprint(&new));
    // The value under the same name changes at DPS; the agent is not notified.
    let attestation =
        json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": NEW, "secondaryKey": GROUP}});
    controls::put(
        &emulator,
        "/api/enrollmentGroups/plant-a",
        &json!({"enrollmentGroupId": "plant-a", "attestation": attestation}),
    );
    wait_for_accepted(&agent, "dev-01", &fingerprint(&new));
    assert_streams(&emulator, &agent, "dev-01");
    assert_eq!(connections(&emulator, "dev-01"), 2);
}

#[test]
fn previous_key_is_used_until_the_hub_knows_the_new_one() {
    let emulator = emulator();
    let setup = setup(&emulator, &press(&emulator)).key("press-17", NEW);
    setup.write("credentials/press-17/previousSharedAccessKey", PRIMARY);
    let agent = setup.arguments(&["--credential-retry", "3s"]).start();
    wait_for_ramp(&emulator, 10);
    wait_for_refused(&agent, "press-17", &fingerprint(NEW));
    let refusals = || emulator.device("press-17").unwrap()["refusals"].as_u64().unwrap_or(0);
    assert_eq!(refusals(), 1, "one try, and then the one before");
    eventually("it is tried again, slowly", LIMIT, || (refusals() >= 2).then_some(()));
    assert_streams(&emulator, &agent, "press-17");
    let keys = json!({"primaryKey": NEW, "secondaryKey": SECONDARY});
    controls::put(
        &emulator,
        "/api/hubs/localhost/devices/press-17",
        &json!({"deviceId": "press-17", "authentication": {"type": "sas", "symmetricKey": keys}}),
    );
    wait_for_accepted(&agent, "press-17", &fingerprint(NEW));
    assert_streams(&emulator, &agent, "press-17");
}
