//! Results of writing planned objects. Pure.

use std::time::Duration;

use crate::device::issue::credential::Issued;
use crate::fault::Fault;

/// Result of writing a planned object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Created.
    Created,
    /// Different before.
    Updated {
        /// True if its specification was different, so that its pod may be replaced.
        specification: bool,
    },
    /// As planned already; nothing was written.
    Unchanged,
    /// Must not exist.
    Absent,
    /// Something has to end first; the words say what.
    Waiting(String),
    /// Another program repeatedly changes it; it is repaired after a delay.
    Contested(String, Duration),
}

/// Results of applying a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Credentials of the device.
    pub issued: Box<Issued>,
    /// The credentials.
    pub credentials: Result<Written, Fault>,
    /// The agent's configuration.
    pub configuration: Result<Written, Fault>,
    /// The agent.
    pub workload: Result<Written, Fault>,
}
