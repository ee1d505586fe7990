//! Starting, refusing to start, and ending of the program.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::running::{CONFIG, Running, directory, failure, program, serve};

#[test]
fn configuration_error_names_field_and_fix() {
    let dir = directory();
    let text = failure(&mut serve(&dir, "hubs: [{hostname: h}]\ndps: [{idScope: 'a b'}]"));
    assert!(text.starts_with("lanyard-emulator: the configuration "), "{text}");
    for line in [
        "\n  - hubs[0].hostname (line 1, column 19): there is no such field here: did you mean hostName?",
        "\n  - hubs[0].hostName (line 1, column 8): is missing",
        "\n  - dps[0].idScope (line 2, column 17): id scope must not contain ' '",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let text = failure(&mut serve(&dir, "hubs: {"));
    assert!(text.contains("this is not YAML") && text.contains("line 1"), "{text}");
    let mut missing = serve(&dir, CONFIG);
    std::fs::remove_file(dir.join("emulator.yaml")).unwrap();
    let text = failure(&mut missing);
    assert!(
        text.contains("failed to read the configuration") && text.contains("--config: No such file"),
        "{text}"
    );
}

#[test]
fn a_port_in_use_is_named_with_its_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--mqtt", "--web"] {
        let dir = directory();
        std::fs::write(dir.join("emulator.yaml"), CONFIG).unwrap();
        let mut command = program();
        let other = if option == "--mqtt" { "--web" } else { "--mqtt" };
        command.args(["serve", option, &address, other, "127.0.0.1:0"]);
        command.arg("--data-dir").arg(dir.join("data")).arg("--config").arg(dir.join("emulator.yaml"));
        let text = failure(&mut command);
        assert!(text.contains(&format!("failed to listen on {address}")), "{text}");
        assert!(text.contains(&format!("choose another address with {option}")), "{text}");
        assert!(text.contains("in use"), "{text}");
    }
}

#[test]
fn a_data_directory_that_is_none_is_named() {
    let dir = directory();
    std::fs::write(dir.join("data"), "a file").unwrap();
    let text = failure(&mut serve(&dir, CONFIG));
    assert!(
        text.contains("failed to make or enter the data directory") && text.contains("--data-dir: "),
        "{text}"
    );
}

#[test]
fn a_ca_that_is_not_whole_is_not_replaced() {
    let dir = directory();
    std::fs::create_dir(dir.join("data")).unwrap();
    std::fs::write(dir.join("data/ca.crt"), "nonsense").unwrap();
    let text = failure(&mut serve(&dir, CONFIG));
    assert!(text.contains("ca.crt is there but") && text.contains("ca.key is not"), "{text}");
    std::fs::write(dir.join("data/ca.key"), "nonsense").unwrap();
    let text = failure(&mut serve(&dir, CONFIG));
    assert!(
        text.contains("ca.crt is not a PEM certificate") && text.contains("remove ca.crt and ca.key"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(dir.join("data/ca.crt")).unwrap(), "nonsense");

    let text = failure(serve(&directory(), CONFIG).arg("--ca-dir").arg("/nonexistent"));
    assert!(text.contains("failed to read /nonexistent/ca.crt") && text.contains("--ca-dir"), "{text}");
}

#[test]
fn a_data_directory_is_used_by_one_at_a_time() {
    let running = Running::start();
    let text = failure(&mut serve(&running.dir, CONFIG));
    assert!(text.contains("another emulator uses the data directory"), "{text}");
    assert!(text.contains("--data-dir"), "{text}");
    // The one that runs keeps its addresses.
    assert!(running.dir.join("data/addresses.json").exists());
    let _ = running.restart();
}

#[test]
fn unusable_ca_is_reported_with_the_fix() {
    let dir = directory();
    // A directory in place of the key file: not even root can write it as a file.
    std::fs::create_dir_all(dir.join("data/ca.key/x")).unwrap();
    let text = failure(&mut serve(&dir, CONFIG));
    assert!(
        text.contains("failed to write") && text.contains("ca.key; make the directory writable"),
        "{text}"
    );
    assert!(text.contains("name another with --data-dir: "), "{text}");
}

#[test]
fn the_ca_is_made_once_and_its_key_is_private() {
    let running = Running::start();
    let ca = std::fs::read(running.ca()).unwrap();
    let mode = std::fs::metadata(running.dir.join("data/ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let running = running.restart();
    assert_eq!(std::fs::read(running.ca()).unwrap(), ca);
}

#[test]
fn a_ca_with_the_key_of_another_is_refused() {
    let (one, other) = (Running::start(), Running::start());
    let dir = directory();
    std::fs::create_dir(dir.join("ca")).unwrap();
    std::fs::copy(one.ca(), dir.join("ca/ca.crt")).unwrap();
    std::fs::copy(other.dir.join("data/ca.key"), dir.join("ca/ca.key")).unwrap();
    let text = failure(serve(&dir, CONFIG).arg("--ca-dir").arg(dir.join("ca")));
    assert!(text.contains("ca.key is not the key of") && text.contains("ca.crt"), "{text}");
}

#[test]
fn sigterm_ends_it_while_devices_are_connected() {
    let mut running = Running::start();
    let mut device = running.device("dev1");
    assert_eq!(running.terminate(), Some(0));
    device.closed();
    assert!(!running.dir.join("data/addresses.json").exists());
    assert!(running.log().contains("the emulator shuts down"), "{}", running.log());
}

/// Nothing of keys and tokens is logged, at whatever level.
#[test]
fn no_secret_is_logged() {
    let dir = directory();
    let mut command = serve(&dir, CONFIG);
    command.args(["--log-level", "trace", "--log-format", "json"]);
    let running = Running::spawn(dir, command);
    running.device("dev1").publish("dev1", "k=v", "{}");
    let log = running.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert!(line["timestamp"].is_string());
    assert!(log.contains("device connected"), "{log}");
    for secret in ["AAECAwQF", "SharedAccessSignature", "sig=", "PRIVATE KEY"] {
        assert!(!log.contains(secret), "{secret} is in\n{log}");
    }
}
