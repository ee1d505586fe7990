//! The limits: messages as large as a hub takes, and a buffer that is full.

use std::collections::HashSet;

use lanyard_tests::process::{LIMIT, eventually};

use crate::fixture::{RAMP, assert_contiguous, emulator, messages, press_with, setup, values, wait_for_ramp};

/// The emulator counts bytes as the hub does and closes the connection for one too many.
#[test]
fn messages_are_cut_where_the_hub_would_refuse_them() {
    let emulator = emulator();
    let text = "\u{e4}".repeat(700);
    let large = |number: u32| {
        format!(
            "{{name: T{number}, source: sim, address: 'USER(1000, {text})', scanInterval: 100ms, publish: EveryScan}}"
        )
    };
    let tags: Vec<String> = (0..50).map(large).chain([RAMP.to_owned()]).collect();
    let properties = "properties: {location: hall-3}";
    let config =
        press_with(&emulator, &tags.join(", "), &format!("interval: 2s, maxEvents: 100000, {properties}"));
    let agent = setup(&emulator, &config).start();
    let events = wait_for_ramp(&emulator, 80);
    assert_contiguous(&values(&events, "Ramp"));
    let sizes: Vec<usize> = events.iter().map(|event| event["body"].to_string().len()).collect();
    assert!(sizes.iter().any(|&size| size > 255_000), "{sizes:?}");
    let device = emulator.device("press-17").unwrap();
    assert_eq!(
        (device["connections"].as_u64(), &device["connected"]),
        (Some(1), &true.into()),
        "{}",
        agent.log()
    );
}

#[test]
fn too_large_event_is_dropped_counted_and_named() {
    let emulator = emulator();
    let text = "x".repeat(300_000);
    let tags = format!(
        "{{name: Huge, source: sim, address: 'USER(1000, {text})', publish: EveryScan, scanInterval: 100ms}}, {RAMP}"
    );
    let agent = setup(&emulator, &press_with(&emulator, &tags, "interval: 250ms")).start();
    let events = wait_for_ramp(&emulator, 40);
    assert_contiguous(&values(&events, "Ramp"));
    let dropped = "lanyard_events_dropped_total{device=\"press-17\",reason=\"TooLarge\"}";
    assert!(agent.metrics().get(dropped).unwrap() >= 2.0);
    let log = agent.log();
    assert_eq!(log.lines().filter(|line| line.contains("\"Huge\"")).count(), 1, "{log}");
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

#[test]
fn a_full_buffer_drops_the_oldest_and_counts_them() {
    let mut emulator = emulator();
    let fast = "{name: Fast, source: sim, address: 'RAMP(10, 0, 1000000, 1)', scanInterval: 10ms}, \
                {name: Faster, source: sim, address: 'RANDOM(10, 0, 1000000)', scanInterval: 10ms, publish: EveryScan}";
    let config = press_with(&emulator, fast, "interval: 100ms");
    let config = config.replace("telemetry:", "buffer: {capacity: 64Ki}, telemetry:");
    let agent = setup(&emulator, &config).start();
    emulator.wait_for_events("press-17", 2, LIMIT);
    emulator.kill();
    let dropped = "lanyard_events_dropped_total{device=\"press-17\",reason=\"BufferFull\"}";
    eventually("events are dropped", LIMIT, || (agent.metrics().get(dropped)? > 100.0).then_some(()));
    assert!(agent.metrics().get("lanyard_buffer_bytes{device=\"press-17\"}").unwrap() <= 65_536.0);
    agent.wait_for_log("buffer.capacity");
    emulator.restart();
    let get = |name: &str| agent.metrics().get(&format!("{name}{{device=\"press-17\"}}")).unwrap();
    // The metrics count what was dropped, and the hub has the rest.
    let before = agent.metrics().get(dropped).unwrap();
    emulator.wait_for_events("press-17", 10, LIMIT);
    eventually("the buffer is empty again", LIMIT, || (get("lanyard_buffer_events") < 200.0).then_some(()));
    let metrics = agent.metrics();
    let of = |name: &str| metrics.get(&format!("{name}{{device=\"press-17\"}}")).unwrap();
    let dropped = metrics.get(dropped).unwrap();
    assert!(dropped >= before);
    assert_eq!(
        of("lanyard_events_read_total"),
        of("lanyard_events_acknowledged_total") + of("lanyard_buffer_events") + dropped
    );
    let fast = values(&emulator.events(Some("press-17")), "Fast");
    assert!(fast.windows(2).all(|pair| pair[0] < pair[1]), "in order, with the gap: {fast:?}");
    assert_eq!(fast.iter().collect::<HashSet<_>>().len(), fast.len());
}

#[test]
fn a_backlog_goes_out_in_full_messages_and_each_once() {
    let mut emulator = emulator();
    let fast = "{name: Ramp, source: sim, address: 'RAMP(10, 0, 1000000, 1)', scanInterval: 10ms}";
    let agent = setup(&emulator, &press_with(&emulator, fast, "interval: 100ms, maxEvents: 10")).start();
    wait_for_ramp(&emulator, 50);
    emulator.kill();
    eventually("a backlog grows", LIMIT, || {
        (agent.metrics().get("lanyard_buffer_events{device=\"press-17\"}")? > 500.0).then_some(())
    });
    emulator.restart();
    eventually("the backlog is gone", LIMIT, || {
        (agent.metrics().get("lanyard_buffer_events{device=\"press-17\"}")? < 50.0).then_some(())
    });
    let events = emulator.events(Some("press-17"));
    assert_contiguous(&values(&events, "Ramp"));
    let full = messages(&events)
        .iter()
        .filter(|event| event["body"]["values"].as_array().is_some_and(|v| v.len() == 10))
        .count();
    assert!(full >= 40, "{full} full messages");
}
