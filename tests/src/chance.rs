//! Chance that can be had again: what a test draws follows from one number, which it prints. Pure but for the first draw.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Environment variable with the seed.
const VARIABLE: &str = "LANYARD_SEED";

/// A source of random choices.
#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// Follows `LANYARD_SEED`, or a number of its own, and prints it: a failing test shows it.
    ///
    /// # Panics
    /// When the variable has no whole number.
    #[must_use]
    pub fn new() -> Self {
        let seed = match std::env::var(VARIABLE) {
            Ok(text) => text.parse().expect("LANYARD_SEED is a whole number"),
            Err(_) => rand::random::<u32>().into(),
        };
        println!("{VARIABLE}={seed} draws the same again");
        Self(StdRng::seed_from_u64(seed))
    }

    /// Returns a whole number of the range, each equally likely.
    pub fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.0.random_range(range)
    }

    /// Returns a number up to two to the power of `digits`, mostly a small one: each number of binary digits is equally
    /// likely.
    pub fn magnitude(&mut self, digits: f64) -> u64 {
        self.0.random_range(0.0..digits).exp2() as u64
    }

    /// Puts things into another order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.0.random_range(0..=last));
        }
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}
