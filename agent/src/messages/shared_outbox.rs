//! An outbox between the tasks of a device: the sampler fills it, the connection empties it, metrics read it.

use parking_lot::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::messages::outbox::Outbox;
use crate::tags::event::Event;

/// A shared outbox.
pub struct SharedOutbox {
    outbox: Mutex<Outbox>,
    filled: Notify,
    freed: Notify,
}

impl SharedOutbox {
    /// Shares an outbox.
    #[must_use]
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox: Mutex::new(outbox), filled: Notify::new(), freed: Notify::new() }
    }

    /// Locks the outbox. The lock must not be held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock()
    }

    /// Appends the events of a scan; returns how many events were dropped to make room.
    pub fn append(&self, events: &[Event], now: Instant) -> u64 {
        let dropped = self.lock().append(events, now);
        self.filled.notify_one();
        dropped
    }

    /// Waits until there is room for the next readings.
    pub async fn room(&self) {
        while !self.lock().has_room() {
            self.freed.notified().await;
        }
    }

    /// Notes the hub's acknowledgement; see [`Outbox::acknowledge`].
    pub fn acknowledge(&self, number: u64, now: Instant) -> Option<Duration> {
        let taken = self.lock().acknowledge(number, now);
        self.freed.notify_one();
        taken
    }

    /// Waits for [`SharedOutbox::append`], one that happened since the last wait included.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}
