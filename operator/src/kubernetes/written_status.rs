//! Statuses that were written and are not in the store yet. In memory.

use parking_lot::Mutex;
use std::collections::HashMap;

use super::key::Key;

/// The last status that was written, until the mirror has it: a look in between must not take the older one for the last.
pub struct WrittenStatuses<S>(Mutex<HashMap<Key, (Option<String>, S)>>);

impl<S> Default for WrittenStatuses<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Clone> WrittenStatuses<S> {
    /// The status before this look: the written one while the mirror still has the version that it was written upon.
    pub fn before(&self, key: &Key, version: Option<&String>) -> Option<S> {
        let mut told = self.0.lock();
        match told.get(key) {
            Some((upon, status)) if upon.as_ref() == version => Some(status.clone()),
            Some(_) => {
                told.remove(key);
                None
            }
            None => None,
        }
    }

    /// A status was written upon this version.
    pub fn put(&self, key: Key, version: Option<String>, status: S) {
        self.0.lock().insert(key, (version, status));
    }
}
