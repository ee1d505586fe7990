//! Rate of writing an exported list: while many devices change, it is written at intervals. In memory.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// A list that differs is written no more often than this.
const EVERY: Duration = Duration::from_secs(5);

/// The lists that were written a short while ago, by the uid of their group.
#[derive(Debug, Default)]
pub struct Paces(Mutex<HashMap<String, LastWrite>>);

/// A list, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Name of its Secret.
    secret_name: String,
    digest: [u8; 32],
    /// Number of devices in the list.
    pub devices: usize,
}

#[derive(Debug)]
struct LastWrite {
    listing: Listing,
    at: Instant,
}

impl Listing {
    /// Returns the facts of a list to remember.
    #[must_use]
    pub fn new(secret_name: &str, text: &[u8], devices: usize) -> Self {
        Self { secret_name: secret_name.to_owned(), digest: Sha256::digest(text).into(), devices }
    }
}

impl Paces {
    /// Returns the list to use instead of this one for some time, and that time. One that agrees, or that goes elsewhere, may be written
    /// at once.
    #[must_use]
    pub fn early(&self, group: &str, next: &Listing, now: Instant) -> Option<(Listing, Duration)> {
        let last_writes = self.0.lock();
        let LastWrite { listing, at } = last_writes.get(group)?;
        let left = EVERY.checked_sub(now.saturating_duration_since(*at)).filter(|left| !left.is_zero())?;
        let differs = listing != next && listing.secret_name == next.secret_name;
        differs.then(|| (listing.clone(), left))
    }

    /// Records that a list was written.
    pub fn written(&self, group: &str, listing: Listing, now: Instant) {
        let mut last_writes = self.0.lock();
        last_writes.retain(|_, last| now.saturating_duration_since(last.at) < EVERY);
        last_writes.insert(group.to_owned(), LastWrite { listing, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_differ_keep_a_distance() {
        let (paces, start) = (Paces::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let (one, two) = (Listing::new("s", b"1", 1), Listing::new("s", b"2", 2));
        assert_eq!(paces.early("g", &one, start), None, "the first one at once");
        paces.written("g", one.clone(), start);
        assert_eq!(paces.early("g", &two, after(2)), Some((one.clone(), Duration::from_secs(3))));
        assert_eq!(paces.early("g", &two, after(5)), None);
        paces.written("g", two.clone(), after(5));
        assert_eq!(paces.early("g", &one, after(6)), Some((two, Duration::from_secs(4))));
    }

    #[test]
    fn group_is_forgotten_when_its_list_may_be_written() {
        let (paces, start) = (Paces::default(), Instant::now());
        for (group, second, remembered) in [("a", 0, 1), ("b", 4, 2), ("c", 5, 2)] {
            let now = start + Duration::from_secs(second);
            paces.written(group, Listing::new("s", b"1", 1), now);
            assert_eq!(paces.0.lock().len(), remembered, "{group}");
        }
    }

    #[test]
    fn repair_and_rename_of_a_list_do_not_wait() {
        let (paces, now) = (Paces::default(), Instant::now());
        paces.written("g", Listing::new("s", b"1", 1), now);
        assert_eq!(paces.early("g", &Listing::new("s", b"1", 1), now), None);
        assert_eq!(paces.early("g", &Listing::new("other", b"2", 1), now), None);
        assert_eq!(paces.early("another", &Listing::new("s", b"2", 1), now), None);
    }
}
