//! Event for a user. Pure.

use crate::reason::Reason;
/// Something worth an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEvent {
    /// True for a warning.
    pub warning: bool,
    /// In one word.
    pub reason: Reason,
    /// Action of the operator.
    pub action: &'static str,
    /// In words.
    pub message: String,
}

pub(crate) fn normal(reason: Reason, action: &'static str, message: String) -> UserEvent {
    UserEvent { warning: false, reason, action, message }
}
