//! The latest messages, bounded by number and by bytes; the oldest go first. In memory.

use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::event::{Event, Origin};
use crate::hub::telemetry::Message;

/// Limits of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// Store of received messages. Counters of devices are stored elsewhere and not limited.
#[derive(Debug)]
pub struct EventStore {
    limits: Limits,
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Number of all messages; the sequence number of the last one.
    total: u64,
}

impl EventStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, kept: Mutex::default(), arrived: Notify::new() }
    }

    /// Keeps a message, and lets the oldest go where that is too much.
    pub fn push(&self, enqueued: Timestamp, origin: Arc<Origin>, message: Message) {
        let mut kept = self.kept();
        kept.total += 1;
        let event = Event { sequence: kept.total, enqueued, origin, message };
        kept.bytes += event.bytes();
        kept.events.push_back(Arc::new(event));
        while kept.events.len() > self.limits.events || kept.bytes > self.limits.bytes {
            let Some(oldest) = kept.events.pop_front() else { break };
            kept.bytes -= oldest.bytes();
        }
        drop(kept);
        self.arrived.notify_waiters();
    }

    /// Returns the number of all received messages.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kept().total
    }

    /// Returns the number of stored messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept().events.len()
    }

    /// Returns whether the store is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the last `limit` messages (of `device`), oldest first.
    #[must_use]
    pub fn latest(&self, device: Option<&str>, limit: usize) -> Vec<Arc<Event>> {
        let kept = self.kept();
        let mut latest: Vec<_> =
            kept.events.iter().rev().filter(|event| is_of(event, device)).take(limit).cloned().collect();
        latest.reverse();
        latest
    }

    /// Returns up to `limit` kept messages (of any device) behind the one numbered `sequence`, oldest first.
    #[must_use]
    pub fn after(&self, sequence: u64, limit: usize) -> Vec<Arc<Event>> {
        let kept = self.kept();
        let first = kept.total - kept.events.len() as u64;
        let skip = usize::try_from(sequence.saturating_sub(first)).unwrap_or(usize::MAX);
        kept.events.iter().skip(skip).take(limit).cloned().collect()
    }

    /// Waits until a message behind the one numbered `sequence` has come.
    pub async fn changed(&self, sequence: u64) {
        loop {
            let arrived = self.arrived.notified();
            if self.total() > sequence {
                return;
            }
            arrived.await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock()
    }
}

/// Returns whether `event` is from `device`, or true if no device is given.
#[must_use]
pub fn is_of(event: &Event, device: Option<&str>) -> bool {
    device.is_none_or(|device| *event.origin.device_id == *device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use lanyard_protocol::hub::property_bag::PropertyBag;

    fn push(store: &EventStore, device: &str, body: &'static str) {
        let origin = Origin {
            hub: "h".into(),
            device_id: device.into(),
            generation_id: String::new(),
            model_id: None,
        };
        let message = Message { properties: PropertyBag::new(), body: Bytes::from_static(body.as_bytes()) };
        store.push(Timestamp::UNIX_EPOCH, Arc::new(origin), message);
    }

    fn bodies(events: &[Arc<Event>]) -> Vec<&str> {
        events.iter().map(|event| std::str::from_utf8(&event.message.body).unwrap()).collect()
    }

    #[test]
    fn the_oldest_go_first() {
        let store = EventStore::new(Limits { events: 3, bytes: usize::MAX });
        for body in ["1", "2", "3", "4", "5"] {
            push(&store, if body == "4" { "b" } else { "a" }, body);
        }
        assert_eq!((store.total(), store.len()), (5, 3));
        assert_eq!(bodies(&store.latest(None, 100)), ["3", "4", "5"]);
        assert_eq!(bodies(&store.latest(None, 2)), ["4", "5"]);
        assert_eq!(bodies(&store.latest(Some("a"), 100)), ["3", "5"]);
        assert_eq!(bodies(&store.after(0, 2)), ["3", "4"]);
        assert_eq!(bodies(&store.after(4, 100)), ["5"]);
        assert!(store.after(5, 100).is_empty() && store.after(99, 1).is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let each = {
            let store = EventStore::new(Limits { events: 9, bytes: usize::MAX });
            push(&store, "a", "12345");
            store.latest(None, 1)[0].bytes()
        };
        let store = EventStore::new(Limits { events: 9, bytes: 2 * each + 1 });
        for body in ["12345", "23456", "34567"] {
            push(&store, "a", body);
        }
        assert_eq!(bodies(&store.latest(None, 9)), ["23456", "34567"]);
    }

    #[tokio::test]
    async fn followers_wake_for_every_message() {
        let store = Arc::new(EventStore::new(Limits { events: 9, bytes: usize::MAX }));
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.changed(0).await }
        });
        tokio::task::yield_now().await;
        push(&store, "a", "1");
        waiting.await.unwrap();
        store.changed(0).await;
    }
}
