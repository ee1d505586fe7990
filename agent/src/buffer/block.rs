//! Blocks: events, or names of tags, with their number, place and checksums, so that each is read or skipped by itself.
//! Pure.
//!
//! ```text
//! 0   "LB"                    12  number of the first event
//! 2   kind: 1 events, 2 names 20  time of the first event
//! 3   0                       28  CRC-32C of the payload
//! 4   bytes of the payload    32  CRC-32C of the 32 bytes before
//! 8   events in it            36  payload
//! ```
//! Numbers are little-endian. The events of a buffer are numbered without a gap, so the events of a corrupt block are known
//! from its neighbours even when its own header is lost.

use super::entry::EVENTS;

/// Bytes of a header.
pub(super) const HEADER: usize = 36;
/// Bytes of a block that takes no further event. Small enough that a corrupt block loses little and one event needs little
/// reading.
pub(super) const FULL: usize = 64 * 1024;
/// Maximum bytes of a payload; the largest text of an OPC UA server is 16 MiB.
const LARGEST: usize = 64 << 20;

const MAGIC: [u8; 2] = *b"LB";

/// Content of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    Events,
    Names,
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: BlockKind,
    /// Bytes behind the header.
    pub(super) payload: usize,
    pub(super) events: u32,
    /// The number of its first event; for names, of the event after them.
    pub(super) first: u64,
    /// The time of its first event.
    pub(super) time: i64,
    checksum: u32,
}

impl Header {
    /// Returns the number after its last event.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.events))
    }

    /// Returns the bytes of the block, header included.
    pub(super) fn len(&self) -> usize {
        HEADER + self.payload
    }
}

/// Begins a block at the end of `out`; returns its position.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + HEADER, 0);
    start
}

/// Ends the block that began at `start`: what was written since is its payload.
pub(super) fn end(out: &mut [u8], start: usize, kind: BlockKind, events: u32, first: u64, time: i64) {
    let Some((header, payload)) = out[start..].split_first_chunk_mut::<HEADER>() else { return };
    header[..2].copy_from_slice(&MAGIC);
    header[2] = match kind {
        BlockKind::Events => 1,
        BlockKind::Names => 2,
    };
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..12].copy_from_slice(&events.to_le_bytes());
    header[12..20].copy_from_slice(&first.to_le_bytes());
    header[20..28].copy_from_slice(&time.to_le_bytes());
    header[28..32].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let checksum = crc32c::crc32c(&header[..32]);
    header[32..].copy_from_slice(&checksum.to_le_bytes());
}

/// Returns the header at the front, if there is one.
pub(super) fn header(bytes: &[u8]) -> Option<Header> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    if header[..2] != MAGIC || number(&header[32..]) != crc32c::crc32c(&header[..32]) {
        return None;
    }
    let kind = match header[2] {
        1 => BlockKind::Events,
        2 => BlockKind::Names,
        _ => return None,
    };
    let wide = |at: usize| header[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let payload = number(&header[4..]) as usize;
    let header = Header {
        kind,
        payload,
        events: number(&header[8..]),
        first: wide(12),
        time: wide(20) as i64,
        checksum: number(&header[28..]),
    };
    (payload <= LARGEST && header.end() < EVENTS).then_some(header)
}

/// Returns whether the payload, which has the header's length, is the one that was written.
pub(super) fn is_sound(header: &Header, payload: &[u8]) -> bool {
    crc32c::crc32c(payload) == header.checksum
}

/// Returns the next position from `from` on where a header may begin. The last bytes, too few for a header, are left
/// for the next call.
pub(super) fn resync(bytes: &[u8], from: usize) -> usize {
    let last = bytes.len().saturating_sub(HEADER - 1);
    (from..last).find(|&at| header(&bytes[at..]).is_some()).unwrap_or(last.max(from))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(payload: &[u8], events: u32, first: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let start = begin(&mut out);
        out.extend_from_slice(payload);
        end(&mut out, start, BlockKind::Events, events, first, -1);
        out
    }

    #[test]
    fn a_block_is_found_behind_rubbish() {
        let mut bytes = b"LB some LBrubbish".to_vec();
        let at = bytes.len();
        bytes.extend(block(b"payload", 3, 7));
        assert_eq!(resync(&bytes, 0), at);
        assert_eq!(resync(&bytes[..at + HEADER - 1], 0), at, "the rest may follow");
        assert_eq!(header(&bytes[at..]).map(|header| (header.end(), header.time)), Some((10, -1)));
    }

    proptest! {
        /// One wrong bit is noticed wherever it is.
        #[test]
        fn a_flipped_bit_is_noticed(payload: Vec<u8>, events: u32, first in 0..EVENTS / 2, at: usize) {
            let good = block(&payload, events, first);
            let header_of = |bytes: &[u8]| header(bytes).filter(|header| is_sound(header, &bytes[HEADER..]));
            prop_assert_eq!(header_of(&good).map(|header| (header.events, header.first)), Some((events, first)));
            let mut bad = good.clone();
            bad[at / 8 % good.len()] ^= 1 << (at % 8);
            prop_assert_eq!(header_of(&bad), None);
        }
    }
}
