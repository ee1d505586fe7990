//! The handoff files: reading them, and hearing when they change.

pub mod document;
pub mod certificate;
pub mod credential;
pub mod credentials;
pub mod watch;
