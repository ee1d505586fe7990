//! Quality is never hidden: what cannot be read is reported once, counted while it lasts, and reported again when it ends.

use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::fixture::{RAMP, emulator, messages, press_with, setup};

fn rows(events: &[Value], tag: &str) -> Vec<Value> {
    let all =
        messages(events).into_iter().flat_map(|event| event["body"]["values"].as_array().expect("values"));
    all.filter(|row| row["id"] == tag).cloned().collect()
}

/// A register that counts up holds no decimal digits between 0x0a and 0x0f: the same read fails six times and then succeeds.
#[test]
fn failing_read_and_its_end_are_one_event_each() {
    let emulator = emulator();
    let counter = "{name: Digits, source: sim, address: R0001, dataType: BCD, scanInterval: 100ms";
    for publish in ["OnChange", "EveryScan"] {
        let config =
            press_with(&emulator, &format!("{counter}, publish: {publish}}}, {RAMP}"), "interval: 100ms");
        let before = emulator.events(Some("press-17")).len();
        let agent = setup(&emulator, &config).start();
        let bad = || agent.metrics().get("lanyard_tags_bad{device=\"press-17\"}");
        eventually("the metric counts the tag", LIMIT, || (bad()? == 1.0).then_some(()));
        let reported = eventually("the register holds digits again", LIMIT, || {
            let reported = rows(&emulator.events(Some("press-17"))[before..], "Digits");
            reported.iter().any(|row| row["v"] == 12).then_some(reported)
        });
        eventually("the metric counts it no more", LIMIT, || (bad()? == 0.0).then_some(()));
        let reported: Vec<(Value, bool)> =
            reported.iter().map(|row| (row["v"].clone(), row["q"] == true)).collect();
        let mut expected: Vec<(Value, bool)> = (0..=9).map(|value| (json!(value), true)).collect();
        expected.extend([(json!(9), false), (json!(10), true), (json!(11), true), (json!(12), true)]);
        assert_eq!(reported[..expected.len()], expected, "{publish}");
    }
}

/// An address that no source has is bad from the beginning; its quality rides in every wide message.
#[test]
fn a_tag_that_was_never_read_is_null_and_bad() {
    let emulator = emulator();
    let tags = format!("{{name: Nowhere, source: sim, address: K99999, scanInterval: 100ms}}, {RAMP}");
    let agent =
        setup(&emulator, &press_with(&emulator, &tags, "interval: 100ms, initialUpdate: Disabled")).start();
    emulator.wait_for_events("press-17", 5, LIMIT);
    let reported = rows(&emulator.events(Some("press-17")), "Nowhere");
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert_eq!((&reported[0]["v"], &reported[0]["q"]), (&Value::Null, &json!(false)));
    assert!(agent.device("press-17").unwrap().problems[0].contains("register number must be from 0 to 9999"));

    agent.setup.configure(&press_with(&emulator, &tags, "interval: 100ms, format: Wide"));
    let wide = eventually("wide messages", LIMIT, || {
        let reported = rows(&emulator.events(Some("press-17")), "Nowhere");
        (reported.len() >= 4).then_some(reported)
    });
    assert!(wide.iter().all(|row| row["v"].is_null() && row["q"] == false));
    assert_eq!(agent.metrics().get("lanyard_tags_bad{device=\"press-17\"}"), Some(1.0));
}
