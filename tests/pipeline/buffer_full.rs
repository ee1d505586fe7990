//! A full buffer does what `whenFull` says, and reports to the hub what is missing.

use std::time::{Duration, Instant};

use lanyard_tests::agent::Agent;
use lanyard_tests::emulator::Emulator;
use lanyard_tests::process::{LIMIT, eventually};
use serde_json::Value;

use crate::fixture::{assert_contiguous, emulator, messages, press_with, setup, values};

/// A ramp, and a text that fills 64 KiB in a few seconds.
const TAGS: &str = "{name: Ramp, source: sim, address: 'RAMP(10, 0, 1000000, 1)', scanInterval: 10ms}, \
    {name: Text, source: sim, address: 'USER(10, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)', \
    scanInterval: 10ms, publish: EveryScan}";

fn of(agent: &Agent, name: &str) -> f64 {
    agent.metrics().get(&format!("{name}{{device=\"press-17\"}}")).unwrap_or(0.0)
}

fn dropped(agent: &Agent) -> f64 {
    agent.metrics().sum("lanyard_events_dropped_total{device=\"press-17\"")
}

/// Returns the configuration of press-17 with a buffer of this capacity.
fn press(emulator: &Emulator, capacity: &str, settings: &str) -> String {
    let buffer = format!("buffer: {{capacity: {capacity}, {settings}}}, telemetry:");
    press_with(emulator, TAGS, "interval: 50ms").replace("telemetry:", &buffer)
}

/// Runs an agent without a hub until `full`, gives it the hub, and gives back what arrived when the backlog is gone.
fn outage(settings: &str, full: impl Fn(&Agent) -> bool) -> (Emulator, Agent, Vec<Value>) {
    let mut emulator = emulator();
    emulator.kill();
    let agent = setup(&emulator, &press(&emulator, "64Ki", settings)).start();
    eventually("the buffer is full", LIMIT, || full(&agent).then_some(()));
    assert!(of(&agent, "lanyard_buffer_bytes") <= 65_536.0 + 4096.0);
    emulator.restart();
    let events = eventually("the backlog is gone", LIMIT, || {
        let gone = of(&agent, "lanyard_buffer_events") < 50.0
            && of(&agent, "lanyard_events_acknowledged_total") > 400.0;
        gone.then(|| emulator.events(Some("press-17")))
    });
    (emulator, agent, events)
}

/// The ramp's value before a reported gap, how many events are missing, and the ramp's value behind it.
type Gap = (Option<i64>, u64, Option<i64>);

/// Returns every reported gap.
fn reported(events: &[Value]) -> Vec<Gap> {
    let all = messages(events)
        .into_iter()
        .flat_map(|event| event["body"]["values"].as_array().expect("values").clone());
    let (mut last, mut reported): (Option<i64>, Vec<Gap>) = (None, Vec::new());
    for value in all {
        if value["id"] == "_lanyard.dropped" {
            let numbers: Vec<i64> =
                value["v"].as_array().expect("three numbers").iter().filter_map(Value::as_i64).collect();
            assert!(numbers[1] <= numbers[2] && value["t"] == numbers[2], "{value}");
            match reported.last_mut().filter(|gap| gap.2.is_none()) {
                // A gap that grew while it was reported.
                Some(gap) => gap.1 += numbers[0] as u64,
                None => reported.push((last, numbers[0] as u64, None)),
            }
        } else if value["id"] == "Ramp" {
            last = value["v"].as_i64();
            if let Some((_, _, behind)) = reported.last_mut().filter(|(_, _, behind)| behind.is_none()) {
                *behind = last;
            }
        }
    }
    reported
}

/// Checks the number of events that a gap reports: there are two events a scan, so that half of the missing ones are of
/// the ramp.
fn assert_told(gap: Gap) {
    let (before, missing, behind) = gap;
    let values = behind.expect("something is behind it") - before.unwrap_or(-1) - 1;
    assert!((2 * values).abs_diff(missing as i64) <= 1, "{gap:?}");
}

/// Waits until every dropped event is reported: some are dropped while the first ones go out.
fn all_told(emulator: &Emulator, agent: &Agent) -> Vec<Gap> {
    let reported = eventually("every dropped event is reported", LIMIT, || {
        let reported = reported(&emulator.events(Some("press-17")));
        let whole = reported.iter().all(|gap| gap.2.is_some());
        (whole && reported.iter().map(|gap| gap.1).sum::<u64>() as f64 == dropped(agent)).then_some(reported)
    });
    reported.iter().for_each(|gap| assert_told(*gap));
    reported
}

#[test]
fn drop_oldest_leaves_a_marked_gap_at_the_beginning() {
    let (emulator, agent, _) = outage("whenFull: DropOldest", |agent| dropped(agent) > 100.0);
    let reported = all_told(&emulator, &agent);
    assert!(reported[0].0.is_none() && reported[0].1 > 100, "{reported:?}");
    agent.wait_for_log("according to buffer.whenFull");
}

#[test]
fn drop_newest_keeps_the_oldest_and_marks_the_gap() {
    let (emulator, agent, events) = outage("whenFull: DropNewest", |agent| dropped(agent) > 100.0);
    assert_eq!(values(&events, "Ramp")[0], 0);
    assert!(all_told(&emulator, &agent)[0].0.is_some());
}

#[test]
fn markers_can_be_left_out() {
    let (_emulator, _agent, events) =
        outage("whenFull: DropOldest, dropMarkers: false", |agent| dropped(agent) > 100.0);
    assert!(reported(&events).is_empty());
    assert!(values(&events, "Ramp").is_sorted());
}

#[test]
fn block_stops_reading_and_drops_nothing() {
    let last = std::cell::Cell::new((0.0, Instant::now()));
    let (_emulator, agent, events) = outage("whenFull: Block", |agent| {
        let read = of(agent, "lanyard_events_read_total");
        if read > last.get().0 {
            last.set((read, Instant::now()));
        }
        // A hundred scans would have come meanwhile.
        read > 0.0 && last.get().1.elapsed() > Duration::from_secs(1)
    });
    assert_eq!(dropped(&agent), 0.0);
    let ramp = values(&events, "Ramp");
    assert_eq!(ramp[0], 0);
    // A simulated controller can be asked for what was, so nothing is missing.
    assert_contiguous(&ramp);
}

#[test]
fn a_smaller_capacity_drops_the_oldest_until_the_rest_fits() {
    let mut emulator = emulator();
    emulator.kill();
    let agent = setup(&emulator, &press(&emulator, "1Mi", "whenFull: DropOldest")).start();
    eventually("more than will fit", LIMIT, || {
        (of(&agent, "lanyard_buffer_bytes") > 150_000.0).then_some(())
    });
    assert_eq!(dropped(&agent), 0.0);
    agent.setup.configure(&press(&emulator, "64Ki", "whenFull: DropOldest"));
    eventually("it fits", LIMIT, || (of(&agent, "lanyard_buffer_bytes") <= 65_536.0 + 4096.0).then_some(()));
    assert!(dropped(&agent) > 100.0);
    emulator.restart();
    let reported = all_told(&emulator, &agent);
    assert!(reported[0].0.is_none(), "{reported:?}");
}
