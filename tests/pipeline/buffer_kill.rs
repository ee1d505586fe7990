//! Ends of the agent's process, at any moment: what was read is at the hub afterwards, in order, and what comes twice
//! comes under the same id.

use std::time::{Duration, Instant};

use lanyard_tests::agent::Agent;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::Value;

use crate::fixture::{assert_contiguous, bodies, emulator, press_with, setup, values};

/// Fast enough that something is under way at any moment.
const FAST: &str = "{name: Ramp, source: sim, address: 'RAMP(10, 0, 1000000, 1)', scanInterval: 10ms}";

fn of(agent: &Agent, name: &str) -> f64 {
    agent.metrics().get(&format!("{name}{{device=\"press-17\"}}")).unwrap_or(0.0)
}

/// Returns the number of events that tags produced in this run of the agent.
fn read(agent: &Agent) -> usize {
    let metrics = agent.metrics();
    let of = |name: &str| metrics.get(&format!("{name}{{device=\"press-17\"}}")).unwrap_or(0.0);
    (of("lanyard_events_read_total") - of("lanyard_events_recovered_total")) as usize
}

fn wait_for_read(agent: &Agent, events: usize) -> usize {
    eventually("events are read", LIMIT, || Some(read(agent)).filter(|&read| read >= events))
}

/// Splits the ramp's values by run of the agent: the ramp begins at 0 in every run.
fn lives(events: &[Value]) -> Vec<Vec<i64>> {
    let mut lives: Vec<Vec<i64>> = Vec::new();
    for value in values(events, "Ramp") {
        match lives.last_mut() {
            Some(life) if value != 0 => life.push(value),
            _ => lives.push(vec![value]),
        }
    }
    lives
}

fn assert_same_bodies(events: &[Value]) -> usize {
    let bodies = bodies(events);
    for (id, bodies) in &bodies {
        assert!(
            bodies.windows(2).all(|pair| pair[0] == pair[1]),
            "{id} is the id of two messages: {bodies:?}"
        );
    }
    bodies.values().filter(|bodies| bodies.len() > 1).count()
}

/// Waits until nothing is buffered that was before.
fn drained(emulator: &Emulator, agent: &Agent) -> Vec<Value> {
    eventually("the backlog is gone", LIMIT, || (of(agent, "lanyard_buffer_events") < 50.0).then_some(()));
    emulator.events(Some("press-17"))
}

#[test]
fn kill_at_any_moment_loses_nothing() {
    let emulator = emulator();
    let mut agent = setup(&emulator, &press_with(&emulator, FAST, "interval: 50ms, maxEvents: 7")).start();
    let mut accounted = Vec::new();
    for round in 0..8_usize {
        // Moments spread over the interval, some of them before the first connection.
        let seen = wait_for_read(&agent, 1 + round * 13 % 50);
        let pause = Instant::now();
        eventually("a moment passes", LIMIT, || {
            (pause.elapsed() > Duration::from_millis(37 * round as u64)).then_some(())
        });
        accounted.push(read(&agent).max(seen));
        agent.crash();
    }
    accounted.push(wait_for_read(&agent, 100));
    let events = drained(&emulator, &agent);
    let lives = lives(&events);
    assert_eq!(lives.len(), accounted.len(), "{accounted:?}");
    for (life, accounted) in lives.iter().zip(&accounted) {
        assert_contiguous(life);
        // The last one goes on.
        assert!(life.len() + 60 >= *accounted, "{} of {accounted}", life.len());
    }
    for (life, accounted) in lives.iter().zip(&accounted).take(8) {
        assert!(life.len() >= *accounted, "{} of {accounted}", life.len());
    }
    assert_same_bodies(&events);
}

#[test]
fn messages_in_flight_are_resent_with_the_same_id() {
    let mut emulator = emulator();
    let config = press_with(&emulator, FAST, "interval: 50ms, maxEvents: 7, timeout: 60s");
    let mut agent = setup(&emulator, &config).start();
    wait_for_read(&agent, 20);
    drained(&emulator, &agent);
    let published = of(&agent, "lanyard_messages_published_total");
    // The hub's socket takes what its process does not see yet.
    emulator.process().signal("STOP");
    eventually("messages are under way", LIMIT, || {
        (of(&agent, "lanyard_buffer_events") > 60.0).then_some(())
    });
    agent.process().kill();
    emulator.process().signal("CONT");
    let before = eventually("the hub takes them", LIMIT, || {
        Some(emulator.events(Some("press-17"))).filter(|events| events.len() as f64 > published + 3.0)
    });
    agent.crash();
    wait_for_read(&agent, 20);
    let events = drained(&emulator, &agent);
    assert!(events.len() > before.len());
    assert!(assert_same_bodies(&events) > 2, "some came twice");
    lives(&events).iter().for_each(|life| assert_contiguous(life));
}

#[test]
fn events_of_an_outage_survive_a_restart() {
    let mut emulator = emulator();
    emulator.kill();
    let mut agent = setup(&emulator, &press_with(&emulator, FAST, "interval: 50ms")).start();
    let first = wait_for_read(&agent, 200);
    agent.crash();
    let recovered = of(&agent, "lanyard_events_recovered_total");
    assert!(recovered > 100.0, "{recovered}");
    let second = wait_for_read(&agent, 100);
    // In order this time, which leaves the events on disk too.
    agent.restart();
    assert!(agent.process().log().contains("the agent starts"));
    assert!(of(&agent, "lanyard_events_recovered_total") >= recovered + second as f64);
    emulator.restart();
    let events = drained(&emulator, &agent);
    let lives = lives(&events);
    assert_eq!(lives.len(), 3);
    lives.iter().for_each(|life| assert_contiguous(life));
    let lengths: Vec<usize> = lives.iter().map(Vec::len).collect();
    assert!(lengths[0] >= first && lengths[1] >= second, "{first} {second} {lengths:?}");
    let metrics = agent.metrics();
    let of = |name: &str| metrics.get(&format!("{name}{{device=\"press-17\"}}")).unwrap_or(0.0);
    assert_eq!(
        of("lanyard_events_read_total"),
        of("lanyard_events_acknowledged_total")
            + of("lanyard_buffer_events")
            + metrics.sum("lanyard_events_dropped_total")
    );
}
