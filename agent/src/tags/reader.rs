//! Source of a tag and its parsed address. Pure.

use std::time::Duration;

use lanyard_handoff::config::{DataType, Source, Tag};

use super::event::Value;
use super::simulator::address::Address;
use super::simulator::check::check;
use super::simulator::controller::Controller;

/// A tag's place in its source. It holds until the next [`Field::reconfigure`].
#[derive(Debug, PartialEq)]
pub(super) enum TagIndex {
    /// An address of the simulated controller with this position.
    Simulator { controller: usize, address: Address, data_type: Option<DataType> },
    /// The address means nothing to the source.
    Nowhere,
}

impl TagIndex {
    pub(super) fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }
}

/// The field devices of one device, by source name.
#[derive(Debug)]
pub(super) struct Field {
    seed: u64,
    simulators: Vec<(String, Controller)>,
}

impl Field {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, simulators: Vec::new() }
    }

    /// Keeps the sources that stay, so that their registers do; starts the new ones.
    pub(super) fn reconfigure(&mut self, sources: &[Source]) {
        self.simulators.retain(|(name, _)| sources.iter().any(|source| source.name == *name));
        for source in sources.iter().filter(|source| source.simulator.is_some()) {
            if self.position(&source.name).is_none() {
                self.simulators.reserve_exact(1);
                self.simulators.push((source.name.clone(), Controller::new(self.seed)));
            }
        }
    }

    fn position(&self, source: &str) -> Option<usize> {
        self.simulators.iter().position(|(name, _)| name == source)
    }

    /// Finds a tag's place; the error names tag, address and fix.
    pub(super) fn locate(&self, tag: &Tag) -> Result<TagIndex, String> {
        let Some(controller) = self.position(&tag.source) else {
            return Err(format!(
                "tag {:?}: there is no source {:?}; name one of the device's sources",
                tag.name, tag.source
            ));
        };
        let address = Address::parse(&tag.address);
        match address.and_then(|address| check(&address, tag.data_type).map(|()| address)) {
            Ok(address) => Ok(TagIndex::Simulator { controller, address, data_type: tag.data_type }),
            Err(error) => Err(format!("tag {:?}: address {:?} is invalid: {error}", tag.name, tag.address)),
        }
    }

    /// Reads the value at a place, `elapsed` after the start; `None` is a bad read.
    pub(super) fn read(&mut self, place: &TagIndex, elapsed: Duration) -> Option<Value> {
        match place {
            TagIndex::Simulator { controller, address, data_type } => {
                self.simulators.get_mut(*controller)?.1.read(address, *data_type, elapsed)
            }
            TagIndex::Nowhere => None,
        }
    }
}
