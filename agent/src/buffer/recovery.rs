//! Recovery of a buffer's folder after an earlier process. Reads disk.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::entry::MessageBounds;
use super::folder::BufferFolder;
use super::header::FileVersion;
use super::journal::{self, Journal, Unreadable};
use super::scan::{self, Place};
use super::segment::{self, START, Segment};

/// State that an earlier process left.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Oldest first.
    pub(super) segments: VecDeque<Segment>,
    pub(super) journal: Journal,
    /// Messages in flight, in order.
    pub(super) in_flight: Vec<MessageBounds>,
    /// The number of the next event.
    pub(super) end: u64,
}

impl Default for Recovered {
    fn default() -> Self {
        Self { segments: VecDeque::new(), journal: Journal::default(), in_flight: Vec::new(), end: 1 }
    }
}

/// Reason for not using a folder.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    /// The folder is empty or missing, and nothing can be written there now.
    #[error(
        "failed to make it, or to write in it: {0}; make it writable for the agent, or name another with --buffer"
    )]
    Empty(#[source] io::Error),
    /// The folder may contain events, which must not be mixed with others.
    #[error(
        "failed to read or to write it: {0}; make it readable and writable for the agent, and restart the agent"
    )]
    Refused(#[source] io::Error),
    #[error(
        "another agent uses it; give each agent a buffer folder of its own, and a device to one agent only"
    )]
    Taken,
    #[error(
        "its events were written by a newer agent (format {0}, this agent reads format 1): run that agent until they are \
            delivered, or move the folder away"
    )]
    Newer(u8),
}

/// Locks a folder, and reads the state that an earlier process left in it.
pub(super) fn recover(path: &Path) -> Result<(BufferFolder, Recovered), Unusable> {
    let names = match names(path) {
        Ok(names) => names,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Vec::new()
        }
        Err(error) => return Err(Unusable::Refused(error)),
    };
    let mut firsts: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    firsts.sort_unstable();
    let mut generations: Vec<u64> = names.iter().filter_map(|name| journal::number(name)).collect();
    generations.sort_unstable();
    let mut folder = BufferFolder::new(path);
    folder.lock().map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => Unusable::Taken,
        _ if firsts.is_empty() && generations.is_empty() => Unusable::Empty(error),
        _ => Unusable::Refused(error),
    })?;
    let (journal, in_flight) = Journal::read(path, &generations).map_err(|error| match error {
        Unreadable::Read(error) => Unusable::Refused(error),
        Unreadable::Newer(version) => Unusable::Newer(version),
    })?;
    let mut segments = segments(path, &firsts)?;
    let ends = [
        segments.back().map_or(0, |last| last.end),
        journal.end(),
        in_flight.iter().map(|bounds| bounds.end).max().unwrap_or(0),
    ];
    let end = ends.into_iter().max().unwrap_or(0).max(1);
    if let Some(last) = segments.back_mut() {
        // What is known of, and has no block any more, was in it.
        last.end = end;
    }
    Ok((folder, Recovered { segments, journal, in_flight, end }))
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn segments(folder: &Path, firsts: &[u64]) -> Result<VecDeque<Segment>, Unusable> {
    let mut segments = VecDeque::with_capacity(firsts.len());
    for (at, &first) in firsts.iter().enumerate() {
        let mut segment = Segment::found(folder, first).map_err(Unusable::Refused)?;
        if let FileVersion::Newer(version) = segment.header().map_err(Unusable::Refused)? {
            return Err(Unusable::Newer(version));
        }
        match firsts.get(at + 1) {
            // Files follow one another without a gap, or with one that the journal knows of.
            Some(&end) => segment.end = end,
            None => find_end(&mut segment).map_err(Unusable::Refused)?,
        }
        let block = segment.first_block().map_err(Unusable::Refused)?;
        if let Some(block) = block {
            segment.from = block.time;
            segment.to = segment.to.max(block.time);
        }
        segment.close();
        segments.push_back(segment);
    }
    // An event's time is near that of the next one, which spares reading all of them.
    for at in 1..segments.len() {
        let to = segments[at].from;
        segments[at - 1].to = to;
    }
    Ok(segments)
}

/// Reads the last segment: only there an end can be torn.
fn find_end(segment: &mut Segment) -> io::Result<()> {
    let mut place = Place { segment: segment.first, offset: START };
    let (mut len, mut end, mut to) = (START, segment.first, i64::MIN);
    while place.offset < segment.len {
        scan::blocks(segment, &mut place, |block| {
            // Of a block that is broken, at least the number of its events is known.
            if block.header.end() > end {
                (end, to) = (block.header.end(), block.header.time);
            }
            if block.sound.is_some() {
                len = block.end;
            }
        })?;
    }
    (segment.end, segment.to) = (end, to);
    if len < segment.len {
        segment.cut(len);
    }
    Ok(())
}
