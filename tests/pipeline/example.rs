//! The agent's example runs as it is against the emulator's.

use std::path::{Path, PathBuf};

use lanyard_tests::agent::Setup;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::LIMIT;

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(example(path)).unwrap_or_else(|error| unreachable!("{path}: {error}"))
}

#[test]
fn the_examples_fit_together() {
    let emulator = Emulator::start(&read("emulator/examples/emulator.yaml"));
    // The example dials port 8883; this test's emulator has a port of its own.
    let place = format!("localhost:{}", emulator.mqtt.port());
    let config = read("agent/examples/agent.yaml");
    let config = config.replace("hostname: localhost", &format!("hostname: {place}"));
    let config = config.replace("endpoint: localhost", &format!("endpoint: {place}"));
    let ca = emulator.ca_file().display().to_string();
    let mut setup = Setup::new(&config).arguments(&["--trusted-ca", &ca]);
    for device in ["press-17", "press-19"] {
        setup = setup.key(device, &read(&format!("agent/examples/credentials/{device}/sharedAccessKey")));
    }
    let agent = setup.start();
    for device in ["press-17", "press-19"] {
        let events = emulator.wait_for_events(device, 1, LIMIT);
        assert!(events[0]["body"]["values"].as_array().is_some_and(|values| !values.is_empty()));
        assert!(agent.device(device).unwrap().problems.is_empty());
    }
}
