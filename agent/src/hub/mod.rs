//! The connection to a hub: from a device's key or certificate to acknowledged messages.

pub mod failure;
pub mod trust;
pub mod token;
pub mod login;
mod choice;
pub mod keyring;
pub mod pace;
mod dial;
pub mod link;
pub mod registration;
pub mod assignment;
mod target;
mod approach;
pub mod successor;
pub mod session;
pub mod connection;
