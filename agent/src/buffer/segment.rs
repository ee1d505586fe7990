//! A segment: blocks that are deleted as a whole, in a file, or in memory while the disk does not accept writes. Reads
//! and writes disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::EVENTS;
use super::{block, files};
use crate::buffer::header;

/// Suffix of a segment's file name; the number of its first event precedes it.
const SUFFIX: &str = ".events";

/// Position of the first block.
pub(super) const START: u64 = header::LEN as u64;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// The number of its first event.
    pub(super) first: u64,
    /// The number after its last event.
    pub(super) end: u64,
    /// Bytes that were written whole; a file may have more.
    pub(super) len: u64,
    /// The time of its first event.
    pub(super) from: i64,
    /// The time of its last event.
    pub(super) to: i64,
    body: SegmentBody,
}

#[derive(Debug)]
enum SegmentBody {
    File { path: PathBuf, open: Option<Arc<File>> },
    Memory(Vec<u8>),
}

/// Returns the path of the segment that begins with an event.
fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// Returns the number in a segment's file name.
pub(super) fn number(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)
        .filter(|digits| digits.len() == 20)?
        .parse()
        .ok()
        .filter(|&number| number < EVENTS)
}

impl Segment {
    fn new(first: u64, body: SegmentBody) -> Self {
        Self { first, end: first, len: START, from: i64::MAX, to: i64::MIN, body }
    }

    /// Creates a segment in memory.
    pub(super) fn in_memory(first: u64) -> Self {
        Self::new(first, SegmentBody::Memory(header::ours().to_vec()))
    }

    /// Creates a segment in a file.
    pub(super) fn in_file(folder: &Path, first: u64) -> io::Result<Self> {
        let path = path(folder, first);
        let file = files::create(&path)?;
        if let Err(error) = file.write_all_at(&header::ours(), 0) {
            // Nothing is in it; what cannot be removed is emptied at the next start.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self::new(first, SegmentBody::File { path, open: Some(Arc::new(file)) }))
    }

    /// Returns a segment of an earlier process, whose end is not known yet.
    pub(super) fn found(folder: &Path, first: u64) -> io::Result<Self> {
        let path = path(folder, first);
        let len = files::length(&path)?;
        let mut segment = Self::new(first, SegmentBody::File { path, open: None });
        segment.len = len;
        Ok(segment)
    }

    /// Appends blocks: all of them or nothing.
    pub(super) fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        match &mut self.body {
            SegmentBody::Memory(bytes) => bytes.extend_from_slice(blocks),
            body @ SegmentBody::File { .. } => {
                let file = open(body)?;
                if let Err(error) = file.write_all_at(blocks, self.len) {
                    // A part that was written is behind the length and not read, here and after a restart.
                    let _ = file.set_len(self.len);
                    return Err(error);
                }
            }
        }
        self.len += blocks.len() as u64;
        Ok(())
    }

    /// Reads at an offset, as much as is there and as `bytes` has room for.
    pub(super) fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let count = bytes.len().min(usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX));
        match &mut self.body {
            SegmentBody::Memory(stored) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(stored.len());
                let stored = &stored[at..];
                let count = count.min(stored.len());
                bytes[..count].copy_from_slice(&stored[..count]);
                Ok(count)
            }
            body @ SegmentBody::File { .. } => {
                let file = open(body)?;
                let mut read = 0;
                while read < count {
                    match file.read_at(&mut bytes[read..count], at + read as u64) {
                        Ok(0) => break,
                        Ok(more) => read += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(read)
            }
        }
    }

    /// Closes the file until it is read or written again.
    pub(super) fn close(&mut self) {
        if let SegmentBody::File { open, .. } = &mut self.body {
            *open = None;
        }
    }

    /// Returns the file to be synced.
    pub(super) fn file(&self) -> Option<&Arc<File>> {
        match &self.body {
            SegmentBody::File { open, .. } => open.as_ref(),
            SegmentBody::Memory(_) => None,
        }
    }

    /// Returns whether the segment is lost when the process ends.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.body, SegmentBody::Memory(_))
    }

    /// Moves the segment from memory into a file.
    pub(super) fn move_to_file(&mut self, folder: &Path) -> io::Result<()> {
        let SegmentBody::Memory(bytes) = &self.body else { return Ok(()) };
        let mut file = Self::in_file(folder, self.first)?;
        if let Err(error) = file.append(&bytes[header::LEN..]) {
            file.delete();
            return Err(error);
        }
        self.body = file.body;
        Ok(())
    }

    /// Cuts off the bytes that were not written whole.
    pub(super) fn cut(&mut self, len: u64) {
        self.len = len;
        if let SegmentBody::File { path, .. } = &self.body {
            // It is not read in any case.
            let _ = files::open(path, OpenOptions::new().write(true)).and_then(|file| file.set_len(len));
        }
    }

    /// Deletes the segment.
    pub(super) fn delete(self) {
        if let SegmentBody::File { path, .. } = &self.body
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("failed to delete {}, whose events are delivered: {error}", path.display());
        }
    }

    /// Reads the header of the first block.
    pub(super) fn first_block(&mut self) -> io::Result<Option<block::Header>> {
        let mut bytes = [0; block::HEADER];
        let read = self.read(START, &mut bytes)?;
        Ok(block::header(&bytes[..read]))
    }

    /// Reads the header of the file.
    pub(super) fn header(&mut self) -> io::Result<header::FileVersion> {
        let mut bytes = [0; header::LEN];
        let read = self.read(0, &mut bytes)?;
        Ok(header::read(&bytes[..read]))
    }
}

fn open(body: &mut SegmentBody) -> io::Result<&Arc<File>> {
    match body {
        SegmentBody::File { path, open } => match open {
            Some(file) => Ok(file),
            None => {
                let file = files::open(path, OpenOptions::new().read(true).write(true))?;
                Ok(open.insert(Arc::new(file)))
            }
        },
        SegmentBody::Memory(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
