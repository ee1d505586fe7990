//! Faults are reported with device, cause and fix, in logs, status and metrics, and recover after they are fixed.

use std::io::{Read, Write};
use std::net::TcpListener;

use lanyard_handoff::status::DeviceStatus;
use lanyard_tests::agent::{Agent, Setup};
use lanyard_tests::process::{LIMIT, eventually};

use crate::fixture::{PRIMARY, RAMP, SECONDARY, device, document, emulator, press, setup, wait_for_ramp};

/// Checks that a failure is reported in `/status`, `/readyz`, the log and the metrics.
fn assert_told(agent: &Agent, reason: &str, fix: &str) {
    let status = agent.wait_for_reason("press-17", reason);
    let message = &status.connection.message;
    assert!(message.contains(fix), "{message}");
    let ready = agent.get("/readyz");
    assert_eq!(ready.status, 503);
    assert!(
        ready.body.contains("press-17") && ready.body.contains(reason) && ready.body.contains(fix),
        "{}",
        ready.body
    );
    assert_eq!(agent.get("/livez").status, 200);
    let log = agent.log();
    assert!(log.lines().any(|line| line.contains("press-17") && line.contains(reason)), "{log}");
    let metrics = agent.metrics();
    assert_eq!(metrics.get("lanyard_device_connected{device=\"press-17\"}"), Some(0.0));
    let attempts =
        format!("lanyard_device_connection_attempts_total{{device=\"press-17\",result=\"{reason}\"}}");
    assert!(metrics.get(&attempts).unwrap_or(0.0) >= 1.0, "{}", metrics.0);
}

fn at(hub: &str) -> Setup {
    Setup::new(&document(&[device("press-17", "press-17", hub, RAMP, "interval: 250ms")]))
        .key("press-17", PRIMARY)
}

#[test]
fn wrong_key_is_retried_slowly_until_it_changes() {
    let emulator = emulator();
    let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let agent = setup(&emulator, &press(&emulator)).key("press-17", wrong).start();
    assert_told(&agent, "Unauthorized", "sharedAccessKey");
    let refusals = "lanyard_device_connection_attempts_total{device=\"press-17\",result=\"Unauthorized\"}";
    eventually("a new token and then again", LIMIT, || (agent.metrics().get(refusals)? >= 3.0).then_some(()));
    agent.setup.set_key("press-17", PRIMARY);
    wait_for_ramp(&emulator, 10);
    assert_eq!(agent.metrics().get(refusals), Some(3.0), "it waited for the new key meanwhile");
    assert_eq!(agent.get("/readyz").status, 200);
}

#[test]
fn a_hub_that_does_not_resolve_is_named() {
    assert_told(&at("hub.invalid").start(), "HostNotFound", "hub.invalid");
}

#[test]
fn closed_port_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_told(&at(&format!("localhost:{port}")).start(), "HostUnreachable", &port.to_string());
}

#[test]
fn a_ca_that_is_not_trusted_is_named() {
    let emulator = emulator();
    let agent = Setup::new(&press(&emulator)).key("press-17", PRIMARY).start();
    assert_told(&agent, "CertificateNotTrusted", "trustedCA");
    agent.setup.write("credentials/press-17/ca.crt", &emulator.ca());
    agent.wait_for_reason("press-17", "Connected");
}

#[test]
fn another_ca_than_the_hubs_is_named() {
    let (emulator, other) = (emulator(), emulator());
    let agent = setup(&emulator, &press(&emulator)).ca("press-17", &other.ca()).start();
    assert_told(&agent, "CertificateNotTrusted", "ca.crt");
}

#[test]
fn port_without_tls_is_reported() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in plain.incoming().flatten() {
            // A web server, say: it reads what comes and answers in its own words.
            let _ = client.read(&mut [0; 64]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    assert_told(&at(&format!("localhost:{port}")).start(), "TlsFailed", "MQTT over TLS");
}

#[test]
fn port_that_closes_the_connection_is_reported() {
    let closing = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closing.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in closing.incoming().flatten() {
            let _ = client.read(&mut [0; 1024]);
        }
    });
    assert_told(&at(&format!("localhost:{port}")).start(), "TlsFailed", "MQTT over TLS");
}

#[test]
fn a_hub_of_another_name_is_named() {
    let emulator = emulator();
    let config = document(&[format!(
        "{{name: press-17, deviceId: press-17, hub: {{hostname: other.example, gatewayHostname: 'localhost:{}'}}}}",
        emulator.mqtt.port()
    )]);
    let agent = setup(&emulator, &config).start();
    assert_told(&agent, "HubUnavailable", "hub.hostname");
}

#[test]
fn gateway_is_dialled_with_the_hubs_names() {
    let emulator = emulator();
    let config = document(&[format!(
        "{{name: press-17, deviceId: press-17, hub: {{hostname: localhost, gatewayHostname: 'localhost:{}'}}, \
         sources: [{{name: sim, simulator: {{}}}}], tags: [{RAMP}], telemetry: {{interval: 250ms}}}}",
        emulator.mqtt.port()
    )]);
    let _agent = setup(&emulator, &config).start();
    wait_for_ramp(&emulator, 5);
}

#[test]
fn an_unreadable_credentials_directory_is_waited_for() {
    let emulator = emulator();
    // A file in place of the folder: not even root can read it as a folder.
    let setup = Setup::new(&press(&emulator));
    setup.write("credentials/press-17", "");
    let agent = setup.start();
    let status = agent.wait_for_reason("press-17", "CredentialsUnreadable");
    assert!(
        status.connection.message.contains("credentials/press-17/sharedAccessKey"),
        "{}",
        status.connection.message
    );
    assert_eq!(agent.get("/readyz").status, 503);
    std::fs::remove_file(agent.setup.path("credentials/press-17")).unwrap();
    agent.setup.write("credentials/press-17/ca.crt", &emulator.ca());
    agent.setup.set_key("press-17", SECONDARY);
    wait_for_ramp(&emulator, 5);
}

#[test]
fn a_missing_credentials_directory_is_waited_for() {
    let emulator = emulator();
    let hub = format!("localhost:{}", emulator.mqtt.port());
    let devices = ["press-17", "press-18"].map(|name| device(name, name, &hub, RAMP, "interval: 250ms"));
    let agent = Setup::new(&document(&devices)).start();
    for name in ["press-17", "press-18"] {
        let message = agent.wait_for_reason(name, "CredentialsUnreadable").connection.message;
        assert!(message.contains("failed to read the credentials directory"), "{message}");
        assert!(message.contains("name another with --credentials"), "{message}");
    }
    // One line for all devices.
    let shown = agent.log().lines().filter(|line| line.contains("the credentials directory")).count();
    assert_eq!(shown, 1, "{}", agent.log());
    agent.setup.write("credentials/press-17/ca.crt", &emulator.ca());
    agent.setup.set_key("press-17", SECONDARY);
    wait_for_ramp(&emulator, 5);
    let message = agent.wait_for_reason("press-18", "CredentialsUnreadable").connection.message;
    assert!(message.contains("press-18/sharedAccessKey"), "{message}");
}

#[test]
fn invalid_key_is_reported_without_its_text() {
    let emulator = emulator();
    let agent = setup(&emulator, &press(&emulator)).key("press-17", "half-a-key!").start();
    let status = agent.wait_for_reason("press-17", "CredentialsUnreadable");
    assert!(status.connection.message.contains("not base64"), "{}", status.connection.message);
    assert!(!agent.log().contains("half-a-key") && !status.connection.message.contains("half-a-key"));
    agent.setup.set_key("press-17", PRIMARY);
    wait_for_ramp(&emulator, 5);
    // While it streams, a bad key is reported, and the good one stays in use.
    agent.setup.set_key("press-17", "half-a-key!");
    let unreadable = |device: &DeviceStatus| device.credential.as_ref()?.unreadable.clone();
    let status = agent.wait_for("tells of the key", "press-17", |device| unreadable(device).is_some());
    assert!(unreadable(&status).unwrap().contains("not base64"), "{status:?}");
    assert_eq!(status.connection.reason.as_str(), "Connected");
    let ready = agent.get("/readyz");
    assert!(ready.status == 200 && ready.body.contains("not base64"), "{}", ready.body);
    agent.setup.set_key("press-17", PRIMARY);
    agent.wait_for("is content", "press-17", |device| unreadable(device).is_none());
    assert_eq!(emulator.device("press-17").unwrap()["connections"], 1);
}

#[test]
fn second_client_of_the_same_identity_is_reported() {
    let emulator = emulator();
    let config = press(&emulator);
    let one = setup(&emulator, &config).start();
    wait_for_ramp(&emulator, 5);
    let _two = setup(&emulator, &config).start();
    let shown = |agent: &Agent| agent.log().contains("no other client connects with this device's id");
    eventually("the first is reported", LIMIT, || shown(&one).then_some(()));
}
