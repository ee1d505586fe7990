//! Tests of an outbox over restarts of its process, and of its limits. Reads and writes disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_handoff::buffer::{self as config, WhenFull};
use lanyard_handoff::config::Telemetry;
use lanyard_handoff::size::ByteSize;
use lanyard_protocol::hub::property_bag::MESSAGE_ID;

use crate::buffer::message::Message;
use crate::buffer::reader::DROPPED_TAG;
use crate::buffer::store::{Buffer, SharedBuffers};
use crate::messages::outbox::{Next, Outbox};
use crate::scratch_folder::ScratchFolder;
use crate::tags::event::{Event, Value};

fn open(folder: &ScratchFolder, settings: &config::Buffer, run: u64) -> Outbox {
    Outbox::new(Buffer::open(folder.path(), settings, &SharedBuffers::default(), Instant::now()), run)
}

fn in_memory(settings: &config::Buffer) -> Outbox {
    Outbox::new(Buffer::in_memory(settings, &SharedBuffers::default()), 1)
}

/// Appends one event for each text, with its position as time.
fn append(outbox: &mut Outbox, texts: &[&str]) {
    let event = |(time, text): (usize, &&str)| Event {
        tag: Arc::from("T"),
        value: Value::Text(Arc::from(*text)),
        good: true,
        continues: false,
        time: time as i64,
    };
    outbox.append(&texts.iter().enumerate().map(event).collect::<Vec<_>>(), Instant::now());
}

fn telemetry(max_events: u32) -> Telemetry {
    Telemetry { max_events, ..Telemetry::default() }
}

fn next(outbox: &mut Outbox, telemetry: &Telemetry, timestamp: i64) -> Option<Arc<Message>> {
    match outbox.next(telemetry, Instant::now(), timestamp) {
        Next::Send(message) => Some(message),
        Next::Nothing | Next::TooLarge { .. } => None,
    }
}

fn id(message: &Message) -> &str {
    message.properties.get(MESSAGE_ID).flatten().unwrap()
}

#[test]
fn messages_in_flight_are_made_again_after_a_restart() {
    let (folder, settings) = (ScratchFolder::new(), config::Buffer::default());
    let mut outbox = open(&folder, &settings, 0xa);
    append(&mut outbox, &["a", "b", "c", "d", "e"]);
    outbox.tick();
    let properties = [("location".to_owned(), "plant".to_owned())].into();
    let earlier = Telemetry { properties, ..telemetry(2) };
    let sent = [0; 2].map(|_| next(&mut outbox, &earlier, 1000).unwrap());
    assert_eq!(sent.each_ref().map(|message| id(message)), ["000000000000000a-1", "000000000000000a-2"]);
    drop(outbox);
    let mut outbox = open(&folder, &settings, 0xb);
    // Other settings and a later time are for new messages only, and those wait for the interval.
    assert_eq!(next(&mut outbox, &telemetry(9), 2000), Some(Arc::clone(&sent[0])));
    assert_eq!(next(&mut outbox, &telemetry(9), 2000), Some(Arc::clone(&sent[1])));
    assert_eq!(next(&mut outbox, &telemetry(9), 2000), None);
    outbox.tick();
    let new = next(&mut outbox, &telemetry(9), 2000).unwrap();
    assert_eq!((id(&new), new.number, new.events), ("000000000000000b-3", 3, 1));
}

#[test]
fn message_that_comes_out_differently_gets_a_new_id() {
    let folder = ScratchFolder::new();
    let settings = config::Buffer { drop_markers: false, ..config::Buffer::default() };
    let mut outbox = open(&folder, &settings, 0xa);
    for text in ["a", "needle", "c"] {
        append(&mut outbox, &[text]);
    }
    outbox.tick();
    assert_eq!(next(&mut outbox, &telemetry(3), 0).unwrap().events, 3);
    drop(outbox);
    let segment = folder.at("00000000000000000001.events");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(6).position(|bytes| bytes == b"needle").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let mut outbox = open(&folder, &settings, 0xb);
    outbox.tick();
    let message = next(&mut outbox, &telemetry(3), 0).unwrap();
    assert_eq!((id(&message), message.events), ("000000000000000b-2", 2));
}

#[test]
fn events_between_inherited_messages_are_handled_in_order() {
    let (folder, settings) = (ScratchFolder::new(), config::Buffer::default());
    let mut outbox = open(&folder, &settings, 0xa);
    let large = "x".repeat(300_000);
    append(&mut outbox, &["a", large.as_str(), "c"]);
    outbox.tick();
    let run = |outbox: &mut Outbox| -> [Option<String>; 3] {
        [0; 3].map(|_| next(outbox, &telemetry(9), 0).map(|message| id(&message).to_owned()))
    };
    let expected = [Some("000000000000000a-1".to_owned()), None, Some("000000000000000a-2".to_owned())];
    assert_eq!(run(&mut outbox), expected);
    drop(outbox);
    assert_eq!(run(&mut open(&folder, &settings, 0xb)), expected);
}

#[test]
fn policy_block_has_room_again_after_acknowledgements() {
    let settings = config::Buffer {
        capacity: config::Buffer::LEAST,
        when_full: WhenFull::Block,
        ..config::Buffer::default()
    };
    let (mut outbox, text) = (in_memory(&settings), "x".repeat(1000));
    let mut appended = 0;
    while outbox.has_room() && appended < 100 {
        append(&mut outbox, &[&text]);
        appended += 1;
    }
    // Of 16 segments of 4 KiB, one is kept free.
    assert!((55..=60).contains(&appended), "{appended} events fill 60 KiB");
    outbox.tick();
    while let Some(message) = next(&mut outbox, &telemetry(10), 0) {
        outbox.acknowledge(message.number, Instant::now());
    }
    assert!(outbox.has_room());
}

/// Sets a capacity of 100 KiB while 500 events of 1000 bytes are buffered; returns the outbox, and the first value of the
/// next message and its last.
fn shrink(drop_markers: bool) -> (Outbox, [serde_json::Value; 2]) {
    let settings = |capacity, drop_markers| config::Buffer {
        capacity: ByteSize::new(capacity),
        drop_markers,
        ..config::Buffer::default()
    };
    let mut outbox = in_memory(&settings(1 << 20, true));
    for number in 0..500 {
        append(&mut outbox, &[&format!("{number:x<1000}")]);
    }
    assert_eq!((outbox.capacity(), outbox.counts().events), (1 << 20, 500));
    outbox.configure(&settings(100 << 10, drop_markers), Instant::now());
    outbox.tick();
    let message = next(&mut outbox, &telemetry(1000), 0).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
    let values = body["values"].as_array().unwrap();
    let ends = [&values[0], &values[values.len() - 1]].map(Clone::clone);
    (outbox, ends)
}

/// Returns the number of the event that became this value.
fn number(value: &serde_json::Value) -> u64 {
    value["v"].as_str().unwrap().trim_end_matches('x').parse().unwrap()
}

#[test]
fn smaller_capacity_drops_the_oldest_events() {
    let (outbox, [first, last]) = shrink(true);
    let counts = outbox.counts();
    assert_eq!(outbox.capacity(), 100 << 10);
    // One segment of 64 KiB more is more than is needed.
    assert!((36 << 10..=100 << 10).contains(&counts.bytes) && counts.events > 70, "{counts:?}");
    assert_eq!(counts.events + counts.dropped_in_all(), 500);
    assert_eq!((&first["id"], &first["v"][0]), (&DROPPED_TAG.into(), &counts.dropped_in_all().into()));
    assert_eq!(number(&last), 499);
}

#[test]
fn drop_markers_can_be_switched_off_while_events_are_buffered() {
    let (outbox, [first, last]) = shrink(false);
    assert_eq!((number(&first), number(&last)), (outbox.counts().dropped_in_all(), 499));
}

#[test]
fn outstanding_acknowledgement_is_timed_from_the_send() {
    let mut outbox = in_memory(&config::Buffer::default());
    append(&mut outbox, &["a"]);
    outbox.tick();
    let now = Instant::now();
    assert!(matches!(outbox.next(&telemetry(9), now, 0), Next::Send(_)));
    assert_eq!(outbox.oldest_in_flight_since(), Some(now));
    let second = Duration::from_secs(1);
    assert_eq!(outbox.acknowledge(1, now + second), Some(second));
    assert_eq!(outbox.oldest_in_flight_since(), None);
}

#[test]
fn folder_that_cannot_be_used_is_reported() {
    let (folder, settings) = (ScratchFolder::new(), config::Buffer::default());
    assert_eq!(open(&folder, &settings, 1).problem(), None);
    let outbox = open(&folder, &settings, 1);
    assert_eq!(outbox.problem(), None, "the lock ended with the first one");
    let second = open(&folder, &settings, 2);
    let problem = second.problem().unwrap();
    assert!(problem.contains("another agent uses it"), "{problem}");
}
