//! Hubs and DPS instances that mean harm: none ends the agent, fills its memory, or disturbs another device of its process.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lanyard_tests::agent::{Agent, Setup};
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::eventually;
use lanyard_tests::stranger::{CONNACK, ClientLine, Stranger, dps, publish, read_packet};

use crate::fixture::{PRIMARY, RAMP, assert_streams, derived, device, document, emulator, wait_for_ramp};

const ASSIGNING: &str = r#"{"operationId":"5.316a","status":"assigning"}"#;
const THROTTLED: &str = r#"{"errorCode":429001,"message":"too many requests"}"#;
const MIB: u64 = 1 << 20;

/// Returns a setup with press-17 at the emulator, and beside it these devices of the stranger, each as `of` writes it.
fn beside(emulator: &Emulator, stranger: &Stranger, names: &[String], of: impl Fn(&str) -> String) -> Setup {
    let hub = format!("localhost:{}", emulator.mqtt.port());
    let mut devices: Vec<String> = names.iter().map(|name| of(name)).collect();
    devices.push(device("press-17", "press-17", &hub, RAMP, "interval: 250ms"));
    let mut setup = Setup::new(&document(&devices)).key("press-17", PRIMARY).ca("press-17", &emulator.ca());
    for name in names {
        setup = setup.key(name, &derived(name)).ca(name, &stranger.ca);
    }
    setup.arguments(&["--keep-alive", "2s"])
}

/// Returns a setup with one device that connects directly to the stranger, beside press-17.
fn beside_hub(emulator: &Emulator, stranger: &Stranger) -> Setup {
    let hub = format!("localhost:{}", stranger.port);
    let of = |name: &str| device(name, name, &hub, RAMP, "interval: 250ms");
    beside(emulator, stranger, &["victim".to_owned()], of)
}

/// Returns a setup with one device that the stranger's DPS is to assign, beside press-17.
fn beside_dps(emulator: &Emulator, stranger: &Stranger) -> Setup {
    let of = |name: &str| {
        format!(
            "{{name: '{name}', deviceId: '{name}', dps: {{endpoint: 'localhost:{}', idScope: 0ne00ABCDEF}}, \
             sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}]}}",
            stranger.port
        )
    };
    beside(emulator, stranger, &["victim".to_owned()], of)
}

/// Answers CONNECT, then does as `next` says.
fn after_login(
    next: impl Fn(&mut ClientLine) -> std::io::Result<()> + Send + Sync,
) -> impl Fn(ClientLine) + Send + Sync {
    move |mut line| {
        // The connection's end is the test's.
        let _ = read_packet(&mut line).and_then(|_| line.write_all(CONNACK)).and_then(|()| next(&mut line));
    }
}

/// Checks that press-17 was not disturbed, and that the agent is the process that was started.
fn assert_unharmed(emulator: &Emulator, agent: &Agent) {
    assert_streams(emulator, agent, "press-17");
    assert_eq!(emulator.device("press-17").map(|device| device["connections"].clone()), Some(1.into()));
}

#[test]
fn m2_huge_retry_after_is_capped() {
    for (answer, body) in [
        ("202/?$rid={rid}&retry-after=18446744073709551615", ASSIGNING),
        ("202/?$rid={rid}&retry-after=9999999999", ASSIGNING),
        ("429/?$rid={rid}&retry-after=18446744073709551615", THROTTLED),
        ("500/?$rid={rid}&retry-after=18446744073709551615", "no JSON"),
    ] {
        let (emulator, requests) = (emulator(), Arc::new(AtomicUsize::new(0)));
        let stranger = Stranger::start(dps(answer, body, Arc::clone(&requests)));
        let agent = beside_dps(&emulator, &stranger).start();
        if body == ASSIGNING {
            agent.wait_for_reason("victim", "Registering");
        } else {
            agent.wait_for_reason("victim", "HubUnavailable");
        }
        wait_for_ramp(&emulator, 40);
        assert!(requests.load(Ordering::Relaxed) > 0, "{answer}: DPS was never asked");
        assert_unharmed(&emulator, &agent);
    }
}

#[test]
fn m2_dps_that_names_no_wait_is_polled_slowly() {
    let (emulator, requests) = (emulator(), Arc::new(AtomicUsize::new(0)));
    let stranger = Stranger::start(dps("202/?$rid={rid}&retry-after=0", ASSIGNING, Arc::clone(&requests)));
    let agent = beside_dps(&emulator, &stranger).start();
    agent.wait_for_reason("victim", "Registering");
    let (before, start) = (requests.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(Duration::from_secs(3));
    let polls = requests.load(Ordering::Relaxed) - before;
    assert!(
        (1..=2 * start.elapsed().as_secs() as usize + 1).contains(&polls),
        "{polls} polls in three seconds"
    );
    assert_unharmed(&emulator, &agent);
}

#[test]
fn m3_hub_that_floods_and_does_not_read_is_bounded() {
    let emulator = emulator();
    let packets = publish("devices/victim/messages/devicebound/", b"").repeat(1000);
    let stranger = Stranger::start(after_login(move |line| {
        loop {
            line.write_all(&packets)?;
        }
    }));
    let agent = beside_hub(&emulator, &stranger).start();
    wait_for_ramp(&emulator, 20);
    let before = agent.resident_bytes();
    let refused = agent.wait_for_reason("victim", "ProtocolRefused");
    assert!(refused.connection.message.contains("did not ask for"), "{}", refused.connection.message);
    wait_for_ramp(&emulator, 100);
    let grown = agent.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * MIB, "the agent grew by {grown} bytes");
    assert_unharmed(&emulator, &agent);
}

#[test]
fn m3_endless_packet_is_refused() {
    let emulator = emulator();
    let stranger = Stranger::start(after_login(|line| {
        // 268,435,455 bytes follow, says the header.
        line.write_all(b"\x32\xff\xff\xff\x7f")?;
        loop {
            line.write_all(&[b'x'; 65_536])?;
        }
    }));
    let agent = beside_hub(&emulator, &stranger).start();
    let refused = agent.wait_for_reason("victim", "ConnectionLost");
    assert!(refused.connection.message.contains("does not follow MQTT"), "{}", refused.connection.message);
    assert!(agent.resident_bytes() < 64 * MIB, "{} bytes", agent.resident_bytes());
    assert_unharmed(&emulator, &agent);
}

#[test]
fn m3_half_open_hub_is_noticed_by_the_ping() {
    let emulator = emulator();
    let stranger = Stranger::start(after_login(|_| {
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    }));
    let agent = beside_hub(&emulator, &stranger).start();
    let lost = agent.wait_for_reason("victim", "Timeout");
    assert!(lost.connection.message.contains("did not answer a ping"), "{}", lost.connection.message);
    assert_unharmed(&emulator, &agent);
}

/// More devices than may dial at once, all at servers that say next to nothing.
#[test]
fn m3_slow_servers_keep_no_other_device_waiting() {
    let slow = Stranger::start(|mut line| {
        // The handshake is done, and CONNACK begins.
        let _ = line.write_all(&[0x20]);
        std::thread::sleep(Duration::from_secs(600));
    });
    let of = |stranger: &Stranger| {
        let hub = format!("localhost:{}", stranger.port);
        move |name: &str| device(name, name, &hub, RAMP, "interval: 250ms")
    };
    let names: Vec<String> = (0..40).map(|number| format!("a-{number}")).collect();
    for stranger in [slow, Stranger::silent()] {
        let emulator = emulator();
        let (agent, start) = (beside(&emulator, &stranger, &names, of(&stranger)).start(), Instant::now());
        agent.wait_for_reason("press-17", "Connected");
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(18), "press-17 waited {waited:?} for its turn");
        assert!(stranger.connections() >= 16, "{} connections", stranger.connections());
        assert_unharmed(&emulator, &agent);
    }
}

/// CONNACK comes byte by byte, and never whole.
#[test]
fn m3_connack_that_never_ends_is_given_up() {
    let emulator = emulator();
    let stranger = Stranger::start(|mut line| {
        for byte in [0x20, 0x82, 0x80, 0x80, 0x00] {
            let _ = line.write_all(&[byte]);
            std::thread::sleep(Duration::from_secs(9));
        }
    });
    let agent = beside_hub(&emulator, &stranger).start();
    let given_up = eventually("the login is given up", Duration::from_secs(45), || {
        agent.device("victim").filter(|device| device.connection.reason.as_str() == "Timeout")
    });
    assert!(
        given_up.connection.message.contains("did not answer the login"),
        "{}",
        given_up.connection.message
    );
    assert_unharmed(&emulator, &agent);
}
