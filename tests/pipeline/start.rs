//! Errors at the start are reported at once and end the agent.

use std::net::TcpListener;
use std::process::Output;

use lanyard_tests::agent::Setup;
use lanyard_tests::process::{LIMIT, eventually};

fn run(setup: &Setup) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } = setup.command().output().expect("the agent can be started");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout))
}

#[test]
fn newer_configuration_version_is_named_in_the_error() {
    let (code, log) = run(&Setup::new("version: 7\nfuture: true\n"));
    assert_eq!(code, Some(1));
    assert!(log.contains("configuration version 7 is newer than this agent understands (1)"), "{log}");
}

#[test]
fn all_errors_are_reported_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new(
        "version: 1\ndevices: [{name: a, deviceId: a}, {name: a, deviceId: b, hub: {hostname: h}}]\n",
    );
    let mut command = setup.command();
    // The harness's address is replaced by one that is in use.
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let arguments = arguments
        .iter()
        .map(|argument| if argument == "127.0.0.1:0" { address.as_str().into() } else { argument.clone() });
    let arguments: Vec<_> = arguments.collect();
    command = std::process::Command::new(lanyard_tests::process::binary("lanyard-agent"));
    let output = command.args(arguments).args(["--trusted-ca", "/nowhere/ca.crt"]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    for part in ["devices[0].hub", "devices[1].name", "--trusted-ca", "/nowhere/ca.crt", &address, "--http"] {
        assert!(log.contains(part), "{part} is missing in {log}");
    }
}

#[test]
fn signal_ends_the_agent_and_a_second_one_at_once() {
    let emulator = crate::fixture::emulator();
    let config = crate::fixture::press(&emulator);
    for signal in ["TERM", "INT", "HUP"] {
        let mut agent = crate::fixture::setup(&emulator, &config).start();
        agent.wait_for_reason("press-17", "Connected");
        agent.process().signal(signal);
        assert_eq!(agent.process().wait(LIMIT).code(), Some(0), "{signal}");
        agent.wait_for_log("the agent has ended");
    }
    // A hub that accepts and says nothing makes the agent wait for its answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hub = format!("localhost:{}", silent.local_addr().unwrap().port());
    let device =
        crate::fixture::device("press-17", "press-17", &hub, crate::fixture::RAMP, "interval: 250ms");
    let setup = crate::fixture::setup(&emulator, &crate::fixture::document(&[device]));
    let mut agent = setup.start();
    let read = "lanyard_events_read_total{device=\"press-17\"}";
    eventually("something is read", LIMIT, || (agent.metrics().get(read)? > 0.0).then_some(()));
    agent.process().signal("INT");
    eventually("it hears", LIMIT, || agent.log().contains("the agent ends").then_some(()));
    agent.process().signal("INT");
    assert_eq!(agent.process().wait(LIMIT).code(), Some(1));
    agent.wait_for_log("stopped by a second signal");
}

#[test]
fn undelivered_events_are_reported_at_the_end() {
    let mut emulator = crate::fixture::emulator();
    let mut agent = crate::fixture::setup(&emulator, &crate::fixture::press(&emulator)).start();
    crate::fixture::wait_for_ramp(&emulator, 5);
    emulator.kill();
    let buffered = "lanyard_buffer_events{device=\"press-17\"}";
    eventually("events wait", LIMIT, || (agent.metrics().get(buffered)? > 5.0).then_some(()));
    assert_eq!(agent.process().terminate().code(), Some(0));
    let shown = agent
        .log()
        .lines()
        .any(|line| line.contains("press-17") && line.contains("events were not delivered"));
    assert!(shown, "{}", agent.log());
}

/// A line each, with file, line, column and field, and nothing of the text around it.
#[test]
fn every_mistake_of_the_configuration_has_a_line_of_its_own() {
    let device =
        "{name: a, deviceId: a, hub: {hostname: h}, telemetry: {interval: banana, maxEvents: -5, qos: 2}}";
    let setup = Setup::new(&format!("version: 1\ndevices:\n  - {device}\n"));
    let (code, log) = run(&setup);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = log.lines().collect();
    let expected = [
        "config/agent.yaml:3:70: devices[0].telemetry.interval: \\\"banana\\\" is not a duration: write",
        "config/agent.yaml:3:89: devices[0].telemetry.maxEvents: integer -5 is not allowed here: use a whole number from 0 to",
        "config/agent.yaml:3:98: devices[0].telemetry.qos: 2 is not allowed here: a hub takes 0 or 1",
    ];
    assert_eq!(lines.len(), expected.len(), "{log}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected} is not in {line}");
    }
}

#[test]
fn invalid_yaml_is_reported_with_its_place() {
    for (config, expected) in [
        ("version: 1\ndevices: [", "this is not YAML"),
        (
            "version: 1\ndevices:\n  - {name: a, name: b}\n",
            "agent.yaml:3:15: devices[0]: \\\"name\\\" occurs twice: keep one of them",
        ),
        ("", "the document is empty or ends too early"),
        ("version: 1\ndevices: []\n", "agent.yaml:2:10: devices: is empty: name at least one device"),
    ] {
        let (code, log) = run(&Setup::new(config));
        assert_eq!((code, log.lines().count()), (Some(1), 1), "{log}");
        assert!(log.contains(expected), "{expected} is not in {log}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let agent = || std::process::Command::new(lanyard_tests::process::binary("lanyard-agent"));
    let wrong = agent().args(["--config", "x"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let message = String::from_utf8_lossy(&wrong.stderr);
    assert!(message.contains("--credentials") && message.contains("--buffer"), "{message}");
    let help = agent().arg("--help").output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8_lossy(&help.stdout);
    for flag in
        ["--config", "--credentials", "--buffer", "--http", "--log-format", "--log-level", "--trusted-ca"]
    {
        assert!(help.contains(flag), "{flag}");
    }
}
