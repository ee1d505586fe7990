//! What a tag reads from: its source, resolved, and its address, understood. Pure.

use std::collections::HashMap;
use std::time::Duration;

use lanyard_protocol::handoff::config::{DataType, Source, Tag};

use super::event::Value;
use super::simulator::address::Address;
use super::simulator::controller::Controller;
use super::simulator::data_type::check;

/// A tag's place in its source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// An address of the simulated controller with this source name.
    Simulator { source: String, address: Address, data_type: Option<DataType> },
    /// The address means nothing to the source.
    Nowhere,
}

/// The field devices of one device, by source name.
#[derive(Debug)]
pub(super) struct Field {
    seed: u64,
    simulators: HashMap<String, Controller>,
}

impl Field {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, simulators: HashMap::new() }
    }

    /// Keeps the sources that stay, so that their registers do; starts the new ones.
    pub(super) fn reconfigure(&mut self, sources: &[Source]) {
        self.simulators.retain(|name, _| sources.iter().any(|source| source.name == *name));
        for source in sources.iter().filter(|source| source.simulator.is_some()) {
            self.simulators.entry(source.name.clone()).or_insert_with(|| Controller::new(self.seed));
        }
    }

    /// Finds a tag's place; the error names tag, address and fix.
    pub(super) fn locate(&self, tag: &Tag) -> Result<Place, String> {
        if !self.simulators.contains_key(&tag.source) {
            return Err(format!(
                "tag {:?}: there is no source {:?}; name one of the device's sources",
                tag.name, tag.source
            ));
        }
        let address = Address::parse(&tag.address);
        match address.and_then(|address| check(&address, tag.data_type).map(|()| address)) {
            Ok(address) => {
                Ok(Place::Simulator { source: tag.source.clone(), address, data_type: tag.data_type })
            }
            Err(error) => {
                Err(format!("tag {:?}: address {:?} cannot be read: {error}", tag.name, tag.address))
            }
        }
    }

    /// The value at a place, `elapsed` after the start; `None` is a bad read.
    pub(super) fn read(&mut self, place: &Place, elapsed: Duration) -> Option<Value> {
        match place {
            Place::Simulator { source, address, data_type } => {
                self.simulators.get_mut(source)?.read(address, *data_type, elapsed)
            }
            Place::Nowhere => None,
        }
    }
}
