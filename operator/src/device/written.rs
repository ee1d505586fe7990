//! Results of writing planned objects. Pure.

use std::time::Duration;

use super::issue::Issued;
use crate::fault::Fault;

/// What became of a planned object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Created,
    /// It was different.
    Updated {
        /// Whether its specification was, so that its pod may be replaced.
        specification: bool,
    },
    /// It was as it should be; nothing was written.
    Unchanged,
    /// It is not to be there.
    Absent,
    /// Something has to end first; the words say what.
    Waiting(String),
    /// Somebody else changes it again and again; it is put right after a while.
    Contested(String, Duration),
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What the credentials are.
    pub issued: Box<Issued>,
    /// The credentials.
    pub credentials: Result<Written, Fault>,
    /// The agent's configuration.
    pub configuration: Result<Written, Fault>,
    /// The agent.
    pub workload: Result<Written, Fault>,
}

/// What becomes of an object without a write.
pub(super) type WriteResult = Result<Written, Fault>;
