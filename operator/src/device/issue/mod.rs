//! Third stage: the device's credential.

pub mod credential;
pub mod environment;
