//! No event is lost and none is out of order: through token renewals, cut connections, a hub that goes away, a changed
//! credential, and the agent's own end.

use std::time::Duration;

use lanyard_handoff::status::ConnectionState;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};

use crate::fixture::{
    PRIMARY, SECONDARY, assert_contiguous, bodies, emulator, emulator_config, messages, press, press_with,
    setup, values, wait_for_ramp,
};

#[test]
fn tokens_are_renewed_without_a_gap() {
    // The hub is late with closing, as Azure is, so that a busy machine may be late with renewing.
    let emulator = Emulator::start(&emulator_config(", sasEnforceDelaySeconds: 60"));
    let agent = setup(&emulator, &press(&emulator)).arguments(&["--token-ttl", "3s"]).start();
    let device = emulator
        .wait_for_device("reconnects", "press-17", |device| device["connections"].as_u64() >= Some(4));
    assert_eq!(device["takeovers"], 0);
    let so_far = values(&emulator.events(Some("press-17")), "Ramp").last().copied().unwrap_or(0);
    let events = wait_for_ramp(&emulator, so_far + 10);
    assert_contiguous(&values(&events, "Ramp"));
    assert_eq!(
        messages(&events).len(),
        events.len(),
        "what was under way was awaited, so nothing came twice"
    );
    let renewals = "lanyard_device_disconnections_total{device=\"press-17\",reason=\"Renewing\"}";
    assert!(agent.metrics().get(renewals).unwrap() >= 3.0);
    assert_eq!(agent.get("/readyz").status, 200);
}

/// After a sleep the token has ended meanwhile, and the hub has closed the connection.
#[test]
fn a_suspended_agent_goes_on_with_a_new_token() {
    let emulator = emulator();
    let mut agent = setup(&emulator, &press(&emulator)).arguments(&["--token-ttl", "4s"]).start();
    wait_for_ramp(&emulator, 5);
    agent.process().signal("STOP");
    emulator.wait_for_device("is closed by the hub", "press-17", |device| device["connected"] == false);
    agent.process().signal("CONT");
    let so_far = values(&emulator.events(Some("press-17")), "Ramp").last().copied().unwrap_or(0);
    assert_contiguous(&values(&wait_for_ramp(&emulator, so_far + 60), "Ramp"));
}

#[test]
fn a_cut_connection_loses_nothing() {
    let emulator = emulator();
    let agent = setup(&emulator, &press(&emulator)).start();
    for round in 1..=3 {
        wait_for_ramp(&emulator, round * 10);
        eventually("the connection is cut", LIMIT, || emulator.disconnect("press-17").then_some(()));
    }
    let events = wait_for_ramp(&emulator, 100);
    assert_contiguous(&values(&events, "Ramp"));
    for (id, bodies) in bodies(&events) {
        assert!(
            bodies.windows(2).all(|pair| pair[0] == pair[1]),
            "{id} is the id of two messages: {bodies:?}"
        );
    }
    let lost = "lanyard_device_disconnections_total{device=\"press-17\",reason=\"ConnectionLost\"}";
    assert_eq!(agent.metrics().get(lost), Some(3.0));
    assert_eq!(emulator.device("press-17").unwrap()["takeovers"], 0);
}

#[test]
fn returning_hub_receives_everything() {
    let mut emulator = emulator();
    let agent = setup(&emulator, &press(&emulator)).start();
    let before = wait_for_ramp(&emulator, 20);
    let before = values(&before, "Ramp");
    emulator.kill();
    let gone = agent.wait_for("is disconnected", "press-17", |device| {
        device.connection.state == ConnectionState::Disconnected
    });
    assert_eq!(agent.get("/readyz").status, 503);
    assert!(!gone.connection.message.is_empty());
    eventually("events wait in the buffer", LIMIT, || {
        (agent.metrics().get("lanyard_buffer_events{device=\"press-17\"}")? >= 20.0).then_some(())
    });
    emulator.restart();
    let last = *before.last().unwrap();
    let after = values(&wait_for_ramp(&emulator, last + 40), "Ramp");
    assert_contiguous(&after);
    assert!(
        after[0] <= last + 1,
        "the emulator forgot what it had, and the agent may only go on where it was: {after:?}"
    );
}

#[test]
fn silent_hub_is_left_and_receives_everything_later() {
    let mut emulator = emulator();
    let config = press_with(&emulator, crate::fixture::RAMP, "interval: 250ms, timeout: 1s");
    let agent = setup(&emulator, &config).start();
    wait_for_ramp(&emulator, 10);
    emulator.process().signal("STOP");
    let silent = agent
        .wait_for("gives up", "press-17", |device| device.connection.state == ConnectionState::Disconnected);
    emulator.process().signal("CONT");
    assert_eq!(silent.connection.reason.as_str(), "Timeout", "{}", silent.connection.message);
    let events = wait_for_ramp(&emulator, 60);
    assert_contiguous(&values(&events, "Ramp"));
}

#[test]
fn a_changed_key_is_taken_without_a_gap() {
    let emulator = emulator();
    // Even the most talkative log keeps secrets.
    let agent = setup(&emulator, &press(&emulator)).arguments(&["--log-level", "trace"]).start();
    wait_for_ramp(&emulator, 10);
    agent.setup.set_key("press-17", SECONDARY);
    let device = emulator.wait_for_device("reconnects", "press-17", |device| device["connections"] == 2);
    assert_eq!((device["takeovers"].as_u64(), device["refusals"].as_u64()), (Some(0), Some(0)));
    let so_far = values(&emulator.events(Some("press-17")), "Ramp").last().copied().unwrap_or(0);
    let events = wait_for_ramp(&emulator, so_far + 20);
    assert_contiguous(&values(&events, "Ramp"));
    assert_eq!(messages(&events).len(), events.len());
    assert!(
        !agent.log().contains(PRIMARY)
            && !agent.log().contains(SECONDARY)
            && !agent.log().contains("SharedAccessSignature")
    );
}

/// A Secret's volume changes by one renamed link, as the kubelet does it.
#[test]
fn a_mounted_secret_that_is_swapped_is_taken() {
    use std::os::unix::fs::symlink;
    let emulator = emulator();
    let setup = lanyard_tests::agent::Setup::new(&press(&emulator));
    let folder = setup.path("credentials/press-17");
    for (version, key) in [("..v1", PRIMARY), ("..v2", SECONDARY)] {
        setup.write(&format!("credentials/press-17/{version}/sharedAccessKey"), key);
        setup.write(&format!("credentials/press-17/{version}/ca.crt"), &emulator.ca());
    }
    symlink("..v1", folder.join("..data")).unwrap();
    symlink("..data/sharedAccessKey", folder.join("sharedAccessKey")).unwrap();
    symlink("..data/ca.crt", folder.join("ca.crt")).unwrap();
    let _agent = setup.start();
    wait_for_ramp(&emulator, 10);
    symlink("..v2", folder.join("..data_tmp")).unwrap();
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    emulator.wait_for_device("reconnects", "press-17", |device| device["connections"] == 2);
    let so_far = values(&emulator.events(Some("press-17")), "Ramp").last().copied().unwrap_or(0);
    assert_contiguous(&values(&wait_for_ramp(&emulator, so_far + 10), "Ramp"));
}

#[test]
fn shutdown_delivers_everything_that_was_read() {
    let emulator = emulator();
    // The interval is long: what the end does not deliver stays behind.
    let config = press_with(&emulator, crate::fixture::RAMP, "interval: 1h");
    let mut agent = setup(&emulator, &config).start();
    eventually("events wait for their interval", LIMIT, || {
        (agent.metrics().get("lanyard_buffer_events{device=\"press-17\"}")? >= 30.0).then_some(())
    });
    let read = agent.metrics().get("lanyard_events_read_total{device=\"press-17\"}").unwrap() as usize;
    let ended = agent.process().terminate();
    assert!(ended.success(), "{ended}");
    let ramp = values(&emulator.events(Some("press-17")), "Ramp");
    assert_contiguous(&ramp);
    assert!(ramp.len() >= read, "{} of {read}", ramp.len());
    let device = emulator.device("press-17").unwrap();
    assert_eq!(device["connected"], false);
    agent.wait_for_log("the agent has ended");
}

#[test]
fn shutdown_does_not_wait_for_ever() {
    let mut emulator = emulator();
    let mut agent = setup(&emulator, &press(&emulator)).start();
    wait_for_ramp(&emulator, 5);
    emulator.process().signal("STOP");
    let asked = std::time::Instant::now();
    let ended = agent.process().terminate();
    emulator.process().signal("CONT");
    assert!(ended.success(), "{ended}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[test]
fn a_quiet_device_stays_connected() {
    let emulator = emulator();
    let config = press_with(&emulator, "", "");
    let agent = setup(&emulator, &config).arguments(&["--keep-alive", "1s"]).start();
    emulator.wait_for_device("is connected", "press-17", |device| device["connected"] == true);
    // The hub closes after one and a half seconds of silence.
    let start = std::time::Instant::now();
    eventually("six seconds pass", LIMIT, || (start.elapsed() > Duration::from_secs(6)).then_some(()));
    let device = emulator.device("press-17").unwrap();
    assert_eq!((device["connections"].as_u64(), &device["connected"]), (Some(1), &true.into()));
    assert_eq!(agent.get("/readyz").status, 200);
}

#[test]
fn events_flow_with_qos_0() {
    let emulator = emulator();
    let config = press_with(&emulator, crate::fixture::RAMP, "interval: 100ms, qos: 0");
    let agent = setup(&emulator, &config).start();
    assert_contiguous(&values(&wait_for_ramp(&emulator, 20), "Ramp"));
    eventually("written is acknowledged", LIMIT, || {
        (agent.metrics().get("lanyard_events_acknowledged_total{device=\"press-17\"}")? >= 20.0).then_some(())
    });
}
