//! The connection to a hub: from a device's key or certificate to acknowledged messages.

// A number that a stranger sent must not end the process: sums are checked, saturate, or say why they cannot overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod wait;
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
