//! An outbox between the tasks of a device: the sampler fills it, the connection empties it, metrics read it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::tags::sampling::Record;

/// A shared outbox.
pub struct SharedOutbox {
    outbox: Mutex<Outbox>,
    filled: Notify,
}

impl SharedOutbox {
    /// Shares an outbox.
    #[must_use]
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox: Mutex::new(outbox), filled: Notify::new() }
    }

    /// The outbox itself. Never held over an await.
    pub fn lock(&self) -> MutexGuard<'_, Outbox> {
        // Its methods leave no half-done state behind where they could panic.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes records; gives back how many events were dropped to make room.
    pub fn append(&self, records: Vec<Record>) -> usize {
        let mut outbox = self.lock();
        let dropped = records.into_iter().map(|record| outbox.append(record)).sum();
        drop(outbox);
        self.filled.notify_one();
        dropped
    }

    /// Waits for [`SharedOutbox::append`], one that happened since the last wait included.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }
}
