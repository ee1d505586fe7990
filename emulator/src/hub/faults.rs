//! Faults that the emulator causes on purpose, to test how devices handle them. In memory.
//!
//! Each moment of a connection has one decision here, and the sessions ask for it; a new fault is a new decision.

use std::sync::atomic::{AtomicU32, Ordering};

/// Faults of a device.
#[derive(Debug, Default)]
pub struct Faults {
    lost_one_in: AtomicU32,
    count: AtomicU32,
}

impl Faults {
    /// Loses one of `count` acknowledgements from now on: 1 loses all of them, 0 none.
    pub fn lose_pubacks(&self, count: u32) {
        self.count.store(0, Ordering::Relaxed);
        self.lost_one_in.store(count, Ordering::Relaxed);
    }

    /// Returns whether to send the next acknowledgement. The message is stored in either case.
    pub fn sends_next_puback(&self) -> bool {
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
        let faults = Faults::default();
        let next = |count| (0..count).map(|_| faults.sends_next_puback()).collect::<Vec<_>>();
        assert_eq!(next(3), [true; 3]);
        faults.lose_pubacks(3);
        assert_eq!(next(7), [true, true, false, true, true, false, true]);
        faults.lose_pubacks(1);
        assert_eq!(next(3), [false; 3]);
        faults.lose_pubacks(0);
        assert_eq!(next(3), [true; 3]);
    }
}
