//! Back-off of a failed object: grows up to a limit, with jitter, and is reset on success. Pure, except for the lock.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// First wait; doubles with each failure.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait.
const CAP: Duration = Duration::from_secs(120);

/// Failures in a row of each object.
#[derive(Debug)]
pub struct Backoff<K>(Mutex<HashMap<K, u32>>);

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Backoff<K> {
    /// Counts one more failure and returns the time to wait. `spread`, from 0 to 1, is the caller's randomness.
    pub fn failed(&self, key: K, spread: f64) -> Duration {
        let mut failures = self.0.lock();
        let count = failures.entry(key).or_insert(0);
        let wait = FIRST.saturating_mul(1 << (*count).min(16)).min(CAP);
        *count = count.saturating_add(1);
        spread_over(wait, spread)
    }

    /// Forgets the failures.
    pub fn succeeded(&self, key: &K) {
        self.0.lock().remove(key);
    }
}

/// Returns a time between three quarters and five quarters of `wait`, so that many objects do not come back at once.
#[must_use]
pub fn spread_over(wait: Duration, spread: f64) -> Duration {
    wait.mul_f64(0.75 + 0.5 * spread.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_doubles_up_to_the_cap_and_resets() {
        let backoff = Backoff::default();
        let waits: Vec<u64> = (0..9).map(|_| backoff.failed("a", 0.5).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(backoff.failed("b", 0.5).as_secs(), 1);
        backoff.succeeded(&"a");
        assert_eq!(backoff.failed("a", 0.0), Duration::from_millis(750));
        assert_eq!(backoff.failed("a", 1.0), Duration::from_millis(2500));
    }
}
