//! The agent is killed (SIGKILL) every few seconds for two minutes, and finds its buffer again, with what the hub has
//! already and what it has not.

use std::time::{Duration, Instant};

use lanyard_tests::chance::Chance;

use crate::chaos::{Chaos, Load};

const TIME: Duration = Duration::from_secs(120);

#[test]
fn chaos_an_agent_that_is_killed_every_few_seconds() {
    let mut chance = Chance::new();
    let load = Load { devices: 2, tags: 10, scan: 50, telemetry: "interval: 100ms, maxEvents: 40" };
    let mut chaos = Chaos::straight(load);
    // Kept waiting by lost acknowledgements, this device always has messages under way.
    chaos.emulator.lose_pubacks("d1", 10);
    let started = Instant::now();
    let mut kills = 0;
    while started.elapsed() < TIME {
        // So that a life can be distinguished from the one before.
        chaos.await_load();
        chaos.pass(Duration::from_millis(chance.within(0..5000)));
        chaos.crash();
        kills += 1;
    }
    println!("killed {kills} times");
    chaos.await_load();
    chaos.emulator.lose_pubacks("d1", 0);
    let repeated = chaos.close_books();
    assert!(repeated > 0, "what was under way came again");
}
