//! PUBACKs that are lost on purpose, so that a device shows what it does without them. In memory.

use std::sync::atomic::{AtomicU32, Ordering};

/// Acknowledgements of a device's messages that are sent or lost.
#[derive(Debug, Default)]
pub struct Pubacks {
    lost_one_in: AtomicU32,
    count: AtomicU32,
}

impl Pubacks {
    /// From now on one in so many is lost: 1 is all of them, 0 none.
    pub fn lose_one_in(&self, count: u32) {
        self.count.store(0, Ordering::Relaxed);
        self.lost_one_in.store(count, Ordering::Relaxed);
    }

    /// Returns whether to send the next acknowledgement. The message is stored in either case.
    pub fn next_is_sent(&self) -> bool {
        let lost_one_in = self.lost_one_in.load(Ordering::Relaxed);
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        lost_one_in == 0 || before % lost_one_in != lost_one_in - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_puback_is_lost() {
        let pubacks = Pubacks::default();
        let next = |count| (0..count).map(|_| pubacks.next_is_sent()).collect::<Vec<_>>();
        assert_eq!(next(3), [true; 3]);
        pubacks.lose_one_in(3);
        assert_eq!(next(7), [true, true, false, true, true, false, true]);
        pubacks.lose_one_in(1);
        assert_eq!(next(3), [false; 3]);
        pubacks.lose_one_in(0);
        assert_eq!(next(3), [true; 3]);
    }
}
