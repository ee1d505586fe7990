//! Session of a device at its hub: connect, publish, renew, reconnect.

// A number from the network must not end the process: sums are checked, saturate, or state why they cannot overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod backoff;
mod endpoint;
mod connect;
mod renew;
mod stream;
pub mod connection;

#[cfg(test)]
mod tests;
