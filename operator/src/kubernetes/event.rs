//! Event for a user. Pure.

/// Something worth an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEvent {
    /// True for a warning.
    pub warning: bool,
    /// In one word.
    pub reason: String,
    /// Action of the operator.
    pub action: &'static str,
    /// In words.
    pub message: String,
}

pub(crate) fn normal(reason: &str, action: &'static str, message: String) -> UserEvent {
    UserEvent { warning: false, reason: reason.to_owned(), action, message }
}
