//! Options of tags and telemetry: the events, the first message, and the last one.

use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::fixture::{RAMP, emulator, messages, press, press_with, setup, values, wait_for_ramp};

#[test]
fn deadband_max_silence_and_enabled_work_at_the_hub() {
    let emulator = emulator();
    let tags = "{name: Every, source: sim, address: 'RAMP(100, 0, 1000000, 1)', scanInterval: 100ms}, \
                {name: Some, source: sim, address: 'RAMP(100, 0, 1000000, 1)', scanInterval: 100ms, deadband: {absolute: 2}}, \
                {name: Alive, source: sim, address: K0001, scanInterval: 100ms, maxSilence: 300ms}, \
                {name: Off, source: sim, address: R0001, scanInterval: 100ms, enabled: false}";
    let agent = setup(&emulator, &press_with(&emulator, tags, "interval: 200ms")).start();
    let events = eventually("the tag with a deadband comes to 12", LIMIT, || {
        let events = emulator.events(Some("press-17"));
        values(&events, "Some").last().is_some_and(|&last| last >= 12).then_some(events)
    });
    let some = values(&events, "Some");
    assert!(some.iter().copied().eq((0..some.len() as i64).map(|n| n * 3)), "{some:?}");
    let alive = times(&events, "Alive");
    assert!(
        alive.len() >= 3 && alive.windows(2).all(|pair| (250..=450).contains(&(pair[1] - pair[0]))),
        "{alive:?}"
    );
    assert!(values(&events, "Off").is_empty());

    agent.setup.configure(&press_with(
        &emulator,
        &tags.replace("enabled: false", "enabled: true"),
        "interval: 200ms",
    ));
    let events = eventually("the tag is switched on", LIMIT, || {
        let events = emulator.events(Some("press-17"));
        (values(&events, "Off").len() >= 3).then_some(events)
    });
    assert_eq!(values(&events, "Off")[..3], [0, 1, 2]);
    let every = values(&events, "Every");
    assert!(every.windows(2).all(|pair| pair[1] == pair[0] + 1), "other tags are not affected: {every:?}");
}

#[test]
fn initial_update_of_all_tags_can_be_suppressed() {
    for (setting, expected) in [("Enabled", vec!["Constant", "Ramp"]), ("Disabled", vec!["Ramp"])] {
        let emulator = emulator();
        let tags = format!("{{name: Constant, source: sim, address: K0001, scanInterval: 50ms}}, {RAMP}");
        let telemetry = format!("interval: 200ms, initialUpdate: {setting}");
        let _agent = setup(&emulator, &press_with(&emulator, &tags, &telemetry)).start();
        let events = wait_for_ramp(&emulator, 10);
        let ids: std::collections::BTreeSet<&str> =
            rows(&events).map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(values(&events, "Ramp")[0], i64::from(setting == "Disabled"));
    }
}

fn rows(events: &[Value]) -> impl Iterator<Item = &Value> {
    messages(events).into_iter().flat_map(|event| event["body"]["values"].as_array().into_iter().flatten())
}

fn times(events: &[Value], tag: &str) -> Vec<i64> {
    rows(events).filter(|row| row["id"] == tag).map(|row| row["t"].as_i64().expect("a time")).collect()
}

fn wills(events: &[Value]) -> Vec<&Value> {
    events.iter().filter(|event| event["properties"]["iothub-MessageType"] == "Will").collect()
}

#[test]
fn last_will_is_sent_when_the_agent_is_killed() {
    let emulator = emulator();
    let will = |payload: &str| {
        let will = format!(
            "lastWill: {{payload: '{payload}', properties: {{line: 'hall 3/b'}}, contentType: application/json, \
                contentEncoding: utf-8}}, telemetry:"
        );
        press(&emulator).replace("telemetry:", &will)
    };
    let mut agent = setup(&emulator, &will(r#"{"gone":1}"#)).start();
    wait_for_ramp(&emulator, 5);
    agent.process().kill();
    let events = eventually("the will", LIMIT, || {
        let events = emulator.events(Some("press-17"));
        (!wills(&events).is_empty()).then_some(events)
    });
    let sent = wills(&events)[0];
    assert_eq!((&sent["body"], &sent["properties"]["line"]), (&json!({"gone": 1}), &json!("hall 3/b")));
    assert_eq!(sent["systemProperties"]["content-type"], "application/json");
    assert_eq!(sent["systemProperties"]["content-encoding"], "utf-8");

    agent.restart();
    emulator.wait_for_device("connected", "press-17", |device| device["connected"] == true);
    // A new one is the hub's at the next login, which is made at once, and in order.
    agent.setup.configure(&will(r#"{"gone":2}"#));
    emulator.wait_for_device("reconnected", "press-17", |device| {
        device["connections"] == 3 && device["connected"] == true
    });
    assert!(emulator.disconnect("press-17"));
    let events = eventually("the new will", LIMIT, || {
        let events = emulator.events(Some("press-17"));
        (wills(&events).len() == 2).then_some(events)
    });
    assert_eq!(wills(&events)[1]["body"], json!({"gone": 2}));
    emulator.wait_for_device("connected again", "press-17", |device| {
        device["connections"] == 4 && device["connected"] == true
    });
    assert!(agent.process().terminate().success());
    emulator.wait_for_device("gone", "press-17", |device| device["connected"] == false);
    assert_eq!(wills(&emulator.events(Some("press-17"))).len(), 2, "an end in order takes it back");
}
