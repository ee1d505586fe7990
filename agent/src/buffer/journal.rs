//! Journal of the buffer: acknowledged position, messages in flight, gaps. Reads and writes disk.
//!
//! A message is recorded before it is sent, and an acknowledgement when it arrives, each with one small write to the
//! operating system. A large journal is replaced by a new file with the current state. The old file is deleted after
//! the new one is on disk, so one of them is complete after a power failure.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::disk::Disk;
use super::entry::{self, EVENTS, Entry, MessageBounds};
use super::files;
use super::gap::{Gap, Gaps};
use super::header::{self, FileVersion};
use super::ledger::Ledger;
use super::sync::Synced;

const SUFFIX: &str = ".journal";

/// Size at which the journal is rewritten; an eighth of the buffer is another limit. Small enough for a fast start, and
/// large enough that rewriting is rare.
const LARGE: u64 = 256 * 1024;
/// Maximum size of a journal that is read: gaps and messages in flight are few, and a larger file would fill the memory.
const LARGEST: u64 = 32 << 20;

/// The journal and its content.
#[derive(Debug)]
pub(super) struct Journal {
    /// Number of the first event that is neither acknowledged nor dropped.
    acknowledged: u64,
    /// Events before this number were appended, even if no file has them any more.
    appended: u64,
    /// The number of the next message.
    messages: u64,
    gaps: Gaps,
    profile: Arc<str>,
    generation: u64,
    file: Option<Open>,
    /// Files that the open one replaces.
    old: Vec<PathBuf>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    synced: Synced,
    path: PathBuf,
    len: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            acknowledged: 0,
            appended: 0,
            messages: 1,
            gaps: Gaps::default(),
            profile: Arc::from(""),
            generation: 0,
            file: None,
            old: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

/// Returns the number in a journal's file name.
pub(super) fn number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?.parse().ok();
    // One more must not overflow.
    number.filter(|&number| number < EVENTS)
}

fn path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("{generation:020}{SUFFIX}"))
}

/// Returns the size of a file at which it is rewritten, in a buffer of so many bytes.
pub(super) fn limit(capacity: u64) -> u64 {
    LARGE.min(capacity / 8)
}

/// Error of reading journals.
#[derive(Debug)]
pub(super) enum Unreadable {
    Read(io::Error),
    Newer(u8),
}

impl Journal {
    /// Reads the journals of earlier processes: the newest with a complete beginning counts. Returns the bounds of the
    /// messages in flight too, in order.
    pub(super) fn read(folder: &Path, generations: &[u64]) -> Result<(Self, Vec<MessageBounds>), Unreadable> {
        let mut found = None;
        for &generation in generations.iter().rev() {
            let bytes = files::read(&path(folder, generation), LARGEST).map_err(Unreadable::Read)?;
            if let FileVersion::Newer(version) = header::read(&bytes) {
                return Err(Unreadable::Newer(version));
            }
            if found.is_none() {
                found = Self::parse(&bytes);
            }
        }
        let (mut journal, in_flight): (Self, _) = found.unwrap_or_default();
        journal.generation = generations.last().copied().unwrap_or(0);
        journal.old = generations.iter().map(|&generation| path(folder, generation)).collect();
        Ok((journal, in_flight))
    }

    /// Parses a journal; returns nothing if its beginning is not complete.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, Vec<MessageBounds>)> {
        let mut rest = bytes.get(header::LEN..).filter(|_| header::read(bytes) == FileVersion::Ours)?;
        let (mut journal, mut in_flight) = (Self::default(), Vec::new());
        let (mut profile, mut complete) = (Arc::from(""), false);
        while let Some(entry) = entry::take(&mut rest, &mut profile) {
            match entry {
                Entry::Position { acknowledged, messages, appended } => {
                    journal.acknowledged = acknowledged;
                    journal.messages = journal.messages.max(messages);
                    journal.appended = appended;
                }
                Entry::Gap(gap) => journal.gaps.put(gap),
                Entry::MessageBounds(bounds) => {
                    journal.messages = journal.messages.max(bounds.number.saturating_add(1));
                    in_flight.push(bounds);
                }
                Entry::Profile(_) => {}
                Entry::Complete => complete = true,
            }
        }
        let acknowledged = journal.acknowledged;
        in_flight.retain(|bounds: &MessageBounds| bounds.end > acknowledged);
        in_flight.sort_by_key(|bounds| bounds.first);
        journal.gaps.forget(acknowledged);
        complete.then_some((journal, in_flight))
    }

    /// Returns the acknowledged position: the number of the first event that is neither acknowledged nor dropped.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns the number of the next message.
    pub(super) fn next_message(&self) -> u64 {
        self.messages
    }

    /// Returns the gaps behind the acknowledged position.
    pub(super) fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Returns the number after the last event that the journal knows of.
    pub(super) fn end(&self) -> u64 {
        self.gaps.end().max(self.acknowledged).max(self.appended)
    }

    /// Moves the acknowledged position behind events before `start`, whose files are deleted. Files are deleted after the
    /// note of the acknowledgement, which a power failure can remove. Returns the new position.
    pub(super) fn skip_deleted(&mut self, start: u64) -> u64 {
        if let Some(last) = self.gaps.outside(self.acknowledged..start).last() {
            self.acknowledged = last.end;
        }
        self.acknowledged
    }

    /// Begins a new file with the current state and the messages in flight.
    pub(super) fn begin(&mut self, disk: &mut Disk, ledger: &Ledger, now: Instant) -> io::Result<()> {
        let generation = self.generation + 1;
        let path = path(disk.enter()?, generation);
        let file = files::create(&path)?;
        let bytes = self.snapshot(ledger);
        if let Err(error) = file.write_all_at(&bytes, 0) {
            // A journal without the entry Complete is not read; a file that cannot be removed does no harm.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let file = Arc::new(file);
        let mut old = std::mem::take(&mut self.old);
        old.extend(self.file.take().map(|open| open.path));
        match disk.syncer() {
            Some(syncer) => syncer.replace(&file, old, now),
            // What stays is deleted at the next start.
            None => old.iter().for_each(|path| drop(std::fs::remove_file(path))),
        }
        self.generation = generation;
        self.file = Some(Open { synced: Synced::new(&file), file, path, len: bytes.len() as u64 });
        Ok(())
    }

    fn position(&self) -> Entry {
        Entry::Position { acknowledged: self.acknowledged, messages: self.messages, appended: self.appended }
    }

    fn snapshot(&self, ledger: &Ledger) -> Vec<u8> {
        let mut bytes = header::ours().to_vec();
        entry::write(&mut bytes, &self.position());
        self.gaps.iter().for_each(|gap| entry::write(&mut bytes, &Entry::Gap(*gap)));
        let mut profile: Option<&Arc<str>> = None;
        for bounds in ledger.bounds() {
            if profile != Some(&bounds.profile) {
                entry::write(&mut bytes, &Entry::Profile(Arc::clone(&bounds.profile)));
                profile = Some(&bounds.profile);
            }
            entry::write(&mut bytes, &Entry::MessageBounds(bounds.clone()));
        }
        if profile != Some(&self.profile) {
            entry::write(&mut bytes, &Entry::Profile(Arc::clone(&self.profile)));
        }
        entry::write(&mut bytes, &Entry::Complete);
        bytes
    }

    /// Makes the next write to the file fail.
    #[cfg(test)]
    pub(super) fn break_file(&mut self) {
        let open = self.file.as_mut().unwrap();
        open.file = Arc::new(File::open(&open.path).unwrap());
    }

    /// Returns whether the journal must be rewritten.
    pub(super) fn is_large(&self, capacity: u64) -> bool {
        self.len() > limit(capacity)
    }

    /// Returns the bytes that a new file would have.
    #[cfg(test)]
    pub(super) fn smallest(&self, ledger: &Ledger) -> u64 {
        self.snapshot(ledger).len() as u64
    }

    /// Returns the bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.file.as_ref().map_or(0, |open| open.len)
    }

    /// Syncs the file in the background, unless the policy is not to sync.
    pub(super) fn sync(&self, disk: &Disk, now: Instant) {
        if let (Some(open), Some(syncer)) = (&self.file, disk.syncer()) {
            syncer.soon(&open.synced, now);
        }
    }

    /// Records a new message, before it is sent.
    pub(super) fn message(&mut self, bounds: MessageBounds) -> io::Result<()> {
        self.scratch.clear();
        if self.profile != bounds.profile {
            self.profile = Arc::clone(&bounds.profile);
            entry::write(&mut self.scratch, &Entry::Profile(Arc::clone(&bounds.profile)));
        }
        self.messages = self.messages.max(bounds.number.saturating_add(1));
        entry::write(&mut self.scratch, &Entry::MessageBounds(bounds));
        self.flush()
    }

    /// Notes the number of the next event, which a damaged segment may not show.
    pub(super) fn append(&mut self, appended: u64) -> io::Result<()> {
        self.appended = appended;
        self.note(&self.position())
    }

    /// Notes that the events before `acknowledged` are acknowledged or dropped, of those before `appended`.
    pub(super) fn acknowledge(&mut self, acknowledged: u64, appended: u64) -> io::Result<()> {
        (self.acknowledged, self.appended) = (acknowledged, appended);
        self.gaps.forget(acknowledged);
        self.note(&self.position())
    }

    /// Notes a gap; `fixed` as for [`Gaps::add`].
    pub(super) fn note_gap(&mut self, gap: Gap, fixed: u64) -> io::Result<()> {
        let gap = self.gaps.add(gap, fixed);
        self.note(&Entry::Gap(gap))
    }

    fn note(&mut self, entry: &Entry) -> io::Result<()> {
        self.scratch.clear();
        entry::write(&mut self.scratch, entry);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.file else { return Ok(()) };
        let written = open.file.write_all_at(&self.scratch, open.len);
        match &written {
            Ok(()) => open.len += self.scratch.len() as u64,
            // A part of an entry would hide every entry behind it.
            Err(_) => self.old.extend(self.file.take().map(|open| open.path)),
        }
        written
    }
}
