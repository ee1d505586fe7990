//! Statuses that were written and are not in the store yet. In memory.

use parking_lot::Mutex;
use std::collections::HashMap;

use super::key::Key;

/// The last status that was written, until the cache has it: a reconciliation in between must not use the older one.
pub struct WrittenStatuses<S>(Mutex<HashMap<Key, (Option<String>, S)>>);

impl<S> Default for WrittenStatuses<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<S: Clone> WrittenStatuses<S> {
    /// Returns the status before this reconciliation: the written one, as long as the cache has the version from before the write.
    pub fn before(&self, key: &Key, version: Option<&String>) -> Option<S> {
        let mut written = self.0.lock();
        match written.get(key) {
            Some((upon, status)) if upon.as_ref() == version => Some(status.clone()),
            Some(_) => {
                written.remove(key);
                None
            }
            None => None,
        }
    }

    /// Records a status that was written; `version` is the object's version before the write.
    pub fn put(&self, key: Key, version: Option<String>, status: S) {
        self.0.lock().insert(key, (version, status));
    }
}
