//! Scan of a segment: its blocks one after the other, except corrupt ones. Reads disk.

use std::io;

use super::block::{self, HEADER, Header};
use super::segment::Segment;

/// Size of a read.
const AHEAD: usize = 64 * 1024;

/// A place in a segment from which blocks are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the segment's first event.
    pub(super) segment: u64,
    /// Bytes from its beginning.
    pub(super) offset: u64,
}

/// A block, which may be corrupt.
#[derive(Debug)]
pub(super) struct ScannedBlock<'a> {
    pub(super) header: Header,
    /// Header and payload, if the checksum is right.
    pub(super) sound: Option<&'a [u8]>,
    /// End of the block in the segment.
    pub(super) end: u64,
}

/// Reads some blocks at a place in `segment`, passes each to `each`, and moves the place behind them. The place of the end
/// is the segment's length.
pub(super) fn blocks(
    segment: &mut Segment,
    place: &mut Place,
    mut each: impl FnMut(ScannedBlock<'_>),
) -> io::Result<()> {
    let mut size = AHEAD;
    let mut found = false;
    while !found && place.offset < segment.len {
        let left = usize::try_from(segment.len - place.offset).unwrap_or(usize::MAX);
        let mut bytes = vec![0; size.min(left)];
        let read = segment.read(place.offset, &mut bytes)?;
        if read == 0 {
            place.offset = segment.len;
            return Ok(());
        }
        bytes.truncate(read);
        let complete = read == left;
        let mut at = 0;
        size = AHEAD;
        while at < bytes.len() {
            let Some(header) = block::header(&bytes[at..]) else {
                if bytes.len() - at < HEADER && !complete {
                    break;
                }
                at = if complete && bytes.len() - at < HEADER {
                    bytes.len()
                } else {
                    block::resync(&bytes, at + 1).max(at + 1)
                };
                continue;
            };
            let Some(whole) = bytes.get(at..at + header.len()) else {
                if complete {
                    // It was not written whole.
                    each(ScannedBlock { header, sound: None, end: place.offset + at as u64 });
                    at = block::resync(&bytes, at + 1).max(at + 1);
                    continue;
                }
                size = header.len().max(AHEAD);
                break;
            };
            at += header.len();
            let sound = block::is_sound(&header, &whole[HEADER..]).then_some(whole);
            found |= sound.is_some();
            each(ScannedBlock { header, sound, end: place.offset + at as u64 });
        }
        place.offset += at as u64;
        if at == 0 && size <= bytes.len() {
            // Cannot be: a header that promises more than is read asks for more above.
            place.offset += 1;
        }
    }
    Ok(())
}
