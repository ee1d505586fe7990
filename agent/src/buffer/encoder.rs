//! Encodes events as blocks, after the names of tags that their segment does not have yet. Pure.

use super::block::{self, BlockKind};
use super::names::Names;
use super::record;
use crate::tags::event::Event;

/// Blocks of the newest events, and the names of the segment that they belong to. Its memory is used again and again.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    names: Names,
    /// Number of names that the segment has.
    written: usize,
    blocks: Vec<u8>,
    /// Number of each event's tag.
    tags: Vec<u32>,
}

impl Encoder {
    /// Begins a segment, which has no names.
    pub(super) fn begin_segment(&mut self) {
        self.names.clear();
        self.written = 0;
    }

    /// Encodes events, the first of which has the number `first`, in place of the blocks before.
    pub(super) fn encode(&mut self, events: &[Event], first: u64) {
        self.blocks.clear();
        self.tags.clear();
        // Names of blocks that were not written.
        self.names.truncate(self.written);
        self.tags.extend(events.iter().map(|event| self.names.number(&event.tag)));
        if self.names.len() > self.written {
            let start = block::begin(&mut self.blocks);
            self.names.write(&mut self.blocks, self.written);
            let time = events.first().map_or(0, |event| event.time);
            block::end(&mut self.blocks, start, BlockKind::Names, 0, first, time);
        }
        self.encode_events(events, first);
    }

    fn encode_events(&mut self, events: &[Event], mut first: u64) {
        let mut rest = events.iter().zip(&self.tags).peekable();
        while let Some((event, _)) = rest.peek() {
            let (start, time) = (block::begin(&mut self.blocks), event.time);
            let (mut before, mut count) = (time, 0);
            while self.blocks.len() - start < block::FULL
                && let Some((event, &tag)) = rest.next()
            {
                record::write(&mut self.blocks, event, tag, before);
                before = event.time;
                count += 1;
            }
            block::end(&mut self.blocks, start, BlockKind::Events, count, first, time);
            first += u64::from(count);
        }
    }

    /// Returns the encoded blocks.
    pub(super) fn blocks(&self) -> &[u8] {
        &self.blocks
    }

    /// Notes that the blocks are in the segment, and so are the names.
    pub(super) fn note_written(&mut self) {
        self.written = self.names.len();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tags::event::Value;

    fn event(tag: &Arc<str>, value: Value, time: i64) -> Event {
        Event { tag: Arc::clone(tag), value, good: true, continues: false, time }
    }

    /// Returns each block's kind, its number of events, and the number and time of its first event.
    fn headers(mut blocks: &[u8]) -> Vec<(BlockKind, u32, u64, i64)> {
        let mut headers = Vec::new();
        while !blocks.is_empty() {
            let header = block::header(blocks).unwrap();
            let (whole, rest) = blocks.split_at(header.len());
            assert!(block::is_sound(&header, &whole[block::HEADER..]));
            headers.push((header.kind, header.events, header.first, header.time));
            blocks = rest;
        }
        headers
    }

    #[test]
    fn names_precede_the_first_events_that_use_them() {
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        let mut encoder = Encoder::default();
        encoder.begin_segment();
        encoder.encode(&[event(&a, Value::Null, 5), event(&a, Value::Null, 6)], 7);
        assert_eq!(headers(encoder.blocks()), [(BlockKind::Names, 0, 7, 5), (BlockKind::Events, 2, 7, 5)]);
        encoder.note_written();
        encoder.encode(&[event(&a, Value::Null, 8)], 9);
        assert_eq!(headers(encoder.blocks()), [(BlockKind::Events, 1, 9, 8)]);
        encoder.encode(&[event(&b, Value::Null, 8)], 9);
        assert_eq!(headers(encoder.blocks()), [(BlockKind::Names, 0, 9, 8), (BlockKind::Events, 1, 9, 8)]);
    }

    #[test]
    fn names_that_were_not_written_are_encoded_again() {
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        let mut encoder = Encoder::default();
        encoder.encode(&[event(&a, Value::Null, 1)], 1);
        let first = encoder.blocks().to_vec();
        encoder.encode(&[event(&b, Value::Null, 1)], 1);
        encoder.encode(&[event(&a, Value::Null, 1)], 1);
        assert_eq!(encoder.blocks(), first);
        encoder.note_written();
        encoder.begin_segment();
        encoder.encode(&[event(&a, Value::Null, 1)], 1);
        assert_eq!(encoder.blocks(), first, "a segment does not have the names of the one before");
    }

    #[test]
    fn full_block_is_followed_by_another() {
        let tag: Arc<str> = Arc::from("a");
        let text = Value::Text(Arc::from("x".repeat(block::FULL / 2)));
        let events: Vec<Event> = (0..5).map(|time| event(&tag, text.clone(), time)).collect();
        let mut encoder = Encoder::default();
        encoder.encode(&events, 10);
        let of_events: Vec<_> = headers(encoder.blocks()).split_off(1);
        let expected = [(2, 10, 0), (2, 12, 2), (1, 14, 4)];
        assert_eq!(of_events, expected.map(|(events, first, time)| (BlockKind::Events, events, first, time)));
    }

    #[test]
    fn block_that_is_exactly_full_takes_no_further_event() {
        let tag: Arc<str> = Arc::from("a");
        let blocks = |text: usize| {
            let text = Value::Text(Arc::from("x".repeat(text)));
            let mut encoder = Encoder::default();
            encoder.encode(&[event(&tag, text, 0), event(&tag, Value::Null, 0)], 1);
            headers(encoder.blocks()).len() - 1
        };
        // Before the text: the header of the block, and one byte each of head and tag, three of the text's length.
        let full = block::FULL - block::HEADER - 5;
        assert_eq!((blocks(full - 1), blocks(full)), (1, 2));
    }
}
