//! The README's section "Without Kubernetes", run unchanged: the default ports must be free.

use std::net::SocketAddr;
use std::process::Command;

use lanyard_tests::http;
use lanyard_tests::installation::repository;
use lanyard_tests::process::{LIMIT, Process, eventually};
use lanyard_tests::readme::{block, program};

#[test]
fn two_commands_stream_without_kubernetes() {
    for folder in ["target/emulator", "target/buffer"] {
        let _ = std::fs::remove_dir_all(repository().join(folder));
    }
    let web: SocketAddr = "127.0.0.1:8880".parse().unwrap();
    let mut emulator = Process::spawn("emulator", program("bare-emulator"));
    eventually("the emulator is ready", LIMIT, || {
        assert!(emulator.ended().is_none(), "the emulator ended: {}", emulator.log());
        http::get(web, "/readyz").ok().filter(|answer| answer.status == 200)
    });
    let mut agent = Process::spawn("agent", program("bare-agent"));
    let shown = eventually("events and a connected device", LIMIT, || {
        assert!(agent.ended().is_none(), "the agent ended: {}", agent.log());
        let look =
            Command::new("bash").current_dir(repository()).args(["-c", &block("bare-look")]).output().ok()?;
        let shown = String::from_utf8_lossy(&look.stdout).into_owned();
        (look.status.success() && shown.contains("\"values\"") && shown.contains("\"Connected\""))
            .then_some(shown)
    });
    assert!(shown.contains("press-17"), "{shown}");
    assert!(agent.terminate().success(), "{}", agent.log());
    assert!(emulator.terminate().success(), "{}", emulator.log());
}
