//! A fault: its effect, and the connections that have it. Pure.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use crate::mqtt::answer::Refusal;

/// Service to which a device connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A hub.
    Hub,
    /// A DPS instance.
    Dps,
}

impl Service {
    /// Returns the name in requests.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Dps => "dps",
        }
    }
}

/// Selection of connections. A part that is missing selects all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Service to which the device connects.
    pub service: Service,
    /// Name of the hub.
    pub hub: Option<String>,
    /// The device at a hub, or the registration at DPS.
    pub device_id: Option<String>,
}

impl Selector {
    /// Returns whether a connection is selected. Case counts in device ids only (ref §3.3).
    #[must_use]
    pub fn selects(&self, peer: &FaultPeer<'_>) -> bool {
        let same_device = |id: &String| match self.service {
            Service::Hub => id == peer.device_id,
            Service::Dps => id.eq_ignore_ascii_case(peer.device_id),
        };
        self.service == peer.service
            && self.hub.as_ref().is_none_or(|hub| hub.eq_ignore_ascii_case(peer.hub))
            && self.device_id.as_ref().is_none_or(same_device)
    }
}

/// Properties of a connection by which faults select it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPeer<'a> {
    /// Service to which the device connects.
    pub service: Service,
    /// Name of the hub; empty at DPS.
    pub hub: &'a str,
    /// The device at a hub, or the registration at DPS.
    pub device_id: &'a str,
}

/// Effect of a fault on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// CONNECT is answered with this code, although the device would be let in.
    RefuseConnections(Refusal),
    /// The connection is closed after this many messages; with 0, instead of the answer to CONNECT.
    DropConnections {
        /// Messages of the connection.
        after_messages: u64,
    },
    /// Every answer leaves later by this time. Other answers do not wait for it longer than their own time.
    DelayAnswers(Duration),
    /// Messages are acknowledged slowly, and the connection is closed in the end (ref §12.2).
    Throttle {
        /// Time between two acknowledgements.
        interval: Duration,
        /// The connection is closed when an acknowledgement would have to wait longer.
        longest_wait: Duration,
    },
    /// One in so many messages is stored, but not acknowledged.
    LoseAcknowledgements {
        /// 1 loses all acknowledgements.
        one_in: NonZeroU32,
    },
    /// DPS answers registrations and polls with this error (ref §8.3).
    RefuseRegistrations {
        /// Six digits, of which the first three are the status.
        error_code: u32,
        /// Seconds to wait before asking again.
        retry_after: Option<u64>,
    },
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Connections that have the fault.
    pub selector: Selector,
    /// Effect on them.
    pub effect: Effect,
    /// Number of times that the fault occurs; without it, it occurs until it is deleted.
    pub count: Option<NonZeroU64>,
}
