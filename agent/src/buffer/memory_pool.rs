//! Memory for reading ahead: a little for each device, and a pool that all devices of the process share. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that each device has in any case.
const OWN: usize = 64 * 1024;
/// Maximum memory that a device takes from the pool: half a million events, more than an interval brings.
const MOST: usize = 4 << 20;
/// Memory that is taken from the pool at once.
const STEP: usize = 64 * 1024;
/// Memory in the pool.
const TOTAL: usize = 32 << 20;

/// Memory that is left for all devices.
#[derive(Debug, Clone)]
pub struct MemoryPool(Arc<AtomicUsize>);

impl Default for MemoryPool {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(TOTAL)))
    }
}

/// Memory that one device has taken from the pool; returned when it is dropped.
#[derive(Debug)]
pub(super) struct MemoryReservation {
    pool: MemoryPool,
    bytes: usize,
}

impl MemoryReservation {
    pub(super) fn new(pool: MemoryPool) -> Self {
        Self { pool, bytes: 0 }
    }

    /// Reserves memory until the device may use this many bytes; returns whether it may.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(OWN + self.bytes);
        if missing == 0 {
            return true;
        }
        let more = missing.next_multiple_of(STEP);
        if self.bytes + more > MOST {
            return false;
        }
        let take = |left: usize| left.checked_sub(more);
        let taken = self.pool.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok();
        self.bytes += if taken { more } else { 0 };
        taken
    }

    /// Returns all of it to the pool.
    pub(super) fn release(&mut self) {
        self.pool.0.fetch_add(std::mem::take(&mut self.bytes), Ordering::AcqRel);
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pool: &MemoryPool) -> usize {
        pool.0.load(Ordering::Acquire)
    }

    #[test]
    fn device_takes_steps_from_the_pool_beyond_its_own_memory() {
        let pool = MemoryPool::default();
        let mut reservation = MemoryReservation::new(pool.clone());
        assert!(reservation.grow_to(OWN));
        assert_eq!(left(&pool), TOTAL);
        assert!(reservation.grow_to(OWN + 1));
        assert_eq!(left(&pool), TOTAL - STEP);
        assert!(reservation.grow_to(OWN + STEP));
        assert_eq!(left(&pool), TOTAL - STEP, "there is room in the step");
        assert!(reservation.grow_to(OWN + MOST));
        assert!(!reservation.grow_to(OWN + MOST + 1));
        assert_eq!(left(&pool), TOTAL - MOST);
        reservation.release();
        assert_eq!(left(&pool), TOTAL);
    }

    #[test]
    fn empty_pool_leaves_each_device_its_own_memory() {
        let pool = MemoryPool::default();
        let mut reservations: Vec<_> = (0..100).map(|_| MemoryReservation::new(pool.clone())).collect();
        assert!(reservations.iter_mut().all(|reservation| reservation.grow_to(OWN)));
        let grown = reservations.iter_mut().filter_map(|one| one.grow_to(OWN + MOST).then_some(())).count();
        assert_eq!((grown, left(&pool)), (TOTAL / MOST, 0));
        reservations.truncate(1);
        assert_eq!(left(&pool), TOTAL - MOST, "dropped reservations return");
    }
}
