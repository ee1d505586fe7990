//! What was written and found, so that nothing is asked or written twice without need. Pure but for the locks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lanyard_crds::IoTDevice;

use crate::cluster::claims::Key;

/// How long a new agent waits for pods of a former one that do not end; such pods belong to nobody any more.
const PODS_MUST_END_WITHIN: Duration = Duration::from_secs(90);

/// So many repairs in a row are done at once; then each waits twice as long as the one before.
const FREE_REPAIRS: u32 = 5;
/// The longest wait before a repair.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Who has let an object alone for so long is forgiven.
const QUIET: Duration = Duration::from_secs(120);

/// What was written or found as it should be, so that a look at an unchanged object asks nobody.
#[derive(Debug, Default)]
pub struct Remembered {
    objects: Mutex<HashMap<(String, Key), Known>>,
    waiting: Mutex<HashMap<Key, Instant>>,
    repairs: Mutex<HashMap<(String, Key), Repairs>>,
}

/// Writes of one object in a row that only put right what somebody else had changed.
#[derive(Debug)]
struct Repairs {
    device: Key,
    digest: [u8; 32],
    count: u32,
    last: Instant,
}

#[derive(Debug, PartialEq, Eq)]
struct Known {
    device: Key,
    uid: Option<String>,
    version: Option<String>,
    digest: [u8; 32],
}

impl Remembered {
    pub(super) fn is_as_planned(
        &self,
        kind: &str,
        key: &Key,
        mirrored: Option<&ObjectMeta>,
        digest: &[u8; 32],
    ) -> bool {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let known = objects.get(&(kind.to_owned(), key.clone()));
        mirrored.zip(known).is_some_and(|(meta, known)| {
            known.uid == meta.uid && known.version == meta.resource_version && known.digest == *digest
        })
    }

    pub(super) fn put(&self, device: &IoTDevice, kind: &str, key: &Key, meta: &ObjectMeta, digest: [u8; 32]) {
        let known = Known {
            device: Key::of(device),
            uid: meta.uid.clone(),
            version: meta.resource_version.clone(),
            digest,
        };
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((kind.to_owned(), key.clone()), known);
    }

    /// Whether this version of an object is the operator's own last word, so that its coming is no news.
    #[must_use]
    pub fn wrote(&self, kind: &str, meta: &ObjectMeta) -> bool {
        let key =
            Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let known = objects.get(&(kind.to_owned(), key));
        known.is_some_and(|known| known.uid == meta.uid && known.version == meta.resource_version)
    }

    pub(super) fn forget(&self, kind: &str, key: &Key) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind.to_owned(), key.clone()));
    }

    /// Forgets a device that is gone.
    pub fn forget_device(&self, device: &Key) {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, known| known.device != *device);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(device);
        self.repairs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, repairs| repairs.device != *device);
    }

    /// Whether pods of a former agent are still worth waiting for.
    pub(super) fn may_wait(&self, device: &Key, pods: bool) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !pods {
            waiting.remove(device);
            return false;
        }
        waiting.entry(device.clone()).or_insert_with(Instant::now).elapsed() < PODS_MUST_END_WITHIN
    }

    /// An object is about to be put right: how long to wait before, so that two who want different things do not write
    /// as fast as they can. What is planned anew is no repair and never waits.
    pub(super) fn before_repair(
        &self,
        device: &Key,
        kind: &str,
        key: &Key,
        digest: [u8; 32],
        now: Instant,
    ) -> Duration {
        let mut repairs = self.repairs.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Repairs { device: device.clone(), digest, count: 0, last: now };
        let repair = repairs.entry((kind.to_owned(), key.clone())).or_insert(fresh);
        let since = now.duration_since(repair.last);
        if repair.digest != digest || since > QUIET {
            *repair = Repairs { device: device.clone(), digest, count: 0, last: now };
        }
        let wait = match repair.count {
            0..FREE_REPAIRS => Duration::ZERO,
            count => Duration::from_secs(1 << (count - FREE_REPAIRS).min(6)).min(MAX_WAIT),
        };
        if since < wait {
            return wait - since;
        }
        repair.count += 1;
        repair.last = now;
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_an_object_again_and_again_slows_its_repair() {
        let remembered = Remembered::default();
        let (device, key) = (Key::new("n", "a"), Key::new("n", "a-agent"));
        let start = Instant::now();
        let ask = |digest: u8, after| {
            let now = start + Duration::from_millis(after);
            remembered.before_repair(&device, "Deployment", &key, [digest; 32], now).as_millis()
        };
        // The first ones are free.
        assert_eq!([0, 10, 20, 30, 40].map(|after| ask(1, after)), [0; 5]);
        assert_eq!(ask(1, 50), 990);
        assert_eq!(ask(1, 1040), 0);
        assert_eq!(ask(1, 1050), 1990);
        // What is planned anew does not wait.
        assert_eq!(ask(2, 1060), 0);
        // And after a quiet time all is forgiven.
        for after in 0..20 {
            ask(2, 1070 + after);
        }
        assert_eq!(ask(2, 200_000), 0);
        assert_eq!(ask(2, 200_010), 0);
    }
}
