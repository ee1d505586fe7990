//! The agent under each fault that the emulator causes on purpose: it names the fault's effect, loses nothing and recovers.

use std::time::{Duration, Instant};

use lanyard_tests::agent::{Agent, Setup};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::{Value, json};

use crate::dps::group_setup;
use crate::fixture::{RAMP, assert_streams, emulator, press, press_with, setup, wait_for_ramp};

const PRESS: &str = "press-17";

/// Waits until a fault has occurred at least `times`.
fn await_fault(emulator: &Emulator, fault: &str, times: u64) {
    eventually(&format!("{times} times {fault}"), LIMIT, || {
        (emulator.occurred(fault) >= times).then_some(())
    });
}

fn start(emulator: &Emulator) -> Agent {
    setup(emulator, &press(emulator)).start()
}

fn counter(agent: &Agent, name: &str) -> f64 {
    agent.metrics().sum(&format!("lanyard_{name}{{device=\"{PRESS}\""))
}

#[test]
fn refused_agent_connects_when_the_refusals_end() {
    let emulator = emulator();
    for (code, reason) in
        [(3, "HubUnavailable"), (4, "Unauthorized"), (5, "Unauthorized"), (2, "ProtocolRefused")]
    {
        let refused = json!({"deviceId": PRESS, "count": 1, "refuseConnections": {"returnCode": code}});
        emulator.put_fault("refused", &refused);
        let agent = start(&emulator);
        agent.wait_for_reason(PRESS, reason);
        let attempts =
            format!("lanyard_device_connection_attempts_total{{device=\"{PRESS}\",result=\"{reason}\"}}");
        assert_eq!(agent.metrics().get(&attempts), Some(1.0));
        agent.wait_for_reason(PRESS, "Connected");
        assert_eq!(emulator.occurred("refused"), 1);
    }
}

#[test]
fn agent_that_gets_no_answer_to_connect_tries_again() {
    let emulator = emulator();
    emulator.put_fault("cut", &json!({"count": 2, "dropConnections": {}}));
    let agent = start(&emulator);
    agent.wait_for_reason(PRESS, "ConnectionLost");
    wait_for_ramp(&emulator, 10);
    assert_eq!(emulator.occurred("cut"), 2);
    assert_streams(&emulator, &agent, PRESS);
}

#[test]
fn dropped_agent_reconnects_and_loses_nothing() {
    let emulator = emulator();
    emulator.put_fault("cut", &json!({"count": 3, "dropConnections": {"afterMessages": 2}}));
    let agent = start(&emulator);
    await_fault(&emulator, "cut", 3);
    assert_streams(&emulator, &agent, PRESS);
    assert_eq!(counter(&agent, "device_disconnections_total"), 3.0);
}

#[test]
fn agent_with_slow_answers_stays_connected() {
    let emulator = emulator();
    emulator.put_fault("slow", &json!({"delayAnswers": {"milliseconds": 800}}));
    let agent = start(&emulator);
    // Messages leave every 250 ms: they do not wait for the answers to the earlier ones.
    await_fault(&emulator, "slow", 20);
    assert_streams(&emulator, &agent, PRESS);
    assert_eq!(emulator.device(PRESS).unwrap()["connections"], 1);
    assert!(
        counter(&agent, "publish_latency_seconds_sum")
            >= 0.8 * counter(&agent, "publish_latency_seconds_count")
    );
}

#[test]
fn throttled_agent_keeps_events_until_the_hub_has_room() {
    let emulator = emulator();
    let throttle = json!({"messagesPerSecond": 2, "closeAfterSeconds": 3});
    emulator.put_fault("busy", &json!({"deviceId": PRESS, "throttle": throttle}));
    let agent = setup(&emulator, &press_with(&emulator, RAMP, "interval: 100ms")).start();
    let closed = |device: &Value| {
        device["lastDisconnect"].as_str().is_some_and(|reason| reason.contains("wait longer than 3 s"))
    };
    emulator.wait_for_device("is closed", PRESS, closed);
    emulator.wait_for_device("is back", PRESS, |device| device["connections"].as_u64() >= Some(2));
    emulator.delete_fault("busy");
    assert_streams(&emulator, &agent, PRESS);
    assert!(counter(&agent, "device_disconnections_total") >= 1.0);
}

#[test]
fn agent_without_acknowledgements_sends_again() {
    let emulator = emulator();
    emulator.put_fault("lost", &json!({"count": 3, "loseAcknowledgements": {}}));
    let agent = setup(&emulator, &press_with(&emulator, RAMP, "interval: 250ms, timeout: 2s")).start();
    await_fault(&emulator, "lost", 3);
    emulator.wait_for_device("is back", PRESS, |device| device["connections"] == 2);
    assert_streams(&emulator, &agent, PRESS);
}

fn registering(emulator: &Emulator) -> Setup {
    group_setup(emulator, &["dev-01"])
}

#[test]
fn throttled_registration_waits_as_dps_asks() {
    let emulator = emulator();
    let busy = json!({"errorCode": 429_001, "retryAfterSeconds": 5});
    emulator.put_fault("busy", &json!({"deviceId": "dev-01", "count": 1, "refuseRegistrations": busy}));
    let agent = registering(&emulator).start();
    let refused = agent.wait_for_reason("dev-01", "HubUnavailable");
    let start = Instant::now();
    assert!(refused.connection.message.contains("429001"), "{}", refused.connection.message);
    emulator.wait_for_events("dev-01", 1, LIMIT);
    // The status is read some time after the answer.
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(emulator.occurred("busy"), 1);
}

#[test]
fn registering_agent_survives_every_fault_of_dps() {
    let emulator = emulator();
    for (name, effect) in [
        ("refuseConnections", json!({"returnCode": 3})),
        ("dropConnections", json!({})),
        ("delayAnswers", json!({"milliseconds": 700})),
        ("refuseRegistrations", json!({"errorCode": 500_000})),
    ] {
        let mut fault = json!({"service": "dps", "count": 1});
        fault[name] = effect;
        emulator.put_fault(name, &fault);
    }
    emulator
        .put_fault("late", &json!({"service": "dps", "count": 1, "dropConnections": {"afterMessages": 1}}));
    let _agent = registering(&emulator).start();
    emulator.wait_for_events("dev-01", 1, LIMIT);
    for name in ["refuseConnections", "dropConnections", "delayAnswers", "refuseRegistrations", "late"] {
        assert_eq!(emulator.occurred(name), 1, "{name}");
    }
}
