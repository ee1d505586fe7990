//! One device's connection, from the TCP socket to the end: each has a task of its own.

pub mod unauthenticated;
pub mod listener;
pub mod wire;
pub mod close_reason;
pub mod deadlines;
pub mod handshake;
pub mod hub_session;
pub mod dps_session;
