//! One message as the hub stored it. Pure.

use std::sync::Arc;

use jiff::Timestamp;

use crate::hub::telemetry::Message;

/// Sender of a message: the same for all messages of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The hub's name.
    pub hub: Arc<str>,
    /// The authenticated device.
    pub device_id: Arc<str>,
    /// Of the device in the registry.
    pub generation_id: String,
    /// The model announced at CONNECT.
    pub model_id: Option<String>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts from 1 over all hubs.
    pub sequence: u64,
    /// Time at which the hub stored the message.
    pub enqueued: Timestamp,
    /// From whom.
    pub origin: Arc<Origin>,
    /// Received message.
    pub message: Message,
}

impl Event {
    /// Returns the approximate size in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let properties =
            self.message.properties.iter().map(|(key, value)| key.len() + value.map_or(0, str::len));
        size_of::<Self>() + self.message.body.len() + properties.sum::<usize>()
    }
}
