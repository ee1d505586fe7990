//! Messages from templates: what the user wrote reaches the hub, split and never dropped, and problems are shown where they are.

use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::fixture::{emulator, press_with, setup};

/// The vendor's own, without blanks.
const EACH: &str = "|#each VALUES|{\"n\":\"|TAGNAME|\",\"x\":|VALUE|,\"good\":|QUALITY|,\"at\":|TIMESTAMP|}|#unless @last|,|/unless||/each|";

/// Returns telemetry settings with this template, in YAML's flow style.
fn telemetry(advanced: &str, more: &str) -> String {
    format!("interval: 200ms, template: {{advanced: {}}}{more}", json!(advanced))
}

#[test]
fn templated_message_reaches_the_hub() {
    let emulator = emulator();
    let tags = "{name: R, source: sim, address: R0001, scanInterval: 100ms}, \
                {name: 'Say \"hi\"', source: sim, address: 'USER(1000, a \"b\")', scanInterval: 100ms}";
    let narrow = telemetry(&format!("{{\"made\": |SERVERTIMESTAMP|, \"rows\": [{EACH}]}}"), "");
    let agent = setup(&emulator, &press_with(&emulator, tags, &narrow)).start();
    let events = emulator.wait_for_events("press-17", 3, LIMIT);
    let first = &events[0]["body"];
    assert!(first["made"].is_i64());
    assert_eq!((&first["rows"][0]["n"], &first["rows"][0]["x"]), (&json!("R"), &json!(0)));
    assert_eq!((&first["rows"][1]["n"], &first["rows"][1]["x"]), (&json!("Say \"hi\""), &json!("a \"b\"")));
    assert_eq!(first["rows"][0]["good"], true);
    let read: Vec<i64> = events
        .iter()
        .flat_map(|event| event["body"]["rows"].as_array().unwrap())
        .filter(|row| row["n"] == "R")
        .map(|row| row["x"].as_i64().unwrap())
        .collect();
    assert!(read.iter().copied().eq(0..read.len() as i64), "{read:?}");

    let standard = "interval: 200ms, format: Wide, template: {standard: {message: \"line: 3\\nall: |VALUES|\", \
        values: \"tag: |TAGNAME|\\nv: |TAGVALUE|\"}}";
    agent.setup.configure(&press_with(&emulator, tags, standard));
    let body =
        eventually("a wide message from the standard template", LIMIT, || {
            emulator.events(Some("press-17")).last().map(|event| event["body"].clone()).filter(|body| {
                body["line"] == "3" && body["all"].as_array().is_some_and(|all| all.len() == 2)
            })
        });
    let ids: Vec<&Value> = body["all"].as_array().unwrap().iter().map(|row| &row["tag"]).collect();
    assert_eq!(ids, [&json!("R"), &json!("Say \"hi\"")]);
    assert_eq!(body["all"][1]["v"], "a \"b\"");
}

/// 40 KB each: six fit into a message.
#[test]
fn large_events_are_split_and_too_large_ones_counted() {
    let emulator = emulator();
    let long = "x".repeat(400);
    let many = |count: usize| vec![long.as_str(); count].join("|QUALITY|");
    let wide = format!(
        "{{\"rows\": [|#each VALUES|[\"|TAGNAME|\",|VALUE|,\"{}\"]|#unless @last|,|/unless||/each|]}}",
        many(100)
    );
    let tags: Vec<String> = (0..15)
        .map(|n| format!("{{name: 'T{n}', source: sim, address: 'USER(1000, {n}, {n})', scanInterval: 1s}}"))
        .collect();
    let config = press_with(&emulator, &tags.join(", "), &telemetry(&wide, ""));
    let agent = setup(&emulator, &config).start();
    let events = emulator.wait_for_events("press-17", 3, LIMIT);
    let rows: Vec<usize> =
        events.iter().map(|event| event["body"]["rows"].as_array().unwrap().len()).collect();
    assert_eq!(rows, [6, 6, 3]);
    let all = events
        .iter()
        .flat_map(|event| event["body"]["rows"].as_array().unwrap())
        .map(|row| row[1].as_i64().unwrap());
    assert!(all.eq(0..15));

    let huge = format!("[|#each VALUES||VALUE|,\"{}\"|#unless @last|,|/unless||/each|]", many(700));
    agent.setup.configure(&press_with(
        &emulator,
        &format!("{}, {{name: Huge, source: sim, address: R0001, scanInterval: 100ms}}", tags.join(", ")),
        &telemetry(&huge, ""),
    ));
    let dropped = "lanyard_events_dropped_total{device=\"press-17\",reason=\"TooLarge\"}";
    eventually("events are counted", LIMIT, || (agent.metrics().get(dropped)? >= 2.0).then_some(()));
    eventually("the log names the tag", LIMIT, || agent.log().contains("\"Huge\"").then_some(()));
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

#[test]
fn template_errors_have_positions_and_change_nothing() {
    let emulator = emulator();
    let tags = "{name: R, source: sim, address: R0001, scanInterval: 100ms}";
    let agent = setup(&emulator, &press_with(&emulator, tags, &telemetry(&format!("[{EACH}]"), ""))).start();
    emulator.wait_for_events("press-17", 1, LIMIT);
    for (text, words) in [
        (
            "[\n  |#each VALUES||TAGNAM||/each|]",
            "advanced, line 2, column 17: |TAGNAM| is not a variable: did you mean |TAGNAME|?",
        ),
        (
            "[\n  |#each VALUES||VALUE||/each|]",
            "advanced, line 2, column 17: a message with 2 events is not JSON",
        ),
    ] {
        agent.setup.configure(&press_with(&emulator, tags, &telemetry(text, "")));
        eventually("the problem is in the status", LIMIT, || {
            agent.status().configuration_problem.filter(|problem| problem.contains(words))
        });
        agent.wait_for_log(words);
    }
    let before = emulator.events(Some("press-17")).len();
    emulator.wait_for_events("press-17", before + 2, LIMIT);
}
