//! Cache of writes and reads, so that unchanged objects cause no requests. In memory.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lanyard_crds::IoTDevice;

use crate::clock;
use crate::credential::stored::StoredCredentials;
use crate::kubernetes::key::Key;

/// Maximum wait for old pods without a deletionTimestamp, which are orphans.
const PODS_MUST_END_WITHIN: Duration = Duration::from_secs(90);

/// So many repairs in a row are done at once; then each waits twice as long as the one before.
const FREE_REPAIRS: u32 = 5;
/// The longest wait before a repair.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Time without drift after which the repair counter is reset.
const QUIET: Duration = Duration::from_secs(120);

/// Cache of written or verified objects: a reconcile of an unchanged object makes no request.
#[derive(Debug, Default)]
pub struct Remembered {
    objects: Mutex<HashMap<(String, Key), KnownWrite>>,
    waiting: Mutex<HashMap<Key, Instant>>,
    repairs: Mutex<HashMap<(String, Key), Repairs>>,
    holdings: Mutex<HashMap<Key, Kept>>,
    pending: Mutex<HashMap<Key, PendingSecret>>,
}

/// Content of a credentials Secret that is being recreated: between deletion and creation it exists only here.
#[derive(Debug)]
struct PendingSecret {
    device: Key,
    device_uid: Option<String>,
    stored: StoredCredentials,
}

/// Content of a credentials Secret, so that it is not read at every reconcile.
#[derive(Debug)]
struct Kept {
    device: Key,
    device_uid: Option<String>,
    uid: Option<String>,
    version: Option<String>,
    /// Version in the store when this version was read or written: until the store changes, this is the newest.
    mirrored: Option<String>,
    /// True if it was recreated, so that the store first loses the previous one.
    recreated: bool,
    stored: StoredCredentials,
}

/// Consecutive writes of one object that only repair drift.
#[derive(Debug)]
struct Repairs {
    device: Key,
    digest: [u8; 32],
    count: u32,
    last: Instant,
}

#[derive(Debug, PartialEq, Eq)]
struct KnownWrite {
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
        let objects = self.objects.lock();
        let known = objects.get(&(kind.to_owned(), key.clone()));
        mirrored.zip(known).is_some_and(|(meta, known)| {
            known.uid == meta.uid && known.version == meta.resource_version && known.digest == *digest
        })
    }

    pub(super) fn put(&self, owner: &Key, kind: &str, key: &Key, meta: &ObjectMeta, digest: [u8; 32]) {
        let known = KnownWrite {
            device: owner.clone(),
            uid: meta.uid.clone(),
            version: meta.resource_version.clone(),
            digest,
        };
        self.objects.lock().insert((kind.to_owned(), key.clone()), known);
    }

    /// Returns whether this version of an object is the operator's own last write, so that its event is no news.
    #[must_use]
    pub fn wrote(&self, kind: &str, meta: &ObjectMeta) -> bool {
        let key =
            Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let objects = self.objects.lock();
        let known = objects.get(&(kind.to_owned(), key));
        known.is_some_and(|known| known.uid == meta.uid && known.version == meta.resource_version)
    }

    /// Returns the content of the device's credentials Secret, if its newest version is known, or the content to
    /// recreate. Secrets of another device, or of a previous device with the same name, do not count.
    pub(crate) fn stored(
        &self,
        device: &IoTDevice,
        key: &Key,
        mirrored: Option<&ObjectMeta>,
    ) -> Option<StoredCredentials> {
        let (own, uid) = (Key::of(device), &device.metadata.uid);
        let pending = self.pending.lock();
        let pending_secret = pending
            .get(key)
            .filter(|pending_secret| pending_secret.device == own && pending_secret.device_uid == *uid);
        if let Some(pending_secret) = pending_secret {
            return Some(pending_secret.stored.clone());
        }
        let holdings = self.holdings.lock();
        let kept = holdings.get(key).filter(|kept| kept.device == own && kept.device_uid == *uid)?;
        let version = mirrored.and_then(|meta| meta.resource_version.as_ref());
        let between = version.is_none() && kept.recreated;
        let newest = kept.mirrored.as_ref() == version || kept.version.as_ref() == version || between;
        newest.then(|| kept.stored.clone())
    }

    /// Records the content of a credentials Secret that was read or written; `mirrored` is the Secret's metadata in the
    /// store.
    pub(crate) fn hold(
        &self,
        device: &IoTDevice,
        key: &Key,
        meta: &ObjectMeta,
        mirrored: Option<&ObjectMeta>,
        stored: StoredCredentials,
    ) {
        let kept = Kept {
            device: Key::of(device),
            device_uid: device.metadata.uid.clone(),
            uid: meta.uid.clone(),
            version: meta.resource_version.clone(),
            mirrored: mirrored.and_then(|meta| meta.resource_version.clone()),
            recreated: mirrored.is_some_and(|mirrored| mirrored.uid != meta.uid),
            stored,
        };
        self.holdings.lock().insert(key.clone(), kept);
        self.abandon(key);
    }

    /// Records the content of a credentials Secret that is deleted in order to be recreated. It is kept until it was
    /// written, however often that fails.
    pub(super) fn intend(&self, device: &IoTDevice, key: &Key, stored: StoredCredentials) {
        let pending_secret =
            PendingSecret { device: Key::of(device), device_uid: device.metadata.uid.clone(), stored };
        self.pending.lock().insert(key.clone(), pending_secret);
    }

    /// Drops the recorded content: the Secret is not recreated, or was.
    pub(super) fn abandon(&self, key: &Key) {
        self.pending.lock().remove(key);
    }

    /// Notes a deleted Secret. Its content is not restored from memory: a user who deletes a certificate wants another one.
    pub fn gone(&self, meta: &ObjectMeta) {
        let key =
            Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        let mut holdings = self.holdings.lock();
        if holdings.get(&key).is_some_and(|kept| kept.uid == meta.uid) {
            holdings.remove(&key);
        }
    }

    /// Returns the uid and version of an object as it was last written or found.
    pub(super) fn version(&self, kind: &str, key: &Key) -> Option<ObjectMeta> {
        let objects = self.objects.lock();
        let known = objects.get(&(kind.to_owned(), key.clone()))?;
        Some(ObjectMeta {
            uid: known.uid.clone(),
            resource_version: known.version.clone(),
            ..ObjectMeta::default()
        })
    }

    pub(super) fn forget(&self, kind: &str, key: &Key) {
        if kind == "Secret" {
            self.holdings.lock().remove(key);
        }
        self.objects.lock().remove(&(kind.to_owned(), key.clone()));
    }

    /// Forgets a device that is gone.
    pub fn forget_device(&self, device: &Key) {
        self.objects.lock().retain(|_, known| known.device != *device);
        self.holdings.lock().retain(|_, kept| kept.device != *device);
        self.pending.lock().retain(|_, pending_secret| pending_secret.device != *device);
        self.waiting.lock().remove(device);
        self.repairs.lock().retain(|_, repairs| repairs.device != *device);
    }

    /// Returns whether to wait for pods of a previous agent.
    pub(super) fn may_wait(&self, device: &Key, pods: bool) -> bool {
        let mut waiting = self.waiting.lock();
        if !pods {
            waiting.remove(device);
            return false;
        }
        waiting.entry(device.clone()).or_insert_with(clock::instant).elapsed() < PODS_MUST_END_WITHIN
    }

    /// Returns the delay before repairing an object, so that two programs with different intentions do not write as
    /// fast as they can. A new plan is not a repair and never waits.
    pub(super) fn before_repair(
        &self,
        device: &Key,
        kind: &str,
        key: &Key,
        digest: [u8; 32],
        now: Instant,
    ) -> Duration {
        let mut repairs = self.repairs.lock();
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

    /// Removes a repair that the API server rejected; it does not count.
    pub(super) fn unrepaired(&self, kind: &str, key: &Key) {
        let mut repairs = self.repairs.lock();
        repairs.remove(&(kind.to_owned(), key.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_drift_slows_the_repair() {
        let remembered = Remembered::default();
        let (device, key) = (Key::new("n", "a"), Key::new("n", "a-agent"));
        let start = Instant::now();
        let ask = |digest: u8, after| {
            let now = start + Duration::from_millis(after);
            remembered.before_repair(&device, "StatefulSet", &key, [digest; 32], now).as_millis()
        };
        // The first ones are free.
        assert_eq!([0, 10, 20, 30, 40].map(|after| ask(1, after)), [0; 5]);
        assert_eq!(ask(1, 50), 990);
        assert_eq!(ask(1, 1040), 0);
        assert_eq!(ask(1, 1050), 1990);
        // A new plan does not wait.
        assert_eq!(ask(2, 1060), 0);
        // And after a quiet time all is forgiven.
        for after in 0..20 {
            ask(2, 1070 + after);
        }
        assert_eq!(ask(2, 200_000), 0);
        assert_eq!(ask(2, 200_010), 0);
    }

    #[test]
    fn secret_content_is_cached_until_the_store_is_newer() {
        let remembered = Remembered::default();
        let (device, key) = (IoTDevice::default(), Key::new("n", "a-credentials"));
        let meta = |uid: &str, version: &str| ObjectMeta {
            namespace: Some("n".to_owned()),
            name: Some("a-credentials".to_owned()),
            uid: Some(uid.to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        };
        let known = |mirrored: Option<&ObjectMeta>| remembered.stored(&device, &key, mirrored).is_some();
        assert!(!known(None));
        // Made, and the mirror follows; then another program changes it.
        remembered.hold(&device, &key, &meta("u", "1"), None, StoredCredentials::default());
        assert!(known(None) && known(Some(&meta("u", "1"))) && !known(Some(&meta("u", "2"))));
        // Made recreated: the mirror loses the one before first.
        remembered.hold(&device, &key, &meta("v", "4"), Some(&meta("u", "2")), StoredCredentials::default());
        assert!(known(Some(&meta("u", "2"))));
        remembered.gone(&meta("u", "2"));
        assert!(known(None) && known(Some(&meta("v", "4"))));
        remembered.gone(&meta("v", "4"));
        assert!(!known(None));
        // Changed, and deleted before the mirror had the change.
        remembered.hold(&device, &key, &meta("w", "6"), Some(&meta("w", "5")), StoredCredentials::default());
        assert!(!known(None));
    }
    fn device(name: &str, uid: &str) -> IoTDevice {
        let metadata = ObjectMeta {
            namespace: Some("n".to_owned()),
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectMeta::default()
        };
        IoTDevice { metadata, ..IoTDevice::default() }
    }

    #[test]
    fn secret_content_is_cached_for_its_own_device_only() {
        let remembered = Remembered::default();
        let key = Key::new("n", "shared");
        let meta = ObjectMeta { uid: Some("s".to_owned()), ..ObjectMeta::default() };
        remembered.hold(&device("a", "u"), &key, &meta, None, StoredCredentials::default());
        let known = |device: &IoTDevice| remembered.stored(device, &key, None).is_some();
        assert!(known(&device("a", "u")) && !known(&device("b", "v")) && !known(&device("a", "w")));
        remembered.intend(&device("a", "u"), &key, StoredCredentials::default());
        assert!(known(&device("a", "u")) && !known(&device("b", "v")) && !known(&device("a", "w")));
    }

    #[test]
    fn recreated_content_is_kept_until_it_is_written() {
        let remembered = Remembered::default();
        let (device, key) = (device("a", "u"), Key::new("n", "a-credentials"));
        let meta = |uid: &str| ObjectMeta {
            namespace: Some("n".to_owned()),
            name: Some("a-credentials".to_owned()),
            uid: Some(uid.to_owned()),
            resource_version: Some(uid.to_owned()),
            ..ObjectMeta::default()
        };
        let (old, new) = (
            StoredCredentials::default(),
            StoredCredentials { issuer: Some("F".to_owned().into()), ..StoredCredentials::default() },
        );
        remembered.hold(&device, &key, &meta("1"), None, old);
        remembered.intend(&device, &key, new.clone());
        // Deleted; the cache gets the deletion before a new object can exist.
        remembered.forget("Secret", &key);
        assert_eq!(remembered.stored(&device, &key, Some(&meta("1"))).as_ref(), Some(&new));
        remembered.gone(&meta("1"));
        assert_eq!(remembered.stored(&device, &key, None).as_ref(), Some(&new));
        // Written: from now on it is deleted with its Secret.
        remembered.hold(&device, &key, &meta("2"), None, new.clone());
        assert_eq!(remembered.stored(&device, &key, None), Some(new.clone()));
        remembered.gone(&meta("2"));
        assert_eq!(remembered.stored(&device, &key, None), None);
        remembered.intend(&device, &key, new);
        remembered.forget_device(&Key::of(&device));
        assert_eq!(remembered.stored(&device, &key, None), None);
    }
}
