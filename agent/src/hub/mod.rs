//! The connection to a hub: from a device's key to acknowledged messages.

pub mod failure;
pub mod trust;
pub mod token;
pub mod pace;
mod dial;
pub mod link;
pub mod registration;
pub mod assignment;
mod target;
pub mod session;
pub mod connection;
