//! The thin thread: a device's tags reach the hub in the documented form, and the agent says so.

use lanyard_handoff::status::ConnectionState;
use lanyard_tests::process::LIMIT;

use crate::fixture::{RAMP, assert_contiguous, emulator, press, press_with, setup, values, wait_for_ramp};

#[test]
fn a_device_streams_its_tags() {
    let emulator = emulator();
    let mut agent = setup(&emulator, &press(&emulator)).start();
    let events = wait_for_ramp(&emulator, 20);
    let ramp = values(&events, "Ramp");
    assert_eq!(ramp[0], 0);
    assert_contiguous(&ramp);

    let status = agent.device("press-17").unwrap();
    assert_eq!(status.connection.state, ConnectionState::Connected);
    assert_eq!(status.assigned_hub.as_deref(), Some("localhost"));
    assert_eq!((agent.get("/readyz").status, agent.get("/livez").status), (200, 200));
    let metrics = agent.metrics();
    assert_eq!(metrics.get("lanyard_device_connected{device=\"press-17\"}"), Some(1.0));
    assert_eq!(
        metrics.get("lanyard_device_connection_attempts_total{device=\"press-17\",result=\"Connected\"}"),
        Some(1.0)
    );
    assert!(metrics.get("lanyard_publish_latency_seconds_count{device=\"press-17\"}").unwrap() >= 1.0);
    let expiry = metrics
        .get("lanyard_credential_expiry_timestamp_seconds{device=\"press-17\",kind=\"SasToken\"}")
        .unwrap();
    let now = jiff::Timestamp::now().as_second() as f64;
    assert!((expiry - now - 3600.0).abs() < 60.0);
    assert!(agent.process().terminate().success());
}

#[test]
fn narrow_and_wide_have_the_documented_form() {
    let emulator = emulator();
    let tags = "{name: R, source: sim, address: R0001, scanInterval: 100ms}, \
                {name: Flag, source: sim, address: 'USER(100, true, false)', scanInterval: 100ms}, \
                {name: Text, source: sim, address: 'USER(1000, a\\, b)', scanInterval: 100ms}, \
                {name: Broken, source: sim, address: 'RAMP(1)', scanInterval: 100ms}";
    let telemetry = "interval: 200ms, properties: {location: 'hall 3/b'}";
    let config = press_with(&emulator, tags, telemetry);
    let agent = setup(&emulator, &config).start();
    let narrow = emulator.wait_for_events("press-17", 3, LIMIT);
    assert_eq!(narrow[0]["properties"]["location"], "hall 3/b");
    assert_eq!(narrow[0]["systemProperties"]["content-type"], "application/json");
    assert_eq!(narrow[0]["systemProperties"]["content-encoding"], "utf-8");
    assert!(narrow[0]["body"]["timestamp"].is_i64());
    let event = |tag: &str| {
        let all = narrow.iter().flat_map(|event| event["body"]["values"].as_array().unwrap());
        all.filter(|event| event["id"] == tag).collect::<Vec<_>>()
    };
    assert_eq!(event("R")[0]["v"], 0);
    assert_eq!(event("R")[1]["v"], 1);
    assert_eq!(event("Flag")[0]["v"], true);
    assert_eq!(event("Text")[0]["v"], "a, b");
    assert_eq!(event("Text").len(), 1, "it never changes");
    assert_eq!(
        (&event("Broken")[0]["v"], &event("Broken")[0]["q"]),
        (&serde_json::Value::Null, &false.into())
    );
    assert!(event("R").iter().all(|event| event["q"] == true && event["t"].is_i64()));
    assert!(agent.device("press-17").unwrap().problems[0].contains("\"Broken\""));

    let wide = press_with(&emulator, tags, "interval: 200ms, format: Wide, maxEvents: 1");
    agent.setup.configure(&wide);
    let before = emulator.events(Some("press-17")).len();
    let all = lanyard_tests::process::eventually("wide messages", LIMIT, || {
        let events = emulator.events(Some("press-17"));
        let ids = |event: &serde_json::Value| {
            event["body"]["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v["id"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let wide =
            events.iter().skip(before).filter(|event| ids(event) == ["R", "Flag", "Text", "Broken"]).count();
        (wide >= 3).then_some(events)
    });
    assert_eq!(all.last().unwrap()["properties"], serde_json::json!({}));
    assert_eq!(
        emulator.device("press-17").unwrap()["connections"],
        1,
        "tags and telemetry change without a reconnect"
    );
}

#[test]
fn event_counts_balance_at_every_moment() {
    let emulator = emulator();
    let fast = "{name: A, source: sim, address: 'RAMP(10, 0, 1000000, 1)', scanInterval: 10ms}, \
                {name: B, source: sim, address: 'RANDOM(10, 0, 1000000)', scanInterval: 10ms, publish: EveryScan}";
    let tags = format!("{RAMP}, {fast}");
    let agent = setup(&emulator, &press_with(&emulator, &tags, "interval: 50ms, maxEvents: 3")).start();
    let device = "{device=\"press-17\"";
    for round in 0.. {
        let metrics = agent.metrics();
        let get = |name: &str| metrics.get(&format!("{name}{device}}}")).unwrap();
        let dropped = metrics.sum(&format!("lanyard_events_dropped_total{device}"));
        let (read, acknowledged) =
            (get("lanyard_events_read_total"), get("lanyard_events_acknowledged_total"));
        assert_eq!(read, acknowledged + get("lanyard_buffer_events") + dropped, "round {round}");
        if round > 200 && acknowledged > 500.0 {
            break;
        }
        if round == 100 {
            assert!(emulator.disconnect("press-17"));
        }
        assert!(round < 20_000, "{acknowledged} events in all these rounds");
    }
}
