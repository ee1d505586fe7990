//! Log of a buffer: encodes events, appends them to segments, and deletes segments. Reads and writes disk.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use super::disk::Disk;
use super::encoder::Encoder;
use super::quota::Usage;
use super::scan::Place;
use super::segment::Segment;
use super::segments::Segments;
use super::sync::Synced;
use crate::tags::event::Event;

/// Events in segments, in the order in which they were read.
#[derive(Debug)]
pub(super) struct Log {
    segments: Segments,
    encoder: Encoder,
    /// File of the open segment, unless that is in memory.
    open_file: Option<Synced>,
    /// Number of the next event.
    end: u64,
}

/// Blocks that were appended, and their place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appended<'a> {
    pub(super) place: Place,
    pub(super) blocks: &'a [u8],
}

impl Log {
    /// Creates a log of the segments that an earlier process left, up to the event before `end`.
    pub(super) fn new(segments: VecDeque<Segment>, end: u64) -> Self {
        Self { segments: Segments::found(segments), encoder: Encoder::default(), open_file: None, end }
    }

    /// Returns the number of the next event.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the bytes of the log.
    pub(super) fn usage(&self) -> Usage {
        self.segments.usage()
    }

    /// Returns the segments, for reading.
    pub(super) fn segments(&mut self) -> &mut Segments {
        &mut self.segments
    }

    /// Returns the numbers of the events that end with the process, in parts.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = Range<u64>> {
        self.segments.in_memory()
    }

    /// Returns the place from which an event is read.
    pub(super) fn place_of(&self, number: u64) -> Option<Place> {
        self.segments.holding(number)
    }

    /// Returns the time of an event, to the accuracy of its segment's beginning.
    pub(super) fn time_of(&self, number: u64) -> Option<i64> {
        self.segments.time_of(number)
    }

    /// Returns whether the segments have the numbers of a range.
    #[cfg(test)]
    pub(super) fn has(&self, range: Range<u64>) -> bool {
        self.segments.have(range)
    }

    /// Encodes the next events for the open segment, after beginning one if the last has `segment_size` bytes. Returns the
    /// number of bytes that [`Log::append`] adds.
    pub(super) fn encode(
        &mut self,
        events: &[Event],
        segment_size: u64,
        disk: &mut Disk,
        now: Instant,
    ) -> u64 {
        if !self.segments.is_open(segment_size) {
            let segment = self.new_segment(disk, now);
            self.open_file = segment.file().map(Synced::new);
            self.segments.push(segment);
            self.encoder.begin_segment();
        }
        self.encoder.encode(events, self.end);
        self.encoder.blocks().len() as u64
    }

    fn new_segment(&self, disk: &mut Disk, now: Instant) -> Segment {
        if disk.is_writable() {
            match self.new_file(disk, now) {
                Ok(segment) => return segment,
                Err(error) => disk.fail(&error, now),
            }
        }
        Segment::in_memory(self.end)
    }

    fn new_file(&self, disk: &mut Disk, now: Instant) -> io::Result<Segment> {
        let segment = Segment::in_file(disk.enter()?, self.end)?;
        disk.sync_folder(now)?;
        Ok(segment)
    }

    /// Appends the events that were encoded last: all of them or nothing.
    pub(super) fn append(
        &mut self,
        events: &[Event],
        disk: &mut Disk,
        now: Instant,
    ) -> io::Result<Appended<'_>> {
        let end = self.end + events.len() as u64;
        let place = self.segments.append(self.encoder.blocks(), end, times(events))?;
        self.encoder.note_written();
        self.end = end;
        if let Some(file) = &self.open_file
            && let Err(error) = disk.sync(file, now)
        {
            // The events are appended; whether they outlive a power failure is not known.
            self.fail(&error, disk, now);
        }
        Ok(Appended { place, blocks: self.encoder.blocks() })
    }

    /// Numbers events that are not appended, and returns their numbers.
    pub(super) fn refuse(&mut self, events: &[Event]) -> Range<u64> {
        let first = self.end;
        self.end += events.len() as u64;
        first..self.end
    }

    /// Notes that a write failed: what is appended next begins a segment in memory.
    pub(super) fn fail(&mut self, error: &io::Error, disk: &mut Disk, now: Instant) {
        self.segments.seal();
        disk.fail(error, now);
    }

    /// Moves the segments in memory to files. What is appended next begins a segment.
    pub(super) fn move_to_files(&mut self, folder: &Path) -> io::Result<()> {
        self.segments.move_to_files(folder)?;
        self.segments.seal();
        Ok(())
    }

    /// Removes and returns the oldest segment whose events all have the number `from` or a greater one; the caller deletes it.
    pub(super) fn take_oldest(&mut self, from: u64) -> Option<Segment> {
        self.segments.take_from(from)
    }

    /// Deletes the segments whose events all are before a number. The open one stays.
    pub(super) fn release(&mut self, number: u64) {
        self.segments.release(number);
    }
}

/// Returns the times of the first and the last event.
pub(super) fn times(events: &[Event]) -> (i64, i64) {
    (events.first().map_or(0, |event| event.time), events.last().map_or(0, |event| event.time))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lanyard_handoff::buffer::Sync;

    use super::*;
    use crate::buffer::folder::BufferFolder;
    use crate::buffer::segment::START;
    use crate::buffer::sync::Syncer;
    use crate::scratch_folder::ScratchFolder;
    use crate::tags::event::Value;

    const LARGE: u64 = 1 << 20;

    fn events(times: Range<i64>) -> Vec<Event> {
        let tag: Arc<str> = Arc::from("T");
        let event =
            |time| Event { tag: Arc::clone(&tag), value: Value::Null, good: true, continues: false, time };
        times.map(event).collect()
    }

    fn log() -> Log {
        Log::new(VecDeque::new(), 1)
    }

    fn disk(folder: Option<&ScratchFolder>) -> Disk {
        Disk::new(folder.map(|folder| BufferFolder::new(folder.path())), Sync::Never, &Syncer::default())
    }

    /// Appends events, and returns the place and the number of bytes of their blocks.
    fn append(log: &mut Log, disk: &mut Disk, times: Range<i64>, segment_size: u64) -> (Place, u64) {
        let (events, now) = (events(times), Instant::now());
        let bytes = log.encode(&events, segment_size, disk, now);
        let appended = log.append(&events, disk, now).unwrap();
        assert_eq!(appended.blocks.len() as u64, bytes);
        (appended.place, bytes)
    }

    /// Returns, for each segment in memory, the number of its first event and the number after its last event.
    fn ranges(log: &Log) -> Vec<(u64, u64)> {
        log.in_memory().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn events_are_numbered_and_blocks_follow_one_another() {
        let (mut log, mut disk) = (log(), disk(None));
        let (place, first) = append(&mut log, &mut disk, 0..3, LARGE);
        assert_eq!((place, log.end()), (Place { segment: 1, offset: START }, 4));
        let (place, second) = append(&mut log, &mut disk, 3..5, LARGE);
        assert_eq!((place, log.end()), (Place { segment: 1, offset: START + first }, 6));
        let bytes = START + first + second;
        assert_eq!(log.usage(), Usage { bytes, in_memory: bytes });
        assert_eq!((ranges(&log), log.has(1..6), log.has(1..7)), (vec![(1, 6)], true, false));
    }

    #[test]
    fn full_segment_is_followed_by_another() {
        let (mut log, mut disk) = (log(), disk(None));
        let (_, first) = append(&mut log, &mut disk, 0..3, LARGE);
        let (place, _) = append(&mut log, &mut disk, 3..5, START + first);
        assert_eq!(place, Place { segment: 4, offset: START });
        assert_eq!(
            (log.place_of(3), log.place_of(4)),
            (Some(Place { segment: 1, offset: START }), Some(place))
        );
        assert_eq!((log.time_of(2), log.time_of(5), log.time_of(6)), (Some(0), Some(3), None));
    }

    #[test]
    fn refused_events_have_numbers() {
        let (mut log, mut disk) = (log(), disk(None));
        append(&mut log, &mut disk, 0..3, LARGE);
        assert_eq!((log.refuse(&events(3..5)), log.end()), (4..6, 6));
        append(&mut log, &mut disk, 5..6, LARGE);
        assert_eq!(log.end(), 7);
    }

    #[test]
    fn segments_are_deleted_whole_and_the_open_one_stays() {
        let (mut log, mut disk) = (log(), disk(None));
        for scan in 0..3 {
            append(&mut log, &mut disk, scan * 2..scan * 2 + 2, 1);
        }
        log.release(4);
        assert_eq!(ranges(&log), [(3, 5), (5, 7)], "4 is not acknowledged");
        log.release(5);
        assert_eq!(ranges(&log), [(5, 7)]);
        log.release(7);
        assert_eq!(ranges(&log), [(5, 7)], "it is open");
    }

    #[test]
    fn oldest_segment_from_a_number_on_is_taken_out() {
        let (mut log, mut disk) = (log(), disk(None));
        for scan in 0..3 {
            append(&mut log, &mut disk, scan * 2..scan * 2 + 2, 1);
        }
        let bytes = log.usage().bytes;
        let taken = log.take_oldest(2).unwrap();
        assert_eq!((taken.first..taken.end, taken.from, taken.to), (3..5, 2, 3));
        assert_eq!((log.usage().bytes, ranges(&log)), (bytes - taken.len, vec![(1, 3), (5, 7)]));
        assert!(log.take_oldest(6).is_none());
        assert_eq!(log.take_oldest(5).map(|taken| taken.first), Some(5), "the open one too");
        let (place, _) = append(&mut log, &mut disk, 6..7, LARGE);
        assert_eq!(place, Place { segment: 7, offset: START });
    }

    #[test]
    fn events_go_to_memory_while_the_disk_fails_and_then_to_files() {
        let (folder, now) = (ScratchFolder::new(), Instant::now());
        let (mut log, mut disk) = (log(), disk(Some(&folder)));
        append(&mut log, &mut disk, 0..2, LARGE);
        assert_eq!((ranges(&log), log.usage().in_memory), (vec![], 0));
        log.fail(&io::ErrorKind::StorageFull.into(), &mut disk, now);
        let (place, bytes) = append(&mut log, &mut disk, 2..4, LARGE);
        assert_eq!((place.segment, ranges(&log)), (3, vec![(3, 5)]));
        assert_eq!(log.usage().in_memory, START + bytes);
        let all = log.usage().bytes;
        log.move_to_files(folder.path()).unwrap();
        assert_eq!((ranges(&log), log.usage()), (vec![], Usage { bytes: all, in_memory: 0 }));
        disk.note_retry(&Ok(()), now);
        append(&mut log, &mut disk, 4..6, LARGE);
        let files = [1, 3, 5].map(|first| format!("{first:020}.events"));
        assert_eq!(folder.names(), [&files[..], &["lock".to_owned()]].concat());
    }

    #[test]
    fn events_go_to_memory_after_a_sync_that_failed() {
        let (folder, mut log) = (ScratchFolder::new(), log());
        let path = BufferFolder::new(folder.path());
        let mut disk = Disk::new(Some(path), Sync::EveryWrite, &Syncer::default());
        append(&mut log, &mut disk, 0..2, LARGE);
        // The null device cannot be synced.
        log.open_file = Some(Synced::new(&Arc::new(std::fs::File::open("/dev/null").unwrap())));
        append(&mut log, &mut disk, 2..4, LARGE);
        assert_eq!((log.end(), disk.is_failing(), ranges(&log)), (5, true, vec![]));
        append(&mut log, &mut disk, 4..6, LARGE);
        assert_eq!(ranges(&log), [(5, 7)]);
    }

    #[test]
    fn folder_that_cannot_be_made_leaves_events_in_memory() {
        let folder = ScratchFolder::new();
        std::fs::write(folder.at("file"), "").unwrap();
        let mut disk =
            Disk::new(Some(BufferFolder::new(&folder.at("file"))), Sync::Never, &Syncer::default());
        let mut log = log();
        append(&mut log, &mut disk, 0..2, LARGE);
        assert_eq!((ranges(&log), disk.is_failing()), (vec![(1, 3)], true));
    }
}
