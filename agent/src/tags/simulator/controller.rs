//! The simulated controller of one device: all its simulator tags read from it. Pure; the caller brings the time.

use std::time::Duration;

use lanyard_handoff::config::DataType;

use super::address::Address;
use super::register::Memory;
use crate::tags::event::Value;

/// Simulated controller. Its functions share one clock and its registers one memory, so that the same address has the
/// same value everywhere.
#[derive(Debug)]
pub struct Controller {
    seed: u64,
    memory: Memory,
}

impl Controller {
    /// Creates a controller that starts now. `seed` decides the random values.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, memory: Memory::default() }
    }

    /// Reads an address, `elapsed` after the start; `None` when it has no value of this type.
    pub fn read(
        &mut self,
        address: &Address,
        data_type: Option<DataType>,
        elapsed: Duration,
    ) -> Option<Value> {
        match (address, data_type) {
            (Address::Function(function), None) => Some(function.at(elapsed, self.seed)),
            (Address::Function(function), Some(data_type)) => {
                function.typed_at(elapsed, self.seed, data_type)
            }
            (Address::Register(register), None) => Some(self.memory.read(*register)),
            (Address::Register(register), Some(data_type)) => self.memory.read_as(*register, data_type),
        }
    }
}
