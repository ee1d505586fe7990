//! Entries of the journal: length, kind, content, CRC-32C. Pure.

use std::sync::Arc;

use super::varint;
use crate::buffer::gap::Gap;

/// Bounds of a message in flight: all that is needed to make it again, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageBounds {
    /// The process's own part of the message's id.
    pub run: u64,
    /// The message's place in the order of the device's messages.
    pub number: u64,
    /// The number of its first event.
    pub first: u64,
    /// The number after its last event.
    pub end: u64,
    /// The time of publishing in its body.
    pub timestamp: i64,
    /// CRC-32C of its body. A message whose body comes out differently is not sent under the same id.
    pub checksum: u32,
    /// Telemetry settings of the message, as JSON.
    pub profile: Arc<str>,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// Numbers of the first event that is not acknowledged, of the next message, and of the next event.
    Position { acknowledged: u64, messages: u64, appended: u64 },
    /// Takes the place of a gap with the same beginning.
    Gap(Gap),
    /// A message, with the settings of the profile before it.
    MessageBounds(MessageBounds),
    /// Telemetry settings of the following messages.
    Profile(Arc<str>),
    /// End of the state that was copied from the earlier journal.
    Complete,
}

/// Limit of event numbers, which no buffer reaches.
pub(super) const EVENTS: u64 = 1 << 62;

const POSITION: u8 = 1;
const GAP: u8 = 2;
const MESSAGE: u8 = 3;
const PROFILE: u8 = 4;
const COMPLETE: u8 = 5;

/// Writes an entry.
pub(super) fn write(out: &mut Vec<u8>, entry: &Entry) {
    let mut content = Vec::with_capacity(48);
    match entry {
        Entry::Position { acknowledged, messages, appended } => {
            content.push(POSITION);
            varint::put(&mut content, *acknowledged);
            varint::put(&mut content, *messages);
            varint::put(&mut content, *appended);
        }
        Entry::Gap(gap) => {
            content.push(GAP);
            varint::put(&mut content, gap.first);
            varint::put(&mut content, gap.end);
            varint::put_signed(&mut content, gap.from);
            varint::put_signed(&mut content, gap.to);
            content.push(gap.marked.into());
        }
        Entry::MessageBounds(bounds) => {
            content.push(MESSAGE);
            content.extend_from_slice(&bounds.run.to_le_bytes());
            varint::put(&mut content, bounds.number);
            varint::put(&mut content, bounds.first);
            varint::put(&mut content, bounds.end);
            varint::put_signed(&mut content, bounds.timestamp);
            content.extend_from_slice(&bounds.checksum.to_le_bytes());
        }
        Entry::Profile(text) => {
            content.push(PROFILE);
            content.extend_from_slice(text.as_bytes());
        }
        Entry::Complete => content.push(COMPLETE),
    }
    varint::put(out, content.len() as u64);
    out.extend_from_slice(&content);
    out.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
}

/// Takes an entry from the front; `None` at the end, and where the rest was not written whole. `profile` is the one in
/// force, and changes.
pub(super) fn take(bytes: &mut &[u8], profile: &mut Arc<str>) -> Option<Entry> {
    let length = varint::take(bytes)?;
    let content = varint::take_bytes(bytes, length)?;
    if u32::from_le_bytes(varint::take_array(bytes)?) != crc32c::crc32c(content) {
        return None;
    }
    let (&kind, mut rest) = content.split_first()?;
    let rest = &mut rest;
    let entry = match kind {
        POSITION => Entry::Position {
            acknowledged: event_number(rest)?,
            messages: varint::take(rest)?,
            appended: event_number(rest)?,
        },
        GAP => Entry::Gap(Gap {
            first: event_number(rest)?,
            end: event_number(rest)?,
            from: varint::take_signed(rest)?,
            to: varint::take_signed(rest)?,
            marked: varint::take_array(rest)? == [1],
        }),
        MESSAGE => Entry::MessageBounds(MessageBounds {
            run: u64::from_le_bytes(varint::take_array(rest)?),
            number: varint::take(rest)?,
            first: event_number(rest)?,
            end: event_number(rest)?,
            timestamp: varint::take_signed(rest)?,
            checksum: u32::from_le_bytes(varint::take_array(rest)?),
            profile: Arc::clone(profile),
        }),
        PROFILE => {
            *profile = Arc::from(std::str::from_utf8(rest).ok()?);
            Entry::Profile(Arc::clone(profile))
        }
        COMPLETE => Entry::Complete,
        _ => return None,
    };
    let is_ordered = match &entry {
        Entry::Gap(gap) => gap.first < gap.end,
        Entry::MessageBounds(bounds) => bounds.first < bounds.end,
        Entry::Position { .. } | Entry::Profile(_) | Entry::Complete => true,
    };
    is_ordered.then_some(entry)
}

/// Takes the number of an event. No buffer reaches the limit in a thousand years, and sums of numbers below it do not
/// overflow.
fn event_number(bytes: &mut &[u8]) -> Option<u64> {
    varint::take(bytes).filter(|&number| number < EVENTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            (0..EVENTS, any::<u64>(), 0..EVENTS).prop_map(|(acknowledged, messages, appended)| {
                Entry::Position { acknowledged, messages, appended }
            }),
            (0..EVENTS / 2, 1..EVENTS / 2, any::<(i64, i64, bool)>()).prop_map(
                |(first, events, (from, to, marked))| {
                    Entry::Gap(Gap { first, end: first + events, from, to, marked })
                }
            ),
            (any::<(u64, u64, i64, u32)>(), 0..EVENTS / 2, 1..EVENTS / 2).prop_map(
                |((run, number, timestamp, checksum), first, events)| {
                    let end = first + events;
                    Entry::MessageBounds(MessageBounds {
                        run,
                        number,
                        first,
                        end,
                        timestamp,
                        checksum,
                        profile: Arc::from(""),
                    })
                }
            ),
            ".{0,20}".prop_map(|text| Entry::Profile(Arc::from(text))),
            Just(Entry::Complete),
        ]
    }

    proptest! {
        #[test]
        fn written_entry_is_read_back(entries in proptest::collection::vec(any_entry(), 0..8), cut: usize) {
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| write(&mut bytes, entry));
            let (mut rest, mut profile) = (bytes.as_slice(), Arc::from(""));
            for entry in &entries {
                let taken = take(&mut rest, &mut profile);
                // Messages carry the profile before them.
                match (taken, entry) {
                    (Some(Entry::MessageBounds(taken)), Entry::MessageBounds(bounds)) => {
                        prop_assert_eq!(taken, MessageBounds { profile: Arc::clone(&profile), ..bounds.clone() });
                    }
                    (taken, entry) => prop_assert_eq!(taken.as_ref(), Some(entry)),
                }
            }
            prop_assert_eq!(take(&mut rest, &mut profile), None);
            // A torn end gives what is whole before it.
            let torn = &bytes[..cut % (bytes.len() + 1)];
            let mut rest = torn;
            let count = std::iter::from_fn(|| take(&mut rest, &mut profile)).count();
            prop_assert!(count <= entries.len());
            prop_assert!(torn.len() == bytes.len() || count < entries.len());
        }

        #[test]
        fn any_bytes_are_entries_or_none(bytes: Vec<u8>) {
            let (mut rest, mut profile) = (bytes.as_slice(), Arc::from(""));
            while take(&mut rest, &mut profile).is_some() {}
        }
    }
}
