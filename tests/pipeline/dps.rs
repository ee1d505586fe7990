//! Devices that DPS sends to their hub.

use lanyard_tests::agent::Setup;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::LIMIT;

use crate::fixture::{GROUP, RAMP, SECONDARY, derived, document, emulator, stored_assignment};

fn group_device(emulator: &Emulator, id: &str, scope: &str) -> String {
    format!(
        "{{name: '{id}', deviceId: '{id}', modelId: 'dtmi:contoso:Press;1', \
         dps: {{endpoint: 'localhost:{}', idScope: {scope}}}, sources: [{{name: sim, simulator: {{}}}}], \
         tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
        emulator.mqtt.port()
    )
}

/// Returns a setup for devices that register with their group's keys.
pub(crate) fn group_setup(emulator: &Emulator, ids: &[&str]) -> Setup {
    let devices: Vec<String> = ids.iter().map(|id| group_device(emulator, id, "0ne00ABCDEF")).collect();
    let mut setup = Setup::new(&document(&devices));
    for id in ids {
        setup = setup.key(id, &derived(id)).ca(id, &emulator.ca());
    }
    setup
}

#[test]
fn a_group_streams_from_the_hub_it_is_assigned_to() {
    let emulator = emulator();
    let ids = ["dev-01", "dev-02", "dev-03"];
    let agent = group_setup(&emulator, &ids).start();
    for id in ids {
        let events = emulator.wait_for_events(id, 2, LIMIT);
        assert_eq!(events[0]["deviceId"], id);
        let status = agent.device(id).unwrap();
        assert_eq!(status.assigned_hub.as_deref(), Some("localhost"));
    }
    assert_eq!(agent.status().devices.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ids);
}

#[test]
fn the_assignment_is_stored() {
    let emulator = emulator();
    let mut agent = group_setup(&emulator, &["dev-01"]).start();
    emulator.wait_for_events("dev-01", 1, LIMIT);
    let file = agent.setup.path("buffer/dev-01/assignment.json");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"assignedHub\"") && text.contains("0ne00ABCDEF"), "{text}");
    agent.restart();
    emulator.wait_for_device("is back", "dev-01", |device| {
        device["connections"] == 2 && device["connected"] == true
    });
    assert!(!agent.log().contains("DPS assigned"), "DPS was asked again");
    assert_eq!(std::fs::read_to_string(file).unwrap(), text);
}

#[test]
fn a_hub_that_refuses_sends_the_device_back_to_dps() {
    let emulator = emulator();
    let agent = group_setup(&emulator, &["dev-01"]);
    // A hub that no longer knows the device: this one never did.
    let at = format!("localhost:{}", emulator.mqtt.port());
    agent.write("buffer/dev-01/assignment.json", &stored_assignment(&at, &at).to_string());
    let agent = agent.start();
    emulator.wait_for_events("dev-01", 1, LIMIT);
    let refused = "lanyard_device_connection_attempts_total{device=\"dev-01\",result=\"Unauthorized\"}";
    assert_eq!(agent.metrics().get(refused), Some(1.0), "one attempt, a short wait, then DPS");
}

/// Another pod on a shared volume names its own server, by an assignment without the device's signature or with a link.
#[test]
fn m5_forged_assignment_is_ignored_and_dps_asked() {
    let emulator = emulator();
    let at = format!("localhost:{}", emulator.mqtt.port());
    // A test's own server would do no worse: an agent that believed this would wait for it for ever.
    let mut forged = stored_assignment(&at, "localhost:1");
    forged["signature"] = "00".repeat(32).into();
    let mut unsigned = forged.clone();
    drop(unsigned.as_object_mut().and_then(|fields| fields.remove("signature")));
    for (text, words) in [(forged, "not by the device's key"), (unsigned, "not signed")] {
        let agent = group_setup(&emulator, &["dev-01"]);
        agent.write("buffer/dev-01/assignment.json", &text.to_string());
        let agent = agent.start();
        agent.wait_for_reason("dev-01", "Connected");
        let log = agent.log();
        assert!(log.contains(words) && log.contains("DPS assigned"), "{log}");
    }
}

#[test]
fn m5_symbolic_links_in_the_buffer_folder_are_not_followed() {
    let emulator = emulator();
    let setup = group_setup(&emulator, &["dev-01"]);
    let victim = setup.path("victim");
    setup.write("victim", "another device's events");
    std::fs::create_dir_all(setup.path("buffer/dev-01")).unwrap();
    for name in ["assignment.json", "assignment.json.new", "00000000000000000001.events"] {
        std::os::unix::fs::symlink(&victim, setup.path(&format!("buffer/dev-01/{name}"))).unwrap();
    }
    let agent = setup.start();
    // The device streams, its events being kept in memory until someone has looked.
    emulator.wait_for_events("dev-01", 2, LIMIT);
    agent.wait_for_log("is a symbolic link, which the agent does not follow");
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "another device's events");
}

#[test]
fn a_wrong_key_is_refused_by_dps_and_a_right_one_ends_the_wait() {
    let emulator = emulator();
    let agent = group_setup(&emulator, &["dev-01"]).key("dev-01", GROUP).start();
    let refused = agent.wait_for_reason("dev-01", "RegistrationUnauthorized");
    assert!(refused.connection.message.contains("0ne00ABCDEF"), "{}", refused.connection.message);
    agent.setup.set_key("dev-01", &derived("dev-01"));
    agent.wait_for_reason("dev-01", "Connected");
}

#[test]
fn unknown_scope_is_reported() {
    let emulator = emulator();
    let config = document(&[group_device(&emulator, "dev-01", "0ne00000000")]);
    let agent = Setup::new(&config).key("dev-01", SECONDARY).ca("dev-01", &emulator.ca()).start();
    let refused = agent.wait_for_reason("dev-01", "RegistrationUnauthorized");
    assert!(refused.connection.message.contains("0ne00000000"), "{}", refused.connection.message);
}
