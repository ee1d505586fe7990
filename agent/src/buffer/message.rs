//! A message to the hub: its properties and its body. Pure.

use bytes::Bytes;
use lanyard_protocol::hub::property_bag::PropertyBag;

/// Largest message that a hub accepts: the body, the values of system properties, and the names and values of the other
/// properties (azure-iot-protocol §4.5).
pub const MAX_MESSAGE_BYTES: usize = 262_144;

/// A message to the hub. Every attempt sends the same bytes with the same id.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Position in the order of the device's messages.
    pub number: u64,
    /// Properties, including the message id.
    pub properties: PropertyBag,
    /// The body, as JSON.
    pub body: Bytes,
    /// Number of events.
    pub events: usize,
}

impl Message {
    /// Returns the size that counts against [`MAX_MESSAGE_BYTES`].
    #[must_use]
    pub fn counted_bytes(&self) -> usize {
        self.body.len() + properties_bytes(&self.properties)
    }
}

/// Returns the part of the properties that counts against [`MAX_MESSAGE_BYTES`].
pub(crate) fn properties_bytes(bag: &PropertyBag) -> usize {
    let counted = |(key, value): (&str, Option<&str>)| {
        let name = if key.starts_with("$.") { 0 } else { key.len() };
        name + value.map_or(0, str::len)
    };
    bag.iter().map(counted).sum()
}
