//! The simulated controller of one device: all its simulator tags read from it. Pure; the caller brings the time.

use std::time::Duration;

use super::address::Address;
use super::register::Memory;
use crate::tags::event::Value;

/// Functions share one clock and registers one memory, so the same address reads the same everywhere.
#[derive(Debug)]
pub struct Controller {
    seed: u64,
    memory: Memory,
}

impl Controller {
    /// A controller that starts now. `seed` decides the random values.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, memory: Memory::default() }
    }

    /// Reads an address, `elapsed` after the start.
    pub fn read(&mut self, address: &Address, elapsed: Duration) -> Value {
        match address {
            Address::Function(function) => function.at(elapsed, self.seed),
            Address::Register(register) => self.memory.read(*register),
        }
    }
}
