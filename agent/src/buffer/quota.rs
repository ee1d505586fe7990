//! Memory that all devices of the process share for what they read ahead. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that each device has in any case.
const OWN: usize = 64 * 1024;
/// Maximum memory of a device: half a million events, more than an interval brings.
const MOST: usize = 4 << 20;
/// Memory that is requested at once.
const STEP: usize = 64 * 1024;
/// Memory that all devices share, besides their own.
const TOTAL: usize = 32 << 20;

/// Memory that is left for all devices.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<AtomicUsize>);

impl Default for Allowance {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(TOTAL)))
    }
}

/// Memory of one device; returned when it is dropped.
#[derive(Debug)]
pub(super) struct Grant {
    allowance: Allowance,
    bytes: usize,
}

impl Grant {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, bytes: 0 }
    }

    /// Returns whether the device may use this many bytes.
    pub(super) fn allows(&mut self, bytes: usize) -> bool {
        let Some(missing) = bytes.checked_sub(OWN + self.bytes).filter(|&missing| missing > 0) else {
            return true;
        };
        let more = missing.next_multiple_of(STEP);
        if self.bytes + more > MOST {
            return false;
        }
        let take = |left: usize| left.checked_sub(more);
        let taken = self.allowance.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok();
        self.bytes += if taken { more } else { 0 };
        taken
    }

    /// Gives back what it has.
    pub(super) fn give_back(&mut self) {
        self.allowance.0.fetch_add(std::mem::take(&mut self.bytes), Ordering::AcqRel);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_gets_a_share_within_the_total() {
        let allowance = Allowance::default();
        let mut grants: Vec<Grant> = (0..100).map(|_| Grant::new(allowance.clone())).collect();
        assert!(grants.iter_mut().all(|grant| grant.allows(OWN)));
        assert!(!grants[0].allows(MOST + OWN + 1));
        assert_eq!(
            grants.iter_mut().filter_map(|grant| grant.allows(MOST).then_some(())).count(),
            TOTAL / (MOST - OWN)
        );
        grants.truncate(1);
        grants[0].give_back();
        assert_eq!(allowance.0.load(Ordering::Acquire), TOTAL);
    }
}
