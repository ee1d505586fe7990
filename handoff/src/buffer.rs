//! Settings of a device's buffer. Pure.

use serde::{Deserialize, Serialize};

use super::size::ByteSize;

/// Settings of a device's buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Buffer {
    /// Maximum size of the device's buffer on disk, in bytes.
    pub capacity: ByteSize,
    /// Policy for a full buffer.
    pub when_full: WhenFull,
    /// Time at which written events are synced to disk.
    pub sync: Sync,
    /// Sends a marker event for each gap: `_lanyard.dropped`, with the number of missing events and the times of the
    /// first and the last of them.
    pub drop_markers: bool,
}

impl Buffer {
    /// Smallest allowed capacity.
    pub const LEAST: ByteSize = ByteSize::new(64 * 1024);
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            capacity: ByteSize::new(256 << 20),
            when_full: WhenFull::default(),
            sync: Sync::default(),
            drop_markers: true,
        }
    }
}

/// Policy for a full buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// Deletes the oldest file of events, a sixteenth of the capacity, or the next one if some of its events are in
    /// flight. The newest events always reach the cloud, and a long outage leaves one gap at its beginning. Choose it
    /// where the present matters most, such as for dashboards and alarms.
    #[default]
    DropOldest,
    /// Drops new readings, a whole scan at a time, until acknowledgements have freed a file of events. The buffered
    /// events stay complete, and a long outage leaves one gap at its end. Choose it where the first events matter
    /// most, such as the cause of a fault.
    DropNewest,
    /// Stops reading tags until acknowledgements have freed a file of events. No reading is dropped, but changes in the
    /// meantime are lost unless the field device stores them. One scan may exceed the capacity. Choose it for sources
    /// that wait, such as queues and historians.
    Block,
}

/// Time at which written events are synced to disk. With each of them, an agent that ends or is killed (`kill -9`)
/// loses nothing, because every event is written to the operating system before it counts as read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sync {
    /// Leaves it to the operating system: a power failure loses about the last 30 seconds.
    Never,
    /// Once a second, without blocking the agent: a power failure loses at most the events of the last two seconds.
    #[default]
    EverySecond,
    /// At each scan, before the events count as read: a power failure loses nothing. All devices of the agent wait for
    /// the disk.
    EveryWrite,
}
