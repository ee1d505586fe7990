//! Makes private keys: quick ones at once, slow ones on threads of their own, never more at a time than there are processors.
//! Touches no disk and no network.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::credential::pair::{KeyKind, Pair, PairError};
use crate::kubernetes::key::Key;

/// Callback for a device whose key was generated.
type OnKey = Box<dyn Fn(&Key) + Send + Sync>;

/// Generator of private keys.
pub struct KeyGenerator {
    works: Mutex<HashMap<Key, KeyRequest>>,
    at_once: Semaphore,
    on_key: OnKey,
}

enum KeyRequest {
    Making(KeyKind),
    Made(KeyKind, Result<Pair, PairError>),
    /// Handed out, and not known to be stored yet.
    Given(KeyKind, Pair),
}

impl KeyGenerator {
    /// Creates a generator without keys; `tell` is called with each device whose key is ready.
    #[must_use]
    pub fn new(on_key: impl Fn(&Key) + Send + Sync + 'static) -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::new(Self {
            works: Mutex::default(),
            at_once: Semaphore::new(processors),
            on_key: Box::new(on_key),
        })
    }

    /// Returns a key for a device; `None` while it is being generated. A slow key stays the same until it is
    /// [`stored`](Self::stored): where it cannot be stored, each attempt would keep a processor busy with another one.
    ///
    /// # Errors
    /// [`PairError`]
    pub fn pair(self: &Arc<Self>, device: &Key, kind: KeyKind) -> Result<Option<Pair>, PairError> {
        if !kind.is_slow() {
            return Pair::generate(kind).map(Some);
        }
        let mut works = self.works.lock();
        match works.remove(device) {
            Some(KeyRequest::Made(made, Err(error))) if made == kind => return Err(error),
            Some(KeyRequest::Made(made, Ok(pair)) | KeyRequest::Given(made, pair)) if made == kind => {
                let copy = pair.copy();
                works.insert(device.clone(), KeyRequest::Given(kind, pair));
                return copy.map(Some);
            }
            Some(KeyRequest::Making(making)) if making == kind => {
                works.insert(device.clone(), KeyRequest::Making(kind));
                return Ok(None);
            }
            _ => {}
        }
        works.insert(device.clone(), KeyRequest::Making(kind));
        tokio::spawn(Arc::clone(self).make(device.clone(), kind));
        Ok(None)
    }

    async fn make(self: Arc<Self>, device: Key, kind: KeyKind) {
        let Ok(_permit) = self.at_once.acquire().await else { return };
        if !self.is_wanted(&device, kind) {
            return;
        }
        let made = tokio::task::spawn_blocking(move || Pair::generate(kind)).await;
        let made = made.unwrap_or(Err(PairError::Generation));
        if self.is_wanted(&device, kind) {
            let mut works = self.works.lock();
            works.insert(device.clone(), KeyRequest::Made(kind, made));
            drop(works);
            (self.on_key)(&device);
        }
    }

    fn is_wanted(&self, device: &Key, kind: KeyKind) -> bool {
        let works = self.works.lock();
        matches!(works.get(device), Some(KeyRequest::Making(making)) if *making == kind)
    }

    /// Drops the key of a device whose Secret was written.
    pub fn stored(&self, device: &Key) {
        let mut works = self.works.lock();
        if matches!(works.get(device), Some(KeyRequest::Given(..))) {
            works.remove(device);
        }
    }

    /// Notes a deleted device.
    pub fn forget(&self, device: &Key) {
        self.works.lock().remove(device);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    async fn made(
        key_generator: &Arc<KeyGenerator>,
        generated: &mut UnboundedReceiver<Key>,
        device: &Key,
    ) -> Vec<u8> {
        assert!(key_generator.pair(device, KeyKind::Rsa2048).unwrap().is_none());
        // Another key was stored meanwhile; generation continues.
        key_generator.stored(device);
        assert_eq!(generated.recv().await.as_ref(), Some(device));
        key_generator.stored(device);
        key_generator.pair(device, KeyKind::Rsa2048).unwrap().unwrap().public_key().to_vec()
    }

    #[tokio::test]
    async fn key_of_another_kind_replaces_the_first_one() {
        let (on_key, mut generated) = unbounded_channel();
        let key_generator = KeyGenerator::new(move |device| drop(on_key.send(device.clone())));
        let device = Key::new("n", "a");
        made(&key_generator, &mut generated, &device).await;
        assert!(key_generator.pair(&device, KeyKind::Rsa3072).unwrap().is_none());
        assert_eq!(generated.recv().await.as_ref(), Some(&device));
        let key = key_generator.pair(&device, KeyKind::Rsa3072).unwrap().unwrap();
        assert_eq!(key.public_key().len(), 398, "a modulus of 384 bytes, and what DER adds");
        key_generator.forget(&device);
        assert!(key_generator.pair(&device, KeyKind::Rsa3072).unwrap().is_none());
    }

    #[tokio::test]
    async fn unstored_key_is_used_again_at_the_next_attempt() {
        let (on_key, mut generated) = unbounded_channel();
        let key_generator = KeyGenerator::new(move |device| drop(on_key.send(device.clone())));
        let device = Key::new("n", "a");
        let first = made(&key_generator, &mut generated, &device).await;
        for _ in 0..2 {
            let again = key_generator.pair(&device, KeyKind::Rsa2048).unwrap().unwrap();
            assert_eq!(again.public_key(), first);
        }
        key_generator.stored(&device);
        assert_ne!(made(&key_generator, &mut generated, &device).await, first);
    }
}
