//! Settings of a device's buffer. Pure.

use serde::{Deserialize, Serialize};

use super::size::ByteSize;

/// Settings of a device's buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Buffer {
    /// Most bytes that the device's buffer takes on disk.
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
    /// The least that it may be given.
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
    /// The oldest make room: the oldest file of events, a sixteenth of the capacity, is deleted, unless messages with
    /// some of its events are under way, which the hub may have already; then it is the next one. The newest state of
    /// the plant always reaches the cloud, and after a long outage there is one gap, at the outage's beginning.
    /// Choose it where the present matters more than the past: dashboards, alarms.
    #[default]
    DropOldest,
    /// Drops new readings, a whole scan at a time, until acknowledgements have freed a file of events. The buffered
    /// events stay complete, and a long outage leaves one gap at its end. Choose it where the first events matter
    /// most, such as the cause of a fault.
    DropNewest,
    /// Tags are not read until acknowledgements have freed a file of events, so nothing that was read is dropped, and
    /// what happens in the field meanwhile is never seen, unless the field device itself keeps it; one scan may exceed
    /// the capacity. Choose it for sources that wait, such as queues and historians.
    Block,
}

/// Time at which written events are synced to disk. With each of them, an agent that ends or is killed (`kill -9`)
/// loses nothing, because every event is written to the operating system before it counts as read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sync {
    /// Leaves it to the operating system: a power failure loses about the last 30 seconds.
    Never,
    /// A second after it was written, beside the agent's work: a power cut loses at most what was read in the last second
    /// or two.
    #[default]
    EverySecond,
    /// Before it counts as read: a power cut loses nothing. All devices of the agent wait for the disk meanwhile.
    EveryWrite,
}
