//! Time and randomness as parameters of a connection. Pure.

use jiff::Timestamp;

use crate::{clock, random};

/// Functions that a connection takes the time and random numbers from.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    now: fn() -> Timestamp,
    chance: fn() -> f64,
}

impl Environment {
    /// Creates an environment with the time from `now`, and numbers from 0 to 1 from `chance`.
    #[must_use]
    pub const fn new(now: fn() -> Timestamp, chance: fn() -> f64) -> Self {
        Self { now, chance }
    }

    /// Creates an environment with the clock and the random numbers of the program.
    #[must_use]
    pub fn system() -> Self {
        Self::new(clock::timestamp, random::random)
    }

    /// Returns the current time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Returns a random number from 0 to 1.
    pub(crate) fn chance(&self) -> f64 {
        (self.chance)()
    }
}
