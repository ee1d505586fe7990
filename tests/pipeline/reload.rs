//! A changed configuration is taken while the agent runs, and touches only what changed.

use lanyard_tests::agent::Setup;
use lanyard_tests::process::{LIMIT, eventually};

use crate::fixture::{
    PRIMARY, RAMP, assert_contiguous, derived, device, document, emulator, emulator_config, press,
    press_with, setup, values, wait_for_ramp,
};

#[test]
fn a_new_tag_does_not_disturb_the_others() {
    let emulator = emulator();
    let agent = setup(&emulator, &press(&emulator)).start();
    wait_for_ramp(&emulator, 10);
    let more = format!("{RAMP}, {{name: New, source: sim, address: K0001}}");
    agent.setup.configure(&press_with(&emulator, &more, "interval: 250ms"));
    let all = eventually("the new tag arrives", LIMIT, || {
        let events = emulator.events(Some("press-17"));
        (!values(&events, "New").is_empty()).then_some(events)
    });
    let so_far = values(&all, "Ramp").last().copied().unwrap_or(0);
    let all = wait_for_ramp(&emulator, so_far + 10);
    assert_contiguous(&values(&all, "Ramp"));
    assert_eq!(values(&all, "New"), [0]);
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

#[test]
fn devices_come_and_go_and_others_stay() {
    let emulator = emulator();
    let hub = format!("localhost:{}", emulator.mqtt.port());
    let one = device("press-17", "press-17", &hub, RAMP, "interval: 250ms");
    let other = format!(
        "{{name: dev-01, deviceId: dev-01, dps: {{endpoint: '{hub}', idScope: 0ne00ABCDEF}}, \
         sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}"
    );
    let setup = setup(&emulator, &document(std::slice::from_ref(&one)));
    let setup = setup.key("dev-01", &derived("dev-01")).ca("dev-01", &emulator.ca());
    let agent = setup.start();
    wait_for_ramp(&emulator, 5);
    agent.setup.configure(&document(&[one.clone(), other]));
    emulator.wait_for_events("dev-01", 1, LIMIT);
    assert!(agent.metrics().0.contains("device=\"dev-01\""));
    agent.setup.configure(&document(&[one]));
    emulator.wait_for_device("is gone", "dev-01", |device| device["connected"] == false);
    eventually("its series are gone", LIMIT, || {
        (!agent.metrics().0.contains("device=\"dev-01\"")).then_some(())
    });
    assert_eq!(agent.status().devices.len(), 1);
    assert_contiguous(&values(&wait_for_ramp(&emulator, 40), "Ramp"));
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

#[test]
fn renamed_or_moved_device_is_never_connected_twice() {
    let emulator = emulator();
    let hub = format!("localhost:{}", emulator.mqtt.port());
    let named = |name: &str, more: &str| document(&[device(name, "press-17", &hub, RAMP, more)]);
    let setup = setup(&emulator, &named("press-17", "interval: 250ms"));
    let agent = setup.key("renamed", PRIMARY).ca("renamed", &emulator.ca()).start();
    wait_for_ramp(&emulator, 10);
    agent.setup.configure(&named("renamed", "interval: 250ms"));
    emulator.wait_for_device("is back", "press-17", |device| {
        device["connections"] == 2 && device["connected"] == true
    });
    // Another hub of the same name: what was read for the old one goes to the new one.
    let other = crate::fixture::emulator();
    agent.setup.write("credentials/renamed/ca.crt", &(emulator.ca() + &other.ca()));
    let moved =
        device("renamed", "press-17", &format!("localhost:{}", other.mqtt.port()), RAMP, "interval: 250ms");
    agent.setup.configure(&document(&[moved]));
    other.wait_for_device("arrives", "press-17", |device| device["connected"] == true);
    let (old, new) = (emulator.events(Some("press-17")), wait_for_ramp(&other, 20));
    let (old, new) = (values(&old, "Ramp"), values(&new, "Ramp"));
    assert_eq!(new[0], old.last().unwrap() + 1, "nothing was lost on the way");
    assert_contiguous(&new);
    for emulator in [&emulator, &other] {
        assert_eq!(emulator.device("press-17").unwrap()["takeovers"], 0);
    }
    assert_eq!(emulator.device("press-17").unwrap()["connected"], false);
}

#[test]
fn a_broken_document_leaves_the_old_one_running() {
    let emulator = emulator();
    let agent = setup(&emulator, &press(&emulator)).start();
    wait_for_ramp(&emulator, 5);
    agent.setup.configure("version: 2\ndevices: []\n");
    let problem = eventually("the problem is reported", LIMIT, || agent.status().configuration_problem);
    assert!(problem.contains("newer than this agent understands"), "{problem}");
    let ready = agent.get("/readyz");
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("newer than this agent understands"), "{}", ready.body);
    assert_eq!(agent.metrics().get("lanyard_configuration_problem"), Some(1.0));
    // A problem a line, with its place.
    agent.setup.configure(&press_with(&emulator, RAMP, "interval: 5ms, qos: 7"));
    eventually("the problems are logged", LIMIT, || {
        let log = agent.log();
        let has = |text: &str| log.lines().filter(|line| line.contains(text)).count() == 1;
        (has(": devices[0].telemetry.interval: 5ms is not allowed here: use 10ms to")
            && log.contains("agent.yaml:2:")
            && has("devices[0].telemetry.qos: 7 is not allowed here"))
        .then_some(())
    });
    agent.setup.configure("devices: [");
    eventually("the other problem is reported", LIMIT, || {
        agent.status().configuration_problem.filter(|problem| problem.contains("this is not YAML"))
    });
    agent.setup.configure(&press_with(&emulator, RAMP, "interval: 200ms"));
    eventually("all is well", LIMIT, || agent.status().configuration_problem.is_none().then_some(()));
    agent.wait_for_log("the configuration is valid again");
    assert_contiguous(&values(&wait_for_ramp(&emulator, 60), "Ramp"));
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

#[test]
fn twenty_devices_share_a_process() {
    let ids: Vec<String> = (1..=20).map(|number| format!("dev-{number:02}")).collect();
    let emulator = lanyard_tests::emulator::Emulator::start(&emulator_config(""));
    let of = |id: &String| {
        format!(
            "{{name: {id}, deviceId: {id}, dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
             sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 500ms}}}}",
            emulator.mqtt.port()
        )
    };
    let mut setup = Setup::new(&document(&ids.iter().map(of).collect::<Vec<_>>()));
    for id in &ids {
        setup = setup.key(id, &derived(id)).ca(id, &emulator.ca());
    }
    let agent = setup.start();
    for id in &ids {
        let events = emulator.wait_for_events(id, 2, LIMIT);
        assert_contiguous(&values(&events, "Ramp"));
    }
    assert_eq!(agent.get("/readyz").status, 200);
    assert!(emulator.devices().iter().all(|device| device["takeovers"] == 0));
}
