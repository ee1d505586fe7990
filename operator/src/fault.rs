//! Errors that a user must fix: a stable reason, and a message with the fix. Pure.

use crate::reason::Reason;

/// Error that a user must fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub struct Fault {
    /// In one word.
    pub reason: Reason,
    /// The thing, the cause and the fix.
    pub message: String,
}

impl Fault {
    /// Creates a fault.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

pub(crate) fn invalid(field: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::InvalidSpec, format!("{field}: {error}"))
}
