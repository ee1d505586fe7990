//! On its way from the field to the connection an event allocates nothing: what is allocated is a matter of scans and
//! messages, however many events are in them. And what is buffered takes the disk and not the memory.

// Tests measure real time.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_agent::buffer::message::Message;
use lanyard_agent::buffer::store::{Buffer, SharedBuffers};
use lanyard_agent::messages::outbox::{Next, Outbox};
use lanyard_agent::tags::event::{Event, Value};
use lanyard_agent::tags::sampling::Sampling;
use lanyard_handoff::config::{AgentConfig, Device, Telemetry};

/// A folder that is gone afterwards.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn device(tags: usize, format: &str) -> Device {
    let tag = |tag| {
        format!(
            "{{name: Channel1.Device1.Tag{tag}, source: sim, address: 'RAMP(100, 0, 100000, 1)', scanInterval: 100ms}}"
        )
    };
    let tags: Vec<String> = (0..tags).map(tag).collect();
    let text = format!(
        "{{version: 1, devices: [{{name: d, deviceId: d, hub: {{hostname: h}}, sources: [{{name: sim, simulator: {{}}}}], \
         tags: [{}], telemetry: {{format: {format}, interval: 100ms}}}}]}}",
        tags.join(", ")
    );
    let config = AgentConfig::parse(&text).expect("the document is right");
    config.devices.into_iter().next().expect("there is a device")
}

/// Measures the allocations of one scan and its messages after a warm-up; returns them, and how many events and
/// messages those were.
fn allocations(tags: usize, format: &str) -> (u64, usize, usize) {
    let scratch =
        Scratch(std::env::temp_dir().join(format!("lanyard-allocations-{}-{tags}", std::process::id())));
    let device = device(tags, format);
    let buffer = Buffer::open(&scratch.0, &device.buffer, &SharedBuffers::default(), Instant::now());
    let (mut outbox, mut sampling, mut events) = (Outbox::new(buffer, 1), Sampling::new(1), Vec::new());
    assert!(sampling.reconfigure(&device, Duration::ZERO).is_empty());
    let mut counts = (0, 0);
    let mut cycle = |at: u64| {
        let now = Instant::now();
        events.clear();
        sampling.scan(Duration::from_millis(100 * at), 1_488_227_377_000, &mut events);
        read_and_send(&mut outbox, &events, &device, now, &mut counts);
    };
    (0..20).for_each(&mut cycle);
    let measured = allocation_counter::measure(|| cycle(20)).count_total;
    (measured, counts.0, counts.1)
}

fn read_and_send(
    outbox: &mut Outbox,
    events: &[Event],
    device: &Device,
    now: Instant,
    counts: &mut (usize, usize),
) {
    assert_eq!(outbox.append(events, now), 0);
    outbox.tick();
    *counts = (0, 0);
    while let Next::Send(message) = outbox.next(&device.telemetry, now, 1_488_227_380_000) {
        let message: Arc<Message> = message;
        *counts = (counts.0 + message.events, counts.1 + 1);
        outbox.acknowledge(message.number, now);
    }
}

#[test]
fn events_allocate_nothing() {
    for format in ["Narrow", "Wide"] {
        let (few, events, messages) = allocations(10, format);
        assert_eq!((events, messages), (10, 1));
        let (many, events, messages) = allocations(1000, format);
        assert_eq!((events, messages), (1000, 1));
        // The body grows by doubling, which is a matter of its length's logarithm.
        assert!(few < 60 && many <= few + 10, "{format}: {few} for 10 events, {many} for 1000");
    }
}

/// A week without a hub: what is buffered is on the disk and not in memory.
#[test]
fn a_backlog_takes_no_memory() {
    let scratch = Scratch(std::env::temp_dir().join(format!("lanyard-backlog-{}", std::process::id())));
    let settings = Default::default();
    let mut outbox =
        Outbox::new(Buffer::open(&scratch.0, &settings, &SharedBuffers::default(), Instant::now()), 1);
    let (tag, text): (Arc<str>, Arc<str>) = (Arc::from("Tag"), Arc::from("x".repeat(100)));
    let event = |time| Event {
        tag: Arc::clone(&tag),
        value: Value::Text(Arc::clone(&text)),
        good: true,
        continues: false,
        time,
    };
    let telemetry = Telemetry { max_events: 1000, ..Telemetry::default() };
    let measured = allocation_counter::measure(|| {
        for scan in 0..400 {
            let events: Vec<Event> = (scan * 1000..(scan + 1) * 1000).map(event).collect();
            outbox.append(&events, Instant::now());
        }
        assert!(outbox.counts().bytes > 35 << 20);
        outbox.tick();
        let mut sent = 0;
        while let Next::Send(message) = outbox.next(&telemetry, Instant::now(), 0) {
            sent += message.events;
            outbox.acknowledge(message.number, Instant::now());
        }
        assert_eq!(sent, 400_000);
    });
    assert!(measured.bytes_max < 12 << 20, "{} bytes at most", measured.bytes_max);
}
