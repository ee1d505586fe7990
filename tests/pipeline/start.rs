//! What is wrong at the start is said at once, and ends the agent.

use std::net::TcpListener;
use std::process::Output;

use lanyard_tests::agent::Setup;

fn run(setup: &Setup) -> (Option<i32>, String) {
    let Output { status, stderr, stdout } = setup.command().output().expect("the agent can be started");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned() + &String::from_utf8_lossy(&stdout))
}

#[test]
fn a_newer_configuration_is_refused_with_that_word() {
    let (code, log) = run(&Setup::new("version: 7\nfuture: true\n"));
    assert_eq!(code, Some(1));
    assert!(log.contains("configuration version 7 is newer than this agent understands (1)"), "{log}");
}

#[test]
fn all_mistakes_are_said_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::new(
        "version: 1\ndevices: [{name: a, deviceId: a}, {name: a, deviceId: b, hub: {hostname: h}}]\n",
    );
    let mut command = setup.command();
    // The last word on the address is the harness's own, so the taken one stands in for all of it.
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
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let agent = || std::process::Command::new(lanyard_tests::process::binary("lanyard-agent"));
    let wrong = agent().args(["--config", "x"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("--credentials") && said.contains("--buffer"), "{said}");
    let help = agent().arg("--help").output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8_lossy(&help.stdout);
    for flag in
        ["--config", "--credentials", "--buffer", "--http", "--log-format", "--log-level", "--trusted-ca"]
    {
        assert!(help.contains(flag), "{flag}");
    }
}
