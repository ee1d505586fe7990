//! A run of blocks that is deleted as a whole: a file, or memory while the disk takes nothing. Touches disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::EVENTS;
use super::{block, files};
use crate::buffer::header;

/// Ends the names of segments' files; before it stands the number of the first event.
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
    /// Bytes that count; whatever a file has behind them was never written whole.
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

/// The file of the segment that begins with an event.
fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// The number in a segment's file name.
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

    /// A new one in memory.
    pub(super) fn in_memory(first: u64) -> Self {
        Self::new(first, SegmentBody::Memory(header::ours().to_vec()))
    }

    /// A new one in a file.
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

    /// One that an earlier process left behind.
    pub(super) fn found(folder: &Path, first: u64) -> io::Result<Self> {
        let path = path(folder, first);
        let len = files::length(&path)?;
        let mut segment = Self::new(first, SegmentBody::File { path, open: None });
        segment.len = len;
        Ok(segment)
    }

    /// Adds blocks: all of them or nothing.
    pub(super) fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        match &mut self.body {
            SegmentBody::Memory(bytes) => bytes.extend_from_slice(blocks),
            body @ SegmentBody::File { .. } => {
                let file = open(body)?;
                if let Err(error) = file.write_all_at(blocks, self.len) {
                    // What was half written is not read as it lies behind the length, here and after a restart.
                    let _ = file.set_len(self.len);
                    return Err(error);
                }
            }
        }
        self.len += blocks.len() as u64;
        Ok(())
    }

    /// Reads at a place, as much as is there and as `bytes` has room for.
    pub(super) fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len().min(usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX));
        match &mut self.body {
            SegmentBody::Memory(held) => {
                let at = usize::try_from(at).unwrap_or(usize::MAX).min(held.len());
                let held = &held[at..];
                let wanted = wanted.min(held.len());
                bytes[..wanted].copy_from_slice(&held[..wanted]);
                Ok(wanted)
            }
            body @ SegmentBody::File { .. } => {
                let file = open(body)?;
                let mut read = 0;
                while read < wanted {
                    match file.read_at(&mut bytes[read..wanted], at + read as u64) {
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

    /// Lets go of the file, until it is read or written again.
    pub(super) fn close(&mut self) {
        if let SegmentBody::File { open, .. } = &mut self.body {
            *open = None;
        }
    }

    /// The file to be forced to the disk.
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

    /// Moves it from memory into a file.
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

    /// Cuts off what was not written whole.
    pub(super) fn cut(&mut self, len: u64) {
        self.len = len;
        if let SegmentBody::File { path, .. } = &self.body {
            // It is not read in any case.
            let _ = files::open(path, OpenOptions::new().write(true)).and_then(|file| file.set_len(len));
        }
    }

    /// Deletes it.
    pub(super) fn delete(self) {
        if let SegmentBody::File { path, .. } = &self.body
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("failed to delete {}, whose events are delivered: {error}", path.display());
        }
    }

    /// The header of its first block.
    pub(super) fn first_block(&mut self) -> io::Result<Option<block::Header>> {
        let mut bytes = [0; block::HEADER];
        let read = self.read(START, &mut bytes)?;
        Ok(block::header(&bytes[..read]))
    }

    /// Its header.
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
