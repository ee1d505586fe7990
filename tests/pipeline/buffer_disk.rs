//! Disks that do not accept writes: full, read-only, missing, used by another program. Events continue to the hub,
//! the state is reported, and recovers where possible. The disks are real, mounted in a namespace of the agent.

use lanyard_tests::agent::Agent;
use lanyard_tests::process::{LIMIT, eventually};

use crate::fixture::{
    assert_contiguous, device, document, emulator, press_with, setup, values, wait_for_ramp,
};

const FAST: &str = "{name: Ramp, source: sim, address: 'RAMP(10, 0, 1000000, 1)', scanInterval: 10ms}";

fn of(agent: &Agent, name: &str) -> f64 {
    agent.metrics().get(&format!("{name}{{device=\"press-17\"}}")).unwrap_or(0.0)
}

/// Waits until the device's status has a problem with these words.
fn wait_for_problem(agent: &Agent, words: &[&str]) {
    let shown = |problem: &String| words.iter().all(|word| problem.contains(word));
    agent.wait_for(words[0], "press-17", |device| device.problems.iter().any(shown));
    words.iter().for_each(|word| agent.wait_for_log(word));
    assert_eq!(of(agent, "lanyard_buffer_problem"), 1.0);
}

fn assert_balance(agent: &Agent) {
    let metrics = agent.metrics();
    let of = |name: &str| metrics.get(&format!("{name}{{device=\"press-17\"}}")).unwrap_or(0.0);
    let read = of("lanyard_events_read_total");
    let dropped = metrics.sum("lanyard_events_dropped_total{device=\"press-17\"");
    assert_eq!(read, of("lanyard_events_acknowledged_total") + of("lanyard_buffer_events") + dropped);
}

#[test]
fn full_disk_is_reported_bridged_and_recovered() {
    let mut emulator = emulator();
    let config = press_with(&emulator, FAST, "interval: 50ms");
    let setup = setup(&emulator, &config);
    let buffer = setup.path("buffer");
    std::fs::create_dir_all(&buffer).unwrap();
    let mount = format!("mount -t tmpfs -o size=1m,mode=755 tmpfs '{}'", buffer.display());
    let agent = setup.behind(&mount).start();
    wait_for_ramp(&emulator, 20);
    emulator.kill();
    // Another program fills the disk.
    let filler = agent.inside("buffer/filler");
    let full = std::fs::write(&filler, vec![0; 4 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    wait_for_problem(&agent, &["the buffer cannot write", "No space left", "make room on the disk"]);
    let before = of(&agent, "lanyard_events_read_total");
    eventually("events are read on", LIMIT, || {
        (of(&agent, "lanyard_events_read_total") > before + 100.0).then_some(())
    });
    assert_balance(&agent);
    std::fs::remove_file(&filler).unwrap();
    agent.wait_for("it heals", "press-17", |device| device.problems.is_empty());
    assert_eq!(of(&agent, "lanyard_buffer_problem"), 0.0);
    emulator.restart();
    let events = wait_for_ramp(&emulator, before as i64 + 200);
    assert_contiguous(&values(&events, "Ramp"));
    assert_balance(&agent);
    assert_eq!(agent.metrics().sum("lanyard_events_dropped_total"), 0.0);
}

#[test]
fn events_flow_from_memory_on_a_read_only_disk() {
    let emulator = emulator();
    let setup = setup(&emulator, &press_with(&emulator, FAST, "interval: 50ms"));
    let buffer = setup.path("buffer");
    std::fs::create_dir_all(&buffer).unwrap();
    let buffer = buffer.display().to_string();
    let agent = setup
        .behind(&format!("mount --bind '{buffer}' '{buffer}' && mount -o remount,bind,ro '{buffer}'"))
        .start();
    wait_for_problem(&agent, &["buffer/press-17/events is not used", "Read-only file system", "--buffer"]);
    assert_contiguous(&values(&wait_for_ramp(&emulator, 100), "Ramp"));
    assert_eq!(agent.get("/readyz").status, 200);
    assert_balance(&agent);
}

#[test]
fn missing_folder_is_retried() {
    let emulator = emulator();
    let setup = setup(&emulator, &press_with(&emulator, FAST, "interval: 50ms"));
    setup.write("buffer", "a file");
    let agent = setup.start();
    wait_for_problem(&agent, &["buffer/press-17/events is not used", "--buffer"]);
    wait_for_ramp(&emulator, 50);
    std::fs::remove_file(agent.setup.path("buffer")).unwrap();
    agent.wait_for("it is used", "press-17", |device| device.problems.is_empty());
    assert!(agent.setup.path("buffer/press-17/events").is_dir());
    assert_contiguous(&values(&wait_for_ramp(&emulator, 150), "Ramp"));
}

#[test]
fn folder_in_use_is_not_changed() {
    let emulator = emulator();
    let setup = setup(&emulator, &press_with(&emulator, FAST, "interval: 50ms"));
    let second = setup.command();
    let agent = setup.start();
    wait_for_ramp(&emulator, 5);
    let mut second = lanyard_tests::process::Process::spawn("a second agent", second);
    eventually("it is reported", LIMIT, || second.log().contains("another agent uses it").then_some(()));
    second.terminate();
    assert_eq!(of(&agent, "lanyard_buffer_problem"), 0.0);
}

#[test]
fn many_devices_do_not_run_out_of_files() {
    let mut emulator = emulator();
    emulator.kill();
    let hub = format!("localhost:{}", emulator.mqtt.port());
    let devices: Vec<String> = (0..150)
        .map(|number| format!("press-{number}"))
        .map(|name| device(&name, &name, &hub, "{name: K, source: sim, address: K0001}", "interval: 50ms"))
        .collect();
    let agent = setup(&emulator, &document(&devices)).behind("ulimit -Sn 256").start();
    eventually("every device has read", LIMIT, || {
        (agent.metrics().sum("lanyard_events_read_total") >= 150.0).then_some(())
    });
    assert_eq!(agent.metrics().sum("lanyard_buffer_problem"), 0.0, "{}", agent.log());
}
