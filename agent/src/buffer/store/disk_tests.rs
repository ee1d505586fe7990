//! Tests of a buffer and its disk, which may not accept writes. Reads and writes disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_handoff::buffer::{self as config, Sync};

use super::{Buffer, SharedBuffers};
use crate::buffer::counts::DropReason;
use crate::scratch_folder::ScratchFolder;
use crate::tags::event::{Event, Value};

/// Time after which the disk is tried again.
const RETRY: Duration = Duration::from_secs(5);

fn open(folder: &ScratchFolder, settings: &config::Buffer) -> Buffer {
    Buffer::open(folder.path(), settings, &SharedBuffers::default(), Instant::now())
}

/// Appends an event with a text of so many bytes; returns how many events were dropped.
fn append(buffer: &mut Buffer, length: usize, now: Instant) -> u64 {
    let value = Value::Text(Arc::from("x".repeat(length)));
    buffer.append(&[Event { tag: Arc::from("T"), value, good: true, continues: false, time: 0 }], now)
}

#[test]
fn failed_write_to_the_journal_is_reported_with_its_cause() {
    let (folder, now) = (ScratchFolder::new(), Instant::now());
    let mut buffer = open(&folder, &config::Buffer::default());
    buffer.journal.break_file();
    append(&mut buffer, 1, now);
    let problem = buffer.problem().unwrap();
    assert!(problem.contains("Bad file descriptor"), "{problem}");
    append(&mut buffer, 1, now + RETRY / 2);
    assert_eq!((buffer.counts().events, buffer.counts().volatile), (2, 1), "the second is in memory");
    append(&mut buffer, 1, now + RETRY);
    assert_eq!((buffer.problem(), buffer.counts().volatile), (None, 0));
    drop(buffer);
    assert_eq!(open(&folder, &config::Buffer::default()).counts().recovered, 3);
}

#[test]
fn changed_policy_of_syncing_holds_from_then_on() {
    let mut buffer = Buffer::in_memory(&config::Buffer::default(), &SharedBuffers::default());
    for (sync, syncs) in [(Sync::Never, false), (Sync::EverySecond, true), (Sync::Never, false)] {
        buffer.configure(&config::Buffer { sync, ..config::Buffer::default() }, Instant::now());
        assert_eq!(buffer.disk.syncer().is_some(), syncs, "{sync:?}");
    }
}

#[test]
fn room_of_dropped_files_is_used_at_once() {
    let (folder, now) = (ScratchFolder::new(), Instant::now());
    let mut buffer =
        open(&folder, &config::Buffer { capacity: config::Buffer::LEAST, ..config::Buffer::default() });
    for _ in 0..10 {
        append(&mut buffer, 1000, now);
    }
    buffer.journal.break_file();
    // It notes the end of the log.
    let now = now + RETRY / 2;
    append(&mut buffer, 1000, now);
    assert!(buffer.problem().is_some());
    while append(&mut buffer, 1000, now) == 0 {}
    let dropped = |buffer: &Buffer, reason| buffer.counts().dropped(reason);
    assert!(dropped(&buffer, DropReason::StorageFailed) > 0);
    append(&mut buffer, 1000, now);
    assert_eq!((buffer.problem(), dropped(&buffer, DropReason::BufferFull)), (None, 0));
    while append(&mut buffer, 1000, now) == 0 {}
    assert!(dropped(&buffer, DropReason::BufferFull) > 0);
}
