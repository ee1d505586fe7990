//! What an agent keeps of a device's events while the hub does not acknowledge them. Pure.

use serde::{Deserialize, Serialize};

use super::size::ByteSize;

/// What is kept while the hub does not acknowledge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Buffer {
    /// Most bytes that the device's buffer takes on disk.
    pub capacity: ByteSize,
    /// What becomes of events when it has no room.
    pub when_full: WhenFull,
    /// When what was written is forced from the operating system to the disk.
    pub sync: Sync,
    /// Whether a gap in the stream is told to the cloud side by an event in its place: `_lanyard.dropped`, with the
    /// number of events that are missing and the times of the first and the last of them.
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

/// What becomes of events when the buffer has no room for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenFull {
    /// The oldest make room: the oldest file of events, a sixteenth of the capacity, is deleted, unless messages with
    /// some of its events are under way, which the hub may have already; then it is the next one. The newest state of
    /// the plant always reaches the cloud, and after a long outage there is one gap, at the outage's beginning.
    /// Choose it where the present matters more than the past: dashboards, alarms.
    #[default]
    DropOldest,
    /// What is read is dropped, a whole scan at a time, until acknowledgements have freed a file of events. What was
    /// buffered stays whole, and after a long outage there is one gap, at the outage's end. Choose it where the first
    /// events tell most: what led to a fault.
    DropNewest,
    /// Tags are not read until acknowledgements have freed a file of events, so nothing that was read is dropped, and
    /// what happens in the field meanwhile is never seen, unless the field device itself keeps it; one scan may exceed
    /// the capacity. Choose it for sources that wait, such as queues and historians.
    Block,
}

/// When what was written is forced from the operating system to the disk. An end of the agent, `kill -9` included,
/// loses nothing with any of these, because every event is handed to the operating system before it counts as read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sync {
    /// When the operating system likes to: a power cut loses what was read in about the last 30 seconds.
    Never,
    /// A second after it was written, beside the agent's work: a power cut loses at most what was read in the last second
    /// or two.
    #[default]
    EverySecond,
    /// Before it counts as read: a power cut loses nothing. All devices of the agent wait for the disk meanwhile.
    EveryWrite,
}
