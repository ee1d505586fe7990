//! One device's connection, from the TCP socket to the end: each has a task of its own.

pub mod strangers;
pub mod listener;
pub mod wire;
pub mod ending;
pub mod lifetime;
pub mod greeting;
pub mod hub_session;
pub mod dps_session;
