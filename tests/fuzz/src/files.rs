//! Files of a buffer: segments and journals.
//!
//! Random bytes never have a valid checksum, so checksums are corrected first. A zero stays, as an invalid checksum.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use lanyard_agent::buffer::store::{Buffer, SharedBuffers};
use lanyard_agent::messages::outbox::{Next, Outbox};
use lanyard_agent::tags::event::{Event, Value};
use lanyard_handoff::buffer::{self as config, Sync};
use lanyard_handoff::config::Telemetry;

/// Bytes of a file's header, its checksum last.
const FILE_HEADER: usize = 12;
/// Bytes of a block's header, see `lanyard_agent::buffer`.
const HEADER: usize = 36;

/// Reads bytes as a segment, after its checksums are corrected: see [`read`].
///
/// # Panics
/// As [`read`] does.
pub fn segment(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    correct_segment(&mut bytes);
    read(&bytes, None);
}

fn correct_segment(bytes: &mut [u8]) {
    correct(bytes, 0, FILE_HEADER - 4);
    let mut at = FILE_HEADER;
    while let Some(header) = bytes.get(at..at + HEADER) {
        if !header.starts_with(b"LB") {
            at += 1;
            continue;
        }
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let end = at.saturating_add(HEADER).saturating_add(length);
        if header[28..32] != [0; 4]
            && let Some(payload) = bytes.get(at + HEADER..end)
        {
            let checksum = crc32c::crc32c(payload).to_le_bytes();
            bytes[at + 28..at + 32].copy_from_slice(&checksum);
        }
        correct(bytes, at, 32);
        at = end.min(bytes.len());
    }
}

/// Reads bytes as a journal beside a segment with thirty events, after its checksums are corrected: see [`read`].
///
/// # Panics
/// As [`read`] does.
pub fn journal(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    correct(&mut bytes, 0, FILE_HEADER - 4);
    let mut at = FILE_HEADER;
    while let Some((length, start)) = varint(&bytes, at) {
        let Some(end) = start.checked_add(length).filter(|end| end + 4 <= bytes.len()) else { break };
        correct(&mut bytes, start, length);
        at = end + 4;
    }
    read(&[], Some(&bytes));
}

/// Corrects the checksum after `length` bytes from `at` on.
fn correct(bytes: &mut [u8], at: usize, length: usize) {
    let Some(part) = bytes.get_mut(at..at + length + 4) else { return };
    let (content, checksum) = part.split_at_mut(length);
    if checksum != [0; 4] {
        checksum.copy_from_slice(&crc32c::crc32c(content).to_le_bytes());
    }
}

fn varint(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    for (place, &byte) in bytes.get(at..)?.iter().enumerate().take(4) {
        number |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some((number, at + place + 1));
        }
    }
    None
}

/// A folder in memory, where there is one.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let thread = format!("{:?}", std::thread::current().id());
        let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
        let folder = parent.join(format!("lanyard-fuzz-{}-{thread}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the folder is created");
        Self(folder)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).expect("the file is written");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn append(outbox: &mut Outbox, count: i64) {
    let tag: Arc<str> = Arc::from("Channel1.Device1.T");
    let event = |time| Event {
        tag: Arc::clone(&tag),
        value: Value::Integer(time),
        good: true,
        continues: false,
        time,
    };
    outbox.append(&(0..count).map(event).collect::<Vec<_>>(), Instant::now());
}

/// Opens a buffer on damaged files: it works, its counts balance, every event is delivered or dropped, and a restart in between
/// changes nothing.
fn read(segment: &[u8], journal: Option<&[u8]>) {
    let folder = Folder::new();
    let settings = config::Buffer { sync: Sync::Never, ..config::Buffer::default() };
    let buffer = || Buffer::open(&folder.0, &settings, &SharedBuffers::default(), Instant::now());
    let open = |run| Outbox::new(buffer(), run);
    match journal {
        None => folder.write("00000000000000000001.events", segment),
        Some(journal) => {
            append(&mut open(1), 30);
            folder.write("00000000000000000009.journal", journal);
        }
    }
    if buffer().end() > 1 << 61 {
        // No buffer reaches this number in a thousand years; the numbers end soon after.
        return;
    }
    let telemetry = Telemetry { max_events: 7, ..Telemetry::default() };
    let mut outbox = open(2);
    assert!(outbox.counts().balances(), "{:?}", outbox.counts());
    if outbox.problem().is_some() {
        // Refused: the files are of a newer agent.
        return;
    }
    append(&mut outbox, 3);
    outbox.tick();
    let sent = outbox.next(&telemetry, Instant::now(), 0);
    let before = outbox.counts();
    assert!(before.balances(), "{before:?}");
    drop(outbox);
    let mut outbox = open(3);
    let after = outbox.counts();
    assert_eq!((after.events, after.balances()), (before.events, true), "{before:?} {after:?}");
    if let Next::Send(sent) = sent {
        // The message is sent again unchanged.
        outbox.tick();
        let again = outbox.next(&telemetry, Instant::now(), 1);
        assert!(
            matches!(&again, Next::Send(again) if again.body == sent.body && again.properties == sent.properties),
            "{sent:?} {again:?}"
        );
        outbox.rewind();
    }
    // A gap without a marker gives no message; delivery continues at the next interval.
    let mut idle = 0;
    while !outbox.is_empty() && idle < 3 {
        outbox.tick();
        match outbox.next(&telemetry, Instant::now(), 0) {
            Next::Send(message) => drop(outbox.acknowledge(message.number, Instant::now())),
            Next::TooLarge { .. } => {}
            Next::Nothing => idle += 1,
        }
    }
    let counts = outbox.counts();
    assert!(counts.balances() && counts.events == 0 && outbox.is_empty(), "{counts:?}");
}
