//! PUBACKs that are lost on purpose, so that a device shows what it does without them. In memory.

use std::sync::atomic::{AtomicU32, Ordering};

/// Which acknowledgements of a device's messages are sent.
#[derive(Debug, Default)]
pub struct Pubacks {
    lost_one_in: AtomicU32,
    owed: AtomicU32,
}

impl Pubacks {
    /// From now on one in so many is lost: 1 is all of them, 0 none.
    pub fn lose_one_in(&self, count: u32) {
        self.owed.store(0, Ordering::Relaxed);
        self.lost_one_in.store(count, Ordering::Relaxed);
    }

    /// Whether the one that is owed now is sent. The message is stored either way.
    pub fn next_is_sent(&self) -> bool {
        let lost_one_in = self.lost_one_in.load(Ordering::Relaxed);
        let before = self.owed.fetch_add(1, Ordering::Relaxed);
        lost_one_in == 0 || before % lost_one_in != lost_one_in - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_lost() {
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
