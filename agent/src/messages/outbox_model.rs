//! Outbox and buffer against a model of the plant: what was read, what the hub has, and what was dropped. Random scans,
//! messages, acknowledgements, connections, ends of the process, torn files and flipped bits. Reads and writes disk.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lanyard_handoff::buffer::{self as config, Sync, WhenFull};
use lanyard_handoff::config::Telemetry;
use lanyard_handoff::size::ByteSize;
use lanyard_protocol::hub::property_bag::MESSAGE_ID;
use proptest::prelude::*;

use crate::buffer::counts::{DropReason, EventCounts};
use crate::buffer::message::Message;
use crate::buffer::reader::DROPPED_TAG;
use crate::buffer::store::{Buffer, SharedBuffers};
use crate::messages::outbox::{Next, Outbox};
use crate::scratch_folder::ScratchFolder;
use crate::tags::event::{Event, Value};

/// An agent with one device, and its hub.
struct Plant {
    folder: ScratchFolder,
    settings: config::Buffer,
    telemetry: Telemetry,
    tags: Vec<Arc<str>>,
    /// Nothing between two lives.
    outbox: Option<Outbox>,
    lives: u64,
    /// Events read so far; they are numbered.
    read: i64,
    /// Messages that the connection carried, in order.
    sent: Vec<Arc<Message>>,
    /// Bodies that the hub has, by message id; and the ids in order of arrival, each with the run that sent it first.
    hub: BTreeMap<String, Bytes>,
    arrived: Vec<(u64, String)>,
    /// Counts of earlier lives.
    past: Vec<EventCounts>,
    /// True if no file was damaged.
    intact: bool,
    /// Goes on with every event that is read, for time passes.
    now: Instant,
}

fn id(message: &Message) -> String {
    message.properties.get(MESSAGE_ID).flatten().unwrap().to_owned()
}

/// Returns the numbers of the events in a body, and how many more are reported to be missing.
fn numbers(body: &Bytes) -> (Vec<i64>, i64) {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let (mut numbers, mut reported) = (Vec::new(), 0);
    for value in body["values"].as_array().unwrap() {
        if value["id"] == DROPPED_TAG {
            reported += value["v"][0].as_i64().unwrap();
        } else {
            numbers.push(value["v"].as_str().unwrap().trim_end_matches('x').parse().unwrap());
        }
    }
    (numbers, reported)
}

impl Plant {
    fn new(settings: config::Buffer, max_events: u32) -> Self {
        let mut plant = Self {
            folder: ScratchFolder::new(),
            settings,
            telemetry: Telemetry { max_events, ..Telemetry::default() },
            tags: (0..5).map(|tag| Arc::from(format!("Channel1.Device1.T{tag}"))).collect(),
            outbox: None,
            lives: 0,
            read: 0,
            sent: Vec::new(),
            hub: BTreeMap::new(),
            arrived: Vec::new(),
            past: Vec::new(),
            intact: true,
            now: Instant::now(),
        };
        plant.begin();
        plant
    }

    fn begin(&mut self) {
        self.lives += 1;
        let buffer =
            Buffer::open(self.folder.path(), &self.settings, &SharedBuffers::default(), Instant::now());
        assert_eq!(buffer.problem(), None);
        self.outbox = Some(Outbox::new(buffer, self.lives));
        self.sent.clear();
    }

    /// Ends the outbox as `kill -9` does: everything that the operating system does not have is lost.
    fn kill(&mut self) {
        let counts = self.counts();
        self.past.push(counts);
        self.outbox = None;
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.as_mut().unwrap()
    }

    fn counts(&mut self) -> EventCounts {
        let intact = self.intact;
        self.outbox().check_invariants(intact);
        self.outbox().counts()
    }

    fn append(&mut self, count: i64, width: usize) -> u64 {
        self.now += Duration::from_secs(2);
        let event = |number: i64| Event {
            tag: Arc::clone(&self.tags[number as usize % self.tags.len()]),
            value: Value::Text(Arc::from(format!("{number:x<width$}"))),
            good: number % 3 != 0,
            continues: false,
            // Clocks step.
            time: 1_488_227_377_000 + (number * 7919) % 1000,
        };
        let events: Vec<Event> = (self.read..self.read + count).map(event).collect();
        self.read += count;
        let now = self.now;
        self.outbox().append(&events, now)
    }

    /// Sends a message; the hub has it, whether its acknowledgement comes back or not.
    fn send(&mut self) -> bool {
        let telemetry = self.telemetry.clone();
        let timestamp = self.read;
        match self.outbox().next(&telemetry, Instant::now(), timestamp) {
            Next::Send(message) => {
                let (id, body) = (id(&message), message.body.clone());
                match self.hub.insert(id.clone(), body.clone()) {
                    Some(before) => assert!(before == body, "{id} is the id of two messages"),
                    None => self.arrived.push((self.lives, id)),
                }
                self.sent.push(message);
                true
            }
            Next::Nothing => false,
            Next::TooLarge { .. } => unreachable!(),
        }
    }

    fn acknowledge(&mut self, at: usize) {
        if let Some(message) = self.sent.get(at).cloned() {
            self.outbox().acknowledge(message.number, Instant::now());
        }
    }

    fn reconnect(&mut self) {
        self.outbox().rewind();
        self.sent.clear();
    }

    /// Reconnects, sends everything and acknowledges it.
    fn drain(&mut self) {
        self.reconnect();
        self.outbox().tick();
        while !self.outbox().is_empty() {
            let sent = self.send();
            (0..self.sent.len()).for_each(|at| self.acknowledge(at));
            self.sent.clear();
            if !sent {
                self.outbox().tick();
            }
        }
        assert_eq!(self.counts().events, 0);
    }

    /// Returns all numbers that arrived, in the order in which they first arrived, and how many were reported to be
    /// missing.
    fn delivered(&self) -> (Vec<i64>, i64) {
        let (mut all, mut reported) = (Vec::new(), 0);
        for (_, id) in &self.arrived {
            let (numbers, more) = numbers(&self.hub[id]);
            all.extend(numbers);
            reported += more;
        }
        (all, reported)
    }

    fn dropped(&self) -> u64 {
        self.past.iter().map(EventCounts::dropped_in_all).sum()
    }
}

#[derive(Debug, Clone)]
enum Action {
    Append(u8, u8),
    Tick,
    Send,
    Acknowledge(u8),
    Reconnect,
    Kill,
}

/// Bytes that one scan of [`action`] may take.
const LARGEST_SCAN: u64 = 60 * 140;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1_u8..60, 0_u8..120).prop_map(|(count, width)| Action::Append(count, width)),
        3 => Just(Action::Tick),
        8 => Just(Action::Send),
        6 => (0_u8..6).prop_map(Action::Acknowledge),
        1 => Just(Action::Reconnect),
        1 => Just(Action::Kill),
    ]
}

fn act(plant: &mut Plant, action: &Action) {
    match *action {
        // Where reading waits for room, nothing is read without.
        Action::Append(..) if !plant.outbox().has_room() => {}
        Action::Append(count, width) => {
            plant.append(i64::from(count), usize::from(width));
        }
        Action::Tick => plant.outbox().tick(),
        Action::Send => {
            plant.send();
        }
        Action::Acknowledge(at) => plant.acknowledge(usize::from(at)),
        Action::Reconnect => plant.reconnect(),
        Action::Kill => {
            let before = plant.counts();
            plant.kill();
            plant.begin();
            let after = plant.counts();
            assert_eq!((after.read, after.recovered, after.acknowledged), (after.events, after.events, 0));
            assert!(after.events == before.events || !plant.intact);
        }
    }
    plant.counts();
}

fn settings(when_full: WhenFull, capacity: u64, drop_markers: bool) -> config::Buffer {
    config::Buffer { capacity: ByteSize::new(capacity), when_full, sync: Sync::Never, drop_markers }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever happens, ends of the process included: the hub has every event that was not dropped, once under one
    /// id, in order; what was dropped is counted and reported; and the counts of all lives add up.
    #[test]
    fn nothing_is_lost_over_restarts(
        actions in proptest::collection::vec(action(), 1..150),
        max_events in 1_u32..80,
        when_full in prop_oneof![
            Just(WhenFull::DropOldest), Just(WhenFull::DropNewest), Just(WhenFull::Block)
        ],
        capacity in prop_oneof![Just(64_u64 << 10), Just(24 << 10), Just(1 << 20)],
        markers: bool,
    ) {
        let mut plant = Plant::new(settings(when_full, capacity, markers), max_events);
        for action in &actions {
            act(&mut plant, action);
            let overshoot = if when_full == WhenFull::Block { LARGEST_SCAN } else { 0 };
            prop_assert!(plant.counts().bytes <= capacity + overshoot);
        }
        plant.kill();
        plant.begin();
        plant.drain();
        plant.kill();
        let (numbers, reported) = plant.delivered();
        let backwards = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
        prop_assert_eq!(backwards, None);
        let dropped = plant.dropped();
        prop_assert_eq!(numbers.len() as u64 + dropped, plant.read as u64);
        prop_assert!(dropped == 0 || when_full != WhenFull::Block);
        prop_assert_eq!(reported as u64, if markers { dropped } else { 0 });
        let read: u64 = plant.past.iter().map(|life| life.read - life.recovered).sum();
        let acknowledged: u64 = plant.past.iter().map(|life| life.acknowledged).sum();
        prop_assert_eq!(read, acknowledged + dropped);
    }

    #[test]
    fn any_bytes_are_read_or_stepped_over(segment: Vec<u8>, journal: Vec<u8>, with_header: bool) {
        let header = if with_header { crate::buffer::header::ours().to_vec() } else { Vec::new() };
        read_anything(&[&header[..], &segment].concat(), &[&header[..], &journal].concat());
    }

    /// Torn and broken files: what can be read is sent, in the order in which it was read, no id is the id of two messages,
    /// and no event comes twice in one life. As long as a journal is whole, the counts add up and count all that is missing.
    #[test]
    fn corrupt_files_are_skipped_and_counted(
        before in proptest::collection::vec(action(), 1..80),
        after in proptest::collection::vec(action(), 1..40),
        damage in proptest::collection::vec(any::<(bool, u16, u32, u8)>(), 1..6),
        journals: bool,
        max_events in 1_u32..80,
        markers: bool,
    ) {
        let mut plant = Plant::new(settings(WhenFull::DropOldest, 1 << 20, markers), max_events);
        before.iter().for_each(|action| act(&mut plant, action));
        let left = plant.counts().events;
        plant.kill();
        plant.intact = false;
        for (torn, file, at, bit) in damage {
            damage_file(&plant.folder, journals, torn, file.into(), at.into(), bit);
        }
        plant.begin();
        prop_assert!(journals || plant.counts().events == left, "{left} were left, {:?}", plant.counts());
        after.iter().for_each(|action| act(&mut plant, action));
        plant.drain();
        plant.kill();
        for life in 1..=plant.lives {
            let of_life = plant.arrived.iter().filter(|(of, _)| *of == life);
            let sent: Vec<i64> = of_life.flat_map(|(_, id)| numbers(&plant.hub[id]).0).collect();
            prop_assert_eq!(sent.windows(2).find(|pair| pair[0] >= pair[1]), None);
        }
        let mut once = std::collections::BTreeSet::new();
        for number in plant.delivered().0 {
            prop_assert!(!once.insert(number) || once.last() == Some(&number), "{} comes late", number);
        }
        prop_assert!(once.iter().all(|&number| number < plant.read));
        let missing = plant.read as u64 - once.len() as u64;
        let corrupt: u64 = plant.past.iter().map(|life| life.dropped(DropReason::Corrupt)).sum();
        // Without its journal the number of events in a lost end is unknown.
        prop_assert!(journals || missing <= corrupt, "{missing} are missing, {corrupt} are counted");
        let read: u64 = plant.past.iter().map(|life| life.read - life.recovered).sum();
        let acknowledged: u64 = plant.past.iter().map(|life| life.acknowledged).sum();
        prop_assert!(journals || read == acknowledged + plant.dropped());
    }
}

/// Checks that the buffer reads, skips or refuses any content of its folder, and works afterwards.
fn read_anything(segment: &[u8], journal: &[u8]) {
    let mut plant = Plant::new(settings(WhenFull::DropOldest, 1 << 20, true), 10);
    plant.append(30, 10);
    plant.kill();
    let path = |name: &str| plant.folder.at(name);
    std::fs::write(path("00000000000000000031.events"), segment).unwrap();
    if !journal.is_empty() {
        std::fs::write(path("00000000000000000009.journal"), journal).unwrap();
    }
    let buffer =
        Buffer::open(plant.folder.path(), &plant.settings, &SharedBuffers::default(), Instant::now());
    plant.outbox = Some(Outbox::new(buffer, 7));
    plant.append(3, 10);
    plant.reconnect();
    plant.outbox().tick();
    while let Next::Send(message) = plant.outbox().next(&Telemetry::default(), Instant::now(), 0) {
        plant.outbox().acknowledge(message.number, Instant::now());
    }
    plant.counts();
}

/// Tears a file off at a place, or flips one of its bits.
fn damage_file(folder: &ScratchFolder, journals: bool, torn: bool, file: usize, at: u64, bit: u8) {
    let mut files = folder.ending(".events");
    if journals {
        files.extend(folder.ending(".journal"));
    }
    let Some(path) = files.get(file % files.len().max(1)) else { return };
    let length = std::fs::metadata(path).unwrap().len();
    if length == 0 {
        return;
    }
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    if torn {
        file.set_len(at % length).unwrap();
    } else {
        flip(&file, at % length, bit);
    }
}

fn flip(file: &File, at: u64, bit: u8) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], at).unwrap();
}

fn first(folder: &ScratchFolder, suffix: &str) -> PathBuf {
    folder.ending(suffix).remove(0)
}

#[test]
fn flipped_bit_loses_its_block_and_is_marked_in_place() {
    let mut plant = Plant::new(settings(WhenFull::DropOldest, 1 << 20, true), 1000);
    for _ in 0..10 {
        plant.append(10, 10);
    }
    plant.kill();
    // Somewhere in the middle: ten blocks of some 200 bytes.
    let path = first(&plant.folder, ".events");
    flip(&OpenOptions::new().read(true).write(true).open(path).unwrap(), 1100, 3);
    plant.begin();
    assert_eq!(plant.counts().recovered, 100);
    plant.drain();
    let counts = plant.counts();
    assert_eq!((counts.dropped(DropReason::Corrupt), counts.acknowledged), (10, 91));
    let (numbers, reported) = plant.delivered();
    assert_eq!((numbers.len(), reported), (90, 10));
    let body: serde_json::Value = serde_json::from_slice(&plant.hub[&plant.arrived[0].1]).unwrap();
    let at = body["values"].as_array().unwrap().iter().position(|value| value["id"] == DROPPED_TAG).unwrap();
    let before = numbers[at - 1];
    assert_eq!(numbers[at], before + 11, "the gap is reported in its place");
}

#[test]
fn events_of_a_newer_agent_are_not_changed() {
    let mut plant = Plant::new(settings(WhenFull::DropOldest, 1 << 20, true), 1000);
    plant.append(10, 10);
    plant.kill();
    let path = first(&plant.folder, ".events");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] = 2;
    let checksum = crc32c::crc32c(&bytes[..8]);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let mut buffer =
        Buffer::open(plant.folder.path(), &plant.settings, &SharedBuffers::default(), Instant::now());
    let problem = buffer.problem().unwrap().to_owned();
    assert!(problem.contains("written by a newer agent (format 2"), "{problem}");
    buffer.append(&[], Instant::now());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn torn_end_loses_its_events_only() {
    let mut plant = Plant::new(settings(WhenFull::DropOldest, 1 << 20, false), 1000);
    for _ in 0..3 {
        plant.append(10, 10);
    }
    plant.kill();
    let path = first(&plant.folder, ".events");
    let length = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 5).unwrap();
    plant.begin();
    plant.append(5, 10);
    plant.drain();
    let counts = plant.counts();
    // The header of the torn block says how many events it had.
    assert_eq!((counts.recovered, counts.dropped(DropReason::Corrupt), counts.acknowledged), (30, 10, 25));
}

/// The journal knows how many there were.
#[test]
fn unreadable_end_is_counted() {
    let mut plant = Plant::new(settings(WhenFull::DropOldest, 1 << 20, true), 1000);
    for _ in 0..3 {
        plant.append(10, 10);
    }
    plant.kill();
    let path = first(&plant.folder, ".events");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    plant.begin();
    plant.append(5, 10);
    plant.drain();
    let counts = plant.counts();
    assert_eq!((counts.recovered, counts.dropped(DropReason::Corrupt), counts.acknowledged), (30, 30, 6));
    assert_eq!(plant.delivered(), ((30..35).collect(), 30));
}

/// The power can go between the note that a file is dropped and its end on the disk.
#[test]
fn reappearing_dropped_file_stays_dropped() {
    let mut plant = Plant::new(settings(WhenFull::DropOldest, 64 << 10, true), 1000);
    plant.append(10, 100);
    let path = first(&plant.folder, ".events");
    let mut bytes = Vec::new();
    while path.exists() {
        bytes = std::fs::read(&path).unwrap();
        plant.append(10, 100);
    }
    let before = plant.counts();
    plant.kill();
    std::fs::write(&path, bytes).unwrap();
    plant.begin();
    assert_eq!(plant.counts().events, before.events);
    plant.drain();
    let dropped = before.dropped_in_all();
    assert!(dropped > 0);
    assert_eq!(plant.delivered(), ((dropped as i64..plant.read).collect(), dropped as i64));
    assert_eq!(plant.counts().dropped_in_all(), 0);
}

#[test]
fn journal_is_rewritten_at_its_limit() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Block] {
        let mut plant = Plant::new(settings(when_full, 64 << 10, true), 1000);
        for _ in 0..500 {
            plant.append(1, 10);
            plant.outbox().tick();
            plant.send();
            plant.acknowledge(0);
            plant.sent.clear();
            // It checks the invariants.
            assert_eq!(plant.counts().events, 0);
        }
    }
}

/// A hub is away for a long time: each scan is noted as dropped.
#[test]
fn journal_of_a_full_buffer_is_rewritten_at_its_limit() {
    for when_full in [WhenFull::DropOldest, WhenFull::DropNewest] {
        let mut plant = Plant::new(settings(when_full, 64 << 10, true), 1000);
        for _ in 0..1000 {
            plant.append(10, 100);
            plant.counts();
        }
        assert!(plant.counts().dropped_in_all() > 9000);
    }
}
