//! The buffer in memory, bounded in bytes. Pure; it ends with the process.

use std::collections::VecDeque;

use super::account::{Account, DropReason};
use super::storage::{Buffer, Unread};
use crate::tags::event::Event;
use crate::tags::sampling::Record;

/// Room that an empty queue keeps. More is given back, or one long outage would hold its memory for ever.
const KEPT_CAPACITY: usize = 256;

/// The buffer in memory.
#[derive(Debug)]
pub struct MemoryBuffer {
    max_bytes: u64,
    unread: VecDeque<Entry>,
    under_way: VecDeque<Batch>,
    account: Account,
}

#[derive(Debug)]
struct Entry {
    event: Event,
    continues: bool,
}

/// Events whose text is in a message already: only their books are kept here.
#[derive(Debug)]
struct Batch {
    events: u64,
    bytes: u64,
    oldest: i64,
}

fn bytes(entry: &Entry) -> u64 {
    entry.event.bytes() as u64
}

impl MemoryBuffer {
    /// An empty buffer that holds at most `max_bytes` of events.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, unread: VecDeque::new(), under_way: VecDeque::new(), account: Account::default() }
    }

    /// Removes the oldest unread record, or what is left of it.
    fn drop_oldest(&mut self) -> usize {
        let mut dropped = 0;
        while let Some(entry) = self.unread.pop_front_if(|entry| dropped == 0 || entry.continues) {
            self.account.events -= 1;
            self.account.bytes -= bytes(&entry);
            self.account.dropped_full += 1;
            dropped += 1;
        }
        dropped
    }

    fn make_room(&mut self) -> usize {
        let mut dropped = 0;
        while self.account.bytes > self.max_bytes && !self.unread.is_empty() {
            dropped += self.drop_oldest();
        }
        dropped
    }

    fn oldest(&self) -> Option<i64> {
        let under_way = self.under_way.front().map(|batch| batch.oldest);
        under_way.or_else(|| self.unread.front().map(|entry| entry.event.time))
    }
}

impl Buffer for MemoryBuffer {
    fn append(&mut self, record: Record) -> usize {
        let Record { events, whole } = record;
        for (position, event) in events.into_iter().enumerate() {
            let entry = Entry { event, continues: whole && position > 0 };
            self.account.read += 1;
            self.account.events += 1;
            self.account.bytes += bytes(&entry);
            self.unread.push_back(entry);
        }
        self.make_room()
    }

    fn unread(&self, position: usize) -> Option<Unread<'_>> {
        self.unread.get(position).map(|entry| Unread { event: &entry.event, continues: entry.continues })
    }

    fn unread_len(&self) -> usize {
        self.unread.len()
    }

    fn take(&mut self, events: usize) {
        let taken = self.unread.drain(..events.min(self.unread.len()));
        let mut batch = Batch { events: 0, bytes: 0, oldest: i64::MAX };
        for entry in taken {
            batch.events += 1;
            batch.bytes += bytes(&entry);
            batch.oldest = batch.oldest.min(entry.event.time);
        }
        self.under_way.push_back(batch);
        if self.unread.is_empty() && self.unread.capacity() > KEPT_CAPACITY {
            self.unread.shrink_to(KEPT_CAPACITY);
        }
        // A record that was cut by a full message goes on in the next one, which it starts.
        if let Some(first) = self.unread.front_mut() {
            first.continues = false;
        }
    }

    fn discard(&mut self, reason: DropReason) {
        let Some(entry) = self.unread.pop_front() else { return };
        self.account.events -= 1;
        self.account.bytes -= bytes(&entry);
        match reason {
            DropReason::BufferFull => self.account.dropped_full += 1,
            DropReason::TooLarge => self.account.dropped_large += 1,
        }
        if let Some(first) = self.unread.front_mut() {
            first.continues = false;
        }
    }

    fn acknowledge(&mut self) {
        let Some(batch) = self.under_way.pop_front() else { return };
        self.account.events -= batch.events;
        self.account.bytes -= batch.bytes;
        self.account.acknowledged += batch.events;
    }

    fn resize(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
        self.make_room();
    }

    fn account(&self) -> Account {
        Account { oldest: self.oldest(), ..self.account }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::event::Value;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn event(number: i64) -> Event {
        Event { tag: Arc::from("t"), value: Value::Integer(number), good: true, time: number }
    }

    fn record(numbers: std::ops::Range<i64>, whole: bool) -> Record {
        Record { events: numbers.map(event).collect(), whole }
    }

    fn one() -> u64 {
        event(0).bytes() as u64
    }

    #[test]
    fn the_oldest_unread_make_room_and_those_under_way_stay() {
        let mut buffer = MemoryBuffer::new(4 * one());
        assert_eq!(buffer.append(record(0..4, false)), 0);
        buffer.take(2);
        assert_eq!(buffer.append(record(4..7, false)), 3);
        assert_eq!(buffer.unread(0).map(|unread| unread.event.time), Some(5));
        let account = buffer.account();
        assert_eq!((account.read, account.events, account.dropped_full, account.oldest), (7, 4, 3, Some(0)));
        buffer.acknowledge();
        assert_eq!((buffer.account().acknowledged, buffer.account().oldest), (2, Some(5)));
    }

    #[test]
    fn a_picture_is_dropped_as_a_whole() {
        let mut buffer = MemoryBuffer::new(5 * one());
        buffer.append(record(0..3, true));
        assert_eq!(buffer.append(record(3..6, true)), 3);
        assert_eq!(buffer.unread_len(), 3);
        assert_eq!(buffer.unread(0).map(|unread| (unread.event.time, unread.continues)), Some((3, false)));
        assert_eq!(buffer.unread(1).map(|unread| unread.continues), Some(true));
        assert_eq!(
            buffer.append(record(6..12, true)),
            9,
            "a record that never fits is dropped too, and counted"
        );
    }

    /// What the buffer must be: lists of numbers.
    #[derive(Default)]
    struct Model {
        unread: VecDeque<i64>,
        under_way: VecDeque<Vec<i64>>,
        acknowledged: u64,
        dropped: u64,
        read: u64,
    }

    #[derive(Debug, Clone)]
    enum Action {
        Append(u8),
        Take(u8),
        Acknowledge,
        Discard,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            (0_u8..9).prop_map(Action::Append),
            (1_u8..6).prop_map(Action::Take),
            Just(Action::Acknowledge),
            Just(Action::Discard),
        ]
    }

    proptest! {
        #[test]
        fn it_behaves_like_its_model(actions in proptest::collection::vec(action(), 1..80), room in 1_u64..20) {
            let mut buffer = MemoryBuffer::new(room * one());
            let mut model = Model::default();
            let mut next = 0;
            for action in actions {
                match action {
                    Action::Append(count) => {
                        let numbers = next..next + i64::from(count);
                        next = numbers.end;
                        model.read += u64::from(count);
                        model.unread.extend(numbers.clone());
                        buffer.append(record(numbers, false));
                        let held = |m: &Model| m.unread.len() + m.under_way.iter().map(Vec::len).sum::<usize>();
                        while held(&model) as u64 > room && model.unread.pop_front().is_some() {
                            model.dropped += 1;
                        }
                    }
                    Action::Take(count) => {
                        let count = usize::from(count).min(model.unread.len());
                        buffer.take(count);
                        model.under_way.push_back(model.unread.drain(..count).collect());
                    }
                    Action::Acknowledge => {
                        buffer.acknowledge();
                        model.acknowledged += model.under_way.pop_front().map_or(0, |batch| batch.len() as u64);
                    }
                    Action::Discard => {
                        buffer.discard(DropReason::TooLarge);
                        model.dropped += u64::from(model.unread.pop_front().is_some());
                    }
                }
                let account = buffer.account();
                prop_assert!(account.balances(), "{account:?}");
                prop_assert_eq!(account.read, model.read);
                prop_assert_eq!(account.acknowledged, model.acknowledged);
                prop_assert_eq!(account.dropped_full + account.dropped_large, model.dropped);
                prop_assert_eq!(account.bytes, account.events * one());
                let unread: Vec<i64> = (0..).map_while(|at| buffer.unread(at)).map(|unread| unread.event.time).collect();
                prop_assert_eq!(&unread, &Vec::from(model.unread.clone()));
            }
        }
    }
}
