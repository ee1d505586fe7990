//! Result of comparing a device with others of its identity. Pure.

use std::time::Duration;

use crate::kubernetes::key::Key;

/// Result of comparing all devices that claim one identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contest {
    /// The other device that has the identity.
    pub holder: Option<Key>,
    /// True if an agent of another device may still be connected with it.
    pub connected: bool,
    /// The time after which a device without proof must let another one try.
    pub turn: Option<Duration>,
}
